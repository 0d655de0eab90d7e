"""What panels that move have in common: a picture drawn off the kernel's main thread, a few times a
second at most.
"""

from __future__ import annotations

import html
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import traitlets

from labkit.ui.panels.base import Panel
from labkit.ui.plots.style import css

log = logging.getLogger(__name__)

# times as long as a look took: a slow machine draws less often, and its kernel stays free
LEAST_REST = 3.0


class Ticker:
    """Calls `look` again and again on a thread of its own, until it returns False.

    At most every `every_s` seconds, and after a slow look later still; at once when `bell` is set,
    which a mesh's history does at each change.

    >>> ticker = Ticker(lambda: draw() and stream.running, every_s=0.25)
    >>> mesh.history.bells.add(ticker.bell)
    >>> ticker.start()
    """

    def __init__(self, look: Callable[[], bool], *, every_s: float = 0.25) -> None:
        self.look, self.every_s = look, every_s
        self.bell = threading.Event()
        self.over = threading.Event()
        self.thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive() and not self.over.is_set()

    def start(self) -> None:
        """Begins to look; nothing happens while it does already."""
        if self.running:
            return
        self.over = threading.Event()
        self.thread = threading.Thread(
            target=self.run, args=(self.over,), name="labkit looks", daemon=True
        )
        self.thread.start()

    def stop(self, *, wait: bool = False) -> None:
        """Ends it after the look that is under way."""
        self.over.set()
        self.bell.set()
        if wait and self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()

    def run(self, over: threading.Event) -> None:
        while not over.is_set():
            self.bell.clear()
            began = time.monotonic()
            try:
                if not self.look():
                    return
            except Exception:
                log.exception("looking again was given up")
                return
            took = time.monotonic() - began
            self.bell.wait(max(self.every_s - took, LEAST_REST * took))


class LivePanel(Panel):
    """A panel with one picture that changes while one looks at it, and the same as a table under
    it.
    """

    looks = css()

    picture = traitlets.Unicode("").tag(sync=True)
    """The picture as HTML, made here; its view shows it under `caption`."""
    caption = traitlets.Unicode("").tag(sync=True)
    cells = traitlets.Dict().tag(sync=True)
    """The table under the picture: {"columns": […], "rows": [[…], …]}."""
    marks = traitlets.Int(0).tag(sync=True)
    """How many lines of things applied are in the picture."""

    def __init__(self, **traits: Any) -> None:
        self.axes: Any = None
        super().__init__(**traits)

    def show(self, axes: Any, marks: int = 0) -> None:
        """Puts axes (see plots.py) into the panel: their picture, and their table."""
        picture = axes.picture()
        self.axes = axes
        with self.hold_sync():
            self.picture = picture
            self.caption = axes.get_title(loc="left")
            self.cells = cells_of(axes.as_table)
            self.marks = marks

    def page(self) -> str:
        picture = self.axes._repr_html_() if self.axes is not None else ""
        return f"<h4>{html.escape(self.heading)}</h4>{self.words()}{picture}"

    def words(self) -> str:
        """What stands above the picture in an export, as HTML."""
        return f"<pre>{html.escape(self.text())}</pre>"


def cells_of(frame: Any) -> dict[str, Any]:
    """A frame as plain texts, for a view."""
    rows = [
        ["" if value != value else str(value) for value in row]
        for row in frame.itertuples(index=False)
    ]
    return {"columns": [str(name) for name in frame.columns], "rows": rows}


def weakly(panel: Any, method: str) -> Callable[[], bool]:
    """Calls a panel's method for as long as somebody holds the panel: a thread must not keep it
    alive.

    ipywidgets holds it until it is closed, which `Panel` does when its cell is run again.
    """
    reference = weakref.ref(panel)

    def look() -> bool:
        found = reference()
        return found is not None and bool(getattr(found, method)())

    return look

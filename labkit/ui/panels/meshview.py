"""`MeshView`: a picture of the mesh that moves while requests pass: who sends to whom, how much,
and who is out.
"""

from __future__ import annotations

import html
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import traitlets

from labkit.errors import EnvoyError, LabkitError
from labkit.ui.panels import picture
from labkit.ui.panels.live import Ticker, cells_of, weakly
from labkit.ui.panels.panel import Panel, action
from labkit.ui.panels.watching import Watch

if TYPE_CHECKING:
    import pandas as pd

    from labkit.mesh import Mesh

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""A view says every 20 s that it is still there; without that nobody is asked any more after so
long.
"""
STOPPED = "Not looking: this is how it was last."
CLOSED = "The mesh has been closed: this is how it was last. labkit.open_mesh() makes a new one."
MOST_FAILURES = 5  # looks in a row that a proxy which is started again may miss


class WatchingPanel(Panel):
    """A panel that looks at a mesh a few times a second, for as long as somebody sees it or `start`
    was called.
    """

    every_s = 0.4

    watching = traitlets.Bool(False).tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)
    cells = traitlets.Dict().tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)

    def __init__(self, mesh: Mesh, *, proxy: str = "gateway", **traits: Any) -> None:
        self.ticker = Ticker(
            weakly(self, "tick"), every_s=self.every_s
        )  # first: `close` wants it, whatever fails
        self.mesh = mesh
        self.watch = Watch(mesh, proxy)
        self.asked = False  # by a person, and so without an end
        self.seen_until = 0.0
        self.failures = 0
        self.looking = threading.Lock()  # one look at a time, and none that goes on after `stop`
        super().__init__(**traits)
        mesh.history.bells.add(self.ticker.bell)

    # actions

    @action
    def start(self) -> None:
        """Looks again and again, until `stop`."""
        self.asked = True
        self.error = {}
        self.begin()

    @action
    def stop(self) -> None:
        """Looks no more. The picture stays as it is."""
        self.asked, self.seen_until = False, 0.0
        self.ticker.stop()
        with self.looking:
            self.watching = False
        self.draw()
        self.status = STOPPED  # said when the picture is the last one

    @action
    def look(self) -> None:
        """Looks once, now."""
        with self.looking:
            self.watch.look()
        self.draw()

    def present(self) -> None:
        """A view is there, or still there: looks for as long as it says so."""
        if not self.error and (self.watching or self.seen_until or not self.status):
            self.seen_until = time.monotonic() + LEASE_S
            self.begin()

    present.asked_for = "now"  # type: ignore[attr-defined]

    def left(self) -> None:
        """The view is gone."""
        self.seen_until = 0.0

    left.asked_for = "now"  # type: ignore[attr-defined]

    # looking

    def begin(self) -> None:
        with self.lock:
            self.failures = 0
            self.watching = True
            self.status = "Looking at the mesh."
            self.ticker.start()

    def tick(self) -> bool:
        if not self.asked and time.monotonic() > self.seen_until:
            self.watching = False
            return False
        try:
            with self.looking:
                if not self.watching:  # stopped meanwhile
                    return False
                self.watch.look()
        except LabkitError as error:
            return self.missed(error)
        except Exception as error:  # a mesh that is just being closed may fail in any way
            if not closed(self.watch):
                log.exception("a look at the mesh failed")
            return self.missed(
                LabkitError("Looking at the mesh failed", seen=f"{type(error).__name__}: {error}")
            )
        self.failures = 0
        self.looked()
        return True

    def looked(self) -> None:
        """After each look."""
        with self.lock:
            if self.watching:  # not if it was stopped meanwhile
                self.draw()

    def missed(self, error: LabkitError) -> bool:
        """A look that failed. A proxy that is started again answers soon; a mesh that was closed
        never does.

        That a mesh is closed is no mistake: each lesson ends with it. So that is said, and is no
        alarm.
        """
        over = closed(self.watch)
        self.failures += 1
        if not over and isinstance(error, EnvoyError) and self.failures < MOST_FAILURES:
            self.status = "The proxy does not answer: it is started again."
            return True
        with self.lock:
            self.asked, self.seen_until, self.watching = False, 0.0, False
            self.status = CLOSED if over else STOPPED
            if not over:
                self.show_error(error, "start")
        self.keep()  # the notebook has no other occasion: nobody need ever have touched the panel
        return False

    def draw(self) -> None:
        """Shows what the last look found."""
        raise NotImplementedError

    def way_back(self, error: LabkitError, doing: str) -> dict[str, str]:
        return {"label": "Look again", "do": "start"}

    def close(self) -> None:
        self.ticker.stop()
        super().close()


class MeshView(WatchingPanel):
    """client → gateway → pods by version. Line width: share of the requests lately; crossed out:
    ejected.

    It looks at the mesh while it is on the screen, about twice a second. Without a browser:

    >>> view = MeshView(mesh)
    >>> mesh.curl(url, n=20)
    >>> view.look()
    >>> view.table
    """

    title = "The mesh"
    scripts = ("live.js", "watching.js", "meshview.js")
    styles = ("live.css",)

    svg = traitlets.Unicode("").tag(sync=True)

    def __init__(self, mesh: Mesh, *, proxy: str = "gateway") -> None:
        super().__init__(mesh, proxy=proxy)
        self.look()

    @property
    def model(self) -> dict[str, Any]:
        """What is in the picture, as plain data (see labkit.ui.panels.picture)."""
        return picture.model(self.watch)

    @property
    def table(self) -> pd.DataFrame:
        """The same as text: a row a pod."""
        return picture.table(self.model)

    def draw(self) -> None:
        model = self.model
        with self.hold_sync():
            self.svg = picture.svg(model)
            self.caption = picture.summary(model)
            self.cells = cells_of(picture.table(model))

    def text(self) -> str:
        model = self.model
        return f"{picture.summary(model)}\n{picture.table(model).to_string(index=False)}"

    def page(self) -> str:
        table = self.table.to_html(index=False, border=0)
        return (
            f"<figure style='margin:0'>{self.svg}<figcaption>{html.escape(self.status)}</figcaption>"  # noqa: E501
            f"<details><summary>The same as a table</summary>{table}</details></figure>"
        )


def closed(watch: Watch) -> bool:
    """Whether somebody has closed the mesh."""
    try:
        watch.check_open()
    except LabkitError:
        return True
    return False

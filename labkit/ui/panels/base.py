"""`Panel`, what every panel of the course has in common: a model in Python beside a thin view in
plain JavaScript.

The model is the panel. It holds the state in traits that the view follows, and every action is a
method: a notebook without a browser calls `panel.apply()`, and a click on the button sends {"do":
"apply"}, which calls the same method. The view never writes a trait, so that state flows one way
only.

    class Counter(Panel):
        scripts = ("counter.js",)       # in labkit/ui/static, after panel.js, which all views share
        count = traitlets.Int(0).tag(sync=True)

        @action
        def add(self, by=1):            # quick: under the panel's lock
            self.count += by

        @work("Sending requests")       # long: on a thread of its own when the view asks for it
        def send(self): ...

An error that a learner can cause (LabkitError) is shown in the panel. A Python caller gets it
raised as well, so that a notebook that runs without a browser does not go on as if nothing had
happened.

ipywidgets' own controls were the other choice: their sliders can't be reached by keyboard in full
and have no labels that a screen reader finds. anywidget carries a view of native HTML inputs, with
no build step and nothing from a CDN.
"""

from __future__ import annotations

import functools
import html
import logging
import secrets
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import files
from typing import Any, ClassVar, TypeVar, cast

import anywidget
import traitlets

from labkit.errors import LabkitError

Method = TypeVar("Method", bound=Callable[..., Any])

log = logging.getLogger(__name__)


def action(method: Method) -> Method:
    """Marks a quick action: one at a time, under the panel's lock; the view may ask for it by its
    name.
    """

    @functools.wraps(method)
    def act(self: Panel, *args: Any, **kwargs: Any) -> Any:
        with self.shown_errors(method.__name__), self.lock:
            result = method(self, *args, **kwargs)
        self.done()
        return result

    act.asked_for = "now"  # type: ignore[attr-defined]
    return cast(Method, act)


def work(doing: str) -> Callable[[Method], Method]:
    """Marks a long action, with what the panel says meanwhile. It holds the lock only where it
    takes it itself.

    One of them runs at a time. A Python caller waits for it; a view does not, and gets it on the
    panel's own thread.
    """

    def mark(method: Method) -> Method:
        @functools.wraps(method)
        def act(self: Panel, *args: Any, **kwargs: Any) -> Any:
            with self.working, self.shown_errors(method.__name__):
                self.busy = doing
                try:
                    result = method(self, *args, **kwargs)
                finally:
                    self.busy = ""
            self.done()
            return result

        act.asked_for = "later"  # type: ignore[attr-defined]
        act.doing = doing  # type: ignore[attr-defined]
        return cast(Method, act)

    return mark


class Panel(anywidget.AnyWidget):
    """The base of all panels. A panel gives `scripts`, its traits, its actions, and `text` and
    `page` for exports.
    """

    title: ClassVar[str] = "Panel"
    scripts: ClassVar[tuple[str, ...]] = ()
    """The files of its view in labkit/ui/static; the last one ends with `export
    default {render}`.
    """
    styles: ClassVar[tuple[str, ...]] = ()
    looks: ClassVar[str] = ""
    """CSS that is made, beside that of the files `styles`."""

    heading = traitlets.Unicode("").tag(sync=True)
    error = traitlets.Dict().tag(sync=True)
    """{} or {"message", "seen", "try_next", "back"}; `back` is {} or {"label", "do"}, a button that
    leads out.
    """
    busy = traitlets.Unicode("").tag(sync=True)
    """What long action is on, in words; "" when none is."""
    drafts_kept = traitlets.Bool(False).tag(sync=True)
    """Whether what is typed into it outlives the kernel."""
    worker: ThreadPoolExecutor | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # each instance gets a class of its own from traitlets, where it is a trait
        if "_esm" not in cls.__dict__:
            cls._esm = "\n".join(static(name) for name in ("panel.js", *cls.scripts))
            styles = [static(name) for name in ("panel.css", *cls.styles)]
            cls._css = "\n".join([*styles, cls.looks])
        super().__init_subclass__(**kwargs)

    def __init__(self, **traits: Any) -> None:
        self.lock = threading.RLock()
        self.working = threading.RLock()
        self.display_id = secrets.token_hex(8)
        self.displayed = False
        self.seen_by_a_view = False
        super().__init__(heading=self.title, **traits)
        self.on_msg(self.hear)
        replace_older(self)

    # what a subclass says

    def text(self) -> str:
        """The last state as plain text, for a terminal and for a notebook without a browser."""
        return f"<{type(self).__name__}>"

    def page(self) -> str:
        """The last state as HTML without buttons: plots and tables, for exports
        and for papermill.
        """
        return f"<pre>{html.escape(self.text())}</pre>"

    def way_back(self, error: LabkitError, doing: str) -> dict[str, str]:
        """The button beside an error: {"label", "do"}, or {} where there is no
        way but `try_next`.
        """
        return {}

    # actions

    def hear(self, _: Any, content: Any, buffers: Any = None) -> None:
        """A message of the view: {"do": name, "args": […]}. What is wrong is shown, not raised:
        nobody would see it.
        """
        name = content.get("do", "") if isinstance(content, dict) else ""
        given = content.get("args") if isinstance(content, dict) else None
        args = given if isinstance(given, list) else []
        method = getattr(self, name, None) if isinstance(name, str) else None
        when = getattr(method, "asked_for", "")
        if method is None or not when:
            log.warning("%s was asked for %r, which is no action", type(self).__name__, name)
        elif when == "later":
            self.later(method, *args)
        else:
            self.quietly(method, *args)

    def later(self, method: Callable[..., Any], *args: Any) -> Future[None]:
        """Calls it on the panel's own thread, after what is there already; the kernel stays free
        meanwhile.
        """
        with self.lock:
            if self.worker is None:
                self.worker = ThreadPoolExecutor(1, thread_name_prefix=type(self).__name__)
            self.busy = getattr(method, "doing", "") or self.busy
            return self.worker.submit(self.quietly, method, *args)

    def quietly(self, method: Callable[..., Any], *args: Any) -> None:
        """Calls an action for the view: errors are in the panel by now, and go no further."""
        try:
            method(*args)
        except LabkitError:
            log.debug("shown in the panel", exc_info=True)
        except Exception as error:
            log.exception("a panel's action failed")
            self.show_error(
                LabkitError(
                    "This panel has a bug",
                    seen=f"{type(error).__name__}: {error}",
                    try_next="run its cell again; if it happens again, please report it",
                ),
                getattr(method, "__name__", ""),
            )

    def shown_errors(self, doing: str) -> ShownErrors:
        """A context: errors of the last action go, one that is raised inside is shown, and raised
        again.
        """
        return ShownErrors(self, doing)

    def show_error(self, error: LabkitError, doing: str = "") -> None:
        """Says in the panel what failed, what was seen and what to do next."""
        self.error = {
            "message": error.message,
            "seen": error.seen,
            "try_next": error.try_next,
            "back": self.way_back(error, doing),
        }

    @property
    def failed(self) -> bool:
        """Whether the last action failed."""
        return bool(self.error)

    # what is kept of it in the notebook

    def seen(self) -> None:
        """A view is there: it follows the traits by itself."""
        self.seen_by_a_view = True

    seen.asked_for = "now"  # type: ignore[attr-defined]

    def rest(self) -> None:
        """Nobody is in the panel: what the notebook keeps, and an export shows, is brought up to
        date.
        """
        self.keep()

    rest.asked_for = "now"  # type: ignore[attr-defined]

    def done(self) -> None:
        """After each action. Without a view the output under the cell is brought up to date at
        once.
        """
        if not self.seen_by_a_view:
            self.keep()

    def keep(self) -> None:
        """Replaces what the notebook holds of this panel by its state now."""
        if self.displayed:
            self.publish(update=True)

    def publish(self, *, update: bool) -> None:
        from IPython.display import display

        bundle = self._repr_mimebundle_()
        if bundle is not None:
            data, metadata = bundle
            display(data, raw=True, metadata=metadata, display_id=self.display_id, update=update)  # type: ignore[no-untyped-call]

    def _ipython_display_(self) -> None:
        self.displayed = True
        self.publish(update=False)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        found = super()._repr_mimebundle_(**kwargs)
        if found is None:
            return None
        data, metadata = found
        return {**data, "text/plain": self.text(), "text/html": self.page()}, metadata

    def __repr__(self) -> str:
        return self.text()

    def close(self) -> None:
        """Ends the panel; what it shows stays in the notebook."""
        if self.worker is not None:
            self.worker.shutdown(wait=False, cancel_futures=True)
        super().close()


made: dict[str, tuple[str, weakref.WeakSet[Panel]]] = {}
"""By cell: its last run, and the panels that this run has made."""


def replace_older(panel: Panel) -> None:
    """Closes the panels that an earlier run of the same cell has made.

    ipywidgets holds each widget until it is closed. Without this a cell that is run again would
    leave the old panel behind, with its threads, its requests and all of their rows.
    """
    cell, run = running_cell()
    if not cell:
        return
    last, panels = made.get(cell, ("", weakref.WeakSet()))
    if last != run:
        for older in list(panels):
            older.close()
        panels = weakref.WeakSet()
        made[cell] = run, panels
    panels.add(panel)


def running_cell() -> tuple[str, str]:
    """The id of the cell that runs, and of this run of it; "" where there are no cells, or a front
    end names none.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    parent_of = getattr(shell, "get_parent", None)  # IPython in a terminal has none
    parent = parent_of() if parent_of is not None else {}
    return parent.get("metadata", {}).get("cellId") or "", parent.get("header", {}).get(
        "msg_id", ""
    )


class ShownErrors:
    """What `Panel.shown_errors` returns."""

    def __init__(self, panel: Panel, doing: str) -> None:
        self.panel = panel
        self.doing = doing

    def __enter__(self) -> None:
        self.panel.error = {}

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LabkitError):
            self.panel.show_error(error, self.doing)


@functools.cache
def static(name: str) -> str:
    """A file of the views, as text."""
    return (files("labkit.ui") / "static" / name).read_text(encoding="utf-8")

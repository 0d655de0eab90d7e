"""`WatchingPanel`: the base of panels that sample a mesh a few times a second while somebody
looks at them.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import traitlets

from labkit.errors import EnvoyError, LabkitError
from labkit.mesh import Mesh
from labkit.ui.panels.base import Panel, action
from labkit.ui.panels.live import Ticker, weakly
from labkit.ui.panels.meshwatch import MeshWatch

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""A view says every 20 s that it is still there; without that nobody is asked any more after so
long.
"""
STOPPED = "Not watching: this is the last state seen."
CLOSED = (
    "The mesh has been closed: this is the last state seen. labkit.open_mesh() opens a new one."
)
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
        # first: `close` wants it, whatever fails
        self.ticker = Ticker(weakly(self, "tick"), every_s=self.every_s)
        self.mesh = mesh
        self.watch = MeshWatch(mesh, proxy)
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
            self.status = "Watching the mesh."
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
            if not self.watch.closed:
                log.exception("a look at the mesh failed")
            return self.missed(
                LabkitError("Watching the mesh failed", seen=f"{type(error).__name__}: {error}")
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
        over = self.watch.closed
        self.failures += 1
        if not over and isinstance(error, EnvoyError) and self.failures < MOST_FAILURES:
            self.status = "The proxy does not answer: it is restarting."
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
        return {"label": "Watch again", "do": "start"}

    def close(self) -> None:
        self.ticker.stop()
        super().close()

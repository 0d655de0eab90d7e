"""How fast a mesh can be looked at here, and the ejection times that this is fast enough for.

An ejection is measured from outside: by looking at Envoy's endpoints again and again. On this
machine's processes a look takes milliseconds, on a cluster some hundredths of a second, and on a
busy laptop many times that. So a lesson measures it first, and chooses its times by it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.errors import NotReady
from labkit.lessons.files import Listing, show
from labkit.resources import edit
from labkit.resources.durations import SECOND, go_text, protobuf_text
from labkit.traffic import curl

if TYPE_CHECKING:
    from labkit.lessons.checks.ejections import Caller
    from labkit.mesh import Mesh

BASES_S = (2, 4, 8, 16)
"""The choice of baseEjectionTime. Not one second: Envoy may put off a second change of health
within a second, and requests would then find nobody to go to.
"""
SWEEPS = 4
"""Sweeps in one baseEjectionTime: enough of them to see that they do not extend an ejection."""
MARGIN = 2
"""A look and a call must fit into one interval so many times, for a machine that gets busier."""
LOOKS, CALLS = 20, 5


@dataclass(frozen=True)
class Pace:
    """The slowest look and the slowest call that were seen, in seconds, and the times that are long
    enough for them, in seconds.
    """

    look_s: float
    call_s: float
    base_s: int

    @property
    def interval_s(self) -> float:
        """How often Envoy sweeps: what a caller has for its errors once the pod is back."""
        return self.base_s / SWEEPS

    @property
    def times(self) -> dict[str, float]:
        """What check.ejection_times needs to know. A busy Envoy may sweep late by as much as an
        interval.
        """
        return {"base_s": self.base_s, "interval_s": self.interval_s, "late_s": self.interval_s}

    @property
    def as_envoy_says(self) -> tuple[str, str]:
        """interval and baseEjectionTime as they stand in Envoy's configuration."""
        interval, base = (round(s * SECOND) for s in (self.interval_s, self.base_s))
        return protobuf_text(interval), protobuf_text(base)

    def rule(self, manifest: str) -> Listing:
        """A DestinationRule of the course with these times, everything else as it was written.

        >>> mesh.apply(pace.rule("06_outlier_detection/quick.yaml"))
        """
        text = str(show(manifest))
        for name, seconds in (("interval", self.interval_s), ("baseEjectionTime", self.base_s)):
            text = edit(text, f"spec.trafficPolicy.outlierDetection.{name}", go_text(seconds))
        return Listing(text)

    def __repr__(self) -> str:
        return (
            f"To look at the endpoints takes up to {self.look_s * 1000:.0f} ms here, and to send "
            f"the errors up to {self.call_s * 1000:.0f} ms.\n"
            f"That is fast enough for an interval of {go_text(self.interval_s)} and a "
            f"baseEjectionTime of {go_text(self.base_s)}."
        )


def measure_pace(mesh: Mesh, callers: Sequence[Caller], *, errors: int = 2) -> Pace:
    """Looks at the callers' Envoys and sends their requests, all callers at the same time as
    `watch_callers` does, and chooses the shortest times that leave a margin of 2.

    Raises NotReady where even the longest (16 s) are too short.

    >>> pace = measure_pace(mesh, callers)
    >>> mesh.apply(pace.rule("06_outlier_detection/quick.yaml"))
    """

    def one(caller: Caller) -> tuple[float, float]:
        target, path = mesh.target(caller.url, caller.source)

        def look() -> None:
            mesh.endpoints(caller.proxy)

        def call() -> None:
            curl(target, path, n=errors, new_connection=False, request_ids=False)

        look()  # the first of each opens connections
        call()
        return slowest(look, LOOKS), slowest(call, CALLS)

    with ThreadPoolExecutor(max_workers=len(callers)) as side_by_side:
        found = list(side_by_side.map(one, callers))
    return chosen(max(look for look, _ in found), max(call for _, call in found))


def chosen(look_s: float, call_s: float) -> Pace:
    """The pace for a slowest look and a slowest call. Raises NotReady as `measure_pace` does."""
    for base_s in BASES_S:
        pace = Pace(look_s, call_s, base_s)
        if MARGIN * (look_s + call_s) <= pace.interval_s:
            return pace
    raise NotReady(
        f"This machine is too slow to measure ejections, even of {BASES_S[-1]} s",
        seen=f"one look at the endpoints took {look_s:.2f} s, and the requests {call_s:.2f} s",
        try_next="stop other programs on it, and run this cell again",
    )


def slowest(action: Callable[[], None], times: int) -> float:
    """How long the slowest of several runs took, in seconds."""
    taken = []
    for _ in range(times):
        started = time.monotonic()
        action()
        taken.append(time.monotonic() - started)
    return max(taken)

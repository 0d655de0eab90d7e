"""One failing pod, watched through the Envoys of several callers at the same time: each keeps its
own count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from labkit.errors import LessonError
from labkit.lessons.checks.breaker import Sample, ejected_pods, ejections
from labkit.traffic import curl
from labkit.waiting import wait_until

if TYPE_CHECKING:
    import pandas as pd

    from labkit.mesh import Mesh

LOOKS_S = 0.05
"""The longest pause between two looks."""


@dataclass(frozen=True)
class Caller:
    """A caller of a service, and the Envoy it goes through: the gateway, or the sidecar of a pod.

    `rest_sweeps`: how long the caller waits, once the pod is back in the pool, before calling it
    again, in intervals of Envoy's sweep.

    >>> Caller("inside", "http://hello-world/", proxy="client", rest_sweeps=2.5)
    """

    name: str
    url: str
    proxy: str = "gateway"
    rest_sweeps: float = 0.0

    @property
    def source(self) -> str | None:
        """What mesh.curl calls this Envoy's pod; None is the gateway."""
        return None if self.proxy == "gateway" else self.proxy


class Watched(Mapping[str, list[Sample]]):
    """What each caller's Envoy did with the pod, by the caller's name: samples for
    check.ejection_times.
    """

    def __init__(self, samples: Mapping[str, list[Sample]]) -> None:
        self.samples = dict(samples)

    def __getitem__(self, name: str) -> list[Sample]:
        if name not in self.samples:
            raise LessonError(
                f"No caller {name!r} was watched", seen=f"callers: {', '.join(self.samples)}"
            )
        return self.samples[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def frame(self) -> pd.DataFrame:
        """A row an ejection: pod (here the caller's name), from_s, to_s, for plots.timeline."""
        import pandas as pd

        start = min(samples[0].since for samples in self.samples.values())
        rows = [
            {"pod": name, "from_s": out - start, "to_s": back - start}
            for name, samples in self.samples.items()
            for out, back in stays(samples)
        ]
        return pd.DataFrame(rows, columns=["pod", "from_s", "to_s"])

    def __repr__(self) -> str:
        return "\n".join(
            f"{name}: out for "
            f"{', '.join(f'{back - out:.1f} s' for out, back in stays(samples)) or 'no time'}"
            for name, samples in self.samples.items()
        )


def stays(samples: Sequence[Sample]) -> Iterator[tuple[float, float]]:
    """(out since, back since) of each whole stay outside of the pool."""
    since: float | None = None
    for last, sample in pairwise(samples):
        if sample.out and not last.out:
            since = sample.since
        elif last.out and not sample.out and since is not None:
            yield since, sample.since
            since = None


def watch_callers(
    mesh: Mesh,
    pod: str,
    callers: Sequence[Caller],
    *,
    interval_s: float,
    errors: int = 2,
    until: int = 2,
    timeout_s: float = 60.0,
) -> Watched:
    """Makes each caller send requests until its Envoy has ejected the pod and let it back in
    `until` times.

    All requests must go to this one pod, and it must fail: then `errors` requests get it ejected.
    They must be sent within one interval: a pod that is in the pool at Envoy's next sweep loses one
    of its ejections. Where the machine took longer than that, by the clock, what was seen of that
    caller proves nothing, and its watch starts over.

    Take times that `measure_pace` finds long enough, and more than one second as the
    baseEjectionTime: Envoy may tell its workers of a change of health up to a second late when it
    is the second one within a second, and requests would then find nobody to go to. A change of the
    set of pods counts as one as well, so scale first and apply the rule afterwards: it makes the
    cluster anew.

    >>> callers = [Caller("outside", url), Caller("inside", inside, "client", rest_sweeps=2.5)]
    >>> watched = watch_callers(mesh, pod, callers, interval_s=0.5)
    >>> check.ejection_times(watched["outside"], base_s=2, interval_s=0.5)
    """
    watches = [CallerWatch(mesh, pod, caller, interval_s, errors) for caller in callers]

    def watch(one: CallerWatch) -> None:
        def enough() -> bool:
            if len(ejections(one.samples)) < until:
                one.look(until)
            return len(ejections(one.samples)) >= until

        wait_until(
            enough,
            timeout_s,
            f"{until} ejections by each of {len(callers)} callers",
            longest_s=LOOKS_S,
            explain=lambda: ", ".join(
                f"{one.caller.name}: {len(ejections(one.samples))}"
                + (
                    f", restarted {one.anew} times because the machine was too slow"
                    if one.anew
                    else ""
                )
                for one in watches
            ),
        )

    # in parallel: no caller should wait for another
    with ThreadPoolExecutor(max_workers=len(callers)) as side_by_side:
        for watched in [side_by_side.submit(watch, one) for one in watches]:
            watched.result()
    return Watched({one.caller.name: one.samples for one in watches})


class CallerWatch:
    """One caller's part: looks at the pod, and calls it whenever it is in the pool and the caller
    is not pausing.
    """

    def __init__(
        self, mesh: Mesh, pod: str, caller: Caller, interval_s: float, errors: int
    ) -> None:
        self.mesh, self.pod, self.caller, self.interval_s, self.errors = (
            mesh,
            pod,
            caller,
            interval_s,
            errors,
        )
        # once: on a cluster this may start a program in the caller's pod
        self.target, self.path = mesh.target(caller.url, caller.source)
        self.samples: list[Sample] = []
        self.last_out = self.back = self.called = -1e9
        self.rest_s = 0.0  # before the first call there is nothing to rest from
        self.anew = 0

    def look(self, until: int) -> None:
        """Looks once; `until`: after so many stays outside there is no more call."""
        was_out = bool(self.samples) and self.samples[-1].out
        since = time.monotonic()
        out = self.pod in ejected_pods(self.mesh.endpoints(self.caller.proxy))
        if out and not was_out and self.too_late():
            self.anew += 1
            # the count goes down by one a sweep; half as long again for sweeps that are late
            self.rest_s = 1.5 * self.interval_s * (len(ejections(self.samples)) + 2)
            self.samples.clear()
        if was_out and not out:
            self.last_out, self.back = self.samples[-1].since, since
        self.samples.append(Sample(since, time.monotonic(), out))
        if not out and len(ejections(self.samples)) < until and since - self.back >= self.rest_s:
            # not mesh.curl, which waits for the access log, and not a connection for each: every
            # millisecond here blurs the times
            curl(self.target, self.path, n=self.errors, new_connection=False, request_ids=False)
            self.called = time.monotonic()
            self.rest_s = self.caller.rest_sweeps * self.interval_s

    def too_late(self) -> bool:
        """Whether the pod may have been in the pool for a whole interval before it was called,
        although the caller did not mean to wait.
        """
        again = bool(ejections(self.samples)) and not self.caller.rest_sweeps
        return again and self.called - self.last_out >= self.interval_s

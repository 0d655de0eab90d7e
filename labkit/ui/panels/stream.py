"""Requests that are sent in the background while others watch: what TrafficPanel drives, and a cell
can, too.
"""

from __future__ import annotations

import contextlib
import shlex
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from labkit.errors import LabkitError, MeshError, NotReady, TrafficError
from labkit.resources import istio
from labkit.resources.durations import go_text
from labkit.traffic import FAILED
from labkit.traffic.live import LIVE_COLUMNS, LiveRows
from labkit.ui.panels.counters import Agreement, Counters, agreement
from labkit.waiting import steady_time, wait_until

if TYPE_CHECKING:
    import pandas as pd

    from labkit.mesh import Mesh
    from labkit.mesh.history import Change
    from labkit.traffic import Result

Kind = Literal["curl", "fortio", "stream"]
FOR_EVER = 10_000_000  # requests: more than a learner waits for
MOST_A_SECOND = 500
STOP_S = 15.0
LOOK_S = 0.1
SHORT_WAIT_S = 0.5  # Envoy counts an answer a moment after it has sent it


@dataclass(frozen=True)
class Traffic:
    """What is to be sent, and the command that a person would type for it.

    >>> Traffic("fortio", connections=4, requests=20).command("http://test.example.com/")
    'fortio load -c 4 -qps 0 -n 20 http://test.example.com/'
    """

    kind: Kind = "curl"
    requests: int = 20
    connections: int = 4
    qps: float = 0.0
    # given, it ends a Fortio run in place of the number of requests
    duration_s: float | None = None
    rate: float = 20.0  # of a stream, in requests per second
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, least in (
            ("requests", self.requests, 1),
            ("connections", self.connections, 1),
            ("qps", self.qps, 0),
        ):
            if value < least:
                raise TrafficError(
                    f"{name} must be {least} or more",
                    seen=f"{name}={value}",
                    try_next=f"type {least} or more",
                )
        if self.duration_s is not None and self.duration_s <= 0:
            raise TrafficError(
                "The duration must be more than 0",
                seen=f"{self.duration_s:g} s",
                try_next="type 1 or more",
            )
        if self.kind == "stream" and not 0 < self.rate <= MOST_A_SECOND:
            raise TrafficError(
                f"A stream sends more than 0 and at most {MOST_A_SECOND} requests per second",
                seen=f"{self.rate:g} per second",
                try_next="for more than that take Fortio with -qps 0",
            )

    def command(self, url: str) -> str:
        """The same as a person would type it, where test.example.com leads to the gateway."""
        more = [] if self.method == "GET" else ["-X", self.method]
        for name, value in self.headers.items():
            more += ["-H", f"{name}: {value}"]
        if self.kind == "curl":
            words = shlex.join(["curl", "-s", *more, url])
            return f"for i in $(seq {self.requests}); do {words}; done"
        ends = (
            ["-n", str(self.requests)]
            if self.duration_s is None
            else ["-t", go_text(self.duration_s)]
        )
        if self.kind == "stream":
            return shlex.join(
                [
                    "fortio",
                    "load",
                    "-c",
                    "4",
                    "-uniform",
                    "-nocatchup",
                    "-qps",
                    f"{self.rate:g}",
                    "-t",
                    "0",
                    *more,
                    url,
                ]
            )
        return shlex.join(
            [
                "fortio",
                "load",
                "-c",
                str(self.connections),
                "-qps",
                f"{self.qps:g}",
                *ends,
                *more,
                url,
            ]
        )

    @property
    def total(self) -> int:
        """How many requests it will be; 0 where only time or a person ends it."""
        return (
            0
            if self.kind == "stream" or (self.kind == "fortio" and self.duration_s is not None)
            else self.requests
        )

    @property
    def warm_ups(self) -> int:
        """Requests that Fortio sends first in a run by time, one a connection, and leaves out of
        its result.
        """
        return self.connections if self.kind == "fortio" and self.duration_s is not None else 0

    def send(self, mesh: Mesh, url: str, source: str | None = None, **hooks: Any) -> Result:
        """Sends it and waits for the end. `hooks` are progress, cancel and watch
        (see mesh.fortio).
        """
        common: dict[str, Any] = {
            "method": self.method,
            "headers": self.headers,
            "source": source,
            **hooks,
        }
        if self.kind == "curl":
            return mesh.curl(url, n=self.requests, **common)
        # the built-in generator: the real Fortio keeps its rows to itself until it ends
        common["program"] = "built-in"
        if self.kind == "stream":
            # one late answer must not make a burst afterwards, so calls that are late already are
            # left out
            return mesh.fortio(
                url,
                connections=4,
                requests=FOR_EVER,
                qps=self.rate,
                uniform=True,
                catch_up=False,
                **common,
            )
        ends = (
            {"requests": self.requests}
            if self.duration_s is None
            else {"duration_s": self.duration_s}
        )
        return mesh.fortio(url, connections=self.connections, qps=self.qps, **ends, **common)


class Stream:
    """One run in the background: its rows so far, its result at the end, and what the proxy counted
    meanwhile.

    >>> stream = Stream(mesh, "http://test.example.com/", Traffic("stream", rate=20)).start()
    >>> mesh.apply(rule)
    >>> stream.stop().frame
    """

    def __init__(
        self, mesh: Mesh, url: str, traffic: Traffic, *, source: str | None = None
    ) -> None:
        self.mesh, self.url, self.traffic, self.source = mesh, url, traffic, source
        self.cancel = threading.Event()
        self.state: Literal["ready", "running", "ended", "cancelled", "failed"] = "ready"
        self.result: Result | None = None
        self.error: LabkitError | None = None
        self.began = self.ended = 0.0
        self.counters = Counters(mesh, source or "gateway")
        self.restarts_before = 0
        self.live: LiveRows | None = None
        self.columns: dict[str, list[Any]] = {name: [] for name in LIVE_COLUMNS}
        self.statuses: Counter[int] = Counter()
        """How many of each status so far, kept as they come: a stream without an end may have
        millions of rows.
        """
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.run, name="labkit stream", daemon=True)
        self.agreement: Agreement | None = None
        """The rows beside what the proxy had counted when somebody last looked."""

    # doing it

    def start(self) -> Stream:
        """Begins to send; raises at once what keeps it from sending anything at all."""
        self.mesh.target(self.url, self.source)
        self.counters.begin()
        self.restarts_before = self.restarts()
        self.began = steady_time()
        self.state = "running"
        self.thread.start()
        return self

    def stop(self) -> Stream:
        """Sends no more, and waits for the answers that are still to come."""
        self.cancel.set()
        return self.wait(STOP_S)

    def wait(self, timeout_s: float = 60.0) -> Stream:
        """Waits for the end of a run that ends by itself."""
        if self.state != "ready":
            self.thread.join(timeout_s)
            if self.thread.is_alive():
                raise NotReady(
                    f"The run had not ended after {timeout_s:g} s",
                    seen=f"{len(self)} requests so far",
                    try_next="stop() ends it",
                )
        return self

    def run(self) -> None:
        watcher = threading.Thread(
            target=self.watch_mesh, name="labkit stream's watch", daemon=True
        )
        watcher.start()
        try:
            result = self.traffic.send(
                self.mesh, self.url, self.source, cancel=self.cancel, watch=self.follow
            )
            self.ended = steady_time()
            with self.lock:
                self.columns = {name: list(result.column(name)) for name in LIVE_COLUMNS}
                self.statuses = Counter(map(int, self.columns["status"]))
                self.live, self.result = None, result
            self.look_at_mesh(result.column("status"))
            if self.error is None:
                self.count_at_the_end()
        except LabkitError as error:
            self.error = self.error or error
        except Exception as error:
            self.error = self.error or TrafficError(
                "The run failed",
                seen=f"{type(error).__name__}: {error}",
                try_next="start it again",
            )
        self.ended = self.ended or steady_time()
        self.state = "failed" if self.error else "cancelled" if self.cancel.is_set() else "ended"

    def follow(self, rows: LiveRows) -> None:
        self.live = rows

    def watch_mesh(self) -> None:
        """Ends a run whose mesh is gone: what is left would be nothing but refused connections."""
        looked_at = 0
        while not self.cancel.wait(LOOK_S) and self.state == "running":
            statuses = self.columns["status"][looked_at : len(self)]
            looked_at += len(statuses)
            self.look_at_mesh(statuses)

    def look_at_mesh(self, statuses: Sequence[int]) -> None:
        """Whether the mesh is still there, when requests got no answer."""
        if FAILED not in statuses or self.error is not None:
            return
        try:
            self.mesh.target(self.url, self.source)
        except LabkitError as error:
            self.error = error
            self.cancel.set()

    def count_at_the_end(self) -> None:
        """The proxy's counters, as soon as they have the last answer."""

        def all_there() -> bool:
            return self.count().extra >= self.traffic.warm_ups

        # where they differ all the same, the panel says by how much
        with contextlib.suppress(NotReady):
            wait_until(all_there, SHORT_WAIT_S, "the proxy's counters")

    def count(self) -> Agreement:
        """Lays the rows so far beside what the proxy has counted so far, and keeps that in
        `agreement`.
        """
        with self.lock:
            self.take()
            rows = Counter(self.statuses)
        counted = self.counters.look()
        self.agreement = agreement(
            rows,
            counted,
            warm_ups=self.traffic.warm_ups,
            proxy=self.counters.proxy,
            over=self.result is not None,
        )
        return self.agreement

    # what is known so far

    def __len__(self) -> int:
        """How many requests have an answer, or none for good."""
        with self.lock:
            self.take()
            return len(self.columns["at"])

    def take(self) -> None:
        """Takes the rows that are new. The lock is held."""
        if self.live is not None:
            new = self.live.take()
            for name, values in new.items():
                self.columns[name] += values
            self.statuses.update(map(int, new["status"]))

    @property
    def frame(self) -> pd.DataFrame:
        """A row a request: at, status, pod, version, latency_ms. At the end it is
        the result's own.
        """
        return self.latest(None)

    def latest(self, most: int | None) -> pd.DataFrame:
        """The last `most` rows: of a long run all of them take too long to draw four times a
        second.
        """
        import pandas as pd

        count = len(self)
        first = 0 if most is None else max(0, count - most)
        return pd.DataFrame({name: values[first:count] for name, values in self.columns.items()})

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def until(self) -> float:
        return self.ended or steady_time()

    @property
    def progress(self) -> float | None:
        """The part that is done, from 0 to 1; None where nobody knows the end."""
        if self.traffic.total:
            return min(1.0, len(self) / self.traffic.total)
        if self.traffic.duration_s is not None and self.traffic.kind == "fortio":
            return min(1.0, (self.until - self.began) / self.traffic.duration_s)
        return None

    @property
    def marks(self) -> list[Change]:
        """What was applied while it ran."""
        return [change for change in self.mesh.history if self.began <= change.at <= self.until]

    def restarts(self) -> int:
        """How often the proxy that the requests go through was started again."""
        try:
            pods = (
                self.mesh.pods(self.source)
                if self.source
                else self.mesh.pods(namespace=istio.NAMESPACE)
            )
        except MeshError:
            return 0
        return sum(pod.restarts for pod in pods)

    @property
    def warning(self) -> str:
        """What went wrong without ending the run, in a sentence; "" when nothing did."""
        count = len(self)
        lost = self.statuses[FAILED]
        if not lost:
            return ""
        text = f"{lost} of {count} requests got no answer."
        if not self.running and self.restarts() > self.restarts_before:
            who = self.source or "The gateway"
            return f"{text} {who} restarted in the meantime."
        if lost == count:
            return f"{text} Nothing listens at the gateway: is a Gateway object applied?"
        return text

"""The gate: requests are held open at the pods until told, so that "N at the same time" is a fact,
not a hope.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from labkit.traffic import Pending, Result
from labkit.traffic.result import COLUMNS
from labkit.waiting import wait_until


class Gated(Protocol):
    """What a gate needs of a mesh."""

    def app(self, pod: str, method: str, path: str) -> dict[str, Any]: ...
    def start(
        self,
        url: str,
        *,
        n: int,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        source: str | None = None,
    ) -> Pending: ...
    def counter(self, name: str, *, cluster: str | None = None) -> int: ...


class Gate:
    """Closed while its `with` block runs, open after it, even when the block fails."""

    def __init__(self, mesh: Gated, pods: Sequence[str]) -> None:
        self._mesh = mesh
        self.pods = tuple(pods)

    def close(self) -> None:
        """From now on the pods hold what reaches them."""
        for pod in self.pods:
            self._mesh.app(pod, "POST", "/control/gate?closed=true")

    def open(self) -> None:
        """Lets every held request go on."""
        for pod in self.pods:
            self._mesh.app(pod, "POST", "/control/gate?closed=false")

    def held(self) -> int:
        """How many requests are held at the pods now."""
        return sum(int(self._mesh.app(pod, "GET", "/control/state")["held"]) for pod in self.pods)

    def wait_held(self, n: int, timeout_s: float = 10.0, burst: Burst | None = None) -> int:
        """Waits until at least n requests are held; returns how many. Raises NotReady, with what a
        burst came to.
        """
        wait_until(
            lambda: self.held() >= n,
            timeout_s,
            f"{n} requests to be held at the gate",
            explain=lambda: (
                f"{self.held()} are held" + (f"; answered so far: {burst.codes}" if burst else "")
            ),
        )
        return self.held()

    def wait_settled(self, burst: Burst | Pending, *, cluster: str, timeout_s: float = 10.0) -> int:
        """Waits until each request of a burst was answered, is held, or waits while every
        connection is busy.

        A connection counts from the moment it is begun, and its request as pending until it is
        open: who looks at once may see one held fewer than the limit lets through. `cluster` is the
        gateway's name for the service.

        Returns how many are held. Raises NotReady, with where the requests are.

        >>> with mesh.gate("hello-world") as gate:
        ...     burst = mesh.start(url, n=10)
        ...     held = gate.wait_settled(burst, cluster="outbound|80||hello-world.hello-world.svc.cluster.local")
        ...     gate.open()
        """  # noqa: E501

        def gauge(name: str) -> int:
            return self._mesh.counter(name, cluster=cluster)

        def settled() -> bool:
            # in the order in which a request moves on, backwards: one that moves meanwhile is
            # missed, not counted twice
            there = burst.answered + self.held() + gauge("upstream_rq_pending_active")
            return there == burst.n and self.held() == gauge("upstream_cx_active")

        def places() -> str:
            waiting, open_ = gauge("upstream_rq_pending_active"), gauge("upstream_cx_active")
            return (
                f"answered {burst.codes}, held {self.held()}, waiting {waiting}, connections "
                f"{open_}"
            )

        wait_until(
            settled, timeout_s, f"each of {burst.n} requests to have its place", explain=places
        )
        return self.held()

    def send(
        self, url: str, n: int, *, connections: int = 1, timeout_s: float = 10.0, **options: Any
    ) -> Burst:
        """Sends n requests that are all open at the same time, and gives them back while they are.

        The first `connections` go one after the other, each held at a pod before the next is sent:
        while a connection is being opened its request counts as pending, so a burst on a cold pool
        would meet the *pending* limit first. The others go at once. With one pod, maxConnections c
        and http1MaxPendingRequests p, exactly n - c - p of them are refused.

        On a cluster the rule holds in the pod's own sidecar as well. Connections that were opened
        at the same moment, by a burst before this one, have pools of their own there, and an idle
        one in each counts: then fewer are held. So let a rule be applied in between, which begins
        with no connections.

        >>> with mesh.gate("hello-world") as gate:
        ...     burst = gate.send(url, n=10, connections=1)
        ...     gate.open()
        ...     result = burst.wait()
        """
        already = self.held()
        parts: list[Pending] = []
        for i in range(min(connections, n)):
            parts.append(self._mesh.start(url, n=1, **options))
            self.wait_held(already + i + 1, timeout_s, Burst(parts))
        if n > connections:
            parts.append(self._mesh.start(url, n=n - connections, **options))
        return Burst(parts)

    def __enter__(self) -> Gate:
        self.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.open()


class Burst:
    """Requests that are open at the same time."""

    def __init__(self, parts: Sequence[Pending]) -> None:
        self._parts = tuple(parts)

    @property
    def n(self) -> int:
        """How many requests were sent."""
        return sum(part.n for part in self._parts)

    @property
    def answered(self) -> int:
        """How many have an answer by now."""
        return sum(part.answered for part in self._parts)

    @property
    def codes(self) -> dict[int, int]:
        """The statuses so far."""
        found: Counter[int] = Counter()
        for part in self._parts:
            found.update(part.codes)
        return dict(sorted(found.items()))

    def wait_answered(self, n: int, timeout_s: float = 10.0) -> int:
        """Waits until at least n have an answer; returns how many. Raises NotReady."""
        wait_until(
            lambda: self.answered >= n,
            timeout_s,
            f"{n} of the requests to be answered",
            explain=lambda: f"answered so far: {self.codes}",
        )
        return self.answered

    def wait(self, timeout_s: float = 10.0) -> Result:
        """All answers; open the gate first."""
        results = [part.wait(timeout_s) for part in self._parts]
        columns = {name: [value for r in results for value in r.column(name)] for name in COLUMNS}
        columns["n"] = list(range(len(columns["n"])))
        return Result(columns, [response for r in results for response in r.responses])

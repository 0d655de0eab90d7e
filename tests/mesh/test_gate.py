"""What the gate sees while a connection is still being opened; against real Envoy it is in
test_breaker.
"""

from __future__ import annotations

from typing import Any

import pytest

from labkit.errors import NotReady
from labkit.mesh.gate import Burst, Gate
from labkit.traffic import Pending

CLUSTER = "outbound|80||cart.shop.svc.cluster.local"


class Moments:
    """A mesh that is at each of some moments when it is looked at: (held, waiting, connections);
    the last one stays.
    """

    def __init__(self, *moments: tuple[int, int, int]) -> None:
        self.moments = list(moments)
        self.looks = 0

    def now(self) -> tuple[int, int, int]:
        return self.moments[min(self.looks // 3, len(self.moments) - 1)]

    def app(self, pod: str, method: str, path: str) -> dict[str, Any]:
        held, _, _ = self.now()
        self.looks += 1
        return {"held": held}

    def counter(self, name: str, *, cluster: str | None = None) -> int:
        assert cluster == CLUSTER
        _, waiting, connections = self.now()
        self.looks += 1
        return waiting if name == "upstream_rq_pending_active" else connections


class Eight(Burst):
    """Eight requests, none of which has an answer."""

    def __init__(self) -> None:
        super().__init__(())

    n = property(lambda self: 8)  # type: ignore[assignment]


def test_a_connection_that_is_being_opened_is_waited_for() -> None:
    """With maxConnections 5 the fifth request is pending until its connection is open: four held is
    not the end.
    """
    mesh = Moments((4, 4, 5), (4, 4, 5), (5, 3, 5))
    assert Gate(mesh, ["cart"]).wait_settled(Eight(), cluster=CLUSTER, timeout_s=5) == 5


def test_requests_on_their_way_are_waited_for() -> None:
    mesh = Moments((2, 0, 2), (4, 1, 4), (4, 4, 4))
    assert Gate(mesh, ["cart"]).wait_settled(Eight(), cluster=CLUSTER, timeout_s=5) == 4


def test_where_the_requests_are_is_told() -> None:
    mesh = Moments((3, 4, 4))
    with pytest.raises(NotReady, match="held 3, waiting 4, connections 4"):
        Gate(mesh, ["cart"]).wait_settled(Eight(), cluster=CLUSTER, timeout_s=0.2)


def test_a_burst_counts_its_requests() -> None:
    class Part:
        n, answered = 3, 1

    part: Pending = Part()  # type: ignore[assignment]
    assert (Burst([part, part]).n, Burst([part, part]).answered) == (6, 2)

"""With requests held at the gate the circuit breaker is exact: N at once, N − c − p refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labkit.mesh import Mesh
from tests.mesh.conftest import CLUSTER, HELLO, URL, rule

pytestmark = pytest.mark.embedded

OVERFLOW = "upstream_rq_pending_overflow"


@pytest.fixture
def one_pod(mesh: Mesh) -> Iterator[Mesh]:
    """Only one pod, so that the pool has one host."""
    mesh.scale("hello-world-v1", 1)
    mesh.scale("hello-world-v2", 0)
    yield mesh
    mesh.apply(HELLO)


def limits(connections: int, pending: int | None) -> str:
    http = "" if pending is None else f", http: {{http1MaxPendingRequests: {pending}}}"
    return rule(f"{{connectionPool: {{tcp: {{maxConnections: {connections}}}{http}}}}}")


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize(("c", "p", "n"), [(1, 1, 10), (2, 3, 10), (1, 4, 12), (3, 1, 9)])
def test_exactly_n_minus_c_minus_p_are_refused(
    one_pod: Mesh, c: int, p: int, n: int, warm: bool
) -> None:
    mesh = one_pod
    mesh.apply(limits(c, p))
    if warm:
        assert mesh.curl(URL, n=3).codes == {200: 3}
    before = mesh.counter(OVERFLOW, cluster=CLUSTER)
    pod = mesh.pods("hello-world-v1")[0].name
    served = mesh.app(pod, "GET", "/control/state")["served"]
    refused = n - c - p
    with mesh.gate("hello-world") as gate:
        burst = gate.send(URL, n, connections=c)
        burst.wait_answered(refused)
        assert gate.held() == c  # those that have a connection
        assert burst.codes == {503: refused}
        gate.open()
        result = burst.wait()
    assert result.codes == {200: c + p, 503: refused}
    # three witnesses of one number, and the pods saw none of the refused
    flags = mesh.flags(list(result.column("id")))
    assert sum(flag == "UO" for flag in flags.values()) == refused
    assert mesh.counter(OVERFLOW, cluster=CLUSTER) - before == refused
    assert mesh.app(pod, "GET", "/control/state")["served"] - served == c + p


def test_one_connection_more_than_was_filled_is_seen(one_pod: Mesh) -> None:
    """The fourth connection is always held in the end. How many are refused meanwhile is chance:
    its request takes one of the pending places until the connection is open, which may be before or
    after the last of the burst arrives."""
    one_pod.apply(limits(4, 3))
    with one_pod.gate("hello-world") as gate:
        burst = gate.send(URL, 10, connections=3)
        assert gate.wait_settled(burst, cluster=CLUSTER) == 4
        refused = burst.codes[503]
        assert refused in (10 - 4 - 3, 10 - 3 - 3)
        gate.open()
        assert burst.wait().codes == {200: 10 - refused, 503: refused}


def test_without_a_pending_limit_nothing_is_refused(one_pod: Mesh) -> None:
    one_pod.apply(limits(2, None))
    with one_pod.gate("hello-world") as gate:
        pending = one_pod.start(URL, n=10)
        gate.wait_held(2)
        gate.open()
        assert pending.wait().codes == {200: 10}


@pytest.mark.parametrize(("c", "p"), [(2, 3), (3, 1)])
def test_a_burst_on_a_cold_pool_meets_the_pending_limit_first(
    one_pod: Mesh, c: int, p: int
) -> None:
    """While a connection is opened its request counts as pending: n - c - p are refused at least, n
    - p at most.
    """
    one_pod.apply(limits(c, p))
    with one_pod.gate("hello-world") as gate:
        pending = one_pod.start(URL, n=10)
        one_pod.wait_for(lambda: pending.answered >= 10 - c - p, "the refusals")
        gate.wait_held(1)
        gate.open()
        refused = pending.wait().codes[503]
    assert 10 - c - p <= refused <= 10 - p


def test_with_three_pods_six_to_eight_are_refused(mesh: Mesh) -> None:
    """Envoy always lets a pod have its first connection, whatever the limit: so up to two more of
    ten are let in.
    """
    mesh.apply(limits(1, 1))
    # warm: a connection to each pod (fewer: once in 10^6)
    assert len(mesh.curl(URL, n=40).pods) == 3
    before = mesh.counter(OVERFLOW, cluster=CLUSTER)
    with mesh.gate("hello-world") as gate:
        pending = mesh.start(URL, n=10)
        mesh.wait_for(
            lambda: pending.answered + gate.held() >= 9,
            "all but the pending one to be held or refused",
        )
        gate.open()
        result = pending.wait()
    refused = result.codes[503]
    assert 6 <= refused <= 8
    assert result.codes == {200: 10 - refused, 503: refused}
    assert mesh.counter(OVERFLOW, cluster=CLUSTER) - before == refused

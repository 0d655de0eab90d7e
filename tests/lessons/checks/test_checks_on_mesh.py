"""The checks on a real mesh: the frames they read are those that the mesh makes, and what they
assume holds there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

import labkit
from labkit.lessons import CheckFailed
from labkit.lessons.checks import check
from labkit.mesh import Mesh
from labkit.traffic import Result
from tests.mesh.conftest import CLUSTER, GATEWAY, HELLO, ROUTE, SUBSETS, URL, rule, virtual_service

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def one_mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO)
        yield mesh


@pytest.fixture
def mesh(one_mesh: Mesh) -> Mesh:
    one_mesh.reset()
    one_mesh.apply(HELLO, GATEWAY, ROUTE)
    return one_mesh


def weights(v1: int, v2: int) -> str:
    """A VirtualService that splits the traffic."""
    parts = (
        f"{{destination: {{host: hello-world, subset: {v}}}, weight: {w}}}"
        for v, w in (("v1", v1), ("v2", v2))
    )
    return virtual_service(f"[{{route: [{', '.join(parts)}]}}]")


def test_weights(mesh: Mesh) -> None:
    shares = {"v1": 80, "v2": 20}
    n = check.needed("split", shares)
    mesh.apply(rule(subsets=SUBSETS), weights(80, 20))
    assert check.split(mesh.fortio(URL, requests=n), shares)
    mesh.apply(weights(20, 80))
    with pytest.raises(CheckFailed):
        check.split(mesh.fortio(URL, requests=n), shares)


def test_balancers(mesh: Mesh) -> None:
    pods = mesh.pods("hello-world")
    n = check.needed("spread_evenly", 3)
    for policy in ("RANDOM", "ROUND_ROBIN", "LEAST_REQUEST"):
        mesh.apply(rule(f"{{loadBalancer: {{simple: {policy}}}}}"))
        # one at a time: with several under way LEAST_REQUEST follows the pods' speed, and draws are
        # not independent
        many = mesh.fortio(URL, connections=1, requests=n)
        assert check.spread_evenly(many, among=pods)
        assert check.every_pod_answers(many, pods)
        result = mesh.curl(URL, n=check.needed("random_order", 3))
        if policy == "ROUND_ROBIN":
            with pytest.raises(CheckFailed):
                check.random_order(result, among=3)
        else:
            assert check.random_order(result, among=3)


def test_a_slow_pod(mesh: Mesh) -> None:
    slow = mesh.pods("hello-world-v2")[0].name
    mesh.control(slow, delay_ms=100)
    runs = {}
    n = max(check.needed("avoids_slow_pod", 3), check.needed("fewer_slow", by=0.18))
    for policy in ("RANDOM", "LEAST_REQUEST"):
        mesh.apply(rule(f"{{loadBalancer: {{simple: {policy}}}}}"))
        runs[policy] = mesh.fortio(URL, connections=8, requests=n)
    assert check.avoids_slow_pod(runs["LEAST_REQUEST"], slow=slow)
    assert check.fewer_slow(runs["LEAST_REQUEST"], runs["RANDOM"], slower_than_ms=50, by=0.18)
    with pytest.raises(CheckFailed):
        check.avoids_slow_pod(runs["RANDOM"], slow=slow)


def test_affinity_when_scaled(mesh: Mesh) -> None:
    mesh.apply(rule("{loadBalancer: {consistentHash: {httpHeaderName: user}}}"))
    keys = [f"user-{i}" for i in range(check.needed("few_keys_moved", 3, 4))]

    def owners() -> dict[str, str]:
        return {key: mesh.curl(URL, headers={"user": key})[0].pod for key in keys}

    few = [mesh.curl(URL, n=4, headers={"user": key}) for key in keys[:5]]
    assert check.same_pod(dict(zip(keys, few, strict=False)), pods=3)
    before = owners()
    mesh.scale("hello-world-v2", 2)
    assert check.few_keys_moved(before, owners(), pods_before=3, pods_after=4)


def test_the_breaker(mesh: Mesh) -> None:
    mesh.apply(
        rule("{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}")
    )
    mesh.scale("hello-world-v2", 0)
    mesh.scale("hello-world-v1", 1)
    before = mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER)
    with mesh.gate("hello-world-v1") as gate:
        burst = gate.send(URL, n=10)
        gate.wait_held(1)
        mesh.wait_for(
            lambda: mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER) - before >= 8,
            "8 refusals",
            timeout_s=5,
        )
        gate.open()
        result = burst.wait()
    grown = mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER) - before
    assert check.status_counts(result, {200: 2, 503: 8})
    mesh.wait_for(
        lambda: len(logged(mesh, result)) == 10, "the access log to be written", timeout_s=5
    )
    log = logged(mesh, result)
    assert check.breaker_identity(client_503=result, flagged_UO=log, overflow_delta=grown)
    with pytest.raises(CheckFailed):
        check.breaker_identity(
            client_503=result, flagged_UO=log[log["flags"] == "UO"][1:], overflow_delta=grown
        )


def logged(mesh: Mesh, result: Result) -> pd.DataFrame:
    """What the gateway's access log has of these requests."""
    log = mesh.access_log()
    return log[log["lab"].isin(result.column("id"))]


def test_ejections_get_longer(mesh: Mesh) -> None:
    detection = (
        "consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 3s, maxEjectionPercent: 100"
    )
    policy = f"{{outlierDetection: {{{detection}}}}}"
    # all requests go to the one pod of v2, so two of them are enough to have it ejected again
    mesh.apply(rule(policy, subsets=SUBSETS), weights(0, 100))
    pod = mesh.pods("hello-world-v2")[0].name
    mesh.control(pod, fail_share=1.0)

    def look() -> bool:
        out = pod in check.ejected_pods(mesh.endpoints())
        if not out:
            # at the next sweep a pod that is still in loses one of its ejections: it must be out
            # again before that
            mesh.curl(URL, n=2)
        return out

    timeline = check.watch(look, until=2, timeout_s=30)
    times = {"base_s": 3, "interval_s": 1, "late_s": 1}
    assert check.ejection_times(timeline, **times)
    with pytest.raises(CheckFailed):
        check.ejection_times(timeline, **times, multiples=(1, 3))

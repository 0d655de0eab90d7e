"""Fortio in the cluster: the same rows as from elsewhere, and nothing left of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import TrafficError, UnsupportedError
from labkit.mesh.cluster.mesh import ClusterMesh
from tests.mesh.conftest import CLUSTER, GATEWAY, HELLO, ROUTE, URL, rule
from tests.translate.record import kubectl

from .conftest import claim_hello_world


@pytest.fixture(scope="module")
def mesh(kubeconfig: str) -> Iterator[ClusterMesh]:
    claim_hello_world()
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=lambda text: None) as mesh:
        assert isinstance(mesh, ClusterMesh)
        mesh.apply(HELLO, GATEWAY, ROUTE)
        yield mesh


def test_rows_are_those_of_the_gateways_log(mesh: ClusterMesh) -> None:
    done: list[tuple[int, int]] = []
    result = mesh.fortio(
        URL, connections=4, requests=300, program="cluster", progress=lambda *at: done.append(at)
    )
    assert result.program == "fortio 1.68.0 in the cluster"
    assert result.codes == {200: 300}
    assert set(result.frame["pod"]) == {p.name for p in mesh.pods("hello-world")}
    assert set(result.versions) == {"v1", "v2"}
    assert done[-1] == (300, 300)
    assert (
        kubectl("-n", mesh._ledger.namespace, "get", "pods", "-o", "name").stdout == "pod/fortio\n"
    )


def test_what_a_breaker_refuses_has_its_flag(mesh: ClusterMesh) -> None:
    """How many are refused is the run's own; that result, log and counter agree
    about it is exact.
    """
    mesh.apply(
        rule("{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}")
    )
    before = mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER)
    result = mesh.fortio(URL, connections=8, requests=400, method="POST", program="cluster")
    refused = result.codes.get(503, 0)
    assert refused > 0
    assert list(result.column("flags")).count("UO") == refused
    assert mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER) - before == refused
    mesh.reset()
    mesh.apply(GATEWAY, ROUTE)


def test_from_a_pod_is_refused(mesh: ClusterMesh) -> None:
    with pytest.raises(UnsupportedError, match="through the ingress gateway only"):
        mesh.fortio("http://hello-world/", source="client", program="cluster")


def test_a_run_can_be_stopped(mesh: ClusterMesh) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    with pytest.raises(TrafficError, match="was stopped"):
        mesh.fortio(URL, duration_s=30, qps=20, program="cluster", cancel=cancel)
    assert mesh.fortio(URL, requests=4, program="cluster").codes == {200: 4}

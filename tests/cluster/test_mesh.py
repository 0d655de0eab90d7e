"""The cluster mesh on a real cluster: the interface that lessons use, and the promises it makes to
the cluster.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml

import labkit
from labkit.errors import LabkitError, MeshError, NotFound, NotReady, TrafficError, ValidationError
from labkit.mesh.cluster.barrier import PORT
from labkit.mesh.cluster.mesh import ClusterMesh
from labkit.resources import Resource, load
from labkit.translate.normalise import normalised
from labkit.waiting import wait_until
from tests.mesh.conftest import (
    CLIENT,
    CLUSTER,
    GATEWAY,
    HELLO,
    ROUTE,
    SUBSETS,
    URL,
    rule,
    virtual_service,
)
from tests.translate.record import config_dump, kubectl
from tests.translate.recorded import differences

from .conftest import claim_hello_world, exists
from .live import expected, gateway_pod, live_pods, live_registry


@pytest.fixture(scope="module")
def shared_mesh(kubeconfig: str) -> Iterator[ClusterMesh]:
    claim_hello_world()
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig) as mesh:
        assert isinstance(mesh, ClusterMesh)
        mesh.apply(HELLO, CLIENT)
        yield mesh
    assert not exists("hello-world")
    assert not exists(mesh._barrier.namespace)


@pytest.fixture
def mesh(shared_mesh: ClusterMesh) -> ClusterMesh:
    shared_mesh.reset()
    shared_mesh.apply(GATEWAY, ROUTE)
    return shared_mesh


def test_requests_reach_every_pod_and_say_which(mesh: ClusterMesh) -> None:
    result = mesh.curl(URL, n=60)  # a pod that is never chosen: 3 · (2/3)^60 < 1e-10
    assert result.codes == {200: 60}
    assert set(result.pods) == {p.name for p in mesh.pods("hello-world")}
    assert set(result.versions) == {"v1", "v2"}


def test_the_table_of_pods_is_kubectls(mesh: ClusterMesh) -> None:
    found = mesh.get("pods")
    assert {row["READY"] for row in found} == {"2/2"}
    assert found.columns == ("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP")
    assert [row["NAME"] for row in mesh.get("dr")] == []
    assert {row["NAME"] for row in mesh.get("vs")} == {"hello-world-vs"}


def test_what_apply_returns_is_in_force(mesh: ClusterMesh) -> None:
    """Twenty changes of a route, each followed at once by a request: the barrier is never early."""
    for number in range(20):
        headers = f"{{response: {{set: {{x-n: 'n{number}'}}}}}}"
        applied = mesh.apply(
            virtual_service(
                f"[{{headers: {headers}, route: [{{destination: {{host: hello-world}}}}]}}]"
            )
        )
        (answer,) = mesh.curl(URL)
        assert answer.headers["x-n"] == f"n{number}"
        assert set(applied.propagation_ms) >= {"gateway", mesh.pods("client")[0].name}


def test_every_proxy_holds_what_labkit_translates_when_apply_returns(mesh: ClusterMesh) -> None:
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}", subsets=SUBSETS))
    pods = live_pods("hello-world")
    client = next(p for p in pods if p.labels["app"] == "client")
    registry = live_registry("hello-world")
    for pod in (gateway_pod(), client):
        held = normalised(config_dump(pod), registry.pods)
        held["listeners"].pop(f"0.0.0.0_{PORT}", None)  # labkit's own marker
        assert list(differences(held, expected(registry, pod))) == []


def test_calls_from_inside_go_through_the_callers_sidecar(mesh: ClusterMesh) -> None:
    result = mesh.curl("http://hello-world/", n=5, source="client")
    assert result.codes == {200: 5}
    assert mesh.counter("upstream_rq_total", cluster=CLUSTER, proxy="client") >= 5


def test_refused_requests_have_flags_and_the_gateway_counted_them(mesh: ClusterMesh) -> None:
    """N requests held at one pod: exactly N - c - p are refused; status, flag and counter agree."""
    mesh.apply(
        rule(
            "{connectionPool: {tcp: {maxConnections: 2}, http: {http1MaxPendingRequests: 3}}}",
            subsets=SUBSETS,
        ),
        virtual_service("[{route: [{destination: {host: hello-world, subset: v2}}]}]"),
    )
    subset = CLUSTER.replace("||", "|v2|")
    before = mesh.counter("upstream_rq_pending_overflow", cluster=subset)
    with mesh.gate("hello-world-v2") as gate:
        burst = gate.send(URL, n=10, connections=2)
        burst.wait_answered(5)
        gate.open()
        result = burst.wait()
    assert result.codes == {200: 5, 503: 5}
    assert mesh.counter("upstream_rq_pending_overflow", cluster=subset) - before == 5
    refused = [
        i for i, s in zip(result.column("id"), result.column("status"), strict=True) if s == 503
    ]
    assert list(mesh.flags(refused).values()) == ["UO"] * 5


def test_an_ejected_pod_shows(mesh: ClusterMesh) -> None:
    mesh.apply(
        rule(
            "{outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 30s, "
            "maxEjectionPercent: 50}}"
        )
    )
    assert set(mesh.endpoints().query("cluster == @CLUSTER")["health"]) == {"healthy"}
    bad = mesh.pods("hello-world-v2")[0].name
    mesh.control(bad, fail_next=3)
    mesh.curl(URL, n=80)  # fewer than three for one of three pods: once in 10^10
    mesh.wait_for(
        lambda: "failed_outlier_check" in set(mesh.endpoints()["health"]), "a pod to be ejected"
    )
    ejected = mesh.endpoints().query("health == 'failed_outlier_check'")
    assert set(ejected["pod"]) == {bad}


def test_load_has_rows_and_codes(mesh: ClusterMesh) -> None:
    result = mesh.fortio(URL, connections=4, requests=200, program="built-in")
    assert result.codes == {200: 200}
    assert len(result.frame) == 200


def test_scale_waits_until_the_gateway_knows_the_pods(mesh: ClusterMesh) -> None:
    try:
        mesh.scale("hello-world-v2", 2)
        assert len(mesh.pods("hello-world")) == 4
        known = mesh.endpoints().query("cluster == @CLUSTER")
        assert set(known["pod"]) == {p.name for p in mesh.pods("hello-world")}
    finally:
        mesh.scale("hello-world-v2", 1)
    assert set(mesh.endpoints().query("cluster == @CLUSTER")["pod"]) == {
        p.name for p in mesh.pods("hello-world")
    }
    assert mesh.curl(URL, n=20).codes == {200: 20}


def test_a_restart_replaces_the_pods(mesh: ClusterMesh) -> None:
    before = {p.name for p in mesh.pods("hello-world-v2")}
    mesh.restart("hello-world-v2")
    after = {p.name for p in mesh.pods("hello-world-v2")}
    assert len(after) == 1
    assert not before & after


def test_labels_come_and_go(mesh: ClusterMesh) -> None:
    mesh.label("namespace", "hello-world", {"colour": "blue"})
    assert mesh.resource("Namespace", "hello-world").labels["colour"] == "blue"
    mesh.label("namespace", "hello-world", {"colour": None})
    assert "colour" not in mesh.resource("Namespace", "hello-world").labels
    assert mesh.resource("Namespace", "hello-world").labels["istio-injection"] == "enabled"


def test_a_pods_description_and_logs(mesh: ClusterMesh) -> None:
    pod = mesh.pods("hello-world-v1")[0].name
    words = mesh.describe("pod", pod)
    assert "hello-world:" in words
    assert "istio-proxy:" in words
    assert "listening on" in mesh.logs(pod, lines=10_000)


def test_a_way_past_the_gateway(mesh: ClusterMesh) -> None:
    pod = mesh.pods("hello-world-v1")[0].name
    with urlopen(mesh.pod_url(pod) + "/past", timeout=10) as answer:
        assert pod in answer.read().decode()
    with urlopen(
        Request(mesh.gateway_url, headers={"Host": "test.example.com"}), timeout=10
    ) as answer:
        assert answer.status == 200


def test_forwards_listen_on_loopback_only(mesh: ClusterMesh) -> None:
    target, _ = mesh.target(URL)
    assert target.host == "127.0.0.1"
    forward = mesh._connections.to_gateway(80, URL)
    assert forward.listener.getsockname()[0] == "127.0.0.1"
    assert forward.listener.family == socket.AF_INET


def test_a_misspelt_field_is_refused_before_anything_is_written(mesh: ClusterMesh) -> None:
    with pytest.raises(LabkitError, match="simpel"):
        mesh.apply(rule("{loadBalancer: {simpel: RANDOM}}"))
    with pytest.raises(NotFound):
        mesh.resource("DestinationRule", "hello-world-dr")


def test_what_only_the_api_server_knows_is_said_in_its_words(mesh: ClusterMesh) -> None:
    """labkit's own validation is passed by here. The rule that was applied before the refused one
    goes again.
    """
    good, bad = (
        load(rule())[0],
        {**load(rule(name="other"))[0].body, "spec": {"hots": "hello-world"}},
    )
    with pytest.raises(ValidationError, match="hots"):
        mesh._put([good, Resource(bad)])
    with pytest.raises(NotFound):
        mesh.resource("DestinationRule", "hello-world-dr")


def test_a_conflict_is_shown_with_its_owner_and_never_forced(mesh: ClusterMesh) -> None:
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    theirs = rule("{loadBalancer: {simple: ROUND_ROBIN}}")
    words = (
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=somebody-else",
        "-f",
        "-",
    )
    kubectl(*words, given=theirs)
    with pytest.raises(MeshError, match="somebody-else") as caught:
        mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    assert "simple" in caught.value.seen
    assert mesh.resource("DestinationRule", "hello-world-dr").spec["trafficPolicy"][
        "loadBalancer"
    ] == {"simple": "ROUND_ROBIN"}
    kubectl("-n", "hello-world", "delete", "destinationrule", "hello-world-dr")


def test_labkit_may_take_back_its_own_changes(mesh: ClusterMesh) -> None:
    """After a scale the manifest can be applied again: both are labkit's."""
    mesh.scale("hello-world-v2", 2, wait=False)
    mesh.apply(HELLO)
    assert len(mesh.pods("hello-world-v2")) == 1


def test_a_missing_namespace_is_said(mesh: ClusterMesh) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        mesh.apply(rule().replace("namespace: hello-world", "namespace: nowhere"))


def test_reset_leaves_the_gateway_as_it_was(shared_mesh: ClusterMesh) -> None:
    """A snapshot before and after: objects, and the gateway's whole configuration."""
    shared_mesh.reset()

    def snapshot() -> tuple[list[str], str]:
        kinds = "gateways.networking.istio.io,virtualservices,destinationrules"
        names = kubectl("-n", "hello-world", "get", kinds, "-o", "name").stdout.split()
        config = shared_mesh.config("gateway")["configs"]
        text = json.dumps(
            [strip_times(part) for part in config if "Secret" not in part["@type"]], sort_keys=True
        )
        return names, text

    before = snapshot()
    shared_mesh.apply(GATEWAY, ROUTE, rule("{loadBalancer: {simple: RANDOM}}", subsets=SUBSETS))
    assert snapshot() != before
    shared_mesh.reset()
    # a listener that was removed drains for a while; it is gone from the configuration at once
    assert snapshot() == before


def test_reset_makes_a_pod_ready_again_that_was_made_unready(mesh: ClusterMesh) -> None:
    mesh.control("hello-world-v2", ready=False)
    mesh.wait_for(
        lambda: not mesh.pods("hello-world-v2")[0].is_ready, "the pod to be unready", timeout_s=60
    )
    mesh.reset()
    assert mesh.pods("hello-world-v2")[0].is_ready


def strip_times(value: Any) -> Any:
    """A config_dump without versions and times, and without listeners that only drain."""
    if isinstance(value, dict):
        left_out = ("last_updated", "version_info", "draining_state")
        kept = {k: strip_times(v) for k, v in value.items() if k not in left_out}
        if "dynamic_listeners" in kept:
            kept["dynamic_listeners"] = [
                one for one in kept["dynamic_listeners"] if "active_state" in one
            ]
        return kept
    if isinstance(value, list):
        return [strip_times(inner) for inner in value]
    return value


def test_reset_touches_nothing_that_labkit_did_not_make(mesh: ClusterMesh) -> None:
    theirs = yaml.safe_load(rule(name="theirs"))
    kubectl(
        "apply",
        "--server-side",
        "--field-manager=somebody-else",
        "-f",
        "-",
        given=json.dumps(theirs),
    )
    mesh.reset()
    assert kubectl("-n", "hello-world", "get", "destinationrules", "-o", "name").stdout.split() == [
        "destinationrule.networking.istio.io/theirs"
    ]
    kubectl("-n", "hello-world", "delete", "destinationrule", "theirs")


def test_the_marker_does_not_show(mesh: ClusterMesh) -> None:
    assert "labkit.internal" not in json.dumps(
        [p for p in mesh.config("gateway")["configs"] if "Routes" in p["@type"]]
    )
    # it is there all the same
    assert "labkit.internal" in json.dumps(config_dump(gateway_pod()).routes)


def test_a_proxy_that_is_late_is_named(mesh: ClusterMesh) -> None:
    """A marker that was never sent stands for an istiod that does not push."""
    concerned = mesh._proxies.concerned([])
    mesh._barrier.number += 1
    with pytest.raises(NotReady, match="late: gateway"):
        mesh._barrier.wait(concerned, time.monotonic(), 0.3)


def test_a_pod_killed_under_load_is_replaced(mesh: ClusterMesh) -> None:
    pod = mesh.pods("hello-world-v1")[0].name
    results = []
    load_run = threading.Thread(
        target=lambda: results.append(
            mesh.fortio(URL, connections=2, duration_s=4, program="built-in")
        )
    )
    load_run.start()
    kubectl("-n", "hello-world", "delete", "pod", pod, "--wait=false")
    load_run.join()
    (result,) = results
    assert result.codes.get(200, 0) > 0.9 * len(result)
    wait_until(
        lambda: len([p for p in mesh.pods("hello-world-v1") if p.is_ready]) == 2,
        60,
        "two pods again",
    )
    assert pod not in {p.name for p in mesh.pods("hello-world-v1")}


def test_a_second_mesh_in_other_namespaces_does_not_disturb(
    mesh: ClusterMesh, kubeconfig: str, own_namespace: str
) -> None:
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig) as other:
        other.apply(rule().replace("namespace: hello-world", f"namespace: {own_namespace}"))
        mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
        assert [r.namespace for r in other.objects() if r.kind == "DestinationRule"] == [
            own_namespace
        ]
    assert exists(own_namespace)  # labkit did not make it
    found = kubectl(
        "-n", own_namespace, "get", "destinationrules,envoyfilters", "-o", "name"
    ).stdout
    assert found == ""
    assert mesh.curl(URL).codes == {200: 1}


def test_no_such_port_and_no_such_pod(mesh: ClusterMesh) -> None:
    with pytest.raises(TrafficError, match="no port 81"):
        mesh.curl("http://test.example.com:81/")
    with pytest.raises(NotFound, match="nobody"):
        mesh.curl("http://hello-world/", source="nobody")


def test_a_closed_mesh_says_so(kubeconfig: str) -> None:
    mesh = labkit.open_mesh("cluster", kubeconfig=kubeconfig)
    mesh.close()
    mesh.close()
    with pytest.raises(MeshError, match="closed"):
        mesh.apply(rule())

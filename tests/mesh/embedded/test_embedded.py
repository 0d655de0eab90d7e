"""The embedded mesh as its users see it: objects, pods, rollouts, injection, and
errors that help.
"""

from __future__ import annotations

import contextlib
import copy
import os
import threading
from pathlib import Path

import pytest
import yaml

import labkit
from labkit.errors import (
    ConfigRejected,
    LabkitError,
    MeshError,
    NotFound,
    NotReady,
    TrafficError,
    UnsupportedError,
    ValidationError,
)
from labkit.mesh import Mesh
from labkit.mesh.embedded import EmbeddedMesh
from labkit.translate import gateway_config
from labkit.translate.normalise import normalised
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, SUBSETS, URL, rule, virtual_service

pytestmark = pytest.mark.embedded


def controller(mesh: Mesh):  # type: ignore[no-untyped-def]
    assert isinstance(mesh, EmbeddedMesh)
    return mesh._controller


# objects


def test_apply_says_what_it_did_as_kubectl_does(mesh: Mesh) -> None:
    assert "destinationrule/hello-world-dr created" in repr(
        mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    )
    assert "destinationrule/hello-world-dr unchanged" in repr(
        mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    )
    changed = mesh.apply(rule("{loadBalancer: {simple: ROUND_ROBIN}}"))
    assert "destinationrule/hello-world-dr configured" in repr(changed)
    assert set(changed.propagation_ms) >= {"gateway"}
    assert "destinationrule/hello-world-dr deleted" in repr(mesh.delete("dr", "hello-world-dr"))


def test_tables_are_kubectls(mesh: Mesh) -> None:
    pods = mesh.get("pods")
    assert pods.columns[:3] == ("NAME", "READY", "STATUS")
    assert {row["READY"] for row in pods if row["NAME"].startswith("hello-world")} == {"2/2"}
    assert "hello-world-vs" in repr(mesh.get("virtualservices"))
    assert "istio-ingressgateway" in repr(mesh.get("pods", namespace="istio-system"))
    assert list(mesh.get("services").frame.columns)[:2] == ["name", "type"]
    assert "<th" in mesh.get("deploy")._repr_html_()


def test_describe_shows_the_sidecar(mesh: Mesh) -> None:
    text = mesh.describe("pod", mesh.pods("hello-world-v1")[0].name)
    assert "istio-proxy" in text
    assert "hello-world:" in text
    assert "10.96." in mesh.describe("service", "hello-world")


def test_logs_of_both_containers(mesh: Mesh) -> None:
    pod = mesh.pods("hello-world-v2")[0].name
    assert "listening" in mesh.logs(pod)
    assert isinstance(mesh.logs(pod, container="istio-proxy"), str)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda m: m.delete("dr", "nope"), NotFound, "hello|none"),
        (lambda m: m.get("cronjobs"), NotFound, "virtualservices"),
        (lambda m: m.pods("nope"), NotFound, "hello-world-v1"),
        (lambda m: m.describe("pod", "nope"), NotFound, "mesh.get"),
        (lambda m: m.curl("https://test.example.com/"), LabkitError, "http"),
        (lambda m: m.curl("http://test.example.com:8080/"), TrafficError, "port 80"),
        (lambda m: m.curl("http://nowhere/", source="client"), TrafficError, "could not resolve"),
        (lambda m: m.curl(URL, source="nobody"), NotFound, "client.yaml"),
        (lambda m: m.stats("nope"), NotFound, "gateway"),
        (lambda m: m.apply("does/not/exist.yaml"), LabkitError, "exist.yaml"),
        (lambda m: m.scale("nope", 2), NotFound, "hello-world-v1"),
    ],
)
def test_errors_say_what_to_do(mesh: Mesh, call, error: type[LabkitError], says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=says):
        call(mesh)


def test_a_namespace_that_is_not_there(mesh: Mesh) -> None:
    text = rule("{loadBalancer: {simple: RANDOM}}").replace(
        "namespace: hello-world", "namespace: nope"
    )
    with pytest.raises(NotFound, match="no namespace 'nope'"):
        mesh.apply(text)


def test_a_refused_manifest_changes_nothing(mesh: Mesh) -> None:
    with pytest.raises(ValidationError, match="RANDON"):
        mesh.apply(rule("{loadBalancer: {simple: RANDON}}"))
    tls = GATEWAY.replace(
        "{number: 80, name: http, protocol: HTTP}", "{number: 443, name: https, protocol: HTTPS}"
    )
    tls = tls.replace("hosts: [test", "tls: {mode: PASSTHROUGH}, hosts: [test")
    with pytest.raises(UnsupportedError, match="hello-world-gateway"):
        mesh.apply(tls)
    assert mesh.curl(URL, n=3).codes == {200: 3}
    assert (
        mesh.resource("gateway", "hello-world-gateway").spec["servers"][0]["port"]["number"] == 80
    )


def test_when_envoy_refuses_the_old_configuration_stays_in_force(mesh: Mesh) -> None:
    """Istio accepts a ring of nine million entries; Envoy's limit is eight."""
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    ring = (
        "{loadBalancer: {consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: "
        "9000000}}}}"
    )
    with pytest.raises(ConfigRejected, match="refused") as raised:
        mesh.apply(rule(ring))
    assert "MinimumRingSize" in str(raised.value)  # Envoy's own reason
    assert mesh.resource("dr", "hello-world-dr").spec["trafficPolicy"] == {
        "loadBalancer": {"simple": "RANDOM"}
    }
    assert mesh.curl(URL, n=10).codes == {200: 10}
    mesh.apply(rule("{loadBalancer: {simple: ROUND_ROBIN}}"))


# pods


def test_unknown_images_and_programs_are_refused_by_name(mesh: Mesh) -> None:
    documents = list(yaml.safe_load_all(HELLO.read_text()))
    deployment = next(d for d in documents if d["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    deployment["metadata"]["name"] = "other"
    container["image"] = "nginx:1.27"
    with pytest.raises(UnsupportedError, match="nginx"):
        mesh.apply(deployment)
    assert "other" not in repr(mesh.get("deployments"))
    config_map = next(d for d in documents if d["kind"] == "ConfigMap")
    config_map["data"]["app.py"] = "print('mine')"
    container["image"] = "python:3.13-alpine"
    with pytest.raises(UnsupportedError, match="not the course's application"):
        mesh.apply(config_map, deployment)
    assert mesh.apply(HELLO).lines.count("configmap/hello-world-app unchanged") == 1


def test_scaling_moves_traffic(mesh: Mesh) -> None:
    mesh.scale("hello-world-v2", 3)
    assert len(mesh.pods("hello-world")) == 5
    assert set(mesh.endpoints()["pod"]) == {p.name for p in mesh.pods("hello-world")}
    mesh.scale("hello-world-v2", 0)
    assert set(mesh.curl(URL, n=20).versions) == {"v1"}


def test_an_unready_pod_gets_no_traffic_until_it_is_ready_again(mesh: Mesh) -> None:
    pod = mesh.pods("hello-world-v2")[0].name
    mesh.control(pod, ready=False)
    mesh.wait_for(lambda: health(mesh, pod) == {"unhealthy"}, "the endpoint to be marked")
    mesh.wait_for(lambda: pod not in mesh.curl(URL, n=60).pods, "the mark to act")
    assert pod not in mesh.curl(URL, n=30).pods
    mesh.control(pod, ready=True)
    mesh.wait_for(lambda: health(mesh, pod) == {"healthy"}, "the endpoint to be healthy")


def test_a_rule_does_not_wait_for_pods_that_are_unready_on_purpose(mesh: Mesh) -> None:
    mesh.control("hello-world-v2", ready=False)
    mesh.wait_for(lambda: not mesh.pods("hello-world-v2")[0].is_ready, "the pod to be unready")
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"), timeout_s=5)
    mesh.delete("DestinationRule", "hello-world-dr")
    with pytest.raises(NotReady):
        mesh.apply(HELLO, timeout_s=0.2)
    mesh.reset()  # makes the pod ready again, and waits for it
    assert all(pod.is_ready for pod in mesh.pods("hello-world"))


def test_a_refused_manifest_leaves_no_pod_behind(mesh: Mesh) -> None:
    good = next(d for d in yaml.safe_load_all(HELLO.read_text()) if d["kind"] == "Deployment")
    bad = copy.deepcopy(good)
    good["metadata"]["name"], bad["metadata"]["name"] = "extra", "other"
    bad["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:1.27"
    before = {pod.name for pod in mesh.pods()}
    with pytest.raises(UnsupportedError, match="nginx"):
        mesh.apply(good, bad)
    assert {pod.name for pod in mesh.pods()} == before


def health(mesh: Mesh, pod: str) -> set[str]:
    """What the gateway holds of a pod. Istio keeps a pod that is not ready in its list, marked
    unhealthy.
    """
    frame = mesh.endpoints()
    return set(frame[frame["pod"] == pod]["health"])


def test_a_rollout_under_load_loses_nothing(mesh: Mesh) -> None:
    before = {p.name for p in mesh.pods("hello-world-v1")}
    done = threading.Event()
    codes: dict[int, int] = {}

    def load() -> None:
        while not done.is_set():
            for code, count in mesh.fortio(URL, connections=2, requests=40).codes.items():
                codes[code] = codes.get(code, 0) + count

    thread = threading.Thread(target=load)
    thread.start()
    try:
        mesh.restart("hello-world-v1")
    finally:
        done.set()
        thread.join()
    assert before.isdisjoint(p.name for p in mesh.pods("hello-world-v1"))
    assert set(codes) == {200}


def test_labels_inject_pods_that_are_made_after_them() -> None:
    with labkit.open_mesh("embedded", seed=1) as mesh:
        documents = list(yaml.safe_load_all(HELLO.read_text()))
        documents[0]["metadata"].pop("labels")
        mesh.apply(*documents, GATEWAY, ROUTE)
        assert {p.ready for p in mesh.pods("hello-world")} == {"1/1"}
        assert mesh.curl(URL, n=5).codes == {200: 5}  # the gateway reaches them all the same
        mesh.label("namespace", "hello-world", {"istio-injection": "enabled"})
        # a label alone does nothing to what runs
        assert {p.ready for p in mesh.pods("hello-world")} == {"1/1"}
        mesh.restart("hello-world-v1")
        assert {p.ready for p in mesh.pods("hello-world-v1")} == {"2/2"}
        assert {p.ready for p in mesh.pods("hello-world-v2")} == {"1/1"}
        assert "no sidecar" in mesh.describe("pod", mesh.pods("hello-world-v2")[0].name)
        with pytest.raises(MeshError, match="no sidecar"):
            mesh.curl("http://hello-world/", source="hello-world-v2")


def test_without_a_gateway_object_nothing_listens(mesh: Mesh) -> None:
    mesh.delete("gateway", "hello-world-gateway")

    def refused() -> bool:
        try:
            mesh.curl(URL)
        except TrafficError:
            return True
        return False

    mesh.wait_for(refused, "the listener to close", timeout_s=5)


# inside the mesh


def test_a_caller_in_the_mesh_goes_through_its_own_sidecar(mesh: Mesh) -> None:
    result = mesh.curl("http://hello-world/", n=12, source="client")
    assert result.codes == {200: 12}
    assert mesh.curl(
        "http://hello-world.hello-world.svc.cluster.local/", source="client"
    ).codes == {200: 1}
    log = mesh.access_log("client")
    assert set(log.tail(13)["direction"]) == {"outbound"}


def test_rules_for_the_mesh_act_on_callers_in_it_only(mesh: Mesh) -> None:
    mesh.apply(
        rule(subsets=SUBSETS),
        """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: hello-world}
spec:
  hosts: [hello-world]
  http: [{route: [{destination: {host: hello-world, subset: v2}}]}]
""",
    )
    assert set(mesh.curl("http://hello-world/", n=10, source="client").versions) == {"v2"}
    assert set(mesh.curl(URL, n=40).versions) == {"v1", "v2"}


def test_a_route_to_a_subset_that_no_rule_defines(mesh: Mesh) -> None:
    mesh.apply(virtual_service("[{route: [{destination: {host: hello-world, subset: v9}}]}]"))
    result = mesh.curl(URL, n=3)
    assert (result.codes, result.flags) == ({503: 3}, {"NC": 3})


# load


def test_a_load_run_knows_the_flags_of_what_was_refused(mesh: Mesh) -> None:
    mesh.apply(virtual_service("[{route: [{destination: {host: hello-world, subset: v9}}]}]"))
    result = mesh.fortio(URL, connections=2, requests=10, program="built-in")
    assert (result.codes, result.flags) == ({503: 10}, {"NC": 10})


@pytest.mark.go
def test_the_real_fortios_rows_know_pod_and_flags(
    mesh: Mesh, real_fortio: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(Path(real_fortio).parent), prepend=os.pathsep)
    result = mesh.fortio(URL, connections=2, requests=40)
    assert result.program.startswith("fortio")
    assert len(result.frame) == 40
    assert set(result.pods) <= {p.name for p in mesh.pods("hello-world")}
    assert sum(result.pods.values()) == 40


# what the gateway really holds


def test_the_gateways_own_dump_is_the_translation_but_for_addresses(mesh: Mesh) -> None:
    mesh.apply(
        rule(
            "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}, connectionPool: {tcp: "
            "{maxConnections: 3}}}",
            subsets=SUBSETS,
        ),
        virtual_service(
            "[{match: [{uri: {prefix: /v2}}], rewrite: {uri: /}, timeout: 2s, "
            "route: [{destination: {host: hello-world, subset: v2}}]}, {route: [{destination: "
            "{host: hello-world}}]}]"
        ),
    )
    registry = controller(mesh).registry()
    expected = normalised(gateway_config(registry), registry.pods)
    dump = mesh.config("gateway")
    clusters, routes = dumped(dump, "ClustersConfigDump"), dumped(dump, "RoutesConfigDump")
    assert {c["cluster"]["name"] for c in clusters} >= set(expected["clusters"])
    for name, cluster in expected["clusters"].items():
        (found,) = (c["cluster"] for c in clusters if c["cluster"]["name"] == name)
        for field in (
            "circuit_breakers",
            "common_lb_config",
            "connect_timeout",
            "ring_hash_lb_config",
        ):
            assert found.get(field) == cluster.get(field), (name, field)
        assert found.get("lb_policy") == cluster.get("lb_policy")
    # a listener that was replaced a moment ago may still hold an older copy of its routes
    route = max(routes, key=lambda r: int(r["version_info"]))["route_config"]
    (host,) = (h for h in route["virtual_hosts"] if h["name"] == "test.example.com:80")
    (wanted,) = expected["routes"]["http.8080"]
    assert [r["match"] for r in host["routes"]] == [r["match"] for r in wanted["routes"]]
    assert [r["route"]["timeout"] for r in host["routes"]] == ["2s", "0s"]


def dumped(dump: dict, kind: str) -> list[dict]:  # type: ignore[type-arg]
    (part,) = (c for c in dump["configs"] if c["@type"].endswith("." + kind))
    return part.get("dynamic_active_clusters") or part.get("dynamic_route_configs")


def test_sidecars_that_nobody_asks_need_no_inotify_instances_for_endpoints(mesh: Mesh) -> None:
    """Linux allows a user 128 of them, and Envoy takes one for each file that it follows."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("only Linux has inotify")
    mesh.apply(rule(subsets=SUBSETS))

    def instances(proxy: str) -> int:
        process = controller(mesh).plane.proxies[proxy].envoy.process
        files = Path(f"/proc/{process.pid}/fd")
        links = []
        for file in files.iterdir():
            with contextlib.suppress(FileNotFoundError):  # a connection that was closed meanwhile
                links.append(os.readlink(file))
        return sum("inotify" in link for link in links)

    for pod in mesh.pods("hello-world-v1"):
        assert instances(pod.name) <= 4  # cds, lds and routes
    # asked once, a sidecar has all that Istio gives it, and follows it
    pod = mesh.pods("hello-world-v1")[0].name
    assert len(mesh.endpoints(pod)) > 0
    types = {
        c["name"]: c["type"] for c in controller(mesh).plane.proxies[pod].envoy.config.clusters
    }
    assert types["outbound|80|v1|hello-world.hello-world.svc.cluster.local"] == "EDS"
    assert instances(pod) > 4

"""The first microservice on a real cluster: the same manifests as on the
embedded mesh, unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.app import CONTROL_PORT
from labkit.resources import load
from labkit.traffic import Target, curl
from labkit.waiting import wait_until
from tests.translate.record import kubectl

from .conftest import MANIFESTS, apply
from .live import gateway_pod, items, port_forward

LESSON = MANIFESTS / "02_first_microservice"


@pytest.fixture(scope="module")
def gateway(hello_world: str) -> Iterator[Target]:
    """The gateway with lesson 2's Gateway and VirtualService, by a port-forward."""
    for name in ("gateway.yaml", "virtual-service.yaml"):
        apply((LESSON / name).read_text("utf-8"))
    with port_forward("istio-system", f"pod/{gateway_pod().name}", 8080) as port:
        target = Target("127.0.0.1", port, "test.example.com")
        # until istiod's push is there, Envoy answers 404 or has no listener yet
        wait_until(
            lambda: curl(target).codes == {200: 1}, 20, "the gateway to have a route", longest_s=0.2
        )
        yield target


def test_each_pod_has_its_sidecar(hello_world: str) -> None:
    pods = items(hello_world, "pods")
    workloads = sorted(p["metadata"]["labels"]["app"] for p in pods)
    assert workloads == ["client", "hello-world", "hello-world", "hello-world"]
    for pod in pods:
        # the sidecar is a container of its own, or an init container that stays (a native sidecar)
        statuses = pod["status"]["containerStatuses"] + pod["status"].get(
            "initContainerStatuses", []
        )
        ready = {
            s["name"]
            for s in statuses
            if s["ready"] and s.get("started") and "running" in s["state"]
        }
        assert len(ready) == 2
        assert "istio-proxy" in ready


def test_each_pod_answers_through_the_gateway(gateway: Target, hello_world: str) -> None:
    version = {
        p["metadata"]["name"]: p["metadata"]["labels"].get("version")
        for p in items(hello_world, "pods")
    }
    expected = {name: v for name, v in version.items() if v}
    # the chance that one of three pods is never chosen is 3 · (2/3)^100 < 1e-16
    result = curl(gateway, n=100)
    assert result.codes == {200: 100}
    answered = dict(zip(result.column("pod"), result.column("version"), strict=True))
    assert answered == expected


def test_the_body_says_the_same_as_the_headers(gateway: Target) -> None:
    (answer,) = curl(gateway, "/a")
    assert answer.text == f"Hello world! version {answer.version}, pod {answer.pod}, path /a\n"


def test_the_client_calls_through_its_own_sidecar(hello_world: str) -> None:
    words = (
        "exec",
        "deploy/client",
        "-c",
        "client",
        "--",
        "curl",
        "-s",
        "-i",
        "http://hello-world/",
    )
    answer = kubectl("-n", hello_world, *words).stdout
    assert answer.startswith("HTTP/1.1 200")
    assert "x-pod: hello-world-v" in answer
    assert "server: envoy" in answer


def test_the_controls_answer_by_a_port_forward_and_in_no_other_way(
    gateway: Target, hello_world: str
) -> None:
    pod = next(
        p["metadata"]["name"]
        for p in items(hello_world, "pods")
        if "version" in p["metadata"]["labels"]
    )
    with port_forward(hello_world, f"pod/{pod}", CONTROL_PORT) as port:
        controls = Target("127.0.0.1", port, "localhost")

        def state() -> dict[str, Any]:
            (answer,) = curl(controls, "/control/state")
            found: dict[str, Any] = json.loads(answer.text)
            return found

        curl(controls, "/control/delay?ms=5", method="POST")
        try:
            assert (state()["pod"], state()["delay_ms"]) == (pod, 5)
            # through the gateway it is a path like any other
            assert curl(gateway, "/control/delay?ms=9", n=30, method="POST").codes == {200: 30}
            assert state()["delay_ms"] == 5
        finally:
            curl(controls, "/control/reset", method="POST")
    # from another pod, to the pod's address: its sidecar finds nobody who listens there
    address = next(
        p["status"]["podIP"] for p in items(hello_world, "pods") if p["metadata"]["name"] == pod
    )
    url = f"http://{address}:{CONTROL_PORT}/control/state"
    words = ("exec", "deploy/client", "-c", "client", "--", "curl", "-s", "-m", "10", url)
    assert pod not in kubectl("-n", hello_world, *words, check=False).stdout


def test_a_port_forward_leads_past_the_gateway(gateway: Target, hello_world: str) -> None:
    pod = next(
        p["metadata"]["name"]
        for p in items(hello_world, "pods")
        if "version" in p["metadata"]["labels"]
    )
    with port_forward(hello_world, f"pod/{pod}", 8080) as port:
        local = Target("127.0.0.1", port, "localhost")
        assert curl(local, "/x").pods == {pod: 1}


def test_the_manifests_can_be_applied_again(hello_world: str) -> None:
    """The second time nothing changes: the generation of a Deployment says so."""
    before = {
        d["metadata"]["name"]: d["metadata"]["generation"]
        for d in items(hello_world, "deployments")
    }
    for name in ("hello-world.yaml", "client.yaml"):
        apply((MANIFESTS / name).read_text("utf-8"))
    assert {
        d["metadata"]["name"]: d["metadata"]["generation"]
        for d in items(hello_world, "deployments")
    } == before
    assert len(before) == sum(
        r.kind == "Deployment"
        for r in load(MANIFESTS / "hello-world.yaml", MANIFESTS / "client.yaml")
    )

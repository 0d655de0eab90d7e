"""The judges of lesson 2's exercises on a real mesh: right answers pass, near misses are refused by
name.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_02 import (
    TASKS,
    all_pods_answer,
    has_sidecars,
    office_calls,
    service_without_pods,
)
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded
CLIENT = "namespace: hello-world", "namespace: office"
OFFICE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: office}\n"


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))
        yield mesh


def label(mesh: Mesh, namespace: str, value: str | None = "enabled") -> None:
    mesh.label("namespace", namespace, {"istio-injection": value})


def solve(id: str, mesh: Mesh) -> None:
    exec(TASKS[id].solution, {"mesh": mesh, "manifest": manifest, "show": show})


def test_a_sidecar(mesh: Mesh) -> None:
    label(mesh, "hello-world", None)
    mesh.restart("hello-world-v2")
    with pytest.raises(CheckFailed, match="the namespace lacks its label"):
        has_sidecars(mesh)
    label(mesh, "hello-world")
    with pytest.raises(CheckFailed, match="a label does nothing for a pod that is there"):
        has_sidecars(mesh)
    mesh.scale("hello-world-v2", 2)
    with pytest.raises(CheckFailed, match="1 of 2 pods of v2 without"):
        has_sidecars(mesh)
    solve("02-1", mesh)
    assert has_sidecars(mesh)
    mesh.scale("hello-world-v2", 0)
    with pytest.raises(CheckFailed, match="v2 has no pod any more"):
        has_sidecars(mesh)
    mesh.scale("hello-world-v2", 1)
    assert has_sidecars(mesh), "none, and then a new one, is as good as a restart"


def test_a_client_in_the_office(mesh: Mesh) -> None:
    solve("02-2", mesh)
    assert office_calls(mesh)


def test_a_pod_that_was_too_early_and_is_replaced(mesh: Mesh) -> None:
    mesh.apply(OFFICE, show("client.yaml").replace(*CLIENT))
    label(mesh, "office")
    with pytest.raises(CheckFailed, match="the label came later than the pod"):
        office_calls(mesh)
    mesh.restart("client", namespace="office")
    assert office_calls(mesh)


def test_a_namespace_without_the_right_label(mesh: Mesh) -> None:
    mesh.apply(OFFICE, show("client.yaml").replace(*CLIENT))
    with pytest.raises(CheckFailed, match="no label asks for one"):
        office_calls(mesh)
    label(mesh, "office", "yes")
    mesh.restart("client", namespace="office")
    with pytest.raises(CheckFailed, match="istio-injection=yes, and Istio adds one where"):
        office_calls(mesh)


def test_a_client_elsewhere(mesh: Mesh) -> None:
    with pytest.raises(CheckFailed, match="there is no pod in the namespace office"):
        office_calls(mesh)
    mesh.apply(OFFICE, manifest("client.yaml"))
    with pytest.raises(CheckFailed, match="the client is in hello-world, as its manifest says"):
        office_calls(mesh)


def service(selector: str, port: int = 8080, name: str = "hello-world") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: hello-world}}
spec:
  selector: {{{selector}}}
  ports: [{{name: http, port: 80, targetPort: {port}}}]
"""


def route(host: str) -> str:
    text = str(show("02_first_microservice/virtual-service.yaml"))
    return text.replace("host: hello-world", f"host: {host}")


def test_the_service_has_its_pods_again(mesh: Mesh) -> None:
    service_without_pods(mesh)
    solve("02-3", mesh)
    assert all_pods_answer(mesh)
    service_without_pods(mesh)
    mesh.apply(service("app: hello-world"))
    assert all_pods_answer(mesh)
    service_without_pods(mesh)
    mesh.apply(service("app: hello-world", name="another"), route("another"))
    assert all_pods_answer(mesh), "another Service, and the way to it"


def test_the_pods_are_given_the_label_that_the_service_asks_for(mesh: Mesh) -> None:
    service_without_pods(mesh)
    text = str(show("hello-world.yaml"))
    deployments = [part for part in text.split("---\n") if "kind: Deployment" in part]
    for each in deployments:
        name = "hello-world-v1" if "hello-world-v1" in each else "hello-world-v2"
        mesh.delete("Deployment", name)
        mesh.apply(each.replace("app: hello-world", "app: helloworld"))
    assert all_pods_answer(mesh)


@pytest.mark.parametrize(
    ("near", "words"),
    [
        ((), "The Service has no pods: its selector asks for app: helloworld"),
        (("restart",), "its selector asks for app: helloworld"),
        ((service("app: hello-world, version: v1"),), "of v2: its selector asks for .*version: v1"),
        ((service("app: hello-world", port=8081),), "nothing listens at the port that it names"),
        ((route("helloworld"),), "a Service that there is not"),
        (("v2",), "v2 has no pod any more"),
    ],
    ids=["nothing done", "new pods", "v1 alone", "another port", "another host", "v2 is gone"],
)
def test_not_every_pod_answers(mesh: Mesh, near: tuple[str, ...], words: str) -> None:
    service_without_pods(mesh)
    for step in near:
        if step == "restart":
            mesh.restart("hello-world-v1")
        elif step == "v2":
            mesh.scale("hello-world-v2", 0)
        else:
            mesh.apply(step)
    with pytest.raises(CheckFailed, match=words):
        all_pods_answer(mesh)

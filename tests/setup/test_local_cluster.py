"""Local clusters are told apart by the marks that their tools leave on the nodes."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.setup.local_cluster import local_cluster


def node(name: str, provider: str = "", **labels: str) -> dict[str, Any]:
    spec = {"providerID": provider} if provider else {}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


@pytest.mark.parametrize(
    ("nodes", "kind", "name"),
    [
        ([node("minikube", **{"minikube.k8s.io/name": "istio"})], "Minikube", "istio"),
        ([node("docker-desktop")], "Docker Desktop", "desktop"),
        (
            [node("desktop-control-plane", "kind://docker/desktop/desktop-control-plane")],
            "Docker Desktop",
            "desktop",
        ),
        ([node("lab-control-plane", "kind://docker/lab/lab-control-plane")], "kind", "lab"),
        ([node("lab-worker", "kind://podman/lab/lab-worker")], "kind", "lab"),
        ([node("k3d-my-lab-server-0", "k3s://k3d-my-lab-server-0")], "k3d", "my-lab"),
        ([node("laptop", **{"microk8s.io/cluster": "true"})], "MicroK8s", "true"),
        (
            [node("lima-rancher-desktop", "k3s://lima-rancher-desktop")],
            "Rancher Desktop",
            "lima-rancher-desktop",
        ),
        ([node("colima", "k3s://colima")], "k3s", "colima"),
    ],
)
def test_the_tool_is_told_by_its_mark(nodes: list[dict[str, Any]], kind: str, name: str) -> None:
    found = local_cluster(nodes)
    assert found is not None
    assert (found[0].name, found[1]) == (kind, name)


def test_any_other_cluster_has_no_mark() -> None:
    assert local_cluster([node("lab"), node("ip-10-0-1-2", "aws:///eu-west-1a/i-0abc")]) is None
    assert local_cluster([]) is None

"""The linter on a running mesh: over all that is applied, and over manifests as if they were."""

from __future__ import annotations

import pytest

from labkit.mesh import Mesh
from tests.mesh.conftest import rule

pytestmark = pytest.mark.embedded


def test_nothing_is_wrong_with_the_course_s_mesh(mesh: Mesh) -> None:
    assert mesh.lint() == ()


def test_objects_are_those_applied_and_the_pods_that_run(mesh: Mesh) -> None:
    found = mesh.objects()
    assert {"Namespace", "Service", "Deployment", "Gateway", "VirtualService", "Pod"} <= {
        r.kind for r in found
    }
    pods = {r.name: r for r in found if r.kind == "Pod"}
    assert {p.name for p in mesh.pods()} <= set(pods)
    for pod in mesh.pods("hello-world"):
        assert "istio-proxy" in {c["name"] for c in pods[pod.name].spec["containers"]}


def test_as_if_applied_changes_nothing(mesh: Mesh) -> None:
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    before = len(mesh.objects())
    second = rule("{loadBalancer: {simple: ROUND_ROBIN}}", name="hellow-world-dr")
    (found,) = mesh.lint(second)
    assert (found.code, found.object) == ("KIA0201", "DestinationRule hello-world/hellow-world-dr")
    assert len(mesh.objects()) == before
    assert mesh.lint() == ()
    mesh.apply(second)
    assert mesh.lint().codes == ("KIA0201",)


def test_a_subset_counts_the_pods_that_run(mesh: Mesh) -> None:
    mesh.apply(rule(subsets="[{name: v2, labels: {version: v2}}]"))
    assert mesh.lint() == ()
    mesh.scale("hello-world-v2", 0)
    assert mesh.lint().codes == ("IST0173",)

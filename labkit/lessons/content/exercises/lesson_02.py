"""The exercise of lesson 2: a sidecar for a pod that is already there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh


def has_sidecars(mesh: Mesh) -> Verdict:
    """Each pod of v2 is 2/2."""
    pods = mesh.pods("hello-world-v2")
    return check.equal({pod.ready for pod in pods}, {"2/2"}, "the pod of v2 has its sidecar: 2/2")


TASKS = {
    "02-1": Task(
        prompt="Give the pod of v2 its sidecar.",
        judge=has_sidecars,
        hints=(
            "A sidecar is added when a pod is created, so the pod must be replaced.",
            "A Deployment creates new pods when it is restarted.",
            "On a cluster: kubectl rollout restart deployment hello-world-v2. Here: "
            "mesh.restart(…)",
        ),
        solution="mesh.restart('hello-world-v2')",
    ),
}

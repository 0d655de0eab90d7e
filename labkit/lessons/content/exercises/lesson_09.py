"""The exercise of lesson 9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
SHARES = {"v1": 10, "v2": 90}


def one_in_ten_to_v1(mesh: Mesh) -> Verdict:
    """The shares as users get them; twice as many to v1 are found, and so is the split the other
    way round.
    """
    return check.split(
        mesh.fortio(URL, connections=4, requests=check.needed("split", SHARES)), SHARES
    )


TASKS = {
    "09-1": Task(
        prompt="Send one request in ten to v1, and all others to v2.",
        judge=one_in_ten_to_v1,
        hints=(
            "The VirtualService has one route with two destinations; only their weights must "
            "change.",
            "The two weights are percentages: they add up to 100.",
            "canary.weighted(name, percent) gives the text of the manifest with this weight for "
            "v2.",
        ),
        solution="mesh.apply(canary.weighted('09_canary_rollout/canary.yaml', 90))",
    )
}

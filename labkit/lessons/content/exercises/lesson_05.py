"""The exercise of lesson 5: affinity by a header of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

# were they dealt to three pods by chance, all of them would land on one pod once in 10^18 runs
USERS = 40
EACH = 3


def keeps_users(mesh: Mesh) -> Verdict:
    """Each user has one pod, and not all users have the same: else the key is something else than
    the user.
    """
    pods = {}
    for i in range(USERS):
        headers = {"x-user": f"user-{i}"}
        # nobody will look for these requests in a log, so they need no ids
        pods[f"user-{i}"] = mesh.curl(
            "http://test.example.com/", n=EACH, headers=headers, request_ids=False
        )
    same = check.same_pod(pods, pods=3)
    used = {name for result in pods.values() for name in result.pods}
    return (
        same
        if len(used) > 1
        else check.that(False, "users are spread over the pods", seen="they all have the same pod")
    )


TASKS = {
    "05-1": Task(
        prompt="Send all requests with the same x-user header to one pod, and different users to "
        "different pods.",
        judge=keeps_users,
        hints=(
            "Which of the four kinds of keys in this lesson is a header?",
            "Take the text of forwarded-for.yaml and change the header. Keep the rule's name: a "
            "second rule is ignored.",
            "A file with the answer is 05_session_affinity/user-header.yaml.",
        ),
        solution="mesh.apply(manifest('05_session_affinity/user-header.yaml'))",
    ),
}

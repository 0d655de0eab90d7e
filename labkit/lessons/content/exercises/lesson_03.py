"""The exercise of lesson 3: pods that take turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh


def takes_turns(mesh: Mesh) -> Verdict:
    """Of any three requests in a row each goes to another pod: by chance that does
    not last for 30.
    """
    order = list(mesh.curl("http://test.example.com/", n=30).column("pod"))
    return check.that(in_turns(order, 3), "the pods take turns", seen=order)


def in_turns(order: list[str], pods: int) -> bool:
    """Whether `pods` pods answer one after the other, in a fixed order."""
    windows = [order[at : at + pods] for at in range(len(order) - pods + 1)]
    return bool(windows) and all(len(set(window)) == pods for window in windows)


TASKS = {
    "03-1": Task(
        prompt="Make the pods take turns again.",
        judge=takes_turns,
        hints=(
            "Which of the three load-balancing policies in this lesson makes the pods take turns?",
            "The rule must have the same name as the existing one, so that it replaces it.",
            "There is a manifest for it: 03_load_balancing/round-robin.yaml",
        ),
        solution="mesh.apply(manifest('03_load_balancing/round-robin.yaml'))",
    ),
}

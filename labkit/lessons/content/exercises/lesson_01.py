"""The exercise of lesson 1: what the gateway counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh


def listeners(answer: Any, mesh: Mesh) -> Verdict:
    """What the gateway counts now: one on the embedded mesh; on a cluster there are a few of
    Istio's own besides.
    """
    counted = mesh.stats("gateway", "total_listeners_active")["value"]
    return check.equal(answer, int(counted.iloc[0]), "the number of listeners")


TASKS = {
    "01-1": Task(
        prompt="How many listeners does the gateway have? Put the number into `answer`.",
        judge=listeners,
        hints=(
            "Run mesh.stats('gateway', 'total_listeners_active') in the cell of your answer and "
            "look at the table.",
            "The number is in the column `value`.",
            "You may type the number, or take it from the table: …['value'].iloc[0]",
        ),
        solution="answer = int(mesh.stats('gateway', 'total_listeners_active')['value'].iloc[0])",
    ),
}

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
    claim = "the number of listeners"
    if hasattr(answer, "columns"):
        said = "`answer` is the whole table; the number is in its column `value`"
        return check.that(False, claim, seen=said)
    if isinstance(answer, str):
        return check.that(False, claim, seen="`answer` is a text; write the number without quotes")
    return check.equal(answer, int(counted.iloc[0]), claim)


TASKS = {
    "01-1": Task(
        prompt="How many listeners does the gateway have? Put the number into `answer`.",
        judge=listeners,
        hints=(
            "First look: run mesh.stats('gateway', 'total_listeners_active') in a new cell. It "
            "shows a table with one row.",
            "The number is in the column `value`. Now write `answer = ` and that number into the "
            "cell that says “Your turn”, run it, and then run the check.",
            "Or let Python take it from the table: answer = int(mesh.stats('gateway', "
            "'total_listeners_active')['value'].iloc[0])",
        ),
        solution="answer = int(mesh.stats('gateway', 'total_listeners_active')['value'].iloc[0])",
    ),
}

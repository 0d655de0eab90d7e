"""The exercise of lesson 11: three mistakes on top of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.symptoms import URL
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh


def all_by_v2(mesh: Mesh) -> Verdict:
    """The linter finds nothing, and v2 answers each request."""
    found = mesh.lint()
    check.that(not found, "the linter finds nothing", seen=found)
    return check.only(mesh.curl(URL, n=check.needed("only")), version="v2")


SOLUTION = """mine = show("11_mistake_gallery/exercise.yaml")
mine = mine.replace("hello-world-gatway", "hello-world-gateway")
mine = mine.replace("subset: version-2", "subset: v2")
mine = mine.replace("version: two", "version: v2")
mesh.apply(mine)"""

TASKS = {
    "11-1": Task(
        prompt="Fix the three mistakes: v2 answers every request, and the linter finds nothing.",
        judge=all_by_v2,
        hints=(
            "Run mesh.lint(): each finding says where it is and, after a click, how to fix it.",
            "One mistake hides the next. Look at the status and the flag after each fix: 404 NR, "
            "503 NC, 503 UH, 200.",
            "The name of a Gateway, the name of a subset, and the label of a subset are wrong. "
            "You can change the text with .replace(wrong, right) and apply it.",
        ),
        solution=SOLUTION,
    ),
}

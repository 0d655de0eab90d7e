"""The judge of lesson 11's exercise passes on the solution, and fails with one of the three
mistakes left.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.lessons.checks.verdict import CheckFailed
from labkit.lessons.content.exercises.lesson_11 import SOLUTION, TASKS
from labkit.lessons.content.traps import trap
from labkit.lessons.files import manifest, show
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded
RIGHT = {
    "hello-world-gatway": "hello-world-gateway",
    "subset: version-2": "subset: v2",
    "version: two": "version: v2",
}


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as opened:
        trap("undefined-subset").prepare(opened)
        yield opened


def corrected(*left: str) -> str:
    text = str(show("11_mistake_gallery/exercise.yaml"))
    for wrong, right in RIGHT.items():
        assert text.count(wrong) == 1
        text = text if wrong in left else text.replace(wrong, right)
    return text


@pytest.mark.parametrize("left", RIGHT)
def test_one_mistake_left(mesh: Mesh, left: str) -> None:
    mesh.apply(manifest("11_mistake_gallery/exercise.yaml"))
    mesh.apply(corrected(left))
    with pytest.raises(CheckFailed, match="the linter finds nothing"):
        TASKS["11-1"].judge(mesh)


def test_the_linter_is_content_but_v1_answers_too(mesh: Mesh) -> None:
    mesh.apply(corrected().replace("            subset: v2\n", ""))
    assert not mesh.lint()
    with pytest.raises(CheckFailed, match="only version v2"):
        TASKS["11-1"].judge(mesh)


def test_the_solution(mesh: Mesh) -> None:
    mesh.apply(manifest("11_mistake_gallery/exercise.yaml"))
    exec(compile(ast.parse(SOLUTION), "solution", "exec"), {"mesh": mesh, "show": show})
    assert TASKS["11-1"].judge(mesh)


def test_the_lesson_has_the_same_solution() -> None:
    lesson = Path(__file__).resolve().parents[3] / "notebooks" / "source" / "11_mistake_gallery.py"
    assert SOLUTION in lesson.read_text(encoding="utf-8")

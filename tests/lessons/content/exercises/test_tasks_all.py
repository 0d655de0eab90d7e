"""What each exercise of the course must have, whoever adds one: its tests, hints that lead on, and
a word where its check changes the mesh. ../conftest.py counts right answers and near misses.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.lessons import CheckFailed
from labkit.lessons.checks import check
from labkit.lessons.content.tasks import Task, module_of, task, tasks_of
from labkit.lessons.notebook.sources import lessons
from tests.lessons.content.conftest import SAID, counted

LESSONS = [lesson.name[:2] for lesson in lessons()]
CAPSTONE = "12"
TASKS = [(id, one) for lesson in LESSONS for id, one in tasks_of(lesson).items()]
EACH = pytest.mark.parametrize(("id", "one"), TASKS, ids=[id for id, _ in TASKS])


def test_each_lesson_has_three_exercises_and_a_module_of_their_tests() -> None:
    for lesson in LESSONS:
        name = "../test_capstone.py" if lesson == CAPSTONE else f"test_tasks_{lesson}.py"
        assert (Path(__file__).parent / name).is_file(), lesson
        ids = [f"{lesson}-{n}" for n in range(1, (10 if lesson == CAPSTONE else 3) + 1)]
        assert list(tasks_of(lesson)) == ids


def test_a_module_of_tests_that_lacks_near_misses_is_told() -> None:
    judge = counted(lambda number: check.that(number < 2, "small", seen=number), lambda _: "99-1")
    try:
        assert judge(0)
        assert SAID["99-1"].lacks() == "1 right answers, not 2; 0 near misses, not 3: []"
        assert judge(1)
        for number in (2, 3, 3):
            with pytest.raises(CheckFailed):
                judge(number)
        assert "2 near misses, not 3" in SAID["99-1"].lacks()
        with pytest.raises(CheckFailed):
            judge(4)
        assert SAID["99-1"].lacks() == ""
    finally:
        del SAID["99-1"]


@EACH
def test_hints_lead_on(id: str, one: Task) -> None:
    assert len(set(one.hints)) == 3
    for hint in one.hints:
        assert 20 < len(hint) < 400, hint
    # what to type stands in the last one at the earliest
    for line in filter(lambda line: line.strip(" )"), one.solution.splitlines()):
        assert line.strip() not in " ".join(one.hints[:2]), line


@EACH
def test_a_check_that_changes_the_mesh_says_so(id: str, one: Task) -> None:
    if id.startswith(CAPSTONE):
        return  # each wish is judged by faults, and the applications are put right after
    changes = changed_by(one.judge.__name__, id[:2])
    assert bool(changes) == bool(one.does), changes
    if "apply_anew" in changes:
        assert "applies them again" in one.does
    if one.does:
        assert one.does in task(id)._not_yet("", ()).explain()


CHANGES = {"apply", "delete", "scale", "restart", "control", "gate", "apply_anew"}


def changed_by(name: str, lesson: str) -> set[str]:
    """What a function calls of CHANGES, in the functions of its module as well."""
    module = module_of(lesson)
    assert module
    functions = {
        node.name: node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef)
    }

    def called(name: str, seen: set[str]) -> Iterator[str]:
        seen.add(name)
        for node in ast.walk(functions[name]):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Name):
                yield node.id
                if node.id in functions and node.id not in seen:
                    yield from called(node.id, seen)

    return set(called(name, set())) & CHANGES

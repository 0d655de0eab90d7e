"""The exercises of the lessons, by id. Those of a lesson are the `TASKS` of its module,
`exercises/lesson_NN`; a notebook shows the question only.

    task = task("03-1")          # in a lesson
    task.check(mesh)
    NOT YET  exercise 03-1

A test compares each solution with the cell tagged `solution` of its lesson, which CI runs.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from labkit.errors import LessonError
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.exercises import Exercise


@dataclass(frozen=True)
class Task:
    """What an Exercise is made of; made only when a lesson asks, as making one notes that the
    learner has met it. `prepare` makes the mesh that it begins with, and `does` says what the check
    does to the mesh besides sending requests.
    """

    prompt: str
    judge: Callable[..., Verdict | bool]
    hints: tuple[str, str, str]
    solution: str
    prepare: Callable[..., object] | None = None
    does: str = ""


def task(id: str) -> Exercise:
    """The exercise with this id.

    >>> task("03-1").hint()
    Hint 1 of 3: …
    """
    lesson, _, number = str(id).strip().replace("_", "-").replace(".", "-").partition("-")
    there = tasks_of(lesson)
    if id not in there:
        near = f"{lesson.zfill(2)}-{number.lstrip('0')}"  # "3-1", "03_1" and "03-01" mean 03-1
        there = there or tasks_of(lesson.zfill(2))
        example = near if near in there else next(iter(there), "03-1")
        raise LessonError(
            f"There is no exercise {id!r}",
            seen=f"there: {', '.join(there) or 'none of that lesson'}",
            try_next=f'task("{example}")',
        )
    found = there[id]
    return Exercise(
        id, found.prompt, found.judge, found.hints, found.solution, found.prepare, found.does
    )


def tasks_of(lesson: str) -> dict[str, Task]:
    """The exercises of a lesson ("03") by id; {} when there is no such lesson."""
    module = module_of(lesson)
    return dict(module.TASKS) if module else {}


def module_of(lesson: str) -> ModuleType | None:
    """The module with the exercises of a lesson; None when there is no such lesson."""
    name = f"labkit.lessons.content.exercises.lesson_{lesson}"
    if not lesson.isdigit() or importlib.util.find_spec(name) is None:
        return None
    return importlib.import_module(name)

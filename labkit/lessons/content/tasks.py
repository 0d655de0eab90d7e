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

from labkit.errors import LessonError
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.exercises import Exercise


@dataclass(frozen=True)
class Task:
    """What an Exercise is made of; made only when a lesson asks, as making one notes that the
    learner has met it.
    """

    prompt: str
    judge: Callable[..., Verdict | bool]
    hints: tuple[str, str, str]
    solution: str


def task(id: str) -> Exercise:
    """The exercise with this id.

    >>> task("03-1").hint()
    Hint 1 of 3: …
    """
    there = tasks_of(id[:2])
    if id not in there:
        raise LessonError(
            f"There is no exercise {id!r}",
            seen=f"there: {', '.join(there) or 'none of that lesson'}",
        )
    found = there[id]
    return Exercise(id, found.prompt, found.judge, found.hints, found.solution)


def tasks_of(lesson: str) -> dict[str, Task]:
    """The exercises of a lesson ("03") by id; {} when there is no such lesson."""
    name = f"labkit.lessons.content.exercises.lesson_{lesson}"
    if not lesson.isdigit() or importlib.util.find_spec(name) is None:
        return {}
    return dict(importlib.import_module(name).TASKS)

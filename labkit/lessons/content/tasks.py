"""The exercises of the lessons, by id (those of later lessons are in `lesson_NN`). A notebook shows
the question only.

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
from typing import Any

from labkit.errors import LessonError
from labkit.lessons.checks import check
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
    """The exercises of a lesson ("03"): here for the first lessons, in
    `lesson_NN` for the others.
    """
    own = {id: found for id, found in TASKS.items() if id.startswith(lesson)}
    name = f"labkit.lessons.content.lesson_{lesson}"
    if not own and lesson.isdigit() and importlib.util.find_spec(name):
        own = importlib.import_module(name).TASKS
    return own


def listeners(answer: Any, mesh: Any) -> Verdict:
    """What the gateway counts now: one on the embedded mesh; on a cluster there are a few of
    Istio's own besides.
    """
    counted = mesh.stats("gateway", "total_listeners_active")["value"]
    return check.equal(answer, int(counted.iloc[0]), "the number of listeners")


def has_sidecars(mesh: Any) -> Verdict:
    pods = mesh.pods("hello-world-v2")
    return check.equal({pod.ready for pod in pods}, {"2/2"}, "the pod of v2 has its sidecar: 2/2")


def takes_turns(mesh: Any) -> Verdict:
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
    "02-1": Task(
        prompt="Give the pod of v2 its sidecar.",
        judge=has_sidecars,
        hints=(
            "A sidecar is added when a pod is made, so the pod must be made anew.",
            "A Deployment makes new pods when it is restarted.",
            "On a cluster: kubectl rollout restart deployment hello-world-v2. Here: "
            "mesh.restart(…)",
        ),
        solution="mesh.restart('hello-world-v2')",
    ),
    "03-1": Task(
        prompt="Make the pods take turns again.",
        judge=takes_turns,
        hints=(
            "Which of the three balancers of this lesson has the pods take turns?",
            "The rule must have the same name as the one that is there, so that it takes its "
            "place.",
            "There is a manifest for it: 03_load_balancing/round-robin.yaml",
        ),
        solution="mesh.apply(manifest('03_load_balancing/round-robin.yaml'))",
    ),
}

"""The exercises of the capstone: one for each wish of the shop's owner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content import capstone
from labkit.lessons.content.tasks import Task

SIDECARS = """mesh.apply(manifest("12_capstone/solution/namespace.yaml"))
for deployment in sorted({pod.workload for pod in mesh.pods(namespace="shop")}):
    mesh.restart(deployment, namespace="shop", wait=False)
mesh.wait_for(
    lambda: all(pod.ready == "2/2" for pod in mesh.pods(namespace="shop")),
    "new pods",
    timeout_s=120,
)"""
"""Pods get a sidecar when they are created, so the label alone is not enough."""


def judge_of(number: int) -> Callable[[Any], Verdict]:
    return lambda mesh: capstone.judge(mesh, number)


def solution_of(number: int, file: str) -> str:
    return SIDECARS if number == 1 else f'mesh.apply(manifest("12_capstone/solution/{file}"))'


TASKS = {
    f"12-{number}": Task(
        prompt=f"Wanted: {wish.text}.",
        judge=judge_of(number),
        hints=wish.hints,
        solution=solution_of(number, wish.file),
    )
    for number, wish in enumerate(capstone.WISHES, 1)
}

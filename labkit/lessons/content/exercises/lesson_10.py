"""The exercise of lesson 10: a slow pod, and callers who don't notice."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
SLOW_MS = 2500.0
"""What the lesson's slow pod takes."""
PATIENCE_MS = 1500.0
"""What a caller may wait: far from one try that is cut short (200 ms in the solution), and from the
slow pod.
"""
TRIES = 2


def spares_callers(mesh: Mesh) -> Verdict:
    """With one slow pod all callers are served in time; with slow pods only, a request costs two
    tries and no more.
    """
    slow = [state["pod"] for state in _states(mesh) if state["delay_ms"]]
    check.equal(len(slow), 1, "one pod is slow, as the lesson made it")
    before = _received(mesh)
    result = mesh.curl(URL, n=6)
    check.all_ok(result)
    # nobody is spared by a rule that leaves the slow pod out: it must have been tried, and given up
    check.that(_received(mesh, slow[0]) > 0, "the slow pod was tried")
    check.took_at_most(result, PATIENCE_MS)
    names = [state["pod"] for state in _states(mesh)]
    check.that(_received(mesh) > before + 6, "some requests were tried twice")
    for name in names:
        mesh.control(name, delay_ms=SLOW_MS)
    before = _received(mesh)
    try:
        mesh.curl(URL)
        tries = _received(mesh) - before
    finally:
        for name in names:
            mesh.control(name, delay_ms=SLOW_MS if name in slow else 0)
    return check.equal(tries, TRIES, "a request takes at most two attempts")


def _states(mesh: Mesh) -> list[Mapping[Hashable, Any]]:
    return list(mesh.states("hello-world").to_dict("records"))


def _received(mesh: Mesh, pod: str = "") -> int:
    return sum(int(state["received"]) for state in _states(mesh) if pod in ("", state["pod"]))


TASKS = {
    "10-1": Task(
        prompt="Every caller gets a 200 within 1.5 s, although one pod takes 2.5 s. A request "
        "may take two attempts.",
        judge=spares_callers,
        hints=(
            "A timeout alone turns the slow answers into errors. What helps is a second attempt, "
            "at another pod.",
            "One attempt must be cut off early enough: perTryTimeout is under retries, next to "
            "attempts.",
            "attempts counts the retries, so two attempts in total are attempts: 1. retryOn: 5xx "
            "covers an attempt that timed out.",
        ),
        solution='mesh.apply(manifest("10_resilience/slow-pod.yaml"))',
    ),
}

"""The judge of exercise 07-1 on a real mesh: the solution passes, rules that are nearly right do
not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import NotReady
from labkit.lessons import CheckFailed
from labkit.lessons.content.exercises.lesson_07 import TASKS, three_and_two
from labkit.mesh import Mesh
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, rule

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        mesh.scale("hello-world-v2", 0)
        mesh.scale("hello-world-v1", 1)
        yield mesh


def test_the_solution(mesh: Mesh) -> None:
    exec(TASKS["07-1"].solution, {"mesh": mesh})
    assert three_and_two(mesh)
    assert three_and_two(mesh), "asked again, on a pool that is warm"


@pytest.mark.parametrize(
    ("connections", "pending"),
    [(2, 3), (4, 1), (3, 1), (3, 3), (2, 2), (3, None)],
)
def test_near_misses(mesh: Mesh, connections: int, pending: int | None) -> None:
    http = "" if pending is None else f", http: {{http1MaxPendingRequests: {pending}}}"
    mesh.apply(rule(f"{{connectionPool: {{tcp: {{maxConnections: {connections}}}{http}}}}}"))
    with pytest.raises((CheckFailed, NotReady)):
        three_and_two(mesh)


def test_without_a_rule(mesh: Mesh) -> None:
    mesh.delete("DestinationRule", "hello-world-dr")
    with pytest.raises(CheckFailed):
        three_and_two(mesh)


def test_another_number_of_pods(mesh: Mesh) -> None:
    mesh.scale("hello-world-v1", 2)
    with pytest.raises(CheckFailed, match="one pod"):
        three_and_two(mesh)

"""The judges of lesson 7's exercises on a real mesh: right answers pass, near misses do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import NotReady
from labkit.lessons import CheckFailed
from labkit.lessons.content.exercises.lesson_07 import (
    TASKS,
    nobody_refused,
    protects_and_serves,
    refuses_for_nothing,
    three_and_two,
)
from labkit.lessons.files import manifest
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


TURNS = "loadBalancer: {simple: ROUND_ROBIN}"


def test_the_solution(mesh: Mesh) -> None:
    exec(TASKS["07-1"].solution, {"mesh": mesh})
    assert three_and_two(mesh)
    assert three_and_two(mesh), "asked again, on a pool that is warm"
    limits = "tcp: {maxConnections: 3}, http: {http1MaxPendingRequests: 2, maxRetries: 1}"
    mesh.apply(rule(f"{{connectionPool: {{{limits}}}, {TURNS}}}"))
    assert three_and_two(mesh), "with other policies beside the two limits"


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


def pool(connections: int | None, http: str = "") -> str:
    tcp = "" if connections is None else f"tcp: {{maxConnections: {connections}}}, "
    return rule(f"{{connectionPool: {{{tcp}http: {{{http}}}}}}}")


def test_they_wait_and_none_is_refused(mesh: Mesh) -> None:
    exec(TASKS["07-2"].solution, {"mesh": mesh, "manifest": manifest})
    assert nobody_refused(mesh)
    mesh.apply(pool(2, "http1MaxPendingRequests: 8"))
    assert nobody_refused(mesh), "eight places are enough for eight"
    mesh.apply(pool(2, "http1MaxPendingRequests: 7"))
    with pytest.raises(CheckFailed, match="1 were refused: of the 8 that wait, at most 7 may"):
        nobody_refused(mesh)
    mesh.apply(pool(3))
    with pytest.raises(CheckFailed, match="3 are in progress"):
        nobody_refused(mesh)
    mesh.apply(pool(1, "http1MaxPendingRequests: 9"))
    with pytest.raises(NotReady):
        nobody_refused(mesh)


def test_refused_for_nothing(mesh: Mesh) -> None:
    def refused(said: str) -> None:
        with pytest.raises(CheckFailed, match=said):
            protects_and_serves(mesh)

    refuses_for_nothing(mesh)
    refused("of only four callers were refused. maxRequestsPerConnection: 1 opens")
    mesh.apply(pool(8, "http1MaxPendingRequests: 1, maxRequestsPerConnection: 1"))
    refused("of only four callers were refused. maxRequestsPerConnection: 1 opens")
    mesh.delete("DestinationRule", "hello-world-dr")
    refused("of 30 at once 30 were in progress: no rule limits")
    mesh.apply(pool(9))
    refused("of 30 at once 9 were in progress")
    mesh.apply(pool(8))
    assert protects_and_serves(mesh), "who waits is not refused"
    exec(TASKS["07-3"].solution, {"mesh": mesh})
    assert protects_and_serves(mesh)


def test_another_number_of_pods(mesh: Mesh) -> None:
    mesh.scale("hello-world-v1", 2)
    with pytest.raises(CheckFailed, match="one pod"):
        three_and_two(mesh)

"""The judge of exercise 06-1 on a real mesh: the solution passes, rules that are nearly right do
not.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed
from labkit.lessons.content.exercises.lesson_06 import TASKS, one_of_three_leaves
from labkit.lessons.files import manifest
from labkit.mesh import Mesh
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, rule

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        mesh.scale("hello-world-v2", 0)
        mesh.scale("hello-world-v1", 3)
        yield mesh


def outlier(errors: int, percent: int | None) -> str:
    share = "" if percent is None else f", maxEjectionPercent: {percent}"
    return rule(
        f"{{outlierDetection: {{consecutive5xxErrors: {errors}, baseEjectionTime: 30s{share}}}}}"
    )


def test_the_solution(mesh: Mesh) -> None:
    exec(TASKS["06-1"].solution, {"mesh": mesh, "manifest": manifest})
    assert one_of_three_leaves(mesh)
    assert one_of_three_leaves(mesh), "asked again, with one pod out already"
    assert set(mesh.curl("http://test.example.com/", n=20).codes) == {200}, (
        "the pods are as they were"
    )


@pytest.mark.parametrize(
    ("errors", "percent", "words"),
    [
        (2, 34, "Seen was 2, where 3 is right"),
        (4, 34, "Seen was 4, where 3 is right"),
        (3, 33, "no pod had left: one of 3 pods is 33.3 %, and 33 % allows none"),
        (3, 67, "2 of 3 pods are ejected"),
        (3, 100, "of 3 pods are ejected"),
        (3, None, "no pod had left: one of 3 pods is 33.3 %, and 10 % allows none"),
    ],
    ids=["two errors", "four errors", "33 %", "67 %", "100 %", "default"],
)
def test_near_misses(mesh: Mesh, errors: int, percent: int | None, words: str) -> None:
    mesh.apply(outlier(errors, percent))
    with pytest.raises(CheckFailed, match=words):
        one_of_three_leaves(mesh)


def test_without_a_rule(mesh: Mesh) -> None:
    mesh.delete("DestinationRule", "hello-world-dr")
    with pytest.raises(CheckFailed, match="no rule in effect has outlierDetection"):
        one_of_three_leaves(mesh)

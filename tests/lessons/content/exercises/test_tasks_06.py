"""The judges of lesson 6's exercises on a real mesh: right answers pass, near misses do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed
from labkit.lessons.content.exercises.lesson_06 import (
    TASKS,
    callers_are_spared,
    mostly_fails,
    one_of_three_leaves,
    turns_and_leaves,
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
    mesh.apply(outlier(3, 50))
    assert one_of_three_leaves(mesh), "half of three pods is one as well"


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


TURNS = "loadBalancer: {simple: ROUND_ROBIN}"
OUT = "outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 34, baseEjectionTime: 30s}"


def test_one_rule_with_both(mesh: Mesh) -> None:
    exec(TASKS["06-2"].solution, {"mesh": mesh})
    assert turns_and_leaves(mesh)
    mesh.apply(rule(f"{{{OUT}, {TURNS}}}"))
    assert turns_and_leaves(mesh)


def test_one_of_two_wishes_is_not_both(mesh: Mesh) -> None:
    mesh.apply(rule(f"{{{OUT}}}"))
    with pytest.raises(CheckFailed, match="no turns"):
        turns_and_leaves(mesh)
    mesh.apply(rule(f"{{{TURNS}}}", name="turns-dr"))
    with pytest.raises(CheckFailed, match="2 rules for the host, hello-world-dr, turns-dr"):
        turns_and_leaves(mesh)
    mesh.delete("DestinationRule", "turns-dr")
    mesh.apply(rule(f"{{{TURNS}}}"))
    with pytest.raises(CheckFailed, match="no rule in effect has outlierDetection"):
        turns_and_leaves(mesh)


def in_a_row(errors: int, percent: int) -> str:
    return rule(
        f"{{outlierDetection: {{consecutive5xxErrors: {errors}, maxEjectionPercent: {percent}, "
        "interval: 1s, baseEjectionTime: 60s}}"
    )


def test_a_pod_that_answers_well_now_and_then(mesh: Mesh) -> None:
    def refused(said: str) -> None:
        with pytest.raises(CheckFailed, match=said):
            callers_are_spared(mesh)

    mostly_fails(mesh)
    refused("never gives 7 errors in a row: after 3 it answers well once")
    mesh.apply(in_a_row(3, 33))
    refused("kept: maxEjectionPercent is 33")
    mesh.apply(in_a_row(3, 50))
    assert callers_are_spared(mesh)
    exec(TASKS["06-3"].solution, {"mesh": mesh})
    assert callers_are_spared(mesh)
    mesh.delete("DestinationRule", "hello-world-dr")
    refused("Without a rule no pod ever leaves")
    mesh.apply(rule(f"{{{TURNS}}}"), in_a_row(3, 50).replace("hello-world-dr", "out-dr"))
    refused("two rules for the host, and the policy of `hello-world-dr` counts")
    mesh.delete("DestinationRule", "out-dr")
    mesh.restart("hello-world-v1")
    assert callers_are_spared(mesh), "new pods are well"

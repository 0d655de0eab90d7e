"""The judges of lesson 3's exercises on a real mesh: right answers pass, near misses are refused by
name.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest
from labkit.lessons.content.exercises.lesson_03 import (
    TASKS,
    equal_versions,
    few_wait,
    in_turns,
    one_slow_pod,
    takes_turns,
)
from labkit.lessons.content.rules import forget_rules
from labkit.mesh import Mesh
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, rule

RANDOM, TURNS, LEAST = (
    f"{{loadBalancer: {{simple: {name}}}}}" for name in ("RANDOM", "ROUND_ROBIN", "LEAST_REQUEST")
)


def test_in_turns() -> None:
    assert in_turns(list("abcabcab"), 3)
    assert not in_turns(list("abcabac"), 3)
    assert not in_turns(list("ab"), 3)


@pytest.fixture(scope="module")
def one_mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE, rule(TURNS))
        yield mesh


@pytest.fixture
def mesh(one_mesh: Mesh) -> Mesh:
    """As the lesson has it: two pods of v1, one of v2, all well."""
    one_mesh.scale("hello-world-v1", 2)
    one_mesh.scale("hello-world-v2", 1)
    one_mesh.control("hello-world", reset=True)
    return one_mesh


@pytest.mark.embedded
def test_turns(mesh: Mesh) -> None:
    def refused(said: str) -> None:
        with pytest.raises(CheckFailed, match=said):
            takes_turns(mesh)

    forget_rules(mesh)
    refused("No rule says how")
    mesh.apply(rule(LEAST))
    refused("The policy in effect is LEAST_REQUEST")
    mesh.apply(rule(TURNS, name="turns-dr"))
    refused("2 rules for the host, and the policy of hello-world-dr counts")
    mesh.delete("DestinationRule", "hello-world-dr")
    assert takes_turns(mesh), "a rule of any name, alone"
    mesh.delete("DestinationRule", "turns-dr")
    mesh.apply(rule(RANDOM))
    refused("The policy in effect is RANDOM")
    exec(TASKS["03-1"].solution, {"mesh": mesh, "manifest": manifest})
    assert takes_turns(mesh)


@pytest.mark.embedded
def test_equal_versions(mesh: Mesh) -> None:
    mesh.apply(rule(TURNS))
    with pytest.raises(CheckFailed, match=r"2 of them are v1, 1 v2\. A policy deals to pods"):
        equal_versions(mesh)
    exec(TASKS["03-2"].solution, {"mesh": mesh})
    assert equal_versions(mesh)
    mesh.apply(rule(RANDOM))
    with pytest.raises(CheckFailed, match="drawn and not dealt in turns"):
        equal_versions(mesh)
    mesh.scale("hello-world-v1", 0)
    with pytest.raises(CheckFailed, match="v1 has no pod"):
        equal_versions(mesh)
    mesh.scale("hello-world-v1", 2)
    mesh.scale("hello-world-v2", 2)
    mesh.apply(rule(TURNS))
    assert equal_versions(mesh), "two pods for each are as good as one for each"


@pytest.mark.embedded
def test_a_slow_pod(mesh: Mesh) -> None:
    one_slow_pod(mesh)
    with pytest.raises(CheckFailed, match="In turns each pod gets as many"):
        few_wait(mesh)
    mesh.apply(rule(RANDOM))
    with pytest.raises(CheckFailed, match="RANDOM does not look"):
        few_wait(mesh)
    exec(TASKS["03-3"].solution, {"mesh": mesh, "manifest": manifest})
    assert few_wait(mesh)
    mesh.delete("DestinationRule", "hello-world-dr")
    assert few_wait(mesh), "the default is as good as LEAST_REQUEST written down"
    mesh.apply(rule(TURNS))
    mesh.scale("hello-world-v2", 2)
    with pytest.raises(CheckFailed, match="More pods make it rarer"):
        few_wait(mesh)
    mesh.restart("hello-world-v1")
    assert few_wait(mesh), "new pods are not slow"
    mesh.scale("hello-world-v1", 0)
    with pytest.raises(CheckFailed, match="v1 answers no user"):
        few_wait(mesh)

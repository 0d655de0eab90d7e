"""Random valid policies on a mesh that runs: no Envoy refuses one, or the linter had said so.

A few in an ordinary run, the same each time. `LABKIT_LONG=1` applies 500, drawn anew; a failure
tells the number, and `LABKIT_SEED` starts at that number.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import labkit
from labkit.errors import ConfigRejected, UnsupportedError
from labkit.mesh import Mesh
from labkit.resources import Resource, load
from labkit.resources.istio import ROOT_NAMESPACE
from labkit.resources.lint import lint
from tests.trust import LONG

from .draw import Draw
from .rulesets import World, policies

pytestmark = pytest.mark.embedded

COUNT = int(os.environ.get("LABKIT_POLICIES", "500" if LONG else "15"))
FIRST = int(os.environ.get("LABKIT_SEED", secrets.randbelow(2**40) if LONG else 0))
TOLD = {"LAB10", "LAB12", "LAB13"}
"""Codes that say that an Envoy will refuse it."""
MANIFESTS = Path(__file__).parents[2] / "manifests"
BASE = load(MANIFESTS / "hello-world.yaml", MANIFESTS / "client.yaml")


HOMES = ["hello-world", "hello-world", ROOT_NAMESPACE]


def bodies(kind: str) -> list[Any]:
    return [each.body for each in BASE if each.kind == kind]


def rules_of(number: int) -> list[Resource]:
    """Rules that somebody could write for the course's Services."""
    world = World(["hello-world"], bodies("Service"), bodies("Deployment"))
    return load(policies(Draw(number), world, HOMES))


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(*BASE)
        yield mesh


@pytest.mark.timeout(1800 if LONG else 120)
def test_no_envoy_refuses_a_policy_unless_the_linter_says_so(
    mesh: Mesh, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"\n{COUNT} policies, LABKIT_SEED={FIRST}", flush=True)
    wrong, told, in_force = [], 0, 0
    for number in range(FIRST, FIRST + COUNT):
        rules = rules_of(number)
        try:
            mesh.apply(*rules)
        except UnsupportedError:
            continue
        except ConfigRejected as error:
            if TOLD & set(lint(rules, context=BASE).codes):
                told += 1
            else:
                wrong.append(f"LABKIT_SEED={number}: {error}")
        else:
            in_force += 1
            mesh.delete([each.body for each in rules])
    assert not wrong, f"{len(wrong)} of {COUNT}:\n" + "\n".join(wrong[:5])
    assert in_force > COUNT * 0.8
    assert told or COUNT < 500  # such policies are among them, and Envoy did refuse them

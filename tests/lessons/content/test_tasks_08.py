"""The judge of lesson 8's exercise passes on its solution, and on no match that takes too much or
too little.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_08 import leads_beta_to_v2
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded

LESSON = "08_subsets_and_rewrite"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        gateway = manifest("04_gateway_and_virtual_service/gateway.yaml")
        # what is in force where the exercise stands
        mesh.apply(manifest("hello-world.yaml"), gateway, manifest(f"{LESSON}/policies.yaml"))
        yield mesh


def test_the_solution(mesh: Mesh) -> None:
    mesh.apply(manifest(f"{LESSON}/beta.yaml"))
    assert leads_beta_to_v2(mesh)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prefix", "/v2", "/beta"),
        ("exact-and-prefix", "/v2", "/v2"),
        ("beta", "        - uri:\n            exact: /beta\n", ""),
        ("beta", "        - uri:\n            prefix: /beta/\n", ""),
        ("beta", "prefix: /beta/", "prefix: /beta"),
        ("beta", "      rewrite:\n        uri: /\n", ""),
        ("beta", "subset: v2", "subset: v1"),
        ("beta", "            subset: v1\n", ""),
        ("beta", "            subset: v2\n", ""),
    ],
    ids=[
        "prefix alone",
        "unchanged",
        "no exact path",
        "no prefix",
        "prefix without a slash",
        "no rewrite",
        "v1 for both",
        "no subset for the rest",
        "no subset for beta",
    ],
)
def test_near_misses(mesh: Mesh, file: str, old: str, new: str) -> None:
    text = show(f"{LESSON}/{file}.yaml")
    assert old in text
    mesh.apply(text.replace(old, new))
    with pytest.raises(CheckFailed):
        leads_beta_to_v2(mesh)

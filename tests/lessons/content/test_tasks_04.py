"""The judge of lesson 4's exercise passes on its solution, and on nothing that is only nearly
right.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_04 import lets_in_two_hosts
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded

LESSON = "04_gateway_and_virtual_service"
BOTH = (f"{LESSON}/gateway.yaml", f"{LESSON}/virtual-service.yaml")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(manifest("hello-world.yaml"))
        yield mesh


def test_the_solution(mesh: Mesh) -> None:
    mesh.apply(manifest(f"{LESSON}/two-hosts.yaml"))
    assert lets_in_two_hosts(mesh)


def test_a_wildcard_for_all_names_is_too_wide(mesh: Mesh) -> None:
    mesh.apply(*(show(name).replace("test.example.com", '"*"') for name in BOTH))
    with pytest.raises(CheckFailed):
        lets_in_two_hosts(mesh)


def test_a_wildcard_for_the_domain_is_too_wide(mesh: Mesh) -> None:
    mesh.apply(*(show(name).replace("test.example.com", '"*.example.com"') for name in BOTH))
    with pytest.raises(CheckFailed):
        lets_in_two_hosts(mesh)


@pytest.mark.parametrize("wide", [0, 1], ids=["only the door", "only the signpost"])
def test_one_of_the_two_objects_is_not_enough(mesh: Mesh, wide: int) -> None:
    mesh.apply(manifest(f"{LESSON}/two-hosts.yaml"))
    mesh.apply(manifest(BOTH[1 - wide]))
    with pytest.raises(CheckFailed):
        lets_in_two_hosts(mesh)


def test_the_new_name_instead_of_the_old_one(mesh: Mesh) -> None:
    mesh.apply(*(show(name).replace("test.example.com", "shop.example.com") for name in BOTH))
    with pytest.raises(CheckFailed):
        lets_in_two_hosts(mesh)

"""The judge of lesson 5's exercise passes on its solution, and on no other kind of affinity."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_05 import keeps_users
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded

LESSON = "05_session_affinity"


@pytest.fixture(scope="module")
def one_mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(manifest("hello-world.yaml"))
        yield mesh


@pytest.fixture
def mesh(one_mesh: Mesh) -> Mesh:
    one_mesh.reset()
    way_in = [
        manifest(f"04_gateway_and_virtual_service/{name}.yaml")
        for name in ("gateway", "virtual-service")
    ]
    # what is in force where the exercise stands
    one_mesh.apply(*way_in, manifest(f"{LESSON}/forwarded-for.yaml"))
    return one_mesh


def test_the_solution(mesh: Mesh) -> None:
    mesh.apply(manifest(f"{LESSON}/user-header.yaml"))
    assert keeps_users(mesh)


@pytest.mark.parametrize("other", ["cookie", "query-parameter"])
def test_a_key_that_is_missing_is_no_affinity(mesh: Mesh, other: str) -> None:
    mesh.apply(manifest(f"{LESSON}/{other}.yaml"))
    with pytest.raises(CheckFailed, match="same pod"):
        keeps_users(mesh)


@pytest.mark.parametrize("other", ["forwarded-for", "source-address"])
def test_a_key_that_all_users_share_is_not_theirs(mesh: Mesh, other: str) -> None:
    mesh.apply(manifest(f"{LESSON}/{other}.yaml"))
    with pytest.raises(CheckFailed, match="spread"):
        keeps_users(mesh)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("x-user", "x-usr", "same pod"),
        ("name: hello-world-dr", "name: hello-world-users", "spread"),
    ],
    ids=["header misspelt", "second rule"],
)
def test_a_slip(mesh: Mesh, old: str, new: str, said: str) -> None:
    mesh.apply(show(f"{LESSON}/user-header.yaml").replace(old, new))
    with pytest.raises(CheckFailed, match=said):
        keeps_users(mesh)

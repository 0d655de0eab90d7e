"""The judges of lesson 5's exercises on a real mesh: right answers pass, near misses are refused by
name.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_05 import (
    TASKS,
    keeps_office,
    keeps_sessions,
    keeps_users,
    misspelt_beside_another,
    office_by_address,
    rule,
)
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
    mesh.delete("DestinationRule", "hello-world-dr")
    mesh.apply(
        rule("users-dr", "consistentHash: {httpHeaderName: x-user, maglev: {tableSize: 65537}}")
    )
    assert keeps_users(mesh), "a rule of any name, with a table in place of a ring"


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


def by(header: str) -> str:
    return f"consistentHash: {{httpHeaderName: {header}}}"


class TestTwoThingsAreWrong:
    @pytest.fixture(autouse=True)
    def prepared(self, mesh: Mesh) -> None:
        misspelt_beside_another(mesh)

    def test_the_solution(self, mesh: Mesh) -> None:
        exec(TASKS["05-2"].solution, {"mesh": mesh})
        assert keeps_sessions(mesh)

    def test_another_answer(self, mesh: Mesh) -> None:
        """The older rule may be given the key as well: the other one is then without effect."""
        mesh.apply(rule("hello-world-dr", by("x-session")))
        assert keeps_sessions(mesh)

    def test_near_misses(self, mesh: Mesh) -> None:
        def refused(said: str) -> None:
            with pytest.raises(CheckFailed, match=said):
                keeps_sessions(mesh)

        two = "two rules for the host, `hello-world-dr` and `sessions-dr`"
        refused(two)
        mesh.apply(rule("sessions-dr", by("x-session")))
        refused(two)
        mesh.delete("DestinationRule", "hello-world-dr")
        assert keeps_sessions(mesh), "now both are mended"
        mesh.apply(rule("sessions-dr", by("x-sesion")))
        refused("the header `x-sesion`, and no request carries that")
        mesh.apply(rule("sessions-dr", by("x-forwarded-for")))
        refused("all have the same pod: the key is the header `x-forwarded-for`")
        mesh.delete("DestinationRule", "sessions-dr")
        refused("No rule asks for affinity")


class TestAnOffice:
    @pytest.fixture(autouse=True)
    def prepared(self, mesh: Mesh) -> None:
        office_by_address(mesh)

    @pytest.mark.parametrize("key", ["cookie", "query-parameter", "user-header"])
    def test_answers(self, mesh: Mesh, key: str) -> None:
        mesh.apply(manifest(f"{LESSON}/{key}.yaml"))
        assert keeps_office(mesh)

    def test_near_misses(self, mesh: Mesh) -> None:
        def refused(said: str) -> None:
            with pytest.raises(CheckFailed, match=said):
                keeps_office(mesh)

        refused("all have the same pod: the key is the header `x-forwarded-for`")
        mesh.apply(manifest(f"{LESSON}/source-address.yaml"))
        refused("all have the same pod: the key is the caller's address")
        mesh.apply(rule("hello-world-dr", "simple: RANDOM"))
        refused("Nothing ties them to one")
        mesh.apply(rule("users-dr", by("x-user")))
        refused("two rules for the host, `hello-world-dr` and `users-dr`")
        mesh.delete("DestinationRule", "hello-world-dr")
        assert keeps_office(mesh)
        mesh.apply(rule("users-dr", by("x-usr")))
        refused("`x-usr`, and no request carries that")

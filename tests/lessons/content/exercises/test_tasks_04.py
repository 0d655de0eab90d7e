"""The judges of lesson 4's exercises pass on right answers, and on nothing that is nearly right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_04 import (
    TASKS,
    another_door,
    lets_in_partners,
    lets_in_two_hosts,
    www_leads_in,
)
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
    apart(mesh, "test.example.com", "shop.example.com")
    assert lets_in_two_hosts(mesh), "a signpost for each name"
    mesh.delete("VirtualService", "second-vs")


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


def test_partners(mesh: Mesh) -> None:
    def refused(said: str, *names: str, hosts: str) -> None:
        mesh.apply(*(manifest(name) for name in BOTH))
        mesh.apply(*(flow(name, f"[{hosts}]") for name in names))
        with pytest.raises(CheckFailed, match=said):
            lets_in_partners(mesh)

    below = '"*.partner.example.org"'
    right = f"test.example.com, {below}"
    door, sign = BOTH
    refused(r"gets 404, 404\. the door .* does not name it", sign, hosts=right)
    refused(r"the signpost .* does not name it", door, hosts=right)
    refused(r"test.example.net gets in too", door, sign, hosts='"*"')
    wide = 'test.example.com, "*.example.org"'
    refused(r"seen: partner.example.org gets in too", door, sign, hosts=wide)
    refused(r"test.example.com is shut out", *BOTH, hosts=below)
    one = "test.example.com, a.partner.example.org"
    refused(r"b.partner.example.org gets 404", *BOTH, hosts=one)
    exec(TASKS["04-2"].solution, {"mesh": mesh, "manifest": manifest})
    assert lets_in_partners(mesh)
    apart(mesh, "test.example.com", below)
    assert lets_in_partners(mesh), "a signpost for each"
    mesh.delete("VirtualService", "second-vs")


def apart(mesh: Mesh, first: str, second: str) -> None:
    """A door for both names, and a signpost for each."""
    door, sign = BOTH
    mesh.apply(flow(door, f"[{first}, {second}]"), flow(sign, f"[{first}]"))
    mesh.apply(flow(sign, f"[{second}]").replace("name: hello-world-vs", "name: second-vs"))


def flow(name: str, hosts: str) -> str:
    """A manifest of the lesson with other hosts."""
    kept = [line for line in show(name).splitlines() if line.strip() != "- test.example.com"]
    return "\n".join(line.replace("hosts:", f"hosts: {hosts}") for line in kept)


def test_a_signpost_at_another_door(mesh: Mesh) -> None:
    def refused(said: str) -> None:
        with pytest.raises(CheckFailed, match=said):
            www_leads_in(mesh)

    another_door(mesh)
    refused(
        "www.example.com gets 404: door and signpost name it, but the signpost hangs at another"
    )
    mesh.apply(show(BOTH[0]).replace("test.example.com", '"*"'))
    refused("another door")
    exec(TASKS["04-3"].solution, {"mesh": mesh, "manifest": manifest})
    assert www_leads_in(mesh)
    mesh.delete("VirtualService", "www-vs")
    refused("the signpost .* does not name it")
    mesh.apply(*(show(name).replace("test.example.com", '"*"') for name in BOTH))
    refused("other.example.com, example.org gets in too")
    another_door(mesh)
    mesh.apply(flow(BOTH[1], "[test.example.com, www.example.com]"))
    assert www_leads_in(mesh), "one signpost may name both"
    mesh.apply(manifest(BOTH[0]))
    refused("the door .* does not name it")

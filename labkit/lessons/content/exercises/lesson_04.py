"""The exercise of lesson 4: a second host name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

INVITED = ("test.example.com", "shop.example.com")
STRANGERS = ("other.example.com", "example.org")


def lets_in_two_hosts(mesh: Mesh) -> Verdict:
    """Both names lead to the Service, and a name that nobody asked for does not: a "*" would be too
    wide.
    """
    seen = {host: next(iter(mesh.curl(f"http://{host}/").codes)) for host in (*INVITED, *STRANGERS)}
    wanted = dict.fromkeys(INVITED, 200) | dict.fromkeys(STRANGERS, 404)
    return check.equal(
        seen, wanted, "test.example.com and shop.example.com get in, other names do not"
    )


TASKS = {
    "04-1": Task(
        prompt="Make shop.example.com lead to hello-world as well as test.example.com, and no "
        "other name.",
        judge=lets_in_two_hosts,
        hints=(
            "Two objects have a list of hosts, and a request needs both: an open door, and a "
            "signpost with its name.",
            "Print both manifests with show(…), copy them, and add the second name to each list "
            "of hosts.",
            "mesh.apply also takes YAML as text: mesh.apply('''…'''). A file with the answer is "
            "04_gateway_and_virtual_service/two-hosts.yaml.",
        ),
        solution="mesh.apply(manifest('04_gateway_and_virtual_service/two-hosts.yaml'))",
    ),
}

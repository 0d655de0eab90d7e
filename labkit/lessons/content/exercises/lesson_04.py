"""The exercises of lesson 4: a second host name, names of a kind, a name that knocks in vain."""

from __future__ import annotations

from collections.abc import Iterable
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


PARTNERS = ("a.partner.example.org", "b.partner.example.org")
REFUSED = ("partner.example.org", "example.org", "test.example.net")


def lets_in_partners(mesh: Mesh) -> Verdict:
    """All names below one, the course's own as before, and no other."""
    claim = "test.example.com and all names below partner.example.org get in, and no other"
    seen = statuses(mesh, ("test.example.com", *PARTNERS, *REFUSED))
    outside = [host for host in REFUSED if seen[host] != 404]
    check.that(not outside, claim, seen=f"{', '.join(outside)} gets in too")
    check.that(seen["test.example.com"] == 200, claim, seen="test.example.com is shut out now")
    shut = [host for host in PARTNERS if seen[host] != 200]
    said = f"{', '.join(shut)} gets {', '.join(str(seen[host]) for host in shut)}"
    return check.that(not shut, claim, seen=f"{said}. {who_says_no(mesh, PARTNERS[0])}")


def statuses(mesh: Mesh, hosts: Iterable[str]) -> dict[str, int]:
    return {host: next(iter(mesh.curl(f"http://{host}/").codes)) for host in hosts}


def who_says_no(mesh: Mesh, host: str) -> str:
    """Which of the two objects does not name a host, in words."""
    lacking = [
        words
        for kind, words in BOTH.items()
        if not any(fits(host, h) for h in hosts_of(mesh, kind))
    ]
    return " and ".join(lacking) + (" does not name it" if lacking else "")


BOTH = {"Gateway": "the door (the Gateway)", "VirtualService": "the signpost (the VirtualService)"}


def hosts_of(mesh: Mesh, kind: str) -> list[str]:
    """The hosts of all Gateways, or of all VirtualServices."""
    found: list[str] = []
    for row in mesh.get(kind, namespace="hello-world"):
        spec = mesh.resource(kind, row["NAME"], namespace="hello-world").spec
        parts = spec.get("servers", []) if kind == "Gateway" else [spec]
        found += [str(host).rpartition("/")[2] for part in parts for host in part.get("hosts", [])]
    return found


def fits(host: str, pattern: str) -> bool:
    """Whether a host is meant by one that may begin with *."""
    return host.endswith(pattern[1:]) if pattern.startswith("*") else host == pattern


def another_door(mesh: Mesh) -> None:
    """The signpost for www.example.com belongs to a Gateway that is not there."""
    mesh.apply(
        DOOR,
        SIGN.format(name="hello-world-vs", host="test.example.com", door="hello-world-gateway"),
    )
    mesh.apply(SIGN.format(name="www-vs", host="www.example.com", door="www-gateway"))


DOOR = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: hello-world-gateway, namespace: hello-world}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [test.example.com, www.example.com]}
"""
SIGN = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: hello-world}}
spec:
  hosts: [{host}]
  gateways: [{door}]
  http: [{{route: [{{destination: {{host: hello-world, port: {{number: 80}}}}}}]}}]
"""


def www_leads_in(mesh: Mesh) -> Verdict:
    """Both names lead in and nobody else's does."""
    claim = "www.example.com leads in like test.example.com, and no other name does"
    seen = statuses(mesh, ("test.example.com", "www.example.com", *STRANGERS))
    wide = [host for host in STRANGERS if seen[host] != 404]
    check.that(not wide, claim, seen=f"{', '.join(wide)} gets in too: a * is too wide")
    check.that(seen["test.example.com"] == 200, claim, seen="test.example.com is shut out now")
    said = f"www.example.com gets {seen['www.example.com']}"
    if who_says_no(mesh, "www.example.com"):
        said += f": {who_says_no(mesh, 'www.example.com')}"
    else:
        said += ": door and signpost name it, but the signpost hangs at another door (`gateways`)"
    return check.that(seen["www.example.com"] == 200, claim, seen=said)


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
    "04-2": Task(
        prompt="Partners get names below partner.example.org, such as a.partner.example.org. All "
        "of these lead to hello-world, and so does test.example.com; partner.example.org itself "
        "and all others do not.",
        judge=lets_in_partners,
        hints=(
            "A host may begin with *. in place of a part of the name, in both objects.",
            "Is a single * not too wide? And which names does *.partner.example.org leave out?",
            'hosts: [test.example.com, "*.partner.example.org"], in the Gateway and in the '
            "VirtualService.",
        ),
        solution="mesh.apply(manifest('04_gateway_and_virtual_service/partners.yaml'))",
    ),
    "04-3": Task(
        prompt="“Our new name www.example.com gets 404. It is in the Gateway, it has a "
        "VirtualService, and kubectl accepted both.” Find out why, and mend it; other names still "
        "get 404.",
        judge=www_leads_in,
        prepare=another_door,
        hints=(
            "A request needs a door and a signpost. Read both VirtualServices: "
            "show(mesh.resource('VirtualService', 'www-vs')).",
            "At which Gateway does the signpost hang, and is that one there? mesh.get('Gateways')",
            "gateways: [hello-world-gateway] in www-vs; or www.example.com among the hosts of "
            "hello-world-vs.",
        ),
        solution="mesh.apply(manifest('04_gateway_and_virtual_service/www.yaml'))",
    ),
}

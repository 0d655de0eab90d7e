"""What `explain` says of a request is what a real Envoy does with it.

Some hundred requests in an ordinary run, the same each time; `LABKIT_LONG=1` sends 10,000 by rules
that are drawn anew. A failure tells the rule set's number, and `LABKIT_SEED` starts at that number.
"""

from __future__ import annotations

import http.client
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import labkit
from labkit.errors import ConfigRejected, NotFound, UnsupportedError
from labkit.explain.explaining import explain_at
from labkit.explain.explanation import Explanation
from labkit.explain.proxies import Proxy
from labkit.explain.request import CURL, wire
from labkit.mesh.embedded.mesh import EmbeddedMesh
from labkit.resources import Resource, load
from labkit.resources.istio import TRAFFIC_PORTS
from labkit.waiting import wait_until
from tests.generated.draw import Draw
from tests.trust import LONG

from .inputs import BASE, MANIFESTS, SERVICE, Asked, requests_for, rules_of

pytestmark = pytest.mark.embedded

REQUESTS = int(os.environ.get("LABKIT_REQUESTS", "10000" if LONG else "400"))
A_SET = 50
FIRST = int(os.environ.get("LABKIT_SEED", secrets.randbelow(2**40) if LONG else 0))


@dataclass
class Seen:
    """What came back, and what the Envoy's access log has of it."""

    status: int
    headers: dict[str, str]
    body: str
    entry: dict[str, Any]


@pytest.fixture(scope="module")
def mesh() -> Iterator[EmbeddedMesh]:
    with labkit.open_mesh("embedded") as mesh:
        assert isinstance(mesh, EmbeddedMesh)
        mesh.apply(*BASE)
        yield mesh


class Caller:
    """Sends requests, on one connection to each listener."""

    def __init__(self, mesh: EmbeddedMesh) -> None:
        self.mesh = mesh
        self.connections: dict[int, http.client.HTTPConnection] = {}

    def send(self, asked: Asked, lab: str) -> tuple[int, dict[str, str], str]:
        target, _ = self.mesh.target(asked.url, asked.source)
        connection = self.connections.get(target.port)
        if connection is None:
            connection = http.client.HTTPConnection(target.host, target.port, timeout=10)
            self.connections[target.port] = connection
        connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        fields = {"host": asked.host, **CURL, **asked.headers, "x-labkit-id": lab}
        for name, value in fields.items():
            connection.putheader(name, value.encode())
        connection.putheader("content-length", "0")
        connection.endheaders()
        with connection.getresponse() as answer:
            body = answer.read().decode("latin-1")
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def listens(mesh: EmbeddedMesh, asked: Asked) -> bool:
    if asked.to == "plain":
        return True
    port = asked.port if asked.source else TRAFFIC_PORTS[asked.port]
    return mesh._proxy(asked.source or "gateway").has_listener(f"0.0.0.0_{port}")


def test_a_mesh_explains_what_it_does(mesh: EmbeddedMesh) -> None:
    folder = MANIFESTS / "04_gateway_and_virtual_service"
    applied = [*load(folder / "gateway.yaml"), *load(folder / "virtual-service.yaml")]
    mesh.apply(*applied)
    found = mesh.explain("http://test.example.com/")
    assert set(found.outcome.clusters) == {f"outbound|80||{SERVICE}"}
    [virtual_host] = found.find("virtual host")
    assert virtual_host.places[0].line == 9
    assert mesh.explain("http://hello-world/x", source="client").outcome.kind == "routed"
    assert mesh.explain("http://other/", source="client").outcome.status == 502
    with pytest.raises(NotFound):
        mesh.explain("http://hello-world/", source="nobody")
    mesh.delete([each.body for each in applied])


@pytest.mark.timeout(3600 if LONG else 120)
def test_explain_says_what_envoy_does(
    mesh: EmbeddedMesh, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = compared(mesh, REQUESTS, capsys)
    rare = {"fault", "preflight"} if LONG else set()
    assert {"routed", "redirect", "direct response", "no route", *rare} <= kinds.keys()


@pytest.mark.timeout(3600 if LONG else 120)
def test_settings_of_the_mesh_count_too(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {
        "pathNormalization": {"normalization": "DECODE_AND_MERGE_SLASHES"},
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }
    with labkit.open_mesh("embedded", settings=settings) as mesh:
        assert isinstance(mesh, EmbeddedMesh)
        mesh.apply(*BASE)
        compared(mesh, REQUESTS // 4, capsys)


def compared(mesh: EmbeddedMesh, wanted: int, capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Compares so many requests, and counts the outcomes by kind."""
    wrong: list[str] = []
    kinds: Counter[str] = Counter()
    number, sent = FIRST, 0
    while sent < wanted:
        try:
            rules = rules_of(number)
            mesh.apply(*rules)
        except (ConfigRejected, UnsupportedError):
            number += 1
            continue
        for asked, explained, seen in answers(mesh, rules, number):
            said = difference(explained, seen)
            sent += seen is not None  # beside those that there was nobody to send to
            kinds[explained.outcome.kind] += 1
            if said:
                wrong.append(f"LABKIT_SEED={number}: {asked}: {said}\n{explained}")
        mesh.delete([each.body for each in rules])
        number += 1
    with capsys.disabled():
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        print(f"\n{sent} requests, {number - FIRST} rule sets from {FIRST}: {told}", flush=True)
    assert not wrong, f"{len(wrong)} of {sent}:\n" + "\n".join(wrong[:5])
    return kinds


def answers(
    mesh: EmbeddedMesh, rules: list[Resource], number: int
) -> Iterator[tuple[Asked, Explanation, Seen | None]]:
    """Sends requests, and says of each what was explained and what was seen (None: nobody
    listens).
    """
    registry = mesh._controller.registry()
    pod = next(p for p in registry.pods if p.name.startswith("client"))
    proxies = {None: Proxy(registry), "client": Proxy(registry, pod, passes_on=False)}
    caller = Caller(mesh)
    sent: dict[str, tuple[Asked, tuple[int, dict[str, str], str] | None]] = {}
    for index, asked in enumerate(requests_for(Draw(number), rules, A_SET)):
        lab = f"{number}-{index}"
        sent[lab] = (asked, caller.send(asked, lab) if listens(mesh, asked) else None)
    for connection in caller.connections.values():
        connection.close()
    entries: dict[str, dict[str, Any]] = {}
    for source in (None, "client"):
        labs = [lab for lab, (a, got) in sent.items() if a.source == source and got is not None]
        log = mesh._log(source)
        wait_until(
            lambda log=log, labs=labs: len(log.last_of(labs)) == len(labs),
            5,
            "the log",
            explain=lambda log=log, labs=labs: str(
                [sent[lab] for lab in labs if lab not in log.last_of(labs)][:3]
            ),
        )
        entries.update(log.last_of(labs))
    for lab, (asked, got) in sent.items():
        text = f"{asked.method} {asked.url}"
        explained = explain_at(proxies[asked.source], text, {"host": asked.host, **asked.headers})
        yield asked, explained, None if got is None else Seen(*got, entries[lab])


def difference(explained: Explanation, seen: Seen | None) -> str:
    """What was explained otherwise than it was seen; "" for nothing."""
    outcome = explained.outcome
    if seen is None or outcome.kind == "no listener":
        return "" if seen is None and outcome.kind == "no listener" else "who listens"
    route = seen.entry.get("route") or ""
    by_fault = seen.entry["details"] == "fault_filter_abort"
    if by_fault:
        fine = outcome.aborts > 0 and outcome.abort == seen.status and route == outcome.route
        return "" if fine else f"a fault, {seen}"
    if outcome.aborts == 1:
        return f"no fault, {seen}"
    if route != outcome.route:
        return f"the route is {route!r}, {seen}"
    if outcome.kind == "routed":
        return routed(explained, seen)
    if outcome.status != seen.status:
        return f"the status, {seen}"
    if outcome.kind == "redirect" and wire(outcome.location) != seen.headers.get("location"):
        return f"the location, {seen}"
    if outcome.body is not None and outcome.body != seen.body.encode("latin-1").decode():
        return f"the body, {seen}"
    return ""


def routed(explained: Explanation, seen: Seen) -> str:
    outcome, cluster = explained.outcome, seen.entry.get("cluster")
    if seen.entry["details"] != "via_upstream":
        # of a cluster that is not there, the log has no name
        fine = seen.status == 503 and (not cluster or cluster in outcome.unavailable)
        return "" if fine and outcome.unavailable else f"not by the application, {seen}"
    if cluster not in outcome.clusters or cluster in outcome.unavailable:
        return f"the cluster is {cluster}, {seen}"
    if not outcome.path.startswith("/"):  # the pod's own sidecar refuses it, and no log has a pod
        return "" if seen.status == 400 and not seen.entry["pod"] else f"not refused, {seen}"
    path = re.search(r"path (.*)", seen.body)
    if path is None or path[1] != outcome.path.partition("?")[0]:
        return f"the path, {seen}"
    return ""

"""The exercises of lesson 1: a count, a second door, and a door that nobody opens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from labkit.errors import TrafficError
from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

HTTP, SECOND = 80, 443
NAME = "hello-world-gateway"
SHUT = ("IST0101", "IST0162")
"""What the linter finds of a door that is nowhere: no pods with its labels, no such port."""


def listeners(answer: Any, mesh: Mesh) -> Verdict:
    """What the gateway counts now: one on the embedded mesh; on a cluster there are a few of
    Istio's own besides.
    """
    counted = mesh.stats("gateway", "total_listeners_active")["value"]
    claim = "the number of listeners"
    if hasattr(answer, "columns"):
        said = "`answer` is the whole table; the number is in its column `value`"
        return check.that(False, claim, seen=said)
    if isinstance(answer, str):
        return check.that(False, claim, seen="`answer` is a text; write the number without quotes")
    return check.equal(answer, int(counted.iloc[0]), claim)


@contextmanager
def signpost(mesh: Mesh) -> Iterator[None]:
    """While it is there, Envoy itself answers 200 to whoever comes in as test.example.com: without
    a route one cannot tell who may come in.
    """
    names = _gateways(mesh)
    if not names:
        yield
        return
    mesh.apply(f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: the-judges, namespace: hello-world}}
spec:
  hosts: [test.example.com]
  gateways: [{", ".join(names)}]
  http: [{{directResponse: {{status: 200}}}}]
""")
    try:
        yield
    finally:
        mesh.delete("VirtualService", "the-judges", namespace="hello-world")


def who_answers(mesh: Mesh, port: int) -> int:
    """The status at a port of the gateway, 0 where nothing listens."""
    try:
        (answer,) = mesh.curl(f"http://test.example.com:{port}/")
    except TrafficError:
        return 0
    return max(0, int(answer.status))  # below 1: connected, and no answer


def both_doors(mesh: Mesh) -> Verdict:
    """Either port of the gateway lets callers in."""
    return _let_in(mesh, HTTP, SECOND)


def door_for_nobody(mesh: Mesh) -> None:
    """A Gateway that is accepted, for pods that there are not."""
    for name in _gateways(mesh):
        mesh.delete("Gateway", name, namespace="hello-world")
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: hello-world-gateway, namespace: hello-world}
spec:
  selector: {istio: ingress-gateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: [test.example.com]}
""")


def door_is_open(mesh: Mesh) -> Verdict:
    """The gateway's port 80 lets callers in."""
    return _let_in(mesh, HTTP)


def _let_in(mesh: Mesh, *ports: int) -> Verdict:
    claim = f"callers of test.example.com come in on port {' and on port '.join(map(str, ports))}"
    with signpost(mesh):
        seen = {port: who_answers(mesh, port) for port in ports}
    said = ", ".join(f"port {port}: {WORDS.get(seen[port], seen[port])}" for port in ports)
    shut = [port for port in ports if not seen[port]]
    if shut:
        said += "".join(f". {found.what}" for found in mesh.lint() if found.code in SHUT)
    if shut == [HTTP] and len(ports) > 1:
        said += f". An object that has the name of another, {NAME}, takes its place"
    if not _gateways(mesh):
        said += ". There is no Gateway any more"
    return check.that(set(seen.values()) == {200}, claim, seen=said)


WORDS = {0: "nothing listens", 200: "they come in", 404: "a door, but not for this host"}


def _gateways(mesh: Mesh) -> list[str]:
    return [row["NAME"] for row in mesh.get("Gateways", namespace="hello-world")]


SIGNPOST = (
    "For a moment the check adds a VirtualService of its own, the-judges, so that who may come in "
    "gets a 200"
)

TASKS = {
    "01-1": Task(
        prompt="How many listeners does the gateway have? Put the number into `answer`.",
        judge=listeners,
        hints=(
            "First look: run mesh.stats('gateway', 'total_listeners_active') in a new cell. It "
            "shows a table with one row.",
            "The number is in the column `value`. Now write `answer = ` and that number into the "
            "cell that says “Your turn”, run it, and then run the check.",
            "Or let Python take it from the table: answer = int(mesh.stats('gateway', "
            "'total_listeners_active')['value'].iloc[0])",
        ),
        solution="answer = int(mesh.stats('gateway', 'total_listeners_active')['value'].iloc[0])",
    ),
    "01-2": Task(
        prompt="Open a second door: callers of test.example.com find the gateway's Envoy on port "
        "443 as well, with plain HTTP, and on port 80 as before.",
        judge=both_doors,
        does=SIGNPOST,
        hints=(
            "Print the manifest with print(show('01_installation/gateway.yaml')). What does it "
            "say of the port? Its list `servers` has one entry, and may have more.",
            "mesh.apply also takes YAML as text: mesh.apply('''…'''). With the same name it "
            "replaces the Gateway that there is, so port 80 has to be in it too.",
            "Copy the entry, six lines from `- port:` on, and put it below the first one. In the "
            "copy write number: 443 and name: http-443. A Gateway of another name, with port 443 "
            "alone, is as good.",
        ),
        solution='mesh.apply(manifest("01_installation/two-doors.yaml"))',
    ),
    "01-3": Task(
        prompt="“I have applied our Gateway, and kubectl said it was created. Yet callers don't "
        "even get an error of Envoy's: the connection is refused.” Find out why, and mend it.",
        judge=door_is_open,
        does=SIGNPOST,
        prepare=door_for_nobody,
        hints=(
            "See what is there: show(mesh.resource('Gateway', 'hello-world-gateway')). Which pods "
            "is it for?",
            "A Gateway is for the pods that carry its labels. mesh.describe('pod', NAME, "
            "namespace='istio-system') shows those of the gateway's pod; mesh.get('pods', "
            "namespace='istio-system') shows its NAME.",
            "The label is istio: ingressgateway, in one word: apply 01_installation/gateway.yaml.",
        ),
        solution='mesh.apply(manifest("01_installation/gateway.yaml"))',
    ),
}

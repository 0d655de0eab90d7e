"""The exercises of lesson 7: limits that refuse, that only delay, and that refuse for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.rules import ANEW, apply_anew, forget_rules, rules_of
from labkit.lessons.content.tasks import Task
from labkit.resources.istio import cluster_name, service_host

if TYPE_CHECKING:
    from labkit.mesh import Mesh
    from labkit.traffic.result import Result

URL = "http://test.example.com/"
SERVICE = cluster_name(80, "", service_host("hello-world", "hello-world"))
AT_ONCE, UNDER_WAY, WAITING = 10, 3, 2


def three_and_two(mesh: Mesh) -> Verdict:
    """Ten requests held open at once: exact, so one connection or one place in the queue more or
    less is found.
    """
    check.equal(len(mesh.pods("hello-world")), 1, "one pod runs")
    held, result = ten_at_once(mesh, UNDER_WAY)
    check.equal(held, UNDER_WAY, "this many are in progress")
    answered = UNDER_WAY + WAITING
    return check.status_counts(
        result, {200: answered, 503: AT_ONCE - answered}, about="ten at once"
    )


def ten_at_once(mesh: Mesh, connections: int) -> tuple[int, Result]:
    """How many of ten requests are held in progress, on so many connections, and all answers."""
    with mesh.gate("hello-world") as gate:
        burst = gate.send(URL, AT_ONCE, connections=connections, timeout_s=3)
        held = gate.wait_settled(burst, cluster=SERVICE, timeout_s=3)
        gate.open()
        return held, burst.wait()


def nobody_refused(mesh: Mesh) -> Verdict:
    """As `three_and_two`, but two are in progress, and all others wait until it is their turn."""
    claim = "two are in progress, eight wait, none is refused"
    check.equal(len(mesh.pods("hello-world")), 1, "one pod runs")
    apply_anew(mesh)
    held, result = ten_at_once(mesh, 2)
    refused = result.codes.get(503, 0)
    check.that(held == 2, claim, seen=f"{held} are in progress, and {refused} were refused")
    pending = pool(mesh).get("http", {}).get("http1MaxPendingRequests", "no limit")
    said = f"{refused} were refused: of the {AT_ONCE - 2} that wait, at most {pending} may"
    check.that(not refused, claim, seen=said)
    return check.status_counts(result, {200: AT_ONCE}, about="ten at once")


MOST = 8
RUSH = 30
STEADY = 400
"""With one connection a request and one place to wait some of so many are refused, for sure."""


def refuses_for_nothing(mesh: Mesh) -> None:
    """The article's rule: a new connection for each request, and one place to wait for it."""
    forget_rules(mesh)
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    connectionPool: {http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}}
""")


def protects_and_serves(mesh: Mesh) -> Verdict:
    """Four callers that go on and on are all served; of thirty at once eight at most are in
    progress.
    """
    claim = "four callers are always served, and never are more than eight requests in progress"
    check.equal(len(mesh.pods("hello-world")), 1, "one pod runs")
    steady = mesh.fortio(URL, connections=4, requests=STEADY)
    refused = STEADY - steady.codes.get(200, 0)
    said = f"{refused} of {STEADY} requests of only four callers were refused"
    if pool(mesh).get("http", {}).get("maxRequestsPerConnection") == 1:
        said += (
            ". maxRequestsPerConnection: 1 opens a connection for each request, and while it is "
            "opened the request is pending"
        )
    check.that(not refused, claim, seen=said)
    apply_anew(mesh)
    with mesh.gate("hello-world") as gate:
        burst = mesh.start(URL, n=RUSH)
        held = gate.wait_settled(burst, cluster=SERVICE, timeout_s=5)
        gate.open()
        burst.wait()
    said = f"of {RUSH} at once {held} were in progress"
    if "maxConnections" not in pool(mesh).get("tcp", {}):
        said += ": no rule limits the connections, so nothing protects the pod"
    return check.that(held <= MOST, claim, seen=said)


def pool(mesh: Mesh) -> dict[str, Any]:
    """The limits of the rule that counts, {} where there are none."""
    rules = rules_of(mesh)
    found: dict[str, Any] = (
        rules[0].spec.get("trafficPolicy", {}).get("connectionPool", {}) if rules else {}
    )
    return found


GATE = "The application's gate holds the requests until all that may be in progress are"

TASKS = {
    "07-1": Task(
        prompt="Of ten requests at once to one pod, three are in progress and two wait, so five "
        "are refused.",
        judge=three_and_two,
        does=GATE,
        hints=(
            "You need two limits: one for requests in progress, one for those that wait.",
            "The first is a limit on connections, under tcp; the second, on pending requests, "
            "under http.",
            "connectionPool: tcp with maxConnections: 3, and http with http1MaxPendingRequests: 2",
        ),
        solution='''mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 3}, http: {http1MaxPendingRequests: 2}}
""")''',
    ),
    "07-2": Task(
        prompt="The same pod, but nobody shall be refused: of ten requests at once two are in "
        "progress, and the other eight wait for their turn.",
        judge=nobody_refused,
        does=ANEW + f"so that no connection is open. {GATE}",
        hints=(
            "Look at the section “Two connections: for each pod?”: was anybody refused there?",
            "A limit on connections alone makes requests wait. What does a limit on those that "
            "wait do?",
            "maxConnections: 2, and http1MaxPendingRequests left out, or 8 and more.",
        ),
        solution="mesh.apply(manifest('07_connection_pools/two-connections.yaml'))",
    ),
    "07-3": Task(
        prompt="“Our four callers get 503s all day, though the pod has next to nothing to do.” "
        "Find out why, and mend it: four callers that go on and on are always served. But the pod "
        "stays protected: whatever comes, at most eight requests are in progress.",
        judge=protects_and_serves,
        does=ANEW + f"so that no connection is open. {GATE}",
        prepare=refuses_for_nothing,
        hints=(
            "mesh.fortio(url, connections=4, requests=100).codes shows it. Read the rule: "
            "show(mesh.resource('DestinationRule', 'hello-world-dr')).",
            "While a connection is opened, its request is pending. How often does that happen with "
            "maxRequestsPerConnection: 1, and how many may be pending?",
            "Protect by maxConnections: 8. Leave maxRequestsPerConnection out, and let at least "
            "four requests be pending, or do not limit them.",
        ),
        solution='''mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    connectionPool: {tcp: {maxConnections: 8}, http: {http1MaxPendingRequests: 10}}
""")''',
    ),
}

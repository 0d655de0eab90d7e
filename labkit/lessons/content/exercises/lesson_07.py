"""The exercise of lesson 7."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task
from labkit.resources.istio import cluster_name, service_host

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
SERVICE = cluster_name(80, "", service_host("hello-world", "hello-world"))
AT_ONCE, UNDER_WAY, WAITING = 10, 3, 2


def three_and_two(mesh: Mesh) -> Verdict:
    """Ten requests held open at once: exact, so one connection or one place in the queue more or
    less is found.
    """
    check.equal(len(mesh.pods("hello-world")), 1, "one pod runs")

    with mesh.gate("hello-world") as gate:
        burst = gate.send(URL, AT_ONCE, connections=UNDER_WAY, timeout_s=3)
        held = gate.wait_settled(burst, cluster=SERVICE, timeout_s=3)
        gate.open()
        result = burst.wait()
    check.equal(held, UNDER_WAY, "this many are in progress")
    answered = UNDER_WAY + WAITING
    return check.status_counts(
        result, {200: answered, 503: AT_ONCE - answered}, about="ten at once"
    )


TASKS = {
    "07-1": Task(
        prompt="Of ten requests at once to one pod, three are in progress and two wait, so five "
        "are refused.",
        judge=three_and_two,
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
    )
}

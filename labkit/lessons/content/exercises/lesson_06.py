"""The exercise of lesson 6."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.bars import percent
from labkit.lessons.checks.breaker import ejected_pods
from labkit.lessons.checks.verdict import Verdict, Why, conclude
from labkit.lessons.config_dump import configured
from labkit.lessons.content.tasks import Task
from labkit.resources.istio import cluster_name, service_host

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
SERVICE = cluster_name(80, "", service_host("hello-world", "hello-world"))
ERRORS, PODS = 3, 3
ENVOYS_PERCENT = 10
"""max_ejection_percent where a rule does not say."""
MOST = 60
"""So many requests are enough for three errors in a row from each of three pods, however they are
chosen.
"""


def one_of_three_leaves(mesh: Mesh) -> Verdict:
    """All pods fail, so the first one leaves at its third error, and the others when they may.

    Its errors are counted one request at a time, with a look at the pool after each: Envoy's main
    thread sets the count back, and what comes before it does that is not counted.
    """
    check.equal(len(mesh.pods("hello-world")), PODS, "three pods run")
    start_afresh(mesh)
    mesh.control("hello-world", fail_share=1.0, fail_status=500)
    try:
        first = errors_until_ejected(mesh)
        if not out(mesh):
            conclude(Verdict(False, "a pod leaves the pool", Why("", "", said=why_none_left(mesh))))
        check.equal(first, ERRORS, "errors of a pod when it leaves the pool")
        kept = counted(mesh, "overflow")
        mesh.curl(URL, n=MOST)
        mesh.wait_for(
            lambda: counted(mesh, "overflow") > kept or len(out(mesh)) > 1,
            "a second pod to have its errors",
        )
        return check.ejected(mesh.endpoints(), count=1, about="all three fail")
    finally:
        mesh.control("hello-world", reset=True)


def start_afresh(mesh: Mesh) -> None:
    """Takes the rule away and applies it again: Envoy begins with no errors and nobody ejected."""
    rules = [row["NAME"] for row in mesh.get("DestinationRule", namespace="hello-world")]
    kept = [mesh.resource("DestinationRule", name, namespace="hello-world") for name in rules]
    for name in rules:
        mesh.delete("DestinationRule", name, namespace="hello-world")
    mesh.control("hello-world", reset=True)
    if kept:
        mesh.apply(*kept)


def errors_until_ejected(mesh: Mesh) -> int:
    """Sends request after request; how many errors the first pod to leave had given by then."""
    given: dict[str, int] = {}
    for _ in range(MOST):
        pod = mesh.curl(URL)[0].pod
        given[pod] = given.get(pod, 0) + 1
        if gone := out(mesh):
            return given.get(next(iter(gone)), 0)
    return MOST


def why_none_left(mesh: Mesh) -> str:
    """Which of the rule's numbers kept all pods in the pool, in a sentence."""
    rule = configured(mesh, SERVICE, "outlier_detection")
    if not rule:
        return f"After {MOST} errors no pod had left: no rule in effect has outlierDetection."
    most = int(rule.get("max_ejection_percent", ENVOYS_PERCENT))
    if PODS * most < 100:
        return (
            f"After {MOST} errors no pod had left: one of {PODS} pods is {percent(1 / PODS)}, and "
            f"{most} % allows none."
        )
    return (
        f"After {MOST} errors no pod had left: {rule.get('consecutive_5xx', 5)} in a row are asked "
        "of one pod."
    )


def out(mesh: Mesh) -> set[str]:
    """The names of the ejected pods."""
    return ejected_pods(mesh.endpoints())


def counted(mesh: Mesh, name: str) -> int:
    """One of the gateway's counters of ejections, for the whole service."""
    return int(mesh.counter(f"outlier_detection.ejections_{name}", cluster=SERVICE))


TASKS = {
    "06-1": Task(
        prompt="A pod is ejected after three errors in a row, and one of the three pods may be "
        "out, but not two.",
        judge=one_of_three_leaves,
        hints=(
            "Two of the four numbers matter here: how many errors, and what percentage of the "
            "pods may be out.",
            "One of three pods is 33.3 %, and the percentage must not be below that.",
            "consecutive5xxErrors: 3, and a maxEjectionPercent from 34 to 66, under "
            "trafficPolicy.outlierDetection",
        ),
        solution='''mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    outlierDetection:
      {consecutive5xxErrors: 3, maxEjectionPercent: 34, interval: 1s, baseEjectionTime: 30s}
""")''',
    )
}

"""The exercises of lesson 6: who may leave the pool, one rule with two policies, and a pod that
answers well now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.bars import percent
from labkit.lessons.checks.breaker import ejected_pods
from labkit.lessons.checks.verdict import Verdict, Why, conclude
from labkit.lessons.config_dump import configured
from labkit.lessons.content.exercises.lesson_03 import in_turns
from labkit.lessons.content.rules import ANEW, apply_anew, forget_rules, rules_of
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
    mesh.control("hello-world", reset=True)
    apply_anew(mesh)


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


# turns, and outlier detection


def turns_and_leaves(mesh: Mesh) -> Verdict:
    """While all is well the pods take turns; when they fail it is as in 06-1."""
    claim = "one rule deals in turns, and ejects"
    start_afresh(mesh)
    pods = len(mesh.pods("hello-world"))
    order = list(mesh.curl(URL, n=30).column("pod"))
    rules = [rule.name for rule in rules_of(mesh)]
    if not in_turns(order, pods) and len(rules) > 1:
        said = (
            f"there are {len(rules)} rules for the host, {', '.join(rules)}: only the first counts"
        )
        return check.that(False, claim, seen=said)
    check.that(in_turns(order, pods), claim, seen="a pod answers twice in a row: no turns")
    return one_of_three_leaves(mesh)


# a pod that answers well now and then

IN_A_ROW = 3
"""So many errors the pod gives, and then one good answer."""
AT_FIRST, THEN = 60, 40
"""So many requests until the pod must have left, and so many that must all be good. One of three
pods gets fewer than three of 60 once in 10^7 runs, and one that stayed shows no error in 40 once in
10^6.
"""
NOW_AND_THEN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    outlierDetection:
      {consecutive5xxErrors: 7, maxEjectionPercent: 50, interval: 1s, baseEjectionTime: 60s}
"""


def mostly_fails(mesh: Mesh) -> None:
    """One of three pods fails three times in four, and the rule waits for seven in a row."""
    forget_rules(mesh)
    mesh.apply(NOW_AND_THEN)
    mesh.control("hello-world", reset=True)
    mesh.control(mesh.pods("hello-world")[0].name, fail_share=0.75, fail_status=500)


def callers_are_spared(mesh: Mesh) -> Verdict:
    """The pod gives three errors and one good answer, again and again: exact, where a share would
    leave to chance whether any number of errors comes in a row. After a while no caller may see an
    error.
    """
    claim = "after a while callers see no error"
    states = mesh.states("hello-world").to_dict("records")
    bad = [str(state["pod"]) for state in states if state["fail_share"]]
    start_afresh(mesh)  # which puts the pods right as well
    before = overflows(mesh)
    try:
        for pod in bad:
            mesh.control(pod, fail_next=IN_A_ROW, fail_status=500)
        for _ in range(AT_FIRST):
            one_of_a_row(mesh, bad)
            if out(mesh):  # and a moment for Envoy's main thread, as in 06-1
                break
        statuses = [one_of_a_row(mesh, bad) for _ in range(THEN)]
        kept = overflows(mesh) > before
    finally:
        for pod in bad:
            mesh.control(pod, reset=True)
            mesh.control(pod, fail_share=0.75, fail_status=500)
    late = [status for status in statuses if status != 200]
    return check.that(not late, claim, seen=f"{len(late)} errors. {still(mesh, kept)}")


def one_of_a_row(mesh: Mesh, bad: list[str]) -> int:
    """The status of one request; after a good answer of a pod that fails come three errors."""
    (answer,) = mesh.curl(URL)
    if answer.pod in bad and answer.status == 200:
        mesh.control(answer.pod, fail_next=IN_A_ROW, fail_status=500)
    return answer.status


def overflows(mesh: Mesh) -> int:
    """How often a pod was kept since too many would be out: 0 also where no rule has them
    counted.
    """
    rows = mesh.stats(match="outlier_detection.ejections_overflow").to_dict("records")
    return sum(int(row["value"]) for row in rows if SERVICE in row["stat"])


def still(mesh: Mesh, kept: bool) -> str:
    """Why the pod is still in the pool, in words."""
    rules = rules_of(mesh)
    if not rules:
        return "Without a rule no pod ever leaves"
    asked = rules[0].spec.get("trafficPolicy", {}).get("outlierDetection", {})
    if len(rules) > 1 and not asked:
        return f"There are two rules for the host, and the policy of `{rules[0].name}` counts"
    if kept:
        share = asked.get("maxEjectionPercent", "the default, 10")
        return f"The pod had its errors and was kept: maxEjectionPercent is {share} (%)"
    errors = asked.get("consecutive5xxErrors", 5)
    return f"The pod never gives {errors} errors in a row: after {IN_A_ROW} it answers well once"


TASKS = {
    "06-1": Task(
        prompt="A pod is ejected after three errors in a row, and one of the three pods may be "
        "out, but not two.",
        judge=one_of_three_leaves,
        does=ANEW + "so that no error is counted and nobody is out; then all pods fail for a while",
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
    ),
    "06-2": Task(
        prompt="Two wishes at once: while all is well the pods take turns, and when they fail it "
        "is as in 06-1 (out after three errors, and one of three at most).",
        judge=turns_and_leaves,
        does=ANEW
        + "so that no error is counted and nobody is out; in the end all pods fail for a while",
        hints=(
            "Lesson 3: which policy makes the pods take turns?",
            "There can be one policy for a host, so both belong into the same rule.",
            "Under trafficPolicy: loadBalancer with simple: ROUND_ROBIN, and beside it the "
            "outlierDetection of 06-1.",
        ),
        solution='''mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    outlierDetection: {consecutive5xxErrors: 3, maxEjectionPercent: 34, interval: 1s}
""")''',
    ),
    "06-3": Task(
        prompt="“We have outlier detection, half of the pods may leave, and still one request in "
        "four fails, all day long.” Find out why the pod stays, and spare the callers.",
        judge=callers_are_spared,
        does=ANEW
        + "so that no error is counted and nobody is out; the bad pod then gives three errors "
        "in a row and one good answer, again and again",
        prepare=mostly_fails,
        hints=(
            "Send forty requests and look at the frame: which pod fails, and how often in a row? "
            "Then read the rule: show(mesh.resource('DestinationRule', 'hello-world-dr')).",
            "One good answer sets the count of errors back. How many in a row does this pod ever "
            "give?",
            "Three or fewer for consecutive5xxErrors; or new pods, with mesh.restart(…).",
        ),
        solution='''mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    outlierDetection:
      {consecutive5xxErrors: 2, maxEjectionPercent: 50, interval: 1s, baseEjectionTime: 60s}
""")''',
    ),
}

"""The exercises of lesson 10: a slow pod that callers don't notice, a fault for testers alone, and
purchases that are booked twice.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
SLOW_MS = 2500.0
"""What the lesson's slow pod takes."""
PATIENCE_MS = 1500.0
"""What a caller may wait: far from one try that is cut short (200 ms in the solution), and from the
slow pod.
"""
TRIES = 2


def spares_callers(mesh: Mesh) -> Verdict:
    """With one slow pod all callers are served in time; with slow pods only, a request costs two
    tries and no more.
    """
    slow = [state["pod"] for state in _states(mesh) if state["delay_ms"]]
    check.equal(len(slow), 1, "one pod is slow, as the lesson made it")
    before = _received(mesh)
    result = mesh.curl(URL, n=6)
    check.all_ok(result)
    # nobody is spared by a rule that leaves the slow pod out: it must have been tried, and given up
    check.that(_received(mesh, slow[0]) > 0, "the slow pod was tried")
    check.took_at_most(result, PATIENCE_MS)
    names = [state["pod"] for state in _states(mesh)]
    check.that(_received(mesh) > before + 6, "some requests were tried twice")
    for name in names:
        mesh.control(name, delay_ms=SLOW_MS)
    before = _received(mesh)
    try:
        mesh.curl(URL)
        tries = _received(mesh) - before
    finally:
        for name in names:
            mesh.control(name, delay_ms=SLOW_MS if name in slow else 0)
    return check.equal(tries, TRIES, "a request takes at most two attempts")


def _states(mesh: Mesh) -> list[Mapping[Hashable, Any]]:
    return list(mesh.states("hello-world").to_dict("records"))


def _received(mesh: Mesh, pod: str = "") -> int:
    return sum(int(state["received"]) for state in _states(mesh) if pod in ("", state["pod"]))


TESTER = {"x-tester": "yes"}
MANY = 30
"""Were only every second tester spared, all of so many would be once in 10^9 runs."""


def fails_testers_alone(mesh: Mesh) -> Verdict:
    """Testers get an injected 503 each time, all others good answers."""
    claim = "testers get an injected 503, all others good answers"
    others = mesh.curl(URL, n=MANY)
    wrong = MANY - others.codes.get(200, 0)
    said = f"{wrong} of {MANY} requests without the header fail"
    if wrong == MANY:
        said += ": the fault is for everybody, as the first route that matches takes a request"
    check.that(not wrong, claim, seen=said)
    testers = mesh.curl(URL, n=MANY, headers=TESTER)
    well = testers.codes.get(200, 0)
    said = f"{well} of {MANY} testers get a good answer"
    if well == MANY:
        said += ": no route before the other one asks for their header"
    elif well:
        said += ": the fault is for a share of them"
    check.that(not well, claim, seen=said)
    check.that(set(testers.codes) == {503}, claim, seen=f"testers get {testers.codes}")
    return check.that(
        set(testers.flags) == {"FI"}, claim, seen=f"their flags are {testers.flags}: not injected"
    )


def books_twice(mesh: Mesh) -> None:
    """Each request is mirrored to the very service that answers it."""
    mesh.apply(MIRRORED)
    mesh.control("hello-world", reset=True)


MIRRORED = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello-world-vs, namespace: hello-world}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http:
  - route: [{destination: {host: hello-world, port: {number: 80}}}]
    mirror: {host: hello-world, port: {number: 80}}
    retries: {attempts: 2, retryOn: 5xx}
"""


def books_once(mesh: Mesh) -> Verdict:
    """As many requests reach the pods as were sent, and each is answered."""
    claim = "each request reaches the pods once"
    before = _received(mesh)
    result = mesh.curl(URL, n=MANY)
    check.all_ok(result)
    # a copy is sent without waiting, so it may arrive a moment later than the answer
    settled = _settled(mesh, before)
    said = f"{MANY} requests, and the pods got {settled}"
    if settled > MANY:
        said += ": good answers are never tried again, so something else makes the copies"
    return check.that(settled == MANY, claim, seen=said)


def _settled(mesh: Mesh, before: int) -> int:
    """How many the pods got since, as soon as ten looks in a row see no more."""
    seen: list[int] = []

    def still() -> bool:
        seen.append(_received(mesh) - before)
        return len(seen) >= LOOKS and len(set(seen[-LOOKS:])) == 1

    mesh.wait_for(still, "the pods to get no more requests", timeout_s=10)
    return seen[-1]


LOOKS = 10

TASKS = {
    "10-1": Task(
        prompt="Every caller gets a 200 within 1.5 s, although one pod takes 2.5 s. A request "
        "may take two attempts.",
        judge=spares_callers,
        does="For one request the check makes all pods slow, to count how many attempts it costs",
        hints=(
            "A timeout alone turns the slow answers into errors. What helps is a second attempt, "
            "at another pod.",
            "One attempt must be cut off early enough: perTryTimeout is under retries, next to "
            "attempts.",
            "attempts counts the retries, so two attempts in total are attempts: 1. retryOn: 5xx "
            "covers an attempt that timed out.",
        ),
        solution='mesh.apply(manifest("10_resilience/slow-pod.yaml"))',
    ),
    "10-2": Task(
        prompt="The testers of a client want to see how it copes with an error. Requests with the "
        "header x-tester: yes get an injected 503 each time; all others are answered as before.",
        judge=fails_testers_alone,
        hints=(
            "A fault belongs to a route, and a route may ask for a header (lesson 8).",
            "Two routes: which one must come first, and which of them has the fault?",
            "First match: [{headers: {x-tester: {exact: 'yes'}}}] with fault: abort, httpStatus "
            "503, percentage value 100; then a route without either.",
        ),
        solution="""testers = "match: [{headers: {x-tester: {exact: 'yes'}}}]"
text = show("10_resilience/abort.yaml").replace("value: 30", "value: 100")
text = text.replace("- fault", f"- {testers}\\n      fault")
mesh.apply(text + "    - route: [{destination: {host: hello-world}}]\\n")""",
    ),
    "10-3": Task(
        prompt="“Since last week each purchase is booked twice. Our users see nothing of it: one "
        "click, one good answer. Nobody clicks twice, no pod fails.” Find out why, and mend it.",
        judge=books_once,
        prepare=books_twice,
        hints=(
            "Count at the pods: received() before and after mesh.curl(url, n=10).",
            "Two things of this lesson make more requests out of one. Which one needs no error?",
            "Take the mirror out of the VirtualService.",
        ),
        solution="mesh.apply(manifest('02_first_microservice/virtual-service.yaml'))",
    ),
}

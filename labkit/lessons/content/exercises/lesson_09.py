"""The exercises of lesson 9: weights, weights beside a path, and an accused canary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content import canary
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
SHARES = {"v1": 10, "v2": 90}
REST = {"v1": 90, "v2": 10}
CANARY = "09_canary_rollout/canary.yaml"


def one_in_ten_to_v1(mesh: Mesh) -> Verdict:
    """The shares as users get them; twice as many to v1 are found, and so is the split the other
    way round.
    """
    return check.split(
        mesh.fortio(URL, connections=4, requests=check.needed("split", SHARES)), SHARES
    )


def beta_and_split(mesh: Mesh) -> Verdict:
    """/beta is always v2's; of all else v2 gets one request in ten."""
    claim = "/beta goes to v2, and one in ten of all others"
    beta = mesh.curl(f"{URL}beta", n=check.needed("only"))
    codes = ", ".join(f"{status}: {count}" for status, count in beta.codes.items())
    check.that(set(beta.codes) == {200}, claim, seen=f"/beta is answered with {codes}")
    if set(beta.versions) != {"v2"}:
        routes = route_matches(mesh)
        late = routes[:1] == [False] and any(routes)
        said = f"/beta is answered by {' and '.join(sorted(map(str, beta.versions)))}: "
        said += (
            "its route comes after one without a match, which takes every request"
            if late
            else "no route before the split is for /beta alone"
        )
        return check.that(False, claim, seen=said)
    rest = mesh.fortio(URL, connections=4, requests=check.needed("split", REST))
    seen = set(rest.versions)
    check.that(len(seen) == 2, claim, seen=f"all others are answered by {sorted(map(str, seen))}")
    return check.split(rest, REST)


def route_matches(mesh: Mesh) -> list[bool]:
    """Of each route for the host, in order: does it ask for something?"""
    found: list[bool] = []
    for row in mesh.get("VirtualService", namespace="hello-world"):
        service = mesh.resource("VirtualService", row["NAME"], namespace="hello-world")
        found += [bool(route.get("match")) for route in service.spec.get("http", [])]
    return found


FAILING = 0.3
ENOUGH = 400
"""Were one in twenty still to fail, all of so many would be well once in 10^9 runs."""


def accused_canary(mesh: Mesh) -> None:
    """A quarter goes to the canary, and it is the old version that fails."""
    mesh.apply(canary.weighted(CANARY, 25))
    mesh.control("hello-world", reset=True)
    mesh.control("hello-world-v1", fail_share=FAILING, fail_status=500)


def nobody_fails(mesh: Mesh) -> Verdict:
    """No error in 400 requests; else who answered with it, and how much that version gets."""
    claim = "no user sees an error"
    result = mesh.fortio(URL, connections=4, requests=ENOUGH)
    answers = list(zip(result.column("version"), result.column("status"), strict=True))
    bad = sorted({str(version) for version, status in answers if status != 200})
    if not bad:
        return check.that(True, claim, seen=f"{ENOUGH} good answers")
    errors = sum(status != 200 for _, status in answers)
    share = sum(str(version) in bad for version, _ in answers) / ENOUGH
    said = f"{errors} of {ENOUGH} are errors, of {' and '.join(bad)}, which gets {share:.0%}"
    if bad == ["v1"] and share == 1:
        said += ": v2 was taken out, and it was not the one that fails"
    return check.that(False, claim, seen=said)


TASKS = {
    "09-1": Task(
        prompt="Send one request in ten to v1, and all others to v2.",
        judge=one_in_ten_to_v1,
        hints=(
            "The VirtualService has one route with two destinations; only their weights must "
            "change.",
            "The two weights are percentages: they add up to 100.",
            "canary.weighted(name, percent) gives the text of the manifest with this weight for "
            "v2.",
        ),
        solution="mesh.apply(canary.weighted('09_canary_rollout/canary.yaml', 90))",
    ),
    "09-2": Task(
        prompt="Testers call /beta: that path always leads to v2. Of all other requests v2 gets "
        "one in ten.",
        judge=beta_and_split,
        hints=(
            "Lesson 8 has a route for a path, and this lesson a route with weights.",
            "The first route that matches takes a request. Which of the two must come first?",
            "Two entries under http: one with match: [{uri: {exact: /beta}}] and v2 alone, then "
            "one without a match and with weights 90 and 10.",
        ),
        solution="mesh.apply(manifest('09_canary_rollout/beta.yaml'))",
    ),
    "09-3": Task(
        prompt="A canary, v2, gets a quarter of the requests, and since this morning one answer in "
        "five is an error. “Roll it back!” everybody says. Find out who fails, and see to it that "
        "no user gets an error.",
        judge=nobody_fails,
        prepare=accused_canary,
        hints=(
            "Send some hundred requests with mesh.fortio, and count the errors of each version: "
            "the frame has the columns version and status.",
            "Rolling back is one edit, and so is promoting.",
            "v1 is the one that fails: give v2 the weight 100; or replace v1's pods.",
        ),
        solution="mesh.apply(canary.weighted('09_canary_rollout/canary.yaml', 100))",
    ),
}

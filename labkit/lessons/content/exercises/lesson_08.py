"""The exercises of lesson 8: another path for the new version, limits for it alone, and users who
lose their pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.answers import seen_paths
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.rules import ANEW, apply_anew
from labkit.lessons.content.tasks import Task
from labkit.lessons.files import show
from labkit.resources.istio import cluster_name, service_host

if TYPE_CHECKING:
    from labkit.mesh import Mesh

WANTED = {
    "/": ("v1", "/"),
    "/beta": ("v2", "/"),
    "/beta/a": ("v2", "/a"),
    "/betamax": ("v1", "/betamax"),
    "/v2": ("v1", "/v2"),
}
# a route without a subset would have to draw the right version 24 times running: once in 10^4 at
# most
EACH = 12


def leads_beta_to_v2(mesh: Mesh) -> Verdict:
    """For each path: who answers, and which path the application sees."""
    seen = {}
    for path in WANTED:
        # nobody will look for these requests in a log, so they need no ids
        result = mesh.curl(f"http://test.example.com{path}", n=EACH, request_ids=False)
        seen[path] = set(zip(result.column("version"), seen_paths(result), strict=True))
    wanted = {path: {answer} for path, answer in WANTED.items()}
    return check.equal(seen, wanted, "/beta and what is below it go to v2, everything else to v1")


AT_ONCE = 5


def limits_v2_alone(mesh: Mesh) -> Verdict:
    """Of five at once v2 takes one and lets one wait; v1 takes all five."""
    claim = "v2 takes one request at a time and lets one wait, and v1 has no such limit"
    leads_beta_to_v2(mesh)
    apply_anew(mesh)
    held = {}
    for version, path, connections in (("v2", "/beta", 1), ("v1", "/", AT_ONCE)):
        name = cluster_name(80, version, service_host("hello-world", "hello-world"))
        with mesh.gate(f"hello-world-{version}") as gate:
            burst = (
                mesh.start(f"http://test.example.com{path}", n=AT_ONCE)
                if connections > 1
                else (gate.send(f"http://test.example.com{path}", AT_ONCE, timeout_s=3))
            )
            held[version] = gate.wait_settled(burst, cluster=name, timeout_s=3)
            gate.open()
            codes = burst.wait().codes
        if version == "v1":
            said = f"v1 holds {held['v1']} of {AT_ONCE} at a time: the limit is not v2's alone"
            check.that(held["v1"] == AT_ONCE, claim, seen=said)
        else:
            refused = codes.get(503, 0)
            said = f"v2 takes {held['v2']} at a time, and refuses {refused} of {AT_ONCE}"
            check.that((held["v2"], refused) == (1, AT_ONCE - 2), claim, seen=said)
    return check.that(True, claim, seen=f"v2 takes {held['v2']}, v1 {held['v1']} at a time")


USERS = 40
"""Were they dealt to two pods by chance, all would stay on one pod each once in 10^24 runs."""


def loses_affinity(mesh: Mesh) -> None:
    """The Service keeps users, and subset v1 has a load balancer of its own that does not."""
    mesh.apply(OVERRIDDEN, show("08_subsets_and_rewrite/exact-and-prefix.yaml"))


OVERRIDDEN = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
  subsets:
  - {name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
  - {name: v2, labels: {version: v2}}
"""


def keeps_v1_users(mesh: Mesh) -> Verdict:
    """Each user keeps a pod of v1, users are spread over its pods, and /v2 is still v2's."""
    claim = "each user keeps one pod of v1, and /v2 still leads to v2"
    beta = set(mesh.curl("http://test.example.com/v2", n=EACH).versions)
    check.that(beta == {"v2"}, claim, seen=f"/v2 is answered by {sorted(map(str, beta))}")
    moving, used, versions = 0, set(), set()
    for i in range(USERS):
        result = mesh.curl(
            "http://test.example.com/", n=3, headers={"x-user": f"user-{i}"}, request_ids=False
        )
        moving += len(result.pods) > 1
        used |= set(result.pods)
        versions |= set(result.versions)
    said = f"all others are answered by {sorted(map(str, versions))}: users of v1 end at v2"
    check.that(versions == {"v1"}, claim, seen=said)
    said = f"{moving} of {USERS} users change pods. {own_balancer(mesh)}"
    check.that(not moving, claim, seen=said)
    return check.that(len(used) > 1, claim, seen="all users have the same pod")


def own_balancer(mesh: Mesh) -> str:
    """What subset v1 says of its own, in words."""
    rule = mesh.resource("DestinationRule", "hello-world-dr", namespace="hello-world")
    for subset in rule.spec.get("subsets", []):
        own = subset.get("trafficPolicy", {}).get("loadBalancer")
        if subset.get("name") == "v1" and own:
            return f"Subset v1 has a loadBalancer of its own ({own}), and that counts for it"
    return "No policy that v1 obeys keeps users"


TASKS = {
    "08-1": Task(
        prompt=(
            "Route /beta to v2, which sees it as /, and everything below it as well: /beta/a is "
            "seen as /a. Everything else goes to v1, unchanged."
        ),
        judge=leads_beta_to_v2,
        hints=(
            "The VirtualService has to change. Which one in this lesson comes close?",
            "Take the text of exact-and-prefix.yaml and change one word in two places.",
            "A file with the answer is 08_subsets_and_rewrite/beta.yaml.",
        ),
        solution="mesh.apply(manifest('08_subsets_and_rewrite/beta.yaml'))",
    ),
    "08-2": Task(
        prompt="/beta stays as in 08-1. But v2 is weak: it takes one request at a time, lets one "
        "more wait, and refuses all others. v1 has no such limit.",
        judge=limits_v2_alone,
        does=ANEW + "so that no connection is open, and holds requests at the application's gate",
        hints=(
            "Lesson 7 has the two limits, and this lesson says where a policy for one version "
            "stands.",
            "A policy of the Service is inherited by v1 too. Which part of the rule is v2's alone?",
            "In the subset v2: trafficPolicy, connectionPool, with maxConnections: 1 and "
            "http1MaxPendingRequests: 1.",
        ),
        solution="mesh.apply(manifest('08_subsets_and_rewrite/weak-beta.yaml'))",
    ),
    "08-3": Task(
        prompt="“Our rule keeps each user (header x-user) on one pod. Since we have versions, "
        "users of v1 change pods at each click.” Find out why, and mend it. /v2 still leads to "
        "v2, and all other paths to v1.",
        judge=keeps_v1_users,
        prepare=loses_affinity,
        hints=(
            "Read the rule: show(mesh.resource('DestinationRule', 'hello-world-dr')).",
            "What does a subset do with a part of the Service's policy that it sets itself?",
            "Take the loadBalancer out of subset v1, or give it the same consistentHash.",
        ),
        solution="mesh.apply(manifest('08_subsets_and_rewrite/keeps-users.yaml'))",
    ),
}

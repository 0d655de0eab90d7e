"""The exercises of lesson 3: pods that take turns, equal shares of versions, and a slow pod."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.rules import forget_rules, policy_of, rules_of
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
VERSIONS = ("v1", "v2")
# by chance, not even two pods take turns for so long: once in 10^9 runs
REQUESTS = 30
SLOW_MS = 60.0
FAIR_PODS = 3
"""So many pods there are at first: more of them make a slow one rarer, and mend nothing."""


def takes_turns(mesh: Mesh) -> Verdict:
    """Of any three requests in a row each goes to another pod: by chance that does
    not last for 30.
    """
    order = list(mesh.curl(URL, n=REQUESTS).column("pod"))
    twice = sum(one == other for one, other in pairwise(order))
    said = f"a pod answers twice in a row {twice} times in {REQUESTS}, no pod has its turn"
    rules = [rule.name for rule in rules_of(mesh)]
    if len(rules) > 1:
        said += f". There are {len(rules)} rules for the host, and the policy of {rules[0]} counts"
    elif policy_of(mesh):
        said += f". The policy in effect is {policy_of(mesh)}"
    else:
        said += ". No rule says how, so it is as with LEAST_REQUEST"
    return check.that(in_turns(order, 3), "the pods take turns", seen=said)


def in_turns(order: list[str], pods: int) -> bool:
    """Whether `pods` pods answer one after the other, in a fixed order."""
    windows = [order[at : at + pods] for at in range(len(order) - pods + 1)]
    return bool(windows) and all(len(set(window)) == pods for window in windows)


def equal_versions(mesh: Mesh) -> Verdict:
    """Exactly as many requests for each version, and no pod answers twice in a row."""
    claim = "each version answers half of the requests, and the pods take turns"
    pods = Counter(pod.version for pod in mesh.pods("hello-world"))
    gone = [version for version in VERSIONS if not pods[version]]
    check.that(not gone, claim, seen=f"{', '.join(gone)} has no pod any more")
    rounds = -(-REQUESTS // pods.total())
    result = mesh.curl(URL, n=rounds * pods.total())
    check.all_ok(result)
    turns = in_turns(list(result.column("pod")), pods.total())
    shares = Counter(result.column("version"))
    words = " and ".join(f"{shares[v]} by {v}" for v in VERSIONS)
    if not turns:
        said = (
            f"{words}; a pod answers twice in a row, so its choice is drawn and not dealt in turns"
        )
    elif shares["v1"] != shares["v2"]:
        said = (
            f"{words}: the pods take turns, and {pods['v1']} of them are v1, {pods['v2']} v2. A "
            "policy deals to pods, whatever their version"
        )
    else:
        said = words
    return check.that(turns and shares["v1"] == shares["v2"], claim, seen=said)


def one_slow_pod(mesh: Mesh) -> None:
    """The night shift's fault: pods take turns, and one of them is slow."""
    forget_rules(mesh)
    mesh.apply(TURNS)
    mesh.control("hello-world", reset=True)
    mesh.control(mesh.pods("hello-world-v1")[0].name, delay_ms=SLOW_MS)


TURNS = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec: {host: hello-world, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
"""


NOT_ENOUGH = {
    "RANDOM": "RANDOM does not look at how busy a pod is",
    "ROUND_ROBIN": "In turns each pod gets as many as the others, however slow it is",
}
"""What is said of the policies that send a slow pod its equal share."""


def few_wait(mesh: Mesh) -> Verdict:
    """No pod is slow any more, or those that are get less than half of an equal share; and both
    versions still answer.
    """
    claim = "few users wait for a slow pod"
    states = mesh.states("hello-world").to_dict("records")
    slow = [str(state["pod"]) for state in states if state["delay_ms"]]
    n = check.needed("avoids_slow_pod", len(states), at_most=0.5) if slow else 2 * REQUESTS
    result = mesh.fortio(URL, connections=8, requests=n)
    check.all_ok(result)
    answered = Counter(result.column("pod"))
    gone = sorted(set(VERSIONS) - set(result.column("version")))
    check.that(
        not gone, claim, seen=f"nobody waits, but {', '.join(gone)} answers no user any more"
    )
    if not slow:
        return check.that(True, claim, seen="no pod is slow any more")
    check.that(len(slow) == 1, claim, seen=f"{len(slow)} pods are slow")
    share = answered[slow[0]] / n
    said = [f"the slow pod answers {share:.0%} of the requests"]
    said += [NOT_ENOUGH[policy] for policy in NOT_ENOUGH if policy == policy_of(mesh)]
    if len(states) > FAIR_PODS:
        said.append(f"More pods make it rarer; it still gets its equal share, one of {len(states)}")
    check.that(share < 0.7 / len(states), claim, seen=". ".join(said))
    return check.avoids_slow_pod(result, slow=slow[0], pods=len(states), at_most=0.5)


TASKS = {
    "03-1": Task(
        prompt="Make the pods take turns again.",
        judge=takes_turns,
        hints=(
            "Which of the three load-balancing policies in this lesson makes the pods take turns?",
            "The rule must have the same name as the existing one, so that it replaces it.",
            "There is a manifest for it: 03_load_balancing/round-robin.yaml",
        ),
        solution="mesh.apply(manifest('03_load_balancing/round-robin.yaml'))",
    ),
    "03-2": Task(
        prompt="v1 has two pods and v2 has one. Give both versions exactly half of the requests, "
        "with pods that take turns.",
        judge=equal_versions,
        hints=(
            "Who is dealt to: a version, or a pod? Count the pods of each version.",
            "A Deployment says how many pods there are; lesson 2 ran one for each version.",
            "mesh.scale('hello-world-v1', 1), or two pods for v2; and the policy of 03-1.",
        ),
        solution="mesh.scale('hello-world-v1', 1)",
    ),
    "03-3": Task(
        prompt="The night shift writes: “Since yesterday the shop is slow for many of our users, "
        "and fast for all others. Nobody has changed a rule.” Find out why, and mend it. Every "
        "version must go on answering.",
        judge=few_wait,
        prepare=one_slow_pod,
        hints=(
            "Send some dozen requests with mesh.fortio(url, connections=8, requests=60), and look "
            "at plots.latency(…, by='pod').",
            "One pod is slow. Either it gets fewer requests, or it has to go.",
            "LEAST_REQUEST looks how busy a pod is; without any rule that is the policy too. Or "
            "replace the pods of that Deployment with mesh.restart(…).",
        ),
        solution="mesh.apply(manifest('03_load_balancing/least-request.yaml'))",
    ),
}

"""The exercises of lesson 5: affinity by a header, a rule that two things are wrong with, and an
office that has one address.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.rules import forget_rules, hash_of, rules_of
from labkit.lessons.content.tasks import Task

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
# were they dealt to three pods by chance, all of them would land on one pod once in 10^18 runs
USERS = 40
EACH = 3
OFFICE = "203.0.113.7"
"""An address for documentation (RFC 5737): nobody has it."""


def keeps_users(mesh: Mesh) -> Verdict:
    """Each user has one pod, and not all users have the same: else the key is something else than
    the user.
    """
    pods = pods_of(mesh, lambda i: {"x-user": f"user-{i}"})
    same = check.same_pod(pods, pods=3)
    used = {name for result in pods.values() for name in result.pods}
    return (
        same
        if len(used) > 1
        else check.that(False, "users are spread over the pods", seen="they all have the same pod")
    )


def pods_of(mesh: Mesh, headers: Callable[[int], dict[str, str]]) -> dict[str, Any]:
    """The answers to each of the users, each of whom has these headers."""
    # nobody will look for these requests in a log, so they need no ids
    return {
        f"user-{i}": mesh.curl(URL, n=EACH, headers=headers(i), request_ids=False)
        for i in range(USERS)
    }


# two things are wrong

SESSION = "x-session"


def misspelt_beside_another(mesh: Mesh) -> None:
    """A colleague's rule: its header is misspelt, and an older rule for the host counts."""
    forget_rules(mesh)
    mesh.apply(rule("hello-world-dr", "simple: RANDOM"))
    mesh.apply(rule("sessions-dr", "consistentHash: {httpHeaderName: x-sesion}"))


def rule(name: str, balancer: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: hello-world}}
spec: {{host: hello-world, trafficPolicy: {{loadBalancer: {{{balancer}}}}}}}
"""


def keeps_sessions(mesh: Mesh) -> Verdict:
    """As `keeps_users`, by x-session; where it is not so, which of the two things is left."""
    claim = "all requests with the same x-session reach one pod, and sessions are spread"
    found = pods_of(mesh, lambda i: {SESSION: f"session-{i}"})
    stay = [user for user, result in found.items() if len(result.pods) == 1]
    used = {name for result in found.values() for name in result.pods}
    if len(stay) < USERS:
        return check.that(
            False, claim, seen=f"{USERS - len(stay)} of {USERS} sessions change pods. {left(mesh)}"
        )
    return check.that(len(used) > 1, claim, seen=spread(used, mesh))


def left(mesh: Mesh) -> str:
    """What keeps a rule for sessions from its effect, in words."""
    rules = rules_of(mesh)
    names = " and ".join(f"`{one.name}`" for one in rules)
    keys = [hash_of(one) for one in rules]
    if len(rules) > 1 and not keys[0]:
        return f"There are two rules for the host, {names}: the policy of the first one counts"
    if not rules or not any(keys):
        return "No rule asks for affinity"
    return f"The key of the rule that counts is {keys[0]}, and no request carries that"


def spread(used: set[str], mesh: Mesh) -> str:
    """How many pods they use, and where it is one, the key that they all share."""
    if len(used) > 1:
        return f"{len(used)} pods are used"
    return f"all have the same pod: the key is {hash_of(rules_of(mesh)[0])}, which is one for all"


# the office


def office_by_address(mesh: Mesh) -> None:
    """The rule in force keeps addresses, and a whole office has one."""
    forget_rules(mesh)
    mesh.apply(rule("hello-world-dr", "consistentHash: {httpHeaderName: x-forwarded-for}"))


def keeps_office(mesh: Mesh) -> Verdict:
    """Each user of the office has one pod, from home as well; and the office has more than one.

    A user is told by what a browser brings: a cookie, the header x-user, and ?user=.
    """
    claim = "each user keeps one pod, at home as well, and the office is spread over the pods"
    at_work: dict[str, set[str]] = {}
    at_home: dict[str, set[str]] = {}
    for i in range(USERS):
        user, jar = f"user-{i}", dict[str, str]()

        def pods(address: str, n: int, user: str = user, jar: dict[str, str] = jar) -> set[str]:
            headers = {"x-forwarded-for": address, "x-user": user}
            result = mesh.curl(
                f"{URL}?user={user}", n=n, headers=headers, jar=jar, request_ids=False
            )
            check.all_ok(result)
            return set(result.pods)

        at_work[user], at_home[user] = pods(OFFICE, 2), pods(f"198.51.100.{i + 1}", 1)
    moving = [user for user in at_work if len(at_work[user]) > 1]
    check.that(
        not moving,
        claim,
        seen=f"{len(moving)} of {USERS} users change pods at their desks. {left_at_desk(mesh)}",
    )
    used = set().union(*at_work.values())
    check.that(len(used) > 1, claim, seen=f"in the office {spread(used, mesh)}")
    lost = [user for user in at_work if at_work[user] != at_home[user]]
    return check.that(not lost, claim, seen=f"{len(lost)} of {USERS} users lose their pod at home")


def left_at_desk(mesh: Mesh) -> str:
    rules = rules_of(mesh)
    if len(rules) > 1:
        return left(mesh)
    return "Nothing ties them to one" if not any(map(hash_of, rules)) else left(mesh)


TASKS = {
    "05-1": Task(
        prompt="Send all requests with the same x-user header to one pod, and different users to "
        "different pods.",
        judge=keeps_users,
        hints=(
            "Which of the four kinds of keys in this lesson is a header?",
            "Take the text of forwarded-for.yaml and change the header. Keep the rule's name: a "
            "second rule is ignored.",
            "A file with the answer is 05_session_affinity/user-header.yaml.",
        ),
        solution="mesh.apply(manifest('05_session_affinity/user-header.yaml'))",
    ),
    "05-2": Task(
        prompt="A colleague wants all requests with the same x-session header to reach one pod. "
        "The rule `sessions-dr` was applied, and nothing changed: two things are in its way. Find "
        "and mend both.",
        judge=keeps_sessions,
        prepare=misspelt_beside_another,
        hints=(
            "Look at mesh.get('DestinationRules'), and read both with "
            "show(mesh.resource('DestinationRule', '…')). Or ask mesh.lint().",
            "There may be one policy for a host. And is the key a header that requests carry?",
            "Put consistentHash with httpHeaderName: x-session into the older rule, or delete that "
            "one and correct the other.",
        ),
        solution='''mesh.delete("DestinationRule", "hello-world-dr")
mesh.apply("""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: sessions-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-session}}}
""")''',
    ),
    "05-3": Task(
        prompt="Forty users sit in one office. One pod answers all of them, and the others are "
        "idle; who goes home with a laptop finds the basket empty. Their browsers keep cookies, "
        "send the header x-user, and call /?user=…. Find out why, and mend it.",
        judge=keeps_office,
        prepare=office_by_address,
        hints=(
            "What do all users of the office share, and what changes when one of them goes home?",
            "Read the rule in force: show(mesh.resource('DestinationRule', 'hello-world-dr')). "
            "Which of the keys of this lesson belongs to a user, and not to a place?",
            "A cookie, the header x-user, or the query parameter user: any of the three.",
        ),
        solution="mesh.apply(manifest('05_session_affinity/cookie.yaml'))",
    ),
}

"""What each check promises before any request is sent: its test, its near miss, and the number of
requests it needs.

A check looks up its plan, refuses a run that is too short for it, and judges the rest by the same
numbers. The table in docs/checks.md is made from the same plans, so it can't tell another story
than the checks do.

>>> needed("split", {"v1": 70, "v2": 30}, against={"v1": 60, "v2": 40})
1182
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.errors import LessonError
from labkit.lessons.checks.bars import percent
from labkit.lessons.checks.columns import shares_of
from labkit.lessons.checks.power import (
    ALPHA,
    CERTAIN,
    POWER,
    requests_for,
    requests_for_difference,
    shifted,
    unlikely_rank,
)

POINTS = 0.1
"""The near miss of a share unless the lesson names another: ten percentage points beside it."""

INDEPENDENT = (
    "each request is drawn independently (weights, RANDOM); a more even balancer passes too"
)


@dataclass(frozen=True)
class CheckPlan:
    """The promise of one random check. `n` is the least number of requests; for
    two runs, in each.
    """

    check: str
    decides: str
    test: str
    assumes: str
    near_miss: str
    n: int
    false_alarm: float = ALPHA
    power: float = POWER

    def refuse_short(self, sent: int) -> None:
        """Raises when there are too few requests for the promise: a quiet pass would be worth
        nothing.
        """
        if sent < self.n:
            raise LessonError(
                f"{sent} requests are too few for check.{self.check}: it could not catch its "
                "near miss "
                f"({self.near_miss}) in {percent(self.power)} of runs",
                try_next=f"send n={self.n} requests or more",
            )


PLANS: dict[str, Callable[..., CheckPlan]] = {}


def planned(make: Callable[..., CheckPlan]) -> Callable[..., CheckPlan]:
    """Registers a plan under the name of its check."""
    PLANS[make.__name__] = make
    return make


def needed(name: str, *args: Any, **options: Any) -> int:
    """How many requests a check needs; the arguments are those of the check, without the result.

    >>> needed("error_rate_near", 0.3)
    """
    if name not in PLANS:
        raise LessonError(
            f"There is no random check {name!r}",
            seen=f"there are: {', '.join(PLANS)}",
            try_next="check the name",
        )
    return PLANS[name](*args, **options).n


@planned
def split(shares: Mapping[str, float], *, against: Mapping[str, float] | None = None) -> CheckPlan:
    want = shares_of(shares)
    # of two versions the second count follows from the first
    tests = 1 if len(want) == 2 else len(want)
    judged = list(want)[:1] if len(want) == 2 else list(want)
    if against is None:
        near = f"one of them is off by {100 * POINTS:g} points"
        n = max(_binomial(want[name], shifted(want[name], POINTS), tests) for name in judged)
    else:
        other = shares_of(against)
        near = ", ".join(f"{name} {percent(other.get(name, 0.0))}" for name in other)
        moved = [name for name in judged if round(other.get(name, 0.0) - want[name], 9)]
        outside = sum(share for name, share in other.items() if name not in want)
        # one share that is found out is enough, and so is one answer of somebody who should not be
        # there at all
        ways = [_binomial(want[name], (other.get(name, 0.0),), tests) for name in moved]
        ways += [_first_hit(outside)] if outside else []
        if not ways:
            raise LessonError(
                "The near miss is the split itself", seen=f"{dict(shares)} and {dict(against)}"
            )
        n = min(ways)
    return CheckPlan(
        "split",
        "each version gets its share of the requests",
        f"exact binomial, two-sided{f', {tests} shares (Bonferroni)' if tests > 1 else ''}",
        INDEPENDENT,
        near,
        n,
    )


@planned
def spread_evenly(among: int = 3) -> CheckPlan:
    if among < 2:
        raise LessonError(
            "A single one is always even",
            seen=f"among={among}",
            try_next="scale to two pods or more",
        )
    tests = 1 if among == 2 else among
    share = 1 / among
    return CheckPlan(
        "spread_evenly",
        "each pod gets the same share of the requests",
        f"exact binomial, two-sided{f', {tests} shares (Bonferroni)' if tests > 1 else ''}",
        INDEPENDENT,
        f"one of them is off by {100 * POINTS:g} points",
        _binomial(share, shifted(share, POINTS), tests),
    )


@planned
def random_order(among: int = 3) -> CheckPlan:
    return CheckPlan(
        "random_order",
        "the next pod does not depend on the previous one",
        "exact binomial, two-sided, of how often the same pod answers twice in a row",
        "an equal chance for each pod (RANDOM)",
        "the pods take turns (ROUND_ROBIN), or stay (affinity)",
        1 + _binomial(1 / among, (0.0, 1.0), 1),
    )


@planned
def every_pod_answers(pods: int = 3) -> CheckPlan:
    # the chance that a given pod is left out is (1 - 1/pods) ** n; summed over the pods it must be
    # at most ALPHA
    n = 1 if pods == 1 else math.ceil(math.log(ALPHA / pods) / math.log(1 - 1 / pods))
    return CheckPlan(
        "every_pod_answers",
        "each of the pods answered at least once, and no other pod did",
        "exact; n follows from the union bound",
        INDEPENDENT,
        "a pod that gets nothing, or an answer from a pod that should not be there",
        n,
        power=1.0,
    )


@planned
def only(leak: float = 0.2) -> CheckPlan:
    return CheckPlan(
        "only",
        "every request went to this version (pod, …)",
        "exact: none elsewhere",
        "a leak would affect each request independently",
        f"{percent(leak)} go elsewhere",
        _first_hit(leak),
        false_alarm=0.0,
    )


@planned
def same_pod(pods: int = 2) -> CheckPlan:
    return CheckPlan(
        "same_pod",
        "all requests of one key go to one pod",
        "exact: no key has two pods",
        "without affinity each request would be drawn independently",
        f"no affinity: RANDOM over {pods} pods",
        1 + _first_hit(1 - 1 / pods),
        false_alarm=0.0,
    )


@planned
def few_keys_moved(before: int = 2, after: int = 3) -> CheckPlan:
    right, wrong = keys_moved_at_most(before, after), 1 - 1 / max(before, after)
    return CheckPlan(
        "few_keys_moved",
        "after scaling, most keys keep their pod (consistent hashing)",
        f"exact binomial, one-sided, against {percent(right)} moved",
        "different keys fall on the ring independently",
        f"all keys are reassigned: {percent(wrong)} move",
        requests_for(round(right, 9), (round(wrong, 9),), side="high"),
    )


def keys_moved_at_most(before: int, after: int) -> float:
    """The share of keys that a hash ring moves when the number of pods changes, with 5 points to
    spare.

    With f pods before and m after (f < m), (m − f) / m of the keys go to the new pods. Envoy's ring
    has about as many entries as before (1024, unless set), so each old pod gives up 1 − f/m of its
    own; keys on those go to the next entry, which is that of another old pod with a chance of (f −
    1) / m at most. A ring's arcs are uneven: the share of 1000 simulated rings had a standard
    deviation of 1.5 points, five of which are below what is returned here.
    """
    few, many = sorted((before, after))
    if few == many or few < 1:
        raise LessonError(
            "The number of pods has to change for keys to move", seen=f"{before} and {after} pods"
        )
    gone = (many - few) / many
    return gone + gone * (few - 1) / many + 0.05


@planned
def avoids_slow_pod(pods: int = 3, at_most: float = 2 / 3) -> CheckPlan:
    fair = 1 / pods
    return CheckPlan(
        "avoids_slow_pod",
        "the slow pod gets clearly less than an equal share",
        "exact binomial, one-sided",
        # measured under LEAST_REQUEST, 2 to 16 connections, a delay of 5 or 20 ms: 0.40 to 0.62 of
        # an equal share with three pods, 0.54 to 0.56 with two. A pod that has just got a request
        # is the less likely to get the next one, so the count varies less than that of independent
        # draws.
        f"the slow pod's chance is at most {at_most:.2g} of an equal share on average, and "
        "having just got a request does not make it more likely to get the next one",
        "the slow pod gets an equal share (RANDOM, ROUND_ROBIN)",
        requests_for(round(fair * at_most, 9), (round(fair, 9),), power=CERTAIN, side="high"),
        power=CERTAIN,
    )


@planned
def error_rate(at_most: float = 0.01, *, near: float | None = None) -> CheckPlan:
    miss = near if near is not None else min(1.0, at_most + POINTS)
    return CheckPlan(
        "error_rate",
        "no more than this share of the requests fails",
        "exact binomial, one-sided",
        "requests fail independently, or more evenly than that",
        f"{percent(miss)} fail",
        requests_for(round(at_most, 9), (round(miss, 9),), side="high"),
    )


@planned
def error_rate_near(share: float = 0.3, *, points: float = POINTS) -> CheckPlan:
    return CheckPlan(
        "error_rate_near",
        "this share of the requests fails",
        "exact binomial, two-sided",
        "requests fail independently (an injected fault is drawn for each request)",
        f"off by {100 * points:g} points",
        _binomial(share, shifted(share, points), 1),
    )


@planned
def share_slow_near(share: float = 0.5, *, points: float = POINTS) -> CheckPlan:
    return CheckPlan(
        "share_slow_near",
        "this share of the requests takes longer than a limit",
        "exact binomial, two-sided",
        "requests are delayed independently (an injected delay is drawn for each request)",
        f"off by {100 * points:g} points",
        _binomial(share, shifted(share, points), 1),
    )


@planned
def same(*, by: float = 0.2, kinds: int = 2) -> CheckPlan:
    return CheckPlan(
        "same",
        "two runs have the same shares (of pods, versions, statuses)",
        "Hoeffding's bound on the largest gap between "
        f"shares{f', {kinds} kinds (Bonferroni)' if kinds > 2 else ''}",
        "requests are drawn independently",
        f"one share differs by {100 * by:g} points",
        requests_for_difference(by, ALPHA / tails(kinds), 1 - POWER),
    )


@planned
def differs(*, by: float = 0.3, kinds: int = 2) -> CheckPlan:
    return CheckPlan(
        "differs",
        "two runs have different shares (of pods, versions, statuses)",
        "Hoeffding's bound on the largest gap between "
        f"shares{f', {kinds} kinds (Bonferroni)' if kinds > 2 else ''}",
        f"requests are drawn independently; if the runs differ, then by {100 * by:g} points or "
        "more",
        "no difference at all",
        requests_for_difference(by, ALPHA / tails(kinds), ALPHA),
        power=CERTAIN,
    )


@planned
def fewer_slow(*, by: float = 0.2) -> CheckPlan:
    return CheckPlan(
        "fewer_slow",
        "in the first run fewer requests take longer than a limit",
        "Hoeffding's bound on the gap between two shares, one-sided",
        f"requests are slow independently; the gap is {100 * by:g} points or more",
        "no gap",
        requests_for_difference(by, ALPHA, ALPHA),
        power=CERTAIN,
    )


@planned
def faster(*, by: float = 0.25) -> CheckPlan:
    return CheckPlan(
        "faster",
        "the first run is faster than the second, request by request",
        "Mann and Whitney's statistic with Hoeffding's bound, one-sided",
        f"latencies are independent; the faster one wins at least {percent(0.5 + by)} of all pairs",
        "neither is faster",
        math.ceil((2 * unlikely_rank(1, ALPHA) / by) ** 2),
        power=CERTAIN,
    )


def _binomial(share: float, near: tuple[float, ...], tests: int) -> int:
    return requests_for(round(share, 9), tuple(round(q, 9) for q in near), alpha=ALPHA / tests)


def _first_hit(share: float) -> int:
    """Requests after which one of this share has been seen, with the chance POWER; rounded first:
    log is not exact.
    """
    return 1 if share >= 1 else math.ceil(round(math.log(1 - POWER) / math.log(1 - share), 9))


def tails(kinds: int) -> int:
    """How many one-sided tests the comparison of so many kinds comes to (Bonferroni)."""
    # of two kinds the second gap is the first one with the other sign
    return 2 if kinds <= 2 else 2 * kinds

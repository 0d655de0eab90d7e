"""Checks of shares: how much of the traffic each pod or version gets. Random, so each has a plan;
see labkit.lessons.checks.plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from labkit.errors import LessonError
from labkit.lessons.checks import plan as plans
from labkit.lessons.checks.bars import Bar, percent
from labkit.lessons.checks.columns import (
    counted,
    name_of,
    names_of,
    numbers,
    pod_names,
    shares_of,
    statuses,
    values,
)
from labkit.lessons.checks.plan import POINTS, CheckPlan
from labkit.lessons.checks.power import Band, Side, band, p_value
from labkit.lessons.checks.verdict import Verdict, Why, conclude
from labkit.lessons.checks.words import and_so

WEIGHT_HINTS = (
    "Look at the VirtualService: are both weights under one route, as two destinations of it?",
    "Two routes with one destination each are not a split: the first one that matches takes "
    "everything.",
    "Compare the weights with the versions next to them: they are easily swapped.",
)
BALANCER_HINTS = (
    "Look at mesh.endpoints(): are all the pods in the pool, and healthy?",
    "Look at trafficPolicy.loadBalancer of the DestinationRule: is it the policy you meant?",
    "Is there only one DestinationRule for the host? A second one is silently ignored.",
)
ERROR_HINTS = (
    "Look at result.codes and result.flags: a flag says which part of Envoy answered.",
    "See how many requests the pods failed: the column failed of mesh.states(…).",
    "Look at the percentages under fault, or at the weight of the version that fails.",
)


def split(
    result: Any,
    shares: Mapping[str, float],
    *,
    against: Mapping[str, float] | None = None,
    over: str = "version",
    about: str = "",
    hints: Sequence[str] = WEIGHT_HINTS,
) -> Verdict:
    """Each version gets its share of the requests.

    `shares` are weights, of any sum. `against` is the near miss that must be caught, in 99 % of
    runs; without it, ten points more or less. A false alarm happens in at most one of 10^6 correct
    runs. A version that is not in `shares`, or a request without an answer, fails it at once.
    Raises LessonError with fewer than `check.needed("split", shares)` requests.

    >>> check.split(result, {"v1": 80, "v2": 20})
    PASS  weighted split: v1 80 %, v2 20 %
    """
    want = shares_of(shares)
    plan = plans.split(shares, against=against)
    found = values(result, over)
    plan.refuse_short(len(found))
    claim = "weighted split: " + ", ".join(
        f"{name} {percent(share)}" for name, share in want.items()
    )
    return _judge_shares(plan, found, want, claim, about, hints)


def spread_evenly(
    result: Any,
    *,
    over: str = "pod",
    among: int | Iterable[Any] | None = None,
    about: str = "",
    hints: Sequence[str] = BALANCER_HINTS,
) -> Verdict:
    """Each pod gets the same share of the requests, as far as chance allows.

    `among`: how many pods there are, or which (names, or what `mesh.pods()` returned). Without it
    those that answered are compared, and a pod that gets nothing is not missed. False alarm at most
    10^-6; catches a pod that is ten points off in 99 % of runs. Raises LessonError with fewer than
    `check.needed("spread_evenly", among)` requests.

    >>> check.spread_evenly(result, over="pod", among=3)
    PASS  spread evenly over 3 pods
    """
    found = values(result, over)
    names = [name for name in dict.fromkeys(found) if name is not None]
    what = f"the {over}s that answered"
    if among is not None:
        if not isinstance(among, int):
            names = pod_names(among)
        count = among if isinstance(among, int) else len(names)
        # pods that never answered have no name here, but a share of 0 they do have
        names += [f"{over} without an answer {i + 1}" for i in range(count - len(names))]
        what = f"{count} {over}s"
    elif len(names) < 2:
        raise LessonError(
            f"Only one {over} answered, so there is nothing to compare",
            seen=counted(found),
            try_next=f"say how many there are: check.spread_evenly(result, over={over!r}, among=3)",
        )
    else:
        count = len(names)
    plan = plans.spread_evenly(count)
    plan.refuse_short(len(found))
    # more names than there should be: those beyond the count are strangers, and fail it
    want = dict.fromkeys(names[:count], 1 / count)
    return _judge_shares(plan, found, want, f"spread evenly over {what}", about, hints)


def random_order(
    result: Any,
    *,
    among: int = 3,
    over: str = "pod",
    about: str = "",
    hints: Sequence[str] = BALANCER_HINTS,
) -> Verdict:
    """The next pod does not depend on the previous one: RANDOM, neither in turns nor always the
    same.

    Counts how often the same pod answers twice in a row; of n requests drawn evenly that is
    binomial(n - 1, 1 / among). False alarm at most 10^-6; catches pods that take turns, and
    affinity, in 99 % of runs. Needs requests in the order in which they were sent, one at a time.

    >>> check.random_order(mesh.curl(url, n=200), among=3)
    PASS  the next pod does not depend on the previous one
    """
    found = values(result, over)
    plan = plans.random_order(among)
    plan.refuse_short(len(found))
    twice = sum(a == b for a, b in pairwise(found))
    seen = f"the same {over} answered twice in a row {twice} times in {len(found) - 1}"
    also = ""
    if len(set(found)) > among or None in found:
        also = f"Not {among} {over}s answered, and nobody else: {counted(found)}."
    return judge_count(
        plan,
        twice,
        len(found) - 1,
        1 / among,
        "both",
        plan.decides,
        seen,
        about,
        hints,
        what=f"the same {over} twice in a row",
        also=also,
        evidence=(counted(found),),
        sent=len(found),
    )


def avoids_slow_pod(
    result: Any,
    *,
    slow: str,
    pods: int = 3,
    at_most: float = 2 / 3,
    about: str = "",
    hints: Sequence[str] = BALANCER_HINTS,
) -> Verdict:
    """The slow pod gets clearly less than an equal share, as under LEAST_REQUEST with several
    connections.

    Expected is at most `at_most` of an equal share; an equal share fails in all but one run in a
    million.

    >>> check.avoids_slow_pod(result, slow=pod.name, pods=3)
    PASS  the slow pod gets clearly less than an equal share
    """
    found = values(result, "pod")
    plan = plans.avoids_slow_pod(pods, at_most)
    plan.refuse_short(len(found))
    count = found.count(name_of(slow))
    seen = f"the slow pod answered {count} of {len(found)} ({percent(count / len(found))})"
    # a run in which nobody answered avoids the slow pod as well, so all must have been answered,
    # and by somebody else
    others = set(found) - {name_of(slow)}
    also = ""
    if None in found or len(others) != pods - 1:
        also = (
            f"Not all of {pods} pods answered, or not each request was answered: {counted(found)}."
        )
    return judge_count(
        plan,
        count,
        len(found),
        at_most / pods,
        "high",
        plan.decides,
        seen,
        about,
        hints,
        what="the slow pod",
        also=also,
        evidence=(counted(found),),
    )


def error_rate(
    result: Any,
    *,
    at_most: float = 0.01,
    near: float | None = None,
    about: str = "",
    hints: Sequence[str] = ERROR_HINTS,
) -> Verdict:
    """At most this share of the requests fails (status 500 or more, or no answer).

    `near` is the rate that must be caught, in 99 % of runs; without it, ten points more. False
    alarm at most 10^-6, for a true rate of `at_most` or less. With `at_most=0` one error is too
    many. Raises LessonError with fewer than `check.needed("error_rate", at_most)` requests.

    >>> check.error_rate(result, at_most=0.05)
    PASS  error rate at most 5 %
    """
    failed, total = _failed(result)
    plan = plans.error_rate(at_most, near=near)
    plan.refuse_short(total)
    claim = f"error rate at most {percent(at_most)}"
    return judge_count(
        plan,
        failed,
        total,
        at_most,
        "high",
        claim,
        _failed_text(failed, total),
        about,
        hints,
        what="failed",
        evidence=(counted(statuses(result)),),
    )


def error_rate_near(
    result: Any,
    share: float,
    *,
    points: float = POINTS,
    about: str = "",
    hints: Sequence[str] = ERROR_HINTS,
) -> Verdict:
    """This share of the requests fails, as far as chance allows: a fault of 30 %, say.

    `share` is between 0 and 1. False alarm at most 10^-6; catches a rate that is `points` off (0.1:
    ten points) in 99 % of runs. Raises LessonError with fewer than
    `check.needed("error_rate_near", share)` requests.

    >>> check.error_rate_near(result, 0.3)
    PASS  error rate 30 %
    """
    failed, total = _failed(result)
    plan = plans.error_rate_near(share, points=points)
    plan.refuse_short(total)
    return judge_count(
        plan,
        failed,
        total,
        share,
        "both",
        f"error rate {percent(share)}",
        _failed_text(failed, total),
        about,
        hints,
        what="failed",
        evidence=(counted(statuses(result)),),
    )


def share_slow_near(
    result: Any,
    share: float,
    *,
    slower_than_ms: float,
    points: float = POINTS,
    about: str = "",
    hints: Sequence[str] = ERROR_HINTS,
) -> Verdict:
    """This share of the requests takes longer than a limit: an injected delay, say. Set the limit
    to half the delay.

    `share` is between 0 and 1. False alarm at most 10^-6; catches a share that is `points` off in
    99 % of runs.

    >>> check.share_slow_near(result, 0.5, slower_than_ms=50)
    PASS  50 % of the requests take longer than 50 ms
    """
    latencies = numbers(result, "latency_ms")
    plan = plans.share_slow_near(share, points=points)
    plan.refuse_short(len(latencies))
    slow = sum(latency > slower_than_ms for latency in latencies)
    claim = f"{percent(share)} of the requests take longer than {slower_than_ms:g} ms"
    seen = f"{slow} of {len(latencies)} ({percent(slow / len(latencies))}) took longer"
    total = len(latencies)
    what = f"over {slower_than_ms:g} ms"
    return judge_count(plan, slow, total, share, "both", claim, seen, about, hints, what=what)


def _failed(result: Any) -> tuple[int, int]:
    found = statuses(result)
    return sum(status >= 500 or status < 0 for status in found), len(found)


def _failed_text(failed: int, total: int) -> str:
    return f"{failed} of {total} failed ({percent(failed / total)})"


def _judge_shares(
    plan: CheckPlan,
    found: list[Any],
    want: Mapping[str, float],
    claim: str,
    about: str,
    hints: Sequence[str],
) -> Verdict:
    """Bonferroni: each share has its own exact test, at ALPHA divided by their number."""
    counts, n = Counter(found), len(found)
    judged = list(want)[:1] if len(want) == 2 else list(want)
    bands = {name: band(n, want[name], alpha=plan.false_alarm / len(judged)) for name in judged}
    strangers = [name for name in counts if name not in want]
    passed = not strangers and all(counts[name] in bands[name] for name in judged)
    smallest = min(p_value(counts[name], n, want[name]) for name in judged)
    names = names_of([*want, *strangers])
    bars = [Bar(names[name], counts[name], n, b.low, b.high) for name, b in bands.items()]
    bars += [Bar(names[name], counts[name], n) for name in want if name not in bands]
    bars += [Bar(names[name], counts[name], n, high=0) for name in strangers]
    off = [
        f"{names[name]} got {percent(counts[name] / n)} of {n} requests, too far from "
        f"{percent(want[name])} to be chance"
        for name in judged
        if counts[name] not in bands[name]
    ]
    off += [
        f"{names[name]} answered {counts[name]} of the requests"
        + ("" if name is None else ", and should answer none")
        for name in strangers
    ]
    why = Why(
        expected=", ".join(f"{names[name]} {percent(share)}" for name, share in want.items()),
        seen=counted(found),
        said=and_so(off) or f"Of {n} requests each got its share, as far as chance allows.",
        bars=tuple(bars),
        p_value=0.0 if strangers else min(1.0, smallest * len(judged)),
        **promise(plan, n),
    )
    return conclude(Verdict(passed, with_about(claim, about), why, tuple(hints)))


def judge_count(
    plan: CheckPlan,
    count: int,
    n: int,
    share: float,
    side: Side,
    claim: str,
    seen: str,
    about: str,
    hints: Sequence[str],
    *,
    what: str,
    also: str = "",
    evidence: Sequence[str] = (),
    sent: int | None = None,
) -> Verdict:
    """The verdict on a count, of `what`: exact binomial test of `count` of `n` against `share`.
    `also` says what else is wrong, in a sentence; `sent` is the number of requests, where that is
    not `n`.
    """
    allowed: Band = band(n, share, alpha=plan.false_alarm, side=side)
    side_of = (
        "as chance allows" if count in allowed else "too few" if count < allowed.low else "too many"
    )
    low = allowed.low if side != "high" else None
    why = Why(
        expected=f"from {allowed.low} to {allowed.high} of {n}",
        seen=seen,
        said=f"{and_so([seen])[:-1]}: {side_of}.",
        bars=(Bar(what, count, n, low, allowed.high if side != "low" else None),),
        evidence=tuple(evidence),
        p_value=p_value(count, n, share, side=side),
        **promise(plan, sent or n),
    )
    if also:
        why = replace(why, said=also)
    passed = not also and count in allowed
    return conclude(Verdict(passed, with_about(claim, about), why, tuple(hints)))


def promise(plan: CheckPlan, n: int) -> dict[str, Any]:
    """The fields of a Why that state what a plan promises for n requests."""
    return {
        "test": plan.test,
        "assumes": plan.assumes,
        "n": n,
        "needed": plan.n,
        "false_alarm": plan.false_alarm,
        "near_miss": plan.near_miss,
        "power": plan.power,
    }


def with_about(claim: str, about: str) -> str:
    """The claim, and which of several such checks it is: "… (after the rollback)"."""
    return f"{claim} ({about})" if about else claim

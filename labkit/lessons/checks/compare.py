"""Checks that compare two runs: before and after, or with one policy and with another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from labkit.lessons.checks import plan as plans
from labkit.lessons.checks.bars import Bar, percent
from labkit.lessons.checks.columns import counted, names_of, numbers, statuses, values
from labkit.lessons.checks.power import ALPHA, unlikely_difference, unlikely_rank
from labkit.lessons.checks.shares import promise, with_about
from labkit.lessons.checks.verdict import Verdict, Why, conclude

COMPARE_HINTS = (
    "Compare both results: which rows are new?",
    "Was the policy in effect before the second run? mesh.apply(…) says so when it returns.",
    "Did both runs use the same address, headers and number of connections?",
)


def same(
    a: Any,
    b: Any,
    *,
    column: str = "version",
    by: float = 0.2,
    about: str = "",
    hints: Sequence[str] = COMPARE_HINTS,
) -> Verdict:
    """Two runs have the same shares of `column`, as far as chance allows. The near miss is a gap of
    `by`.

    `by` is between 0 and 1 (0.2: 20 points). False alarm at most 10^-6; catches the near miss in
    99 % of runs. Raises LessonError when a run has fewer than `check.needed("same", by=by)`
    requests.

    >>> check.same(before, after, column="version")
    PASS  the same shares of each version in both runs
    """
    left, right, kinds = _two(a, b, column)
    plan = plans.same(by=by, kinds=len(kinds))
    plan.refuse_short(min(len(left), len(right)))
    chance = ALPHA / plans.tails(len(kinds))
    kind, gap = _widest_gap(left, right, kinds)
    allowed = unlikely_difference(len(left), len(right), chance)
    why = Why(
        f"no gap of {100 * allowed:.1f} points or more",
        f"{counted(left)}; then {counted(right)}",
        said=gap_in_words(kind, left, right),
        bars=(Bar("widest gap, points", points(gap), 1, high=points(allowed)),),
        evidence=(f"{counted(left)}; then {counted(right)}",),
        **promise(plan, min(len(left), len(right))),
    )
    claim = f"the same shares of each {column} in both runs"
    return conclude(Verdict(gap < allowed, with_about(claim, about), why, tuple(hints)))


def differs(
    a: Any,
    b: Any,
    *,
    column: str = "version",
    by: float = 0.3,
    about: str = "",
    hints: Sequence[str] = COMPARE_HINTS,
) -> Verdict:
    """Two runs have different shares of `column`, by more than chance explains. Expected is a gap
    of `by` or more.

    Equal runs pass at most once in 10^6. Raises LessonError when a run has fewer than
    `check.needed("differs", by=by)` requests.

    >>> check.differs(random, least_request, column="pod")
    PASS  different shares of some pod in the two runs
    """
    left, right, kinds = _two(a, b, column)
    plan = plans.differs(by=by, kinds=len(kinds))
    plan.refuse_short(min(len(left), len(right)))
    chance = ALPHA / plans.tails(len(kinds))
    kind, gap = _widest_gap(left, right, kinds)
    least = unlikely_difference(len(left), len(right), chance)
    why = Why(
        f"a gap of {100 * least:.1f} points or more",
        f"{counted(left)}; then {counted(right)}",
        said=gap_in_words(kind, left, right),
        bars=(Bar("widest gap, points", points(gap), 1, low=points(least)),),
        evidence=(f"{counted(left)}; then {counted(right)}",),
        **promise(plan, min(len(left), len(right))),
    )
    claim = f"different shares of some {column} in the two runs"
    return conclude(Verdict(gap >= least, with_about(claim, about), why, tuple(hints)))


def fewer_slow(
    a: Any,
    b: Any,
    *,
    slower_than_ms: float,
    by: float = 0.2,
    about: str = "",
    hints: Sequence[str] = COMPARE_HINTS,
) -> Verdict:
    """In run `a` fewer requests take longer than a limit than in run `b`. Expected is a gap of `by`
    or more.

    Better than a mean where one pod is slow: the mean hides which requests wait. Set the limit to
    half of the pod's delay. Equal runs pass, and runs with a gap of `by` fail, at most once in 10^6
    each. Raises LessonError when a run has fewer than `check.needed("fewer_slow", by=by)` requests.

    >>> check.fewer_slow(least_request, random, slower_than_ms=10)
    PASS  fewer requests over 10 ms in the first run
    """
    left, right = numbers(a, "latency_ms"), numbers(b, "latency_ms")
    plan = plans.fewer_slow(by=by)
    plan.refuse_short(min(len(left), len(right)))
    shares = [sum(latency > slower_than_ms for latency in run) / len(run) for run in (left, right)]
    least = unlikely_difference(len(left), len(right), ALPHA)
    why = Why(
        f"at least {100 * least:.1f} points fewer",
        f"{percent(shares[0])} took longer; then {percent(shares[1])}",
        said=f"{percent(shares[0])} of the first run and {percent(shares[1])} of the second took "
        f"longer than {slower_than_ms:g} ms.",
        bars=(
            Bar(
                "points by which it fell",
                round(100 * (shares[1] - shares[0]), 1),
                1,
                low=points(least),
            ),
        ),
        **promise(plan, min(len(left), len(right))),
    )
    claim = f"fewer requests over {slower_than_ms:g} ms in the first run"
    return conclude(
        Verdict(shares[1] - shares[0] >= least, with_about(claim, about), why, tuple(hints))
    )


def faster(
    a: Any, b: Any, *, by: float = 0.25, about: str = "", hints: Sequence[str] = COMPARE_HINTS
) -> Verdict:
    """Run `a` is faster than run `b`: of all pairs of their requests it wins clearly more than
    half.

    Expected is 0.5 + `by` of the pairs or more, ties counted half. One outlier can't decide it, as
    it can with a mean. Runs of equal speed pass at most once in 10^6.

    >>> check.faster(keep_alive, new_connections)
    PASS  the first run is faster
    """
    import numpy as np

    left, right = (np.sort(np.asarray(numbers(run, "latency_ms"))) for run in (a, b))
    plan = plans.faster(by=by)
    plan.refuse_short(min(len(left), len(right)))
    below = np.searchsorted(left, right, side="left").sum()
    ties = np.searchsorted(left, right, side="right").sum() - below
    won = float(below + ties / 2) / (len(left) * len(right))
    least = 0.5 + unlikely_rank(min(len(left), len(right)), ALPHA)
    why = Why(
        f"faster in at least {percent(round(least, 4))} of all pairs",
        f"faster in {percent(round(won, 4))} of all pairs",
        said=f"The first run was faster in {percent(round(won, 4))} of all pairs of requests, one "
        "of each run.",
        bars=(Bar("faster in, % of pairs", points(won), 1, low=points(least)),),
        evidence=(f"p50: {np.median(left):.2f} ms, then {np.median(right):.2f} ms",),
        **promise(plan, min(len(left), len(right))),
    )
    return conclude(
        Verdict(won >= least, with_about("the first run is faster", about), why, tuple(hints))
    )


def _two(a: Any, b: Any, column: str) -> tuple[list[Any], list[Any], list[Any]]:
    left, right = ((statuses(run) if column == "status" else values(run, column)) for run in (a, b))
    return left, right, list(dict.fromkeys([*left, *right]))


def points(share: float) -> float:
    """A share as percentage points, to a tenth."""
    return round(100 * share, 1)


def gap_in_words(kind: Any, left: list[Any], right: list[Any]) -> str:
    name = names_of([kind, *left, *right])[kind]
    shares = [percent(run.count(kind) / len(run)) for run in (left, right)]
    return f"The widest gap is that of {name}: {shares[0]} of the first run, then {shares[1]}."


def _widest_gap(left: list[Any], right: list[Any], kinds: list[Any]) -> tuple[Any, float]:
    one, other = Counter(left), Counter(right)
    gaps = {kind: abs(one[kind] / len(left) - other[kind] / len(right)) for kind in kinds}
    widest = max(gaps, key=lambda kind: gaps[kind])
    return widest, gaps[widest]

"""How often a check is wrong, and how many requests it needs.

Two errors are possible. A **false alarm** fails a mesh that is right; at most `ALPHA` of right
runs, one in a million. A **miss** passes a mesh that is a little wrong (the check's *near miss*);
at most 1 − `POWER` of such runs. Both bounds are proven, not approximated: counts are judged by the
exact binomial distribution, comparisons of two runs by Hoeffding's inequality (Journal of the
American Statistical Association 58, 1963), several shares by Bonferroni's. The price is a few more
requests than an approximation would ask for, which cost a millisecond each.

The binomial distribution is written out here, in plain floats: what is asked of it is a sum of a
few hundred terms. scipy has it as well (the tests compare), but takes a third of a second to
import, in every lesson.

>>> band(1000, 0.2)                       # 20 % of 1000 requests; counts outside are not chance
Band(n=1000, low=141, high=264)
>>> requests_for(0.2, (0.1, 0.3))         # this many requests tell 20 % from 10 % and from 30 %
965
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from labkit.errors import LessonError

ALPHA = 1e-6
"""A check fails at most this share of the runs of a mesh that is right."""
POWER = 0.99
"""A check finds its near miss in at least this share of the runs."""
CERTAIN = 1 - 1e-6
"""The power of checks that pass only once the near miss is disproved."""
MOST = 30_000
"""No check asks for more requests than this."""

Side = Literal["both", "low", "high"]
"""Which counts are too far off: too small ("low"), too large ("high"), or either."""


@dataclass(frozen=True)
class Band:
    """The counts, out of n, that pass: low ≤ count ≤ high."""

    n: int
    low: int
    high: int

    def __contains__(self, count: object) -> bool:
        return isinstance(count, int) and self.low <= count <= self.high


def band(n: int, share: float, *, alpha: float = ALPHA, side: Side = "both") -> Band:
    """The counts that pass when each of n requests is a hit with the chance `share`.

    A count falls outside with a chance of at most alpha: alpha / 2 on each side when both are
    looked at.

    >>> band(10, 0.0)
    Band(n=10, low=0, high=0)
    """
    tail = alpha / 2 if side == "both" else alpha
    low = 0 if side == "high" else _too_few(n, share, tail) + 1
    high = n if side == "low" else n - _too_few(n, 1 - share, tail) - 1
    return Band(n, low, high)


def chance_outside(band: Band, share: float) -> float:
    """How likely a count falls outside of the band when the chance of a hit is `share`.

    >>> chance_outside(band(965, 0.2), 0.3) > 0.99
    True
    """
    return _below(band.low, band.n, share) + _below(band.n - band.high, band.n, 1 - share)


def p_value(count: int, n: int, share: float, *, side: Side = "both") -> float:
    """The chance, were `share` right, of a count at least as far off; both sides: twice the smaller
    tail.
    """
    few = _below(count + 1, n, share)
    many = _below(n - count + 1, n, 1 - share)
    return {"low": few, "high": many, "both": min(1.0, 2 * min(few, many))}[side]


@lru_cache(maxsize=256)
def requests_for(
    share: float,
    near: tuple[float, ...],
    *,
    alpha: float = ALPHA,
    power: float = POWER,
    side: Side = "both",
) -> int:
    """The number of requests from which `share` is told from each share in `near`.

    From this number on the power stays at `power` or more. (It does not rise steadily: counts are
    whole numbers, so it drops a little each time the band widens by one.)
    """
    tail = alpha / 2 if side == "both" else alpha
    stairs = [_Staircase(share, tail, near)] if side != "high" else []
    if side != "low":
        stairs.append(_Staircase(1 - share, tail, [1 - q for q in near]))
    last = 0  # the largest number so far that is not enough
    for n in range(1, MOST + 1):
        found = [one.next() for one in stairs]
        if min(map(sum, zip(*found, strict=True))) < power:
            last = n
        # the upper half of what was looked at must be strong throughout: only then the drops are
        # behind us
        elif n >= 64 and n >= 2 * last and n & (n - 1) == 0:
            return last + 1
    raise LessonError(
        f"No reasonable number of requests distinguishes {share:.4g} from "
        f"{' or '.join(f'{q:.4g}' for q in near)}",
        seen=f"more than {MOST} would be needed",
        try_next="choose a near miss that is further away",
    )


def unlikely_difference(n_a: int, n_b: int, chance: float) -> float:
    """The gap between the shares of two runs beyond the true gap, on one side, that occurs with at
    most `chance`.

    Hoeffding's inequality for the difference of two means of independent values between 0 and 1.
    """
    return math.sqrt(math.log(1 / chance) * (1 / n_a + 1 / n_b) / 2)


def requests_for_difference(by: float, right: float, wrong: float) -> int:
    """Requests in each of two runs so that a gap of 0 and a gap of `by` are told apart with these
    two chances of error.

    >>> requests_for_difference(0.2, 1e-6, 0.01)
    860
    """
    return math.ceil(((math.sqrt(math.log(1 / right)) + math.sqrt(math.log(1 / wrong))) / by) ** 2)


def unlikely_rank(n: int, chance: float) -> float:
    """How far "a is below b in so many of all pairs" strays on one side with at most `chance`; n:
    the smaller run.

    Hoeffding's inequality for two-sample U-statistics, of which Mann and Whitney's is one.
    """
    return math.sqrt(math.log(1 / chance) / (2 * n))


class _Staircase:
    """For n = 1, 2, 3 …: the largest count k with P(count ≤ k) ≤ tail when the chance of a hit is
    `share`, and how likely a count is at most k when it is one of `others`.

    With n and k the distribution changes by single terms, so a step costs no sum.
    """

    def __init__(self, share: float, tail: float, others: Sequence[float]) -> None:
        self.share, self.tail, self.others = share, tail, others
        self.n, self.k = 0, -1
        # of each chance of a hit: P(count ≤ k), and P(count = k + 1)
        self.sums = [[0.0, 1.0] for _ in (share, *others)]

    def next(self) -> list[float]:
        """One request more; P(count ≤ k) for each of the others."""
        n, k = self.n, self.k
        self.n += 1
        if self.share <= 0 or self.share >= 1:
            # all or nothing is no chance at all: with share 1 every count below n is too few
            return [1 - q**self.n if self.share >= 1 else 0.0 for q in self.others]
        for chance, pair in zip((self.share, *self.others), self.sums, strict=True):
            pair[0] -= pair[1] * (k + 1) * (1 - chance) / (n - k)
            pair[1] *= (n + 1) * (1 - chance) / (n - k)
        while sum(self.sums[0]) <= self.tail:
            self.k += 1
            for chance, pair in zip((self.share, *self.others), self.sums, strict=True):
                pair[0] += pair[1]
                if chance < 1:
                    pair[1] *= (self.n - self.k) / (self.k + 1) * chance / (1 - chance)
        return [pair[0] for pair in self.sums[1:]]


def _too_few(n: int, share: float, tail: float) -> int:
    """The largest count k with P(count ≤ k) ≤ tail, -1 where there is none."""
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        if _below(middle + 1, n, share) <= tail:
            low = middle
        else:
            high = middle
    return low


def _below(count: int, n: int, share: float) -> float:
    """P(X < count) for X binomial(n, share)."""
    if share <= 0 or share >= 1:
        return 1.0 if count > (n if share >= 1 else 0) else 0.0
    if count <= 0 or count > n:
        return 1.0 if count > n else 0.0
    # summed from the largest term to the smallest, on the side where the terms fall
    if count > (n + 1) * share:
        return 1 - _sum_down(n - count, n, 1 - share)
    return _sum_down(count - 1, n, share)


def _sum_down(k: int, n: int, share: float) -> float:
    """P(X ≤ k) for a k that is not above the most likely count."""
    term = math.exp(
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(share)
        + (n - k) * math.log1p(-share)
    )
    total = 0.0
    while total + term > total:
        total += term
        term *= k * (1 - share) / ((n - k + 1) * share)
        k -= 1
    return total


def shifted(share: float, points: float) -> tuple[float, ...]:
    """The shares `points` above and below, kept between 0 and 1; the share itself is not among
    them.

    >>> shifted(0.95, 0.1)
    (0.85, 1.0)
    """
    moved: Sequence[float] = (
        round(max(0.0, share - points), 12),
        round(min(1.0, share + points), 12),
    )
    return tuple(q for q in moved if q != share)

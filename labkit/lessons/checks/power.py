"""How often a check is wrong, and how many requests it needs.

Two errors are possible. A **false alarm** fails a mesh that is right; at most `ALPHA` of right
runs, one in a million. A **miss** passes a mesh that is a little wrong (the check's *near miss*);
at most 1 − `POWER` of such runs. Both bounds are proven, not approximated: counts are judged by the
exact binomial distribution, comparisons of two runs by Hoeffding's inequality (Journal of the
American Statistical Association 58, 1963), several shares by Bonferroni's. The price is a few more
requests than an approximation would ask for, which cost a millisecond each.

The binomial distribution is scipy.special's. scipy.stats has the same functions with a friendlier
interface, but takes about a second longer to import, in every lesson.

>>> band(1000, 0.2)                       # 20 % of 1000 requests; counts outside are not chance
Band(n=1000, low=141, high=264)
>>> requests_for(0.2, (0.1, 0.3))         # this many requests tell 20 % from 10 % and from 30 %
958
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

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
    low = 0 if side == "high" else int(_too_few(n, share, tail)) + 1
    high = n if side == "low" else n - int(_too_few(n, 1 - share, tail)) - 1
    return Band(n, low, high)


def chance_outside(band: Band, share: float) -> float:
    """How likely a count falls outside of the band when the chance of a hit is `share`.

    >>> chance_outside(band(965, 0.2), 0.3) > 0.99
    True
    """
    return float(_below(band.low, band.n, share) + _below(band.n - band.high, band.n, 1 - share))


def p_value(count: int, n: int, share: float, *, side: Side = "both") -> float:
    """The chance, were `share` right, of a count at least as far off; both sides: twice the smaller
    tail.
    """
    few = float(_below(count + 1, n, share))
    many = float(_below(n - count + 1, n, 1 - share))
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
    # imported late, as everywhere: a lesson that only counts identities need not load numpy
    import numpy as np

    most = 64
    while most <= MOST:
        ns = np.arange(1, most + 1)
        tail = alpha / 2 if side == "both" else alpha
        few = np.full(most, -1) if side == "high" else _too_few(ns, share, tail)
        many = np.full(most, -1) if side == "low" else _too_few(ns, 1 - share, tail)
        worst = np.min([_below(few + 1, ns, q) + _below(many + 1, ns, 1 - q) for q in near], axis=0)
        weak = np.flatnonzero(worst < power)
        last = int(ns[weak[-1]]) if len(weak) else 0
        # the upper half of what was looked at must be strong throughout: only then the drops are
        # behind us
        if last <= most // 2:
            return last + 1
        most *= 2
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


def _too_few(n: Any, share: float, tail: float) -> Any:
    """The largest count k with P(count ≤ k) ≤ tail, -1 where there is none; n may be an array."""
    import numpy as np
    from scipy.special import bdtrik

    if share <= 0 or share >= 1:
        # all or nothing is no chance at all: with share 1 every count below n is too few
        return np.asarray(n) - 1 if share >= 1 else np.full_like(np.asarray(n), -1)
    guess = np.nan_to_num(np.floor(bdtrik(tail, n, share)), nan=-1).astype(int)
    # the inverse is a root found numerically, and 0 also stands for "none": the distribution itself
    # decides
    for _ in range(4):
        guess = np.where(_below(guess + 2, n, share) <= tail, guess + 1, guess)
        guess = np.where((guess >= 0) & (_below(guess + 1, n, share) > tail), guess - 1, guess)
    return guess


def _below(count: Any, n: Any, share: float) -> Any:
    """P(X < count) for X binomial(n, share); elementwise for arrays."""
    import numpy as np
    from scipy.special import bdtr

    count = np.asarray(count)
    if share <= 0 or share >= 1:
        return np.where(count > (n if share >= 1 else 0), 1.0, 0.0)
    inside = np.clip(count - 1, 0, n)
    return np.where(count <= 0, 0.0, bdtr(inside.astype(float), n, share))


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

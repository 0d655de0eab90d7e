"""The promises of labkit.lessons.checks.power, held against simulated runs.

Each simulation draws afresh. What is tested at an inflated alpha (1e-2 instead of 1e-6: otherwise
nothing would ever be seen) may stray by six standard deviations, which a right bound does in less
than one run in a hundred million.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from labkit.errors import LessonError
from labkit.lessons.checks.power import (
    ALPHA,
    Band,
    Side,
    band,
    chance_outside,
    p_value,
    requests_for,
    requests_for_difference,
    shifted,
    unlikely_difference,
    unlikely_rank,
)

RUNS = 20_000


def strays(share: float) -> float:
    """How far a share seen in RUNS simulated runs may lie above the true one: six standard
    deviations.
    """
    return 6 * math.sqrt(max(share * (1 - share), 1 / RUNS) / RUNS)


@pytest.mark.parametrize(
    ("n", "share"), [(50, 0.5), (965, 0.2), (400, 1 / 3), (300, 0.01), (300, 0.99)]
)
@pytest.mark.parametrize("side", ["both", "low", "high"])
def test_false_alarms_stay_below_alpha(n: int, share: float, side: Side) -> None:
    allowed = band(n, share, alpha=0.01, side=side)
    counts = np.random.default_rng().binomial(n, share, RUNS)
    outside = np.mean((counts < allowed.low) | (counts > allowed.high))
    assert outside <= 0.01 + strays(0.01)
    assert chance_outside(allowed, share) <= 0.01


@pytest.mark.parametrize("share", [0.001, 0.2, 1 / 3, 0.5, 0.95])
def test_the_distribution_is_that_of_scipy(share: float) -> None:
    from scipy.special import bdtr

    for n in (1, 7, 64, 965, 30_000):
        allowed = band(n, share)
        for low, p in ((allowed.low, share), (n - allowed.high, 1 - share)):
            assert low == 0 or bdtr(low - 1, n, p) <= ALPHA / 2
            assert bdtr(low, n, p) > ALPHA / 2
        for count in (0, allowed.low, int(n * share), allowed.high, n):
            expected = pytest.approx(bdtr(count, n, share), rel=1e-9, abs=1e-300)
            assert p_value(count, n, share, side="low") == expected


@pytest.mark.parametrize(
    ("share", "near"), [(0.8, 0.7), (0.7, 0.6), (0.05, 0.15), (1 / 3, 0.433), (0.3, 0.4)]
)
def test_the_near_miss_is_found_as_often_as_promised(share: float, near: float) -> None:
    n = requests_for(share, (near,))
    allowed = band(n, share)
    counts = np.random.default_rng().binomial(n, near, RUNS)
    outside = np.mean((counts < allowed.low) | (counts > allowed.high))
    assert outside >= 0.99 - strays(0.99)


@pytest.mark.parametrize(
    ("share", "near"), [(0.8, (0.7, 0.9)), (0.5, (0.4,)), (0.02, (0.12,)), (0.0, (0.1,))]
)
def test_from_the_number_needed_on_the_power_never_drops_below_the_promise(
    share: float, near: tuple[float, ...]
) -> None:
    n = requests_for(share, near)
    assert min(chance_outside(band(n - 1, share), q) for q in near) < 0.99
    for more in range(n, n + 300):
        assert min(chance_outside(band(more, share), q) for q in near) >= 0.99


def test_the_band_is_the_narrowest_that_keeps_the_promise() -> None:
    allowed = band(965, 0.2)
    for narrower in (Band(965, allowed.low + 1, 965), Band(965, 0, allowed.high - 1)):
        assert chance_outside(narrower, 0.2) > ALPHA / 2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_leaves_no_room_for_chance(share: float) -> None:
    allowed = band(10, share)
    assert (allowed.low, allowed.high) == (10 * share, 10 * share)
    assert p_value(int(10 * share), 10, share) == 1.0
    assert p_value(5, 10, share) == 0.0


def test_the_p_value_falls_below_alpha_exactly_outside_of_the_band() -> None:
    allowed = band(200, 0.3)
    for count in range(201):
        assert (p_value(count, 200, 0.3) > ALPHA) == (count in allowed)


def test_hoeffding_bounds_the_gap_of_two_runs() -> None:
    rng = np.random.default_rng()
    gaps = rng.binomial(300, 0.5, RUNS) / 300 - rng.binomial(200, 0.5, RUNS) / 200
    assert np.mean(gaps >= unlikely_difference(300, 200, 0.01)) <= 0.01 + strays(0.01)


def test_a_gap_of_the_promised_size_is_found() -> None:
    n = requests_for_difference(0.2, 1e-6, 0.01)
    rng = np.random.default_rng()
    gaps = np.abs(rng.binomial(n, 0.6, RUNS) - rng.binomial(n, 0.4, RUNS)) / n
    assert np.mean(gaps >= unlikely_difference(n, n, 1e-6)) >= 0.99 - strays(0.99)


def test_hoeffding_bounds_the_rank_statistic() -> None:
    rng, n, runs = np.random.default_rng(), 40, 2000
    wins = [np.mean(rng.random(n)[:, None] < rng.random(n)[None, :]) for _ in range(runs)]
    above = np.mean(np.array(wins) >= 0.5 + unlikely_rank(n, 0.01))
    assert above <= 0.01 + 6 * math.sqrt(0.01 / runs)


def test_what_no_number_of_requests_can_tell_apart_is_refused() -> None:
    with pytest.raises(LessonError, match="No reasonable number"):
        requests_for(0.5, (0.5001,))


def test_shifted_stays_within_a_share() -> None:
    assert shifted(0.95, 0.1) == (0.85, 1.0)
    assert shifted(0.0, 0.1) == (0.1,)

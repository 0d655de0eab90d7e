"""Each check of shares passes what is right and fails its near miss, at the number of requests it
asks for.

The near misses are exact proportions, so nothing here is left to chance, but for the last tests,
which simulate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from labkit.errors import LessonError
from labkit.lessons.checks import check
from labkit.lessons.checks.power import band
from labkit.lessons.checks.verdict import CheckFailed

PODS = ("hello-world-v1-a", "hello-world-v1-b", "hello-world-v2-c")


def rows(column: str, shares: dict[Any, float], n: int) -> pd.DataFrame:
    """A run of n requests in exactly these shares; what is left over by rounding goes to the last
    one.
    """
    counts = {name: round(n * share) for name, share in shares.items()}
    values = [name for name, count in counts.items() for _ in range(count)][:n]
    values += [next(reversed(shares))] * (n - len(values))
    return pd.DataFrame({column: values})


def test_a_split_is_found_and_its_near_misses_are_not() -> None:
    n = check.needed("split", {"v1": 70, "v2": 30}, against={"v1": 60, "v2": 40})
    verdict = check.split(
        rows("version", {"v1": 0.7, "v2": 0.3}, n),
        {"v1": 70, "v2": 30},
        against={"v1": 60, "v2": 40},
    )
    assert verdict.line == "PASS  weighted split: v1 70 %, v2 30 %"
    for wrong in (
        {"v1": 0.6, "v2": 0.4},
        {"v1": 0.8, "v2": 0.2},
        {"v1": 0.3, "v2": 0.7},
        {"v2": 1.0},
    ):
        with pytest.raises(CheckFailed):
            check.split(
                rows("version", wrong, n), {"v1": 70, "v2": 30}, against={"v1": 60, "v2": 40}
            )


def test_a_split_of_three() -> None:
    n = check.needed("split", {"v1": 50, "v2": 30, "v3": 20})
    want = {"v1": 50, "v2": 30, "v3": 20}
    check.split(rows("version", {"v1": 0.5, "v2": 0.3, "v3": 0.2}, n), want)
    for wrong in ({"v1": 0.5, "v2": 0.2, "v3": 0.3}, {"v1": 0.4, "v2": 0.4, "v3": 0.2}):
        with pytest.raises(CheckFailed):
            check.split(rows("version", wrong, n), want)


@pytest.mark.parametrize("stranger", ["v3", None, ""])
def test_one_answer_of_a_stranger_or_of_nobody_fails_a_split(stranger: str | None) -> None:
    frame = rows("version", {"v1": 0.8, "v2": 0.2}, 1000)
    frame.loc[5, "version"] = stranger
    with pytest.raises(CheckFailed, match="weighted split"):
        check.split(frame, {"v1": 80, "v2": 20})


def test_all_or_nothing_splits_are_exact() -> None:
    frame = rows("version", {"v1": 1.0}, 100)
    assert check.split(frame, {"v1": 100, "v2": 0})
    frame.loc[5, "version"] = "v2"
    with pytest.raises(CheckFailed):
        check.split(frame, {"v1": 100, "v2": 0})


def test_too_few_requests_are_refused_with_the_number_to_send() -> None:
    with pytest.raises(LessonError, match="send n=965") as caught:
        check.split(rows("version", {"v1": 0.8, "v2": 0.2}, 964), {"v1": 80, "v2": 20})
    assert not isinstance(caught.value, CheckFailed)


def test_the_line_of_a_split_has_nothing_measured_in_it() -> None:
    lines = {
        check.split(rows("version", {"v1": share, "v2": 1 - share}, n), {"v1": 80, "v2": 20}).line
        for share, n in ((0.8, 1000), (0.81, 1300), (0.79, 2000))
    }
    assert lines == {"PASS  weighted split: v1 80 %, v2 20 %"}


def test_an_even_spread() -> None:
    n = check.needed("spread_evenly", 3)
    even = rows("pod", dict.fromkeys(PODS, 1 / 3), n)
    assert check.spread_evenly(even, among=3).line == "PASS  spread evenly over 3 pods"
    assert check.spread_evenly(even, among=PODS)
    assert check.spread_evenly(even).line == "PASS  spread evenly over the pods that answered"
    near = dict(zip(PODS, (0.434, 0.283, 0.283), strict=True))
    with pytest.raises(CheckFailed):
        check.spread_evenly(rows("pod", near, n), among=3)


def test_a_pod_that_gets_nothing_is_missed_only_where_one_knows_of_it() -> None:
    n = check.needed("spread_evenly", 3)
    two = rows("pod", dict.fromkeys(PODS[:2], 1 / 2), n)
    assert check.spread_evenly(two)
    for among in (3, PODS):
        with pytest.raises(CheckFailed):
            check.spread_evenly(two, among=among)


def test_one_pod_too_many_fails_an_even_spread() -> None:
    n = check.needed("spread_evenly", 2)
    with pytest.raises(CheckFailed):
        check.spread_evenly(rows("pod", dict.fromkeys(PODS, 1 / 3), n), among=2)


def test_one_pod_alone_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(LessonError, match="Only one pod"):
        check.spread_evenly(rows("pod", {"a": 1.0}, 2000))


def test_random_order_is_told_from_turns_and_from_affinity() -> None:
    n = check.needed("random_order", 3)
    drawn = pd.DataFrame({"pod": np.random.default_rng().choice(PODS, n)})
    assert (
        check.random_order(drawn, among=3).line
        == "PASS  the next pod does not depend on the previous one"
    )
    for wrong in ([PODS[i % 3] for i in range(n)], [PODS[0]] * n):
        with pytest.raises(CheckFailed):
            check.random_order(pd.DataFrame({"pod": wrong}), among=3)


def test_the_slow_pod_is_avoided_or_not() -> None:
    n = check.needed("avoids_slow_pod", 3)
    right = dict(zip(PODS, (0.44, 0.44, 0.12), strict=True))
    verdict = check.avoids_slow_pod(rows("pod", right, n), slow=PODS[2], pods=3)
    assert verdict.line == "PASS  the slow pod gets clearly less than an equal share"
    with pytest.raises(CheckFailed):
        check.avoids_slow_pod(rows("pod", dict.fromkeys(PODS, 1 / 3), n), slow=PODS[2], pods=3)
    with pytest.raises(CheckFailed):  # another pod is the one that is avoided
        check.avoids_slow_pod(rows("pod", right, n), slow=PODS[0], pods=3)
    with pytest.raises(CheckFailed):  # a typo in the name must not look like success
        check.avoids_slow_pod(rows("pod", right, n), slow="hello-wrold", pods=3)


def statuses(failing: float, n: int, status: int = 503) -> pd.DataFrame:
    return rows("status", {status: failing, 200: 1 - failing}, n)


def test_an_error_rate_within_a_limit() -> None:
    n = check.needed("error_rate", 0.05)
    assert check.error_rate(statuses(0.05, n), at_most=0.05).line == "PASS  error rate at most 5 %"
    assert check.error_rate(statuses(0.0, n), at_most=0.05)
    # the caller's fault is not the service's
    assert check.error_rate(statuses(0.5, n, status=404), at_most=0.05)
    for status in (503, -1):
        with pytest.raises(CheckFailed):
            check.error_rate(statuses(0.16, n, status), at_most=0.05)


def test_no_error_at_all_is_exact() -> None:
    with pytest.raises(CheckFailed):
        check.error_rate(statuses(0.001, 1000), at_most=0)


def test_an_error_rate_near_a_share() -> None:
    n = check.needed("error_rate_near", 0.3)
    assert check.error_rate_near(statuses(0.3, n), 0.3).line == "PASS  error rate 30 %"
    for wrong in (0.2, 0.4, 0.0, 1.0):
        with pytest.raises(CheckFailed):
            check.error_rate_near(statuses(wrong, n), 0.3)


def test_a_share_of_slow_requests() -> None:
    n = check.needed("share_slow_near", 0.5)
    right = rows("latency_ms", {1.5: 0.5, 101.0: 0.5}, n)
    line = check.share_slow_near(right, 0.5, slower_than_ms=50).line
    assert line == "PASS  50 % of the requests take longer than 50 ms"
    with pytest.raises(CheckFailed):
        check.share_slow_near(rows("latency_ms", {1.5: 0.6, 101.0: 0.4}, n), 0.5, slower_than_ms=50)


def passes(run: pd.DataFrame) -> bool:
    try:
        return bool(check.split(run, {"v1": 70, "v2": 30}, against={"v1": 60, "v2": 40}))
    except CheckFailed:
        return False


def test_simulated_runs_keep_the_promise_of_a_split() -> None:
    """Through the check itself. The limits are set so that each assertion errs once in a million or
    less.
    """
    n, runs, rng = (
        check.needed("split", {"v1": 70, "v2": 30}, against={"v1": 60, "v2": 40}),
        300,
        np.random.default_rng(),
    )

    def found(share: float) -> int:
        draws = (np.where(rng.random(n) < share, "v1", "v2") for _ in range(runs))
        return sum(passes(pd.DataFrame({"version": draw})) for draw in draws)

    assert found(0.7) >= runs - 1  # two false alarms: 300² / 2 · 1e-12
    assert found(0.6) <= band(runs, 0.01, side="high").high

"""Comparisons of two runs, and checks of simple facts: what is right passes, the near miss does
not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from labkit.errors import LabkitError, LessonError, NotFound
from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import CheckFailed


def versions(v1: float, n: int) -> pd.DataFrame:
    first = round(v1 * n)
    return pd.DataFrame({"version": ["v1"] * first + ["v2"] * (n - first)})


def latencies(*values: float, n: int) -> pd.DataFrame:
    return pd.DataFrame({"latency_ms": [values[i % len(values)] for i in range(n)]})


def test_the_same_shares() -> None:
    n = check.needed("same")
    assert (
        check.same(versions(0.5, n), versions(0.52, n)).line
        == "PASS  the same shares of each version in both runs"
    )
    for wrong in (0.3, 0.7):
        with pytest.raises(CheckFailed):
            check.same(versions(0.5, n), versions(wrong, n))
    with pytest.raises(LessonError, match=f"n={n}"):
        check.same(versions(0.5, n), versions(0.5, n - 1))


def test_different_shares() -> None:
    n = check.needed("differs")
    verdict = check.differs(versions(0.8, n), versions(0.5, n))
    assert verdict.line == "PASS  different shares of some version in the two runs"
    for wrong in (0.8, 0.75):
        with pytest.raises(CheckFailed):
            check.differs(versions(0.8, n), versions(wrong, n))


def test_more_kinds_need_more_requests() -> None:
    pods = pd.DataFrame({"pod": [f"pod-{i % 5}" for i in range(check.needed("same"))]})
    with pytest.raises(LessonError, match=f"n={check.needed('same', kinds=5)}"):
        check.same(pods, pods, column="pod")


def test_fewer_slow_requests() -> None:
    n = check.needed("fewer_slow", by=0.25)
    third, few, same = (
        latencies(1, 1, 50, n=n),
        latencies(*[1.0] * 11, 50, n=n),
        latencies(1, 50, 1, n=n),
    )
    verdict = check.fewer_slow(few, third, slower_than_ms=25, by=0.25)
    assert verdict.line == "PASS  fewer requests over 25 ms in the first run"
    for a, b in ((third, few), (same, third)):
        with pytest.raises(CheckFailed):
            check.fewer_slow(a, b, slower_than_ms=25, by=0.25)


def test_faster_run() -> None:
    n, rng = check.needed("faster"), np.random.default_rng()
    fast, slow = (pd.DataFrame({"latency_ms": rng.gamma(20, mean / 20, n)}) for mean in (1.0, 2.0))
    assert check.faster(fast, slow).line == "PASS  the first run is faster"
    for a, b in ((slow, fast), (fast, fast)):
        with pytest.raises(CheckFailed):
            check.faster(a, b)


def test_one_outlier_does_not_make_a_run_slow() -> None:
    n = check.needed("faster")
    outlier = latencies(1.0, n=n)
    outlier.loc[0, "latency_ms"] = 1e9
    assert check.faster(outlier, latencies(1.5, n=n))


def test_that() -> None:
    assert check.that(1 + 1 == 2, "one and one are two").line == "PASS  one and one are two"
    with pytest.raises(CheckFailed, match="pods: 2"):
        check.that([], "three pods run", seen="pods: 2")
    with pytest.raises(LessonError, match="all rows"):
        check.that(pd.Series([True, False]), "all")


def test_equal() -> None:
    assert (
        check.equal("2/2", "2/2", "the pod has its sidecar").line == "PASS  the pod has its sidecar"
    )
    with pytest.raises(CheckFailed, match="1/1"):
        check.equal("1/1", "2/2", "the pod has its sidecar")


def test_within() -> None:
    assert check.within(8, 6, 8, "six to eight are refused")
    for wrong in (5.9, 8.1, float("nan")):
        with pytest.raises(CheckFailed):
            check.within(wrong, 6, 8, "six to eight are refused")
    with pytest.raises(LessonError):
        check.within(1, 2, 1, "nothing")


def refuse() -> None:
    raise NotFound("There is no field spec.trafficPolicy.outlierDetecton")


def test_refused() -> None:
    assert check.refused(refuse, "outlierDetecton").line == "PASS  refused, naming: outlierDetecton"
    with pytest.raises(CheckFailed, match="It was accepted"):
        check.refused(lambda: None)
    with pytest.raises(CheckFailed, match="outlierDetecton"):
        check.refused(refuse, "connectionPool")


def test_an_error_of_another_kind_is_not_a_refusal() -> None:
    def broken() -> None:
        raise KeyError("spec")

    with pytest.raises(KeyError):
        check.refused(broken)
    assert check.refused(refuse, error=LabkitError)


def test_how_long_requests_took() -> None:
    run = latencies(200.1, 230.0, n=10)
    assert check.took_at_least(run, 200).line == "PASS  every request took at least 200 ms"
    assert check.took_at_most(run, 500).line == "PASS  every request took at most 500 ms"
    run.loc[3, "latency_ms"] = 199.9
    with pytest.raises(CheckFailed):
        check.took_at_least(run, 200)
    run.loc[3, "latency_ms"] = 501
    with pytest.raises(CheckFailed):
        check.took_at_most(run, 500)
    run.loc[3, "latency_ms"] = float("nan")
    with pytest.raises(LessonError, match="gaps"):
        check.took_at_most(run, 500)

"""Each check of the circuit breaker passes what is right and fails what is a little wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest

from labkit.envoy.admin import EJECTED
from labkit.errors import LessonError, NotReady
from labkit.lessons.checks import check
from labkit.lessons.checks.breaker import Ejection, Sample, ejections
from labkit.lessons.checks.verdict import CheckFailed


def endpoints(*out: str, pods: Sequence[str] = ("a", "b"), subset: str = "") -> pd.DataFrame:
    health = [f"{EJECTED},something_else" if pod in out else "healthy" for pod in pods]
    return pd.DataFrame({"subset": subset, "pod": list(pods), "health": health})


def test_no_request_reached_the_pods() -> None:
    earlier = {"a": 5, "b": 7}
    assert (
        check.no_request_reached(earlier, before=earlier).line
        == "PASS  no request reached the pods"
    )
    with pytest.raises(CheckFailed):
        check.no_request_reached({"a": 5, "b": 8}, before=earlier)


def test_so_many_requests_reached_the_pods_however_they_are_counted() -> None:
    states = [{"pod": "a", "served": 2, "held": 0}, {"pod": "b", "served": 0}]
    by_pod = {str(state["pod"]): state for state in states}
    for given in (states, pd.DataFrame(states), {"a": 2, "b": 0}, by_pod):
        assert check.reached(given, 2).line == "PASS  2 requests reached the pods"
        for wrong in (1, 3):
            with pytest.raises(CheckFailed):
                check.reached(given, wrong)


def test_a_pod_that_counts_backwards_was_restarted() -> None:
    with pytest.raises(LessonError, match="fewer requests than before"):
        check.reached({"a": 1}, 1, before={"a": 4})


def test_the_identity_of_the_breaker() -> None:
    right = {"client_503": 8, "flagged_UO": 8, "overflow_delta": 8, "seen_by_pods": 0}
    line = "PASS  client's 503 = UO in the access log = overflow counter, and none reached a pod"
    assert check.breaker_identity(**right).line == line
    for name in right:
        for off in (1, -1):
            with pytest.raises(CheckFailed):
                check.breaker_identity(**{**right, name: right[name] + off})


def test_the_identity_is_counted_from_results_and_logs() -> None:
    result = pd.DataFrame({"status": [200, 503, 503, 503], "flags": ["", "UO", "UO,URX", "UH"]})
    with pytest.raises(CheckFailed, match="client 3, UO in the access log 2"):
        check.breaker_identity(client_503=result, flagged_UO=result, overflow_delta=3)
    assert check.breaker_identity(client_503=result[:3], flagged_UO=result[:3], overflow_delta=2)


def test_a_breaker_that_refused_nothing_does_not_pass() -> None:
    with pytest.raises(CheckFailed):
        check.breaker_identity(client_503=0, flagged_UO=0, overflow_delta=0, seen_by_pods=0)


def test_who_is_ejected() -> None:
    assert (
        check.ejected(endpoints("a"), pod="a").line
        == "PASS  the failing pod is ejected, and no other"
    )
    for wrong in (endpoints(), endpoints("b"), endpoints("a", "b")):
        with pytest.raises(CheckFailed):
            check.ejected(wrong, pod="a")
    with pytest.raises(LessonError, match="not an endpoint"):
        check.ejected(endpoints("a"), pod="c")


def test_how_many_are_ejected() -> None:
    assert check.ejected(endpoints("a", "b"), count=2).line == "PASS  2 pods are ejected"
    assert check.ejected(endpoints("a"), count=1).line == "PASS  1 pod is ejected"
    assert check.none_ejected(endpoints()).line == "PASS  no pods are ejected"
    for wrong in (0, 2):
        with pytest.raises(CheckFailed):
            check.ejected(endpoints("a"), count=wrong)
    with pytest.raises(CheckFailed):
        check.none_ejected(endpoints("a"))


def test_a_subset_has_a_pool_of_its_own() -> None:
    both = pd.concat([endpoints(), endpoints("a", pods=["a"], subset="v1")])
    assert check.none_ejected(both, subset="")
    assert check.ejected(both, pod="a", subset="v1")
    with pytest.raises(LessonError, match="subset 'v9'"):
        check.none_ejected(both, subset="v9")


def stays(*lengths: float, step: float = 0.05, between: float = 0.5) -> list[tuple[float, bool]]:
    """Samples of a pod that was out for these lengths of time, taken every `step` seconds."""
    changes, at = [], 0.2
    for length in lengths:
        changes.append((at, at + length))
        at += length + between
    times = [i * step for i in range(int(at / step) + 1)]
    return [(t, any(begin <= t < end for begin, end in changes)) for t in times]


def test_ejections_are_read_from_samples() -> None:
    [one, two] = ejections(samples(*stays(1.0, 2.0)))
    assert one.shortest_s <= 1.0 <= one.longest_s
    assert two.shortest_s <= 2.0 <= two.longest_s
    assert ejections(samples((0, True), (1, False), (2, False), (3, True), (4, True))) == []
    assert ejections(samples((0, False), (1, True), (2, False))) == [Ejection(0, 2)]


def samples(*pairs: tuple[float, bool]) -> list[Sample]:
    return [Sample(at, at, out) for at, out in pairs]


def test_a_look_that_takes_long_makes_the_span_wider_not_wrong() -> None:
    looks = [
        Sample(0.0, 0.4, False),
        Sample(0.5, 0.6, True),
        Sample(1.0, 1.2, True),
        Sample(1.3, 1.5, False),
    ]
    assert ejections(looks) == [Ejection(1.0 - 0.6, 1.5)]


def test_ejections_last_a_multiple_of_the_base() -> None:
    # Envoy lets a pod back at its next sweep, so a little late
    verdict = check.ejection_times(stays(1.07, 2.15), base_s=1, interval_s=0.2)
    assert verdict.line == "PASS  ejections last 1 × and 2 × baseEjectionTime"
    for wrong in ((1.05, 1.05), (1.05, 3.1), (2.1, 1.05), (0.9, 2.1), (1.05, 1.9)):
        with pytest.raises(CheckFailed):
            check.ejection_times(stays(*wrong), base_s=1, interval_s=0.2)


def test_ejections_stop_growing_at_the_cap() -> None:
    verdict = check.ejection_times(
        stays(1.05, 2.05, 2.05), base_s=1, interval_s=0.2, multiples=(1, 2, 3), max_s=2
    )
    assert (
        verdict.line
        == "PASS  ejections last 1 × and 2 × and 3 × baseEjectionTime, capped at max_ejection_time"
    )
    with pytest.raises(CheckFailed):
        check.ejection_times(
            stays(1.05, 2.05, 3.05), base_s=1, interval_s=0.2, multiples=(1, 2, 3), max_s=2
        )


def test_timings_too_coarse_to_tell_are_refused() -> None:
    for interval_s, step in ((1.0, 0.05), (0.2, 0.5)):
        with pytest.raises(LessonError, match="too coarse"):
            check.ejection_times(
                stays(1.07, 2.15, step=step, between=2), base_s=1, interval_s=interval_s
            )
    with pytest.raises(LessonError, match="1 complete ejections"):
        check.ejection_times(stays(1.07), base_s=1, interval_s=0.2)


def test_ejection_times_from_a_frame_of_one_pod() -> None:
    seen = stays(1.07, 2.15)
    rows = [(at, "a", EJECTED if out else "healthy") for at, out in seen]
    rows += [(at, "b", "healthy") for at, _ in seen]
    frame = pd.DataFrame(rows, columns=["at", "pod", "health"])
    assert check.ejection_times(frame, base_s=1, interval_s=0.2, pod="a")


def test_watch_ends_when_the_pod_has_been_out_and_back() -> None:
    script = iter([False, True, True, False, True, False, False])
    assert len(ejections(check.watch(lambda: next(script), until=2))) == 2
    with pytest.raises(NotReady, match="2 ejections"):
        check.watch(lambda: False, until=2, timeout_s=0.05)

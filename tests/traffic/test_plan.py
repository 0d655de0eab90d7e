from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import TrafficError
from labkit.traffic.plan import Load, plan


def load(**options: object) -> Load:
    return Load("127.0.0.1", 80, "/", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("connections", "requests", "qps", "calls"),
    [
        (4, 20, 0, (5, 5, 5, 5)),
        (4, 22, 0, (7, 5, 5, 5)),  # the first connection does the rest
        (4, 3, 0, (1, 1, 1)),  # Fortio would send six
        (4, 5, 100, (3, 2)),  # with a rate at least two calls each
        (4, 1, 100, (1,)),
        (2, 4, 2, (2, 2)),
    ],
)
def test_how_calls_are_shared(
    connections: int, requests: int, qps: float, calls: tuple[int, ...]
) -> None:
    shared = plan(load(connections=connections, requests=requests, qps=qps))
    assert shared.calls == calls
    assert shared.connections == len(calls)
    assert shared.requested_duration == f"exactly {requests} calls"


@given(st.integers(1, 64), st.integers(1, 1000), st.sampled_from([0.0, 10.0]))
def test_never_more_or_fewer_than_asked_for(connections: int, requests: int, qps: float) -> None:
    assert plan(load(connections=connections, requests=requests, qps=qps)).total == requests


def test_a_run_by_time() -> None:
    assert plan(load(duration_s=2)).calls == ()
    assert plan(load()).duration_s == 5
    shared = plan(load(duration_s=2, qps=11, connections=4))
    assert (shared.calls, shared.requested_qps, shared.requested_duration) == (
        (5, 5, 5, 5),
        "11",
        "2s",
    )


@pytest.mark.parametrize("options", [{"connections": 0}, {"requests": 0}, {"duration_s": 0}])
def test_what_makes_no_sense_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(TrafficError):
        plan(load(**options))

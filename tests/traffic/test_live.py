"""Rows of a run under way: none is lost, none comes twice, and they are the result's own."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from labkit.traffic import Result, curl, fortio
from labkit.traffic.live import LIVE_COLUMNS, LiveRows
from labkit.waiting import wait_until
from tests.traffic.harness import Pod, Proxy

pytestmark = pytest.mark.embedded


class Follower:
    """Takes rows whenever it is told to."""

    def __init__(self) -> None:
        self.rows: LiveRows | None = None
        self.taken: list[tuple[Any, ...]] = []

    def follow(self, rows: LiveRows) -> None:
        self.rows = rows

    def look(self) -> int:
        if self.rows is not None:
            new = self.rows.take()
            self.taken += zip(*(new[name] for name in LIVE_COLUMNS), strict=True)
        return len(self.taken)


def own_rows(result: Result) -> list[tuple[Any, ...]]:
    return sorted(zip(*(result.column(name) for name in LIVE_COLUMNS), strict=True))


@pytest.mark.parametrize("send", [curl, fortio])
def test_rows_are_seen_while_requests_are_sent(proxy: Proxy, pods: list[Pod], send: Any) -> None:
    follower, stop, results = Follower(), threading.Event(), []
    options = (
        {"program": "built-in", "requests": 100_000, "qps": 400}
        if send is fortio
        else {"n": 100_000}
    )
    thread = threading.Thread(
        target=lambda: results.append(
            send(proxy.target, watch=follower.follow, cancel=stop, **options)
        )
    )
    thread.start()
    try:
        wait_until(lambda: follower.look() >= 30, 30, "thirty rows")
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join(30)
    follower.look()
    assert sorted(follower.taken) == own_rows(results[0])
    assert len(follower.taken) == sum(pod.state["served"] for pod in pods) < 100_000


def test_a_run_by_time_shows_no_request_of_its_warm_up(proxy: Proxy) -> None:
    follower = Follower()
    result = fortio(
        proxy.target, connections=3, duration_s=0.3, program="built-in", watch=follower.follow
    )
    follower.look()
    assert sorted(follower.taken) == own_rows(result)


def test_a_loop_that_was_cancelled_before_its_first_request_sends_nothing(
    proxy: Proxy, pods: list[Pod]
) -> None:
    stop = threading.Event()
    stop.set()
    assert len(curl(proxy.target, n=5, cancel=stop)) == 0
    assert sum(pod.state["served"] for pod in pods) == 0

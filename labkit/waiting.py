"""Waiting for a condition: the one place in labkit that sleeps. And the time of day, as far as what
happened is compared with what happened.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from labkit.errors import NotReady

T = TypeVar("T")


def _passing() -> float:
    """Seconds that pass whatever somebody sets the clock to, a sleeping machine's among them."""
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux, whose CLOCK_MONOTONIC sleeps
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


_BEGAN = time.time() - _passing()


def steady_time() -> float:
    """Seconds since 1970 that never jump: by the clock as it was when this process began, and what
    has passed since. For times that are compared with one another; one that is only shown is
    time.time().
    """
    return _BEGAN + _passing()


def wait_until(
    predicate: Callable[[], T],
    timeout_s: float,
    what: str,
    *,
    first_s: float = 0.001,
    longest_s: float = 0.05,
    explain: Callable[[], str] | None = None,
) -> T:
    """Calls `predicate` until it returns something true, and returns that.

    The pauses grow from `first_s` to `longest_s` seconds. After `timeout_s` seconds raises
    NotReady, naming `what` and what `explain` says about the state (the tail of a log, say).

    >>> wait_until(lambda: pod.ready, 5, "pod hello-world-v1 to be ready")
    """
    deadline = time.monotonic() + timeout_s
    pause = first_s
    while True:
        result = predicate()
        if result:
            return result
        left = deadline - time.monotonic()
        if left <= 0:
            raise NotReady(
                f"Timed out after {timeout_s:g} s waiting for {what}",
                seen=explain() if explain else "",
            )
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, longest_s)

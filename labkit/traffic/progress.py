"""Progress for a person's eye: at most ten reports a second, and always the last."""

from __future__ import annotations

import time
from collections.abc import Callable

INTERVAL_S = 0.1


class Throttled:
    """Calls `report(done, total)` no more often than ten times a second, and once at the end.

    The total is 0 where it is not known, as in a run that is limited by time.

    >>> tell = Throttled(print, 3)
    >>> tell(1); tell(3)
    1 3
    3 3
    """

    def __init__(self, report: Callable[[int, int], None] | None, total: int) -> None:
        self.report = report
        self.total = total
        self.next = 0.0
        self.last = -1

    def __call__(self, done: int, *, final: bool = False) -> None:
        if self.report is None:
            return
        now = time.monotonic()
        if now >= self.next or ((final or 0 < self.total <= done) and done != self.last):
            self.next = now + INTERVAL_S
            self.last = done
            self.report(done, self.total)

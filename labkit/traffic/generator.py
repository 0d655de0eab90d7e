"""The built-in load generator: a closed loop on c connections, as Fortio's.

Each connection sends a request, waits for the answer, and sends the next; with a rate, it sleeps in
between. As in Fortio
- the time of a request includes the connection, when a new one is needed;
- an answer other than 2xx or 418 is known by its first line; the connection is closed then, and the
  next request opens another. That is why a circuit breaker sees new connections after each 503;
- a connection that dies, or stays silent until the timeout, before the first byte of an answer is
  replaced once, unless it was new: an idle connection may have been closed by the server for good
  reason;
- with a duration, each connection first sends one request that is not counted.

One thread, one selector. asyncio would be the usual choice: it costs 50 ms to import and some
microseconds an event, and in Jupyter a loop runs already. A selector has none of that, and runs in
whatever thread calls it.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable
from threading import Event

from labkit.traffic.exchange import Exchange
from labkit.traffic.plan import Load
from labkit.traffic.progress import Throttled
from labkit.traffic.recorder import (
    CONNECTING,
    DONE,
    IDLE,
    NO_HOST,
    RECEIVING,
    REFUSED,
    TIMEOUT,
    Connection,
    Recorder,
)
from labkit.traffic.result import FAILED
from labkit.waiting import steady_time

CANCEL_CHECK_S = 0.05
CANCEL_GRACE_S = 1.0  # how long requests under way may still take after a cancel


class Generator(Exchange):
    """One run. `run()` blocks; what it leaves is in `recorder`, `connections`, `began_at` and
    `elapsed_s`.
    """

    def __init__(
        self,
        load: Load,
        progress: Callable[[int, int], None] | None = None,
        cancel: Event | None = None,
    ) -> None:
        super().__init__(load)
        self.cancel = cancel
        self.report = Throttled(progress, self.plan.total)
        self.ready: deque[Connection] = deque()
        self.sleeping: list[tuple[float, int, Connection]] = []
        self.open = 0
        self.began = self.began_at = self.elapsed_s = 0.0

    def run(self) -> None:
        self._resolve()
        try:
            if self.plan.duration_s is not None:
                self._warm_up()
            self.began, self.began_at = time.perf_counter(), steady_time()
            self.ends = self.began + (self.plan.duration_s or 0.0)
            if self._reachable():
                for connection in self.connections:
                    self._first(connection)
                self._loop()
            self.elapsed_s = time.perf_counter() - self.began
        finally:
            for connection in self.connections:
                self._close(connection)
            self.selector.close()
        self.report(len(self.recorder.status), final=True)

    # --- the warm-up of a run that is limited by time ---

    def _warm_up(self) -> None:
        """One request on each connection that is not counted, as Fortio does before it starts the
        clock.
        """
        self.began = time.perf_counter()
        for connection in self.connections:
            connection.warming = True
            self.open += 1
            self.ready.append(connection)
        self._loop()

    def _reachable(self) -> bool:
        """False when none of the connections could be made: Fortio refuses to start then. We keep
        those rows.
        """
        failed = len(self.recorder.status)
        if 0 < failed < len(self.connections):
            self.recorder = Recorder()
        return failed < len(self.connections)

    def _warmed(self, connection: Connection, status: int, error: int) -> None:
        connection.warming = False
        connection.state = IDLE
        self.open -= 1
        if status == FAILED and error in (REFUSED, NO_HOST):
            self._record(connection, status, 0, 0, 0, error)

    # --- the loop ---

    def _first(self, connection: Connection) -> None:
        self.open += 1
        if self.load.qps > 0 and self.load.uniform:
            # Spread the connections over one interval: number i starts i/c of it later.
            interval = self.plan.connections / self.load.qps
            wait = interval * connection.index / self.plan.connections
            connection.began = self.began + wait
            heapq.heappush(self.sleeping, (connection.began, connection.index, connection))
        else:
            connection.began = self.began
            self.ready.append(connection)

    def _loop(self) -> None:
        select = self.selector.select
        clock = time.perf_counter
        stop_at = float("inf")
        watched = self.report.report is not None
        ready = self.ready
        while self.open:
            while ready:
                self._begin(ready.popleft())
            now = clock()
            if self.cancel is not None and not self.cancelled and self.cancel.is_set():
                self.cancelled = True
                stop_at = now + CANCEL_GRACE_S
                self._stop_sleepers()
            if now >= stop_at:
                return
            while self.sleeping and self.sleeping[0][0] <= now:
                self._begin(heapq.heappop(self.sleeping)[2])
            if now >= self.next_deadline:
                self._time_out(now)
            if self.ready or not self.open:
                continue
            wake = self.next_deadline if self.next_deadline < stop_at else stop_at
            if self.sleeping and self.sleeping[0][0] < wake:
                wake = self.sleeping[0][0]
            timeout = wake - now
            if self.cancel is not None and timeout > CANCEL_CHECK_S:
                timeout = CANCEL_CHECK_S
            for key, _ in select(timeout if timeout < 3600 else None):
                connection = key.data
                if connection.state == RECEIVING:
                    if connection.unsent:
                        self._send_rest(connection)
                    self._receive(connection)
                elif connection.state == CONNECTING:
                    self._connected(connection)
                elif connection.state == IDLE:
                    self._close(connection)  # closed by the server while the connection sleeps
            if watched:
                self.report(len(self.recorder.status))

    def _stop_sleepers(self) -> None:
        self.open -= len(self.sleeping)
        self.sleeping.clear()

    def _time_out(self, now: float) -> None:
        self.next_deadline = float("inf")
        for connection in self.connections:
            if connection.state in (CONNECTING, RECEIVING):
                if connection.deadline <= now:
                    # which may begin again, with a deadline of its own
                    self._broken(connection, TIMEOUT)
                else:
                    self.next_deadline = min(self.next_deadline, connection.deadline)

    # --- one request after another ---

    def _begin(self, connection: Connection) -> None:
        now = time.perf_counter()
        if self.plan.duration_s is not None and not connection.warming and now > self.ends:
            limit = connection.limit
            # With a rate: at least two calls, and the last one even when its time is over.
            if limit is None or (connection.done >= 2 and connection.done != limit - 1):
                self._finish(connection)
                return
        connection.start = now
        connection.id = self.next_id
        self.next_id += 1
        if connection.sock is None:
            self._connect(connection, now)
        else:
            connection.fresh = False
            self._send(connection, now)

    def _record(
        self, connection: Connection, status: int, size: int, header_size: int, pod: int, error: int
    ) -> None:
        self.recorder.add(
            connection.start,
            time.perf_counter() - connection.start,
            status,
            pod,
            connection.index,
            size,
            header_size,
            connection.id,
            error,
        )

    def _record_done(
        self, connection: Connection, status: int, size: int, header_size: int, pod: int, error: int
    ) -> None:
        if connection.warming:
            self._warmed(connection, status, error)
            return
        self._record(connection, status, size, header_size, pod, error)
        connection.state = IDLE
        connection.done += 1
        if self.load.qps > 0:
            self._pace(connection)
        elif self.cancelled or connection.done == connection.limit:
            self._finish(connection)
        else:
            self.ready.append(connection)

    def _pace(self, connection: Connection) -> None:
        """Sleeps until the next call is due. Times are counted from the start: who is late does not
        sleep, and catches up, unless `catch_up` is off; then calls that are late already are left
        out."""
        rate = self.load.qps / self.plan.connections
        limit = connection.limit or 0
        while True:
            done = connection.done
            if done >= limit or self.cancelled:
                self._finish(connection)
                return
            # i calls have i pauses, stretched so that the last call comes when the time is over.
            elapsed = (done + done / (limit - 1)) / rate if limit > 1 else done / rate
            wait = connection.began + elapsed - time.perf_counter()
            if wait < 0 and not self.load.catch_up:
                connection.done += 1
                continue
            break
        if self.load.jitter and wait > 0:
            import random

            wait += random.uniform(-0.1, 0.1) * wait
        heapq.heappush(self.sleeping, (time.perf_counter() + wait, connection.index, connection))

    def _finish(self, connection: Connection) -> None:
        connection.state = DONE
        self.open -= 1

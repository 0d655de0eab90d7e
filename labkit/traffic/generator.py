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
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from threading import Event

from labkit.errors import MORE_FILES, TrafficError
from labkit.traffic.http1 import BadResponse, ResponseParser, build_request
from labkit.traffic.plan import Load, plan
from labkit.traffic.progress import Throttled
from labkit.traffic.recorder import (
    CLOSED,
    CONNECTING,
    DONE,
    IDLE,
    NO_HOST,
    NOT_HTTP,
    RECEIVING,
    REFUSED,
    TIMEOUT,
    Connection,
    Recorder,
)
from labkit.traffic.result import FAILED
from labkit.waiting import steady_time

READ_SIZE = 128 * 1024
CANCEL_CHECK_S = 0.05
CANCEL_GRACE_S = 1.0  # how long requests under way may still take after a cancel


class Generator:
    """One run. `run()` blocks; what it leaves is in `recorder`, `connections`, `began_at` and
    `elapsed_s`.
    """

    def __init__(
        self,
        load: Load,
        progress: Callable[[int, int], None] | None = None,
        cancel: Event | None = None,
    ) -> None:
        self.load, self.plan = load, plan(load)
        self.recorder = Recorder()
        self.prefix = f"{os.urandom(6).hex()}-" if load.request_ids else ""
        self.before, self.after = build_request(
            load.method,
            load.path,
            load.fields,
            load.body,
            "x-labkit-id" if load.request_ids else "",
        )
        if self.prefix:
            self.before += self.prefix.encode()
        self.connections = [
            Connection(i, self.plan.calls[i] if self.plan.calls else None)
            for i in range(self.plan.connections)
        ]
        self.cancel = cancel
        self.cancelled = False
        self.report = Throttled(progress, self.plan.total)
        self.selector = selectors.DefaultSelector()
        self.ready: deque[Connection] = deque()
        self.sleeping: list[tuple[float, int, Connection]] = []
        self.next_id = 0
        self.open = 0
        self.flat_out = load.qps <= 0
        self.began = self.began_at = self.ends = self.elapsed_s = 0.0
        self.next_deadline = float("inf")
        self.address: tuple[int, tuple[object, ...]] | None = None

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

    def _resolve(self) -> None:
        try:
            found = socket.getaddrinfo(self.load.host, self.load.port, type=socket.SOCK_STREAM)
        except OSError:
            return
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        self.address = (family, address)

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

    # --- one request ---

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

    def _connect(self, connection: Connection, now: float) -> None:
        connection.sockets += 1
        connection.fresh = True
        if self.address is None:
            self._record_done(connection, FAILED, 0, 0, 0, NO_HOST)
            return
        family, address = self.address
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise self._no_socket(error) from error
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock = sock
        connection.state = CONNECTING
        connection.connect_started = now
        connection.deadline = now + self.load.timeout_s
        self.next_deadline = min(self.next_deadline, connection.deadline)
        sock.setblocking(False)
        try:
            sock.connect(address)
        except BlockingIOError:
            self._watch(connection, sock, selectors.EVENT_WRITE)
            return
        except OSError:
            self.recorder.connect_times.append(time.perf_counter() - now)
            self._close(connection)
            self._record_done(connection, FAILED, 0, 0, 0, REFUSED)
            return
        self._connected(connection)

    def _no_socket(self, error: OSError) -> TrafficError:
        there = sum(each.sock is not None for each in self.connections)
        return TrafficError(
            f"Only {there} of {len(self.connections)} connections could be opened",
            seen=str(error),
            try_next=f"fewer connections; {MORE_FILES}",
        )

    def _watch(self, connection: Connection, sock: socket.socket, events: int) -> None:
        if connection.registered:
            self.selector.modify(sock, events, connection)
        else:
            self.selector.register(sock, events, connection)
            connection.registered = True

    def _connected(self, connection: Connection) -> None:
        sock = connection.sock
        assert sock is not None
        now = time.perf_counter()
        self.recorder.connect_times.append(now - connection.connect_started)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._close(connection)
            self._record_done(connection, FAILED, 0, 0, 0, REFUSED)
            return
        self._watch(connection, sock, selectors.EVENT_READ)
        self._send(connection, now)

    def _send(self, connection: Connection, now: float) -> None:
        sock = connection.sock
        assert sock is not None
        request = (
            b"%b%d%b" % (self.before, connection.id, self.after)
            if self.prefix
            else self.before + self.after
        )
        connection.state = RECEIVING
        connection.parser = None
        connection.deadline = now + self.load.timeout_s
        if connection.deadline < self.next_deadline:
            self.next_deadline = connection.deadline
        try:
            sent = sock.send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._broken(connection, CLOSED)
            return
        if sent < len(request):
            connection.unsent = request[sent:]
            self._watch(connection, sock, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _send_rest(self, connection: Connection) -> None:
        sock = connection.sock
        assert sock is not None
        try:
            connection.unsent = connection.unsent[sock.send(connection.unsent) :]
        except BlockingIOError:
            return
        except OSError:
            connection.unsent = b""  # reading says why
        if not connection.unsent:
            self._watch(connection, sock, selectors.EVENT_READ)

    def _receive(self, connection: Connection) -> None:
        sock = connection.sock
        if sock is None:
            return
        try:
            data = sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            parser = connection.parser
            if parser is not None and parser.end():
                self._answered(connection, parser, keep=False)
            else:
                self._broken(connection, CLOSED)
            return
        if connection.parser is None:
            # The quick look: one piece with the whole of a plain 2xx response, which nearly all of
            # them are.
            if data[9:10] == b"2" and self.load.method != "HEAD":
                end = data.find(b"\r\n\r\n")
                at = data.find(b"\r\ncontent-length: ", 0, end)
                if (
                    at > 0
                    and data.find(b"\r\nconnection: close", 0, end) < 0
                    and data.startswith(b"HTTP/1.1 ")
                ):
                    length = data[at + 18 : data.find(b"\r", at + 18)]
                    if length.isdigit() and len(data) == end + 4 + int(length):
                        self._plain(connection, sock, data, end + 4)
                        return
            elif (
                len(data) >= 12
                and data[9:10] in b"345"
                and data.startswith(b"HTTP/1")
                and data[9:12] != b"418"
            ):
                # An error is known by its first line: count it, close, and leave the rest unread.
                self._close(connection)
                pod = self.recorder.pod_of(data)
                self._record_done(connection, int(data[9:12]), len(data), 0, pod, 0)
                return
            connection.parser = ResponseParser(self.load.method)
        parser = connection.parser
        try:
            complete = parser.feed(data)
        except BadResponse:
            self._close(connection)
            self._record_done(connection, FAILED, len(data), 0, 0, NOT_HTTP)
            return
        if complete:
            self._answered(connection, parser, keep=parser.keep_alive)
        elif parser.status and not is_ok(parser.status):
            self._answered(connection, parser, keep=False)

    def _plain(
        self, connection: Connection, sock: socket.socket, data: bytes, head_size: int
    ) -> None:
        """A plain 2xx response. Without a rate the next request follows right here, as from a
        thread of its own.

        To collect the answers first and then send all the next requests would line them up, and a
        circuit breaker would refuse more of them than of Fortio's (measured with Y7: 54 to 58 %
        instead of 47 to 50 %).
        """
        recorder = self.recorder
        pod = recorder.pod_of(data)
        if (
            not self.flat_out
            or connection.warming
            or self.cancelled
            or connection.done + 1 == connection.limit
        ):
            self._record_done(connection, int(data[9:12]), len(data), head_size, pod, 0)
            return
        now = time.perf_counter()
        start = connection.start
        recorder.add(
            start,
            now - start,
            int(data[9:12]),
            pod,
            connection.index,
            len(data),
            head_size,
            connection.id,
            0,
        )
        connection.done += 1
        if now > self.ends and self.plan.duration_s is not None:
            self._finish(connection)
            return
        connection.start = now
        connection.id = self.next_id
        connection.fresh = False
        self.next_id += 1
        self._send(connection, now)

    def _answered(self, connection: Connection, parser: ResponseParser, *, keep: bool) -> None:
        ok = is_ok(parser.status)
        if not keep or not ok or parser.buffer:
            self._close(connection)
        pod = self.recorder.pod_of(parser.head.lower() + b"\r")
        header_size = len(parser.head) + 4 if ok else 0
        self._record_done(connection, parser.status, parser.size, header_size, pod, 0)

    def _broken(self, connection: Connection, error: int) -> None:
        """The connection failed, or the time is over, before the answer was complete."""
        connecting = connection.state == CONNECTING
        silent = connection.parser is None
        if connecting:
            self.recorder.connect_times.append(time.perf_counter() - connection.connect_started)
        self._close(connection)
        if silent and not connecting and not connection.fresh:
            self._connect(connection, time.perf_counter())
            return
        self._record_done(
            connection, FAILED, connection.parser.size if connection.parser else 0, 0, 0, error
        )

    def _close(self, connection: Connection) -> None:
        if connection.sock is not None:
            if connection.registered:
                self.selector.unregister(connection.sock)
                connection.registered = False
            connection.sock.close()
            connection.sock = None
            connection.unsent = b""

    # --- after a request ---

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


def is_ok(status: int) -> bool:
    """What Fortio takes for success: 2xx, and 418."""
    return 200 <= status <= 299 or status == 418

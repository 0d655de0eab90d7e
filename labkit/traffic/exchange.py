"""One request on one connection: connect, send, receive, and what may go wrong on the way.

When the next one is sent, and how many there are, is the generator's to say (generator.py).
"""

from __future__ import annotations

import os
import selectors
import socket
import time
from abc import ABC, abstractmethod

from labkit.errors import MORE_FILES, TrafficError
from labkit.traffic.http1 import BadResponse, ResponseParser, build_request
from labkit.traffic.plan import Load, plan
from labkit.traffic.recorder import (
    CLOSED,
    CONNECTING,
    NO_HOST,
    NOT_HTTP,
    RECEIVING,
    REFUSED,
    Connection,
    Recorder,
)
from labkit.traffic.result import FAILED

READ_SIZE = 128 * 1024


class Exchange(ABC):
    """What a generator knows of its connections, and one request on one of them.

    What comes of a request goes to `_record_done`, exactly once; `_send` may be called again from
    there.
    """

    def __init__(self, load: Load) -> None:
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
        self.selector = selectors.DefaultSelector()
        self.address: tuple[int, tuple[object, ...]] | None = None
        self.next_id = 0
        self.next_deadline = float("inf")
        self.flat_out = load.qps <= 0
        self.cancelled = False
        self.ends = 0.0

    @abstractmethod
    def _record_done(
        self, connection: Connection, status: int, size: int, header_size: int, pod: int, error: int
    ) -> None:
        """The request of this connection is over."""

    @abstractmethod
    def _finish(self, connection: Connection) -> None:
        """This connection sends nothing more."""

    def _resolve(self) -> None:
        try:
            found = socket.getaddrinfo(self.load.host, self.load.port, type=socket.SOCK_STREAM)
        except OSError:
            return
        family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        self.address = (family, address)

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


def is_ok(status: int) -> bool:
    """What Fortio takes for success: 2xx, and 418."""
    return 200 <= status <= 299 or status == 418

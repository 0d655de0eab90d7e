"""The loop under the hello-world service: sockets on one side, handlers of requests on the other.

Why not a server of the standard library? Each pod pays for its imports when it starts, and the
course starts many. In CPU time from the start of the process to its line "listening", on two busy
cores: this loop 30 ms; with just an import of `http.server` or `asyncio` added to it 110 ms, and
5 to 6 MB more memory a pod. `socketserver` is light enough, and is no HTTP server.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from heapq import heappop, heappush
from selectors import EVENT_READ, EVENT_WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` would cost 5 ms
    from collections.abc import Callable
    from typing import Protocol

    class Handler(Protocol):
        """What answers the requests of one port."""

        def handle(self, connection: Connection, request: Request) -> None:
            """A request is complete: call `Server.answer`, now or later."""

        def gone(self, connection: Connection) -> None:
            """The client has left before its answer."""


if TYPE_CHECKING or __package__:
    from labkit.app.wire import MAX_HEAD, BadRequest, Chunks, Request, body_of, parse_head, response
else:  # a script beside its sisters, in a pod or here: there is no package
    from wire import MAX_HEAD, BadRequest, Chunks, Request, body_of, parse_head, response

MAX_PENDING = 256 * 1024
"""Bytes waiting to be read or written before we stop reading from a connection."""
GRACE_S = 1.0  # how long SIGTERM waits for requests under way
PLAIN = "content-type: text/plain; charset=utf-8\r\ncontent-length: "


class Connection:
    """One client connection: bytes in, one request at a time, bytes out."""

    __slots__ = (
        "advancing",
        "body",
        "close",
        "eof",
        "handler",
        "inbox",
        "linger",
        "mask",
        "outbox",
        "request",
        "sock",
        "waiting",
    )

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self.sock = sock
        self.handler = handler
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.request: Request | None = None  # the request whose body is still arriving
        self.body: int | Chunks = 0  # how its body is read: an int of bytes left, or a Chunks
        self.waiting: Request | None = None  # the request that its handler has not answered yet
        self.advancing = False  # we are in `advance`, which goes on after an answer
        self.close = False  # close when the outbox is empty
        self.linger = False  # all is said; throw away what still arrives
        self.eof = False  # the client has sent all that it will
        self.mask = 0  # what the selector watches it for


class Listener:
    """One port, and who answers there."""

    def __init__(self, bind: str, port: int, handler: Handler) -> None:
        self.handler = handler
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two programs share the port
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((bind, port))
        self.sock.listen(1024)
        self.sock.setblocking(False)
        self.port: int = self.sock.getsockname()[1]


class Server:
    """The loop. `after_round` is called when the events at hand have been dealt with."""

    def __init__(self, after_round: Callable[[], None]) -> None:
        self.after_round = after_round
        self.selector = selectors.DefaultSelector()
        self.listeners: list[Listener] = []
        self.connections: set[Connection] = set()
        self.timers: list[tuple[float, int, Callable[[], None]]] = []  # a heap, the next one first
        self.timers_set = 0
        self.accepting = True
        self.stop_at: float | None = None
        self.wake: socket.socket | None = None

    def listen(self, bind: str, port: int, handler: Handler) -> int:
        """Opens a port (0: any free one); returns its number."""
        listener = Listener(bind, port, handler)
        self.listeners.append(listener)
        self.selector.register(listener.sock, EVENT_READ, listener)
        return listener.port

    def call_at(self, due: float, action: Callable[[], None]) -> None:
        """Calls `action` when time.monotonic() has come to `due`."""
        self.timers_set += 1
        heappush(self.timers, (due, self.timers_set, action))

    def stop_on_signals(self) -> None:
        """SIGTERM and ctrl-C end the loop, after at most GRACE_S for requests under way."""
        # A signal arrives while we wait in select(); a byte in this pair is what ends the wait.
        self.wake, end = socket.socketpair()
        self.wake.setblocking(False)
        end.setblocking(False)
        signal.set_wakeup_fd(end.detach())
        self.selector.register(self.wake, EVENT_READ, None)
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)

    def stop(self, *_: object) -> None:
        """Takes no connection any more; a second time: ends at once."""
        self.stop_at = time.monotonic() + (GRACE_S if self.stop_at is None else 0)

    def run(self) -> None:
        """Serves until stopped."""
        while True:
            timeout: float | None = None
            if self.timers:
                timeout = max(0.0, self.timers[0][0] - time.monotonic())
            if self.stop_at is not None:
                if self.accepting:
                    self.pause_accepting()
                left = self.stop_at - time.monotonic()
                if left <= 0 or not any(c.waiting or c.outbox for c in self.connections):
                    return
                timeout = left if timeout is None else min(timeout, left)
            for key, mask in self.selector.select(timeout):
                source = key.data
                if isinstance(source, Connection):
                    if mask & EVENT_READ and source in self.connections:
                        self.read(source)
                    if mask & EVENT_WRITE and source in self.connections:
                        self.flush(source)
                elif source is None:
                    assert self.wake is not None
                    self.wake.recv(1024)
                elif self.accepting:
                    self.accept(source)
            if self.timers:
                now = time.monotonic()
                while self.timers and self.timers[0][0] <= now:
                    heappop(self.timers)[2]()
            self.after_round()

    # connections come and go

    def accept(self, listener: Listener) -> None:
        for _ in range(64):  # then let the others have a turn
            try:
                sock, _ = listener.sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:  # no file descriptors left: stop asking until a connection closes
                self.pause_accepting()
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, listener.handler)
            self.connections.add(connection)
            self.watch(connection, EVENT_READ)

    def pause_accepting(self) -> None:
        self.accepting = False
        for listener in self.listeners:
            self.selector.unregister(listener.sock)
            if self.stop_at is not None:
                listener.sock.close()

    def watch(self, connection: Connection, mask: int) -> None:
        if mask == connection.mask:
            return
        if not connection.mask:
            self.selector.register(connection.sock, mask, connection)
        elif not mask:
            self.selector.unregister(connection.sock)
        else:
            self.selector.modify(connection.sock, mask, connection)
        connection.mask = mask

    def drop(self, connection: Connection) -> None:
        self.watch(connection, 0)
        self.connections.remove(connection)
        connection.sock.close()
        if connection.waiting is not None:
            connection.waiting = None
            connection.handler.gone(connection)
        if not self.accepting and self.stop_at is None:
            self.accepting = True
            for listener in self.listeners:
                self.selector.register(listener.sock, EVENT_READ, listener)

    # bytes in

    def read(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:  # reset by the client
            self.drop(connection)
            return
        if not data:
            connection.eof = True
            # A client that goes away while its request waits has given up: Envoy does that after a
            # timeout.
            if connection.waiting is not None or not connection.outbox:
                self.drop(connection)
                return
        if not connection.linger:
            connection.inbox += data
            self.advance(connection)

    def advance(self, connection: Connection) -> None:
        """Does all that the bytes at hand allow, then sends what there is to send."""
        connection.advancing = True
        try:
            while (
                connection.waiting is None
                and not connection.close
                and len(connection.outbox) < MAX_PENDING
            ):
                if connection.request is None and not self.next_request(connection):
                    break
                if not self.body_complete(connection):
                    break
                request, connection.request = connection.request, None
                assert request is not None
                connection.waiting = request
                connection.handler.handle(connection, request)
        except BadRequest as error:
            self.put(connection, None, error.status, PLAIN, f"{error}\n")
            connection.linger = True
        connection.advancing = False
        self.flush(connection)

    def next_request(self, connection: Connection) -> bool:
        """Reads a request's head from the inbox; False when it is not complete yet."""
        inbox = connection.inbox
        while inbox.startswith(b"\r\n"):  # RFC 9112 2.2: empty lines before a request are allowed
            del inbox[:2]
        end = inbox.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD:
            if len(inbox) > MAX_HEAD:
                raise BadRequest(431, f"the headers are longer than {MAX_HEAD} bytes")
            if b"\n\n" in inbox:
                raise BadRequest(400, "a line ends without a carriage return")
            return False
        head = bytes(inbox[:end])
        del inbox[: end + 4]
        request = parse_head(head)
        connection.body = body_of(request)
        connection.request = request
        expect = request.headers.get("expect")
        if expect is not None:
            if expect.lower() != "100-continue":
                raise BadRequest(417, "of the expectations only 100-continue is known")
            if connection.body and not inbox:
                connection.outbox += b"HTTP/1.1 100 Continue\r\n\r\n"
        return True

    def body_complete(self, connection: Connection) -> bool:
        body = connection.body
        if isinstance(body, int):
            if body:
                taken = min(body, len(connection.inbox))
                del connection.inbox[:taken]
                connection.body = body - taken
            return not connection.body
        return body.feed(connection.inbox)

    # bytes out

    def answer(self, connection: Connection, status: int, headers: str, text: str) -> None:
        """Answers the request that waits on a connection. `headers` as in `wire.response`."""
        request, connection.waiting = connection.waiting, None
        self.put(connection, request, status, headers, text)
        if not connection.advancing:
            self.advance(connection)

    def put(
        self, connection: Connection, request: Request | None, status: int, headers: str, text: str
    ) -> None:
        if request is None or not request.keep_alive or self.stop_at is not None:
            connection.close = True
        connection.outbox += response(request, status, headers, text, close=connection.close)

    def flush(self, connection: Connection) -> None:
        """Sends what it can, and asks the selector for what is needed next."""
        outbox = connection.outbox
        if outbox:
            full = len(outbox) >= MAX_PENDING
            try:
                sent = connection.sock.send(outbox)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.drop(connection)
                return
            del outbox[:sent]
            if full and len(outbox) < MAX_PENDING and not connection.eof:
                # there may be requests in the inbox that had to wait for room
                self.advance(connection)
                return
        if not outbox and (connection.close or connection.eof):
            if not connection.linger or connection.eof:
                self.drop(connection)
                return
            # To close with unread bytes at hand would reset the connection, and the client might
            # not see why.
            try:
                connection.sock.shutdown(socket.SHUT_WR)
            except OSError:  # it has gone meanwhile
                self.drop(connection)
                return
            connection.inbox.clear()
        mask = EVENT_WRITE if outbox else 0
        if not connection.eof and len(connection.inbox) < MAX_PENDING and len(outbox) < MAX_PENDING:
            mask |= EVENT_READ
        self.watch(connection, mask)

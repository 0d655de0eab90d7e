"""The hello-world service of the course: says which pod and which version answered, and misbehaves
on request.

    VERSION=v1 PORT=8080 python3 hello_world.py        # prints "listening on 8080"
    curl http://localhost:8080/                        # Hello world! version v1, pod my-host, path /
    curl -X POST 'http://localhost:8080/control/fail?next=7'        # the next seven requests get a 503
    curl -X POST 'http://localhost:8080/control/delay?ms=200'       # every request takes 200 ms
    curl -X POST 'http://localhost:8080/control/gate?closed=true'   # requests wait until the gate opens
    curl http://localhost:8080/control/state                        # what it counted

The same file runs as a local process and, from a ConfigMap, in a pod with a stock Python image. So
it uses the standard library only, and little of that: each pod pays for the imports when it starts.
Measured on a busy machine with two cores, in CPU time over a bare `python -I -S`: http.server 40 to
70 ms, asyncio 55 to 85 ms, socket 14 ms, and `_socket` with `select`, which is what `socket` is
made of, 2 ms. Therefore one loop, one thread and no framework. What is rarely needed (json, random)
is imported when it is.

Requests under /control/ are not traffic: never counted, delayed, held or failed.
"""  # noqa: E501

from __future__ import annotations

import os
import select
import sys
import time
from heapq import heappop, heappush

# `socket` and `signal` build an Enum of every constant when imported, which costs more than all the
# rest of this file.
try:
    import _signal as signal  # type: ignore[import-not-found]
    import _socket as socket
except ImportError:  # not CPython
    import signal
    import socket  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` would cost 5 ms
    from collections.abc import Callable
    from typing import Any

    Reply = tuple[int, str, str]  # status, headers up to the content length, body

MAX_HEAD = 64 * 1024  # longest request line and headers together: 431 beyond that
MAX_PENDING = (
    256 * 1024
)  # bytes waiting to be read or written before we stop reading from a connection
MAX_LINES = (
    200  # of the access log a second: a load test would fill the disk with a megabyte a second
)
GRACE_S = 1.0  # how long SIGTERM waits for requests under way
READ, WRITE = 1, 4  # POLLIN and POLLOUT; epoll has the same numbers

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

# Okabe and Ito's colours, which most kinds of colour blindness tell apart.
COLOURS = {"v1": "#0072B2", "v2": "#D55E00", "v3": "#009E73"}

CONTROLS = """\
GET  /control/state                                what this pod counted, and its settings, as JSON
POST /control/fail?next=N&share=0.3&status=503     fail the next N requests, or a share of them
POST /control/delay?ms=200&jitter_ms=0             answer late, by ms plus a random part of jitter_ms
POST /control/gate?closed=true|false               hold requests until the gate opens
POST /control/ready?ok=true|false                  what /control/ready says
GET  /control/ready                                200 or 503
POST /control/reset                                all of the above back to the start, counters too
"""  # noqa: E501


class BadRequest(Exception):
    """What a client sent is not a request; `status` is the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class SelectPoller:
    """The face of `select.poll` for systems that have only `select.select` (Windows)."""

    def __init__(self) -> None:
        self.masks: dict[int, int] = {}

    def register(self, fd: int, mask: int) -> None:
        self.masks[fd] = mask

    modify = register

    def unregister(self, fd: int) -> None:
        del self.masks[fd]

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        reads = [fd for fd, mask in self.masks.items() if mask & READ]
        writes = [fd for fd, mask in self.masks.items() if mask & WRITE]
        found: dict[int, int] = {}
        readable, writable, _ = select.select(reads, writes, [], timeout)
        for fd in readable:
            found[fd] = READ
        for fd in writable:
            found[fd] = found.get(fd, 0) | WRITE
        return list(found.items())


class Connection:
    """One client connection: bytes in, one request at a time, bytes out."""

    __slots__ = (
        "body",
        "close",
        "eof",
        "inbox",
        "linger",
        "mask",
        "outbox",
        "request",
        "sock",
        "waiting",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.request: Request | None = None  # the request whose body is still arriving
        self.body: int | Chunks = 0  # how its body is read: an int of bytes left, or a Chunks
        self.waiting: Request | None = None  # the request that is delayed or held at the gate
        self.close = False  # close when the outbox is empty
        self.linger = False  # all is said; throw away what still arrives
        self.eof = False  # the client has sent all that it will
        self.mask = READ


class Request:
    __slots__ = ("arrived", "headers", "keep_alive", "method", "path", "query", "version")

    def __init__(
        self, method: str, path: str, query: str, version: str, headers: dict[str, str]
    ) -> None:
        self.method, self.path, self.query, self.version, self.headers = (
            method,
            path,
            query,
            version,
            headers,
        )
        connection = headers.get("connection", "").lower()
        self.keep_alive = (
            "close" not in connection if version == "1.1" else "keep-alive" in connection
        )
        self.arrived = time.monotonic()


class Chunks:
    """Where we are in a body with `Transfer-Encoding: chunked`. The bytes are thrown away."""

    __slots__ = ("left", "trailers")

    def __init__(self) -> None:
        self.left = 0  # bytes of the chunk, and its line end, still to come
        self.trailers = False

    def feed(self, inbox: bytearray) -> bool:
        """Takes what it can from the inbox; True when the body is complete."""
        while True:
            if self.left:
                taken = min(self.left, len(inbox))
                del inbox[:taken]
                self.left -= taken
                if self.left:
                    return False
            end = inbox.find(b"\r\n")
            if end < 0:
                if len(inbox) > MAX_HEAD:
                    raise BadRequest(400, "a chunk's size line is too long")
                return False
            line = bytes(inbox[:end])
            del inbox[: end + 2]
            if self.trailers:
                if not line:
                    return True
                continue
            digits = line.split(b";")[0].strip()
            if not digits or digits.strip(b"0123456789abcdefABCDEF"):
                raise BadRequest(400, "a chunk's size is not a hexadecimal number")
            size = int(digits, 16)
            if size:
                self.left = size + 2
            else:
                self.trailers = True


def parse_head(head: bytes) -> Request:
    """The request line and headers, without the empty line that ends them."""
    lines = head.decode("latin-1").split("\r\n")
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        raise BadRequest(400, "a control character inside a line")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[0].isupper() or not words[2].startswith("HTTP/"):
        raise BadRequest(400, "the first line is not METHOD PATH HTTP/1.1")
    if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header is not NAME: VALUE")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in ("content-length", "host") and headers[name] != value:
                raise BadRequest(400, "two different " + name)
            value = (
                headers[name] + ", " + value if name not in ("content-length", "host") else value
            )
        headers[name] = value
    target = words[1]
    if target.lower().startswith(("http://", "https://")):  # as a client sends it to a proxy
        rest = target.split("//", 1)[1]
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    if words[2] == "HTTP/1.1" and "host" not in headers:
        raise BadRequest(400, "there is no Host header")
    return Request(words[0], path, query, words[2][5:], headers)


def body_of(request: Request) -> int | Chunks:
    """How the request's body is to be read: 0 when there is none."""
    headers = request.headers
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        if (
            length is not None
        ):  # the two disagree about where the request ends: a way to smuggle one past a proxy
            raise BadRequest(400, "both Content-Length and Transfer-Encoding")
        if coding.lower() != "chunked":
            raise BadRequest(501, "of the transfer codings only chunked is known")
        return Chunks()
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400, "Content-Length is not a number")
    return int(length)


def number(text: str, lowest: float, highest: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise BadRequest(400, f"{text!r} is not a number from {lowest} to {highest}")
    return value


def whole(text: str, lowest: int, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and lowest <= int(text[:12]) <= highest):
        raise BadRequest(400, f"{text!r} is not a whole number from {lowest} to {highest}")
    return int(text)


def truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise BadRequest(400, f"{text!r} is neither true nor false")
    return text.lower() == "true"


def escape(text: str) -> str:
    return (
        text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    )


class App:
    """What the service does with a request; knows nothing of sockets."""

    def __init__(self, version: str, pod: str) -> None:
        self.version, self.pod = version, pod
        self.reset()
        self.in_flight = 0
        identity = f"x-pod: {pod}\r\nx-version: {version}\r\n"
        self.plain = f"content-type: text/plain; charset=utf-8\r\n{identity}content-length: "
        self.html = f"content-type: text/html; charset=utf-8\r\n{identity}content-length: "
        self.json = f"content-type: application/json\r\n{identity}content-length: "

    def reset(self) -> None:
        self.received = self.served = self.failed = 0
        self.fail_next, self.fail_share, self.fail_status = 0, 0.0, 503
        self.delay_ms = self.jitter_ms = 0.0
        self.gate_closed = False
        self.ready = True
        self.random: Callable[[], float] | None = None

    def chance(self) -> float:
        if self.random is None:
            from random import Random  # 10 ms, so only for those who ask for it

            self.random = Random().random
        return self.random()

    def delay_s(self) -> float:
        if self.jitter_ms:
            return (self.delay_ms + self.chance() * self.jitter_ms) / 1000
        return self.delay_ms / 1000

    def answer(self, request: Request) -> Reply:
        """The status, headers and body for a request that is neither delayed nor
        held (any more).
        """
        status = 200
        if self.fail_next:
            self.fail_next -= 1
            status = self.fail_status
        elif self.fail_share and self.chance() < self.fail_share:
            status = self.fail_status
        if status == 200:
            self.served += 1
            said = "Hello world!"
        else:
            self.failed += 1
            said = f"Failed on request with {status}."
        if "text/html" in request.headers.get("accept", ""):
            return status, self.html, self.page(said, request.path)
        return (
            status,
            self.plain,
            f"{said} version {self.version}, pod {self.pod}, path {request.path}\n",
        )

    def page(self, said: str, path: str) -> str:
        colour = COLOURS.get(self.version, "#CC79A7")
        return (
            '<!doctype html><html lang="en"><meta '
            f'charset="utf-8"><title>{escape(self.version)}: hello world</title>'
            '<body style="font:24px '
            f'sans-serif;background:{colour};color:#fff;text-align:center;padding:15vh 1em">'
            f"<h1>{said}</h1><p>version <b>{escape(self.version)}</b></p>"
            f"<p>pod {escape(self.pod)}, path {escape(path)}</p></body></html>\n"
        )

    def control(self, request: Request) -> Reply | None:
        """Does what a request under /control/ asks. None: the answer is the state, after the gate
        has moved.
        """
        name = request.path[len("/control/") :]
        given: dict[str, str] = {}
        for pair in request.query.split("&") if request.query else ():
            key, _, value = pair.partition("=")
            given[key] = value
        allowed: dict[str, tuple[str, tuple[str, ...]]] = {
            "state": ("GET", ()),
            "fail": ("POST", ("next", "share", "status")),
            "delay": ("POST", ("ms", "jitter_ms")),
            "gate": ("POST", ("closed",)),
            "ready": ("POST" if given else "GET", ("ok",)),
            "reset": ("POST", ()),
        }
        if name not in allowed:
            raise BadRequest(400, f"there is no control {name!r}")
        method, keys = allowed[name]
        if request.method != method and not (method == "GET" and request.method == "HEAD"):
            raise BadRequest(405, f"/control/{name} wants {method}")
        for key in given:
            if key not in keys:
                raise BadRequest(400, f"/control/{name} has no setting {key!r}")
        # Values are all checked before the first is set: a refused request changes nothing.
        if name == "fail":
            count = whole(given.get("next", str(self.fail_next)), 0, 10**9)
            share = number(given.get("share", str(self.fail_share)), 0, 1)
            status = whole(given.get("status", str(self.fail_status)), 400, 599)
            self.fail_next, self.fail_share, self.fail_status = count, share, status
        elif name == "delay":
            delay = number(given.get("ms", str(self.delay_ms)), 0, 600_000)
            jitter = number(given.get("jitter_ms", str(self.jitter_ms)), 0, 600_000)
            self.delay_ms, self.jitter_ms = delay, jitter
        elif name == "gate":
            if "closed" not in given:
                raise BadRequest(400, "/control/gate wants closed=true or closed=false")
            self.gate_closed = truth(given["closed"])
        elif name == "ready":
            if "ok" in given:
                self.ready = truth(given["ok"])
            else:
                return (
                    (200, self.plain, "ready\n") if self.ready else (503, self.plain, "not ready\n")
                )
        elif name == "reset":
            self.reset()
        return None

    def state(self, held: int) -> Reply:
        from json import dumps

        state: dict[str, Any] = {
            "pod": self.pod,
            "version": self.version,
            "received": self.received,
            "served": self.served,
            "failed": self.failed,
            "held": held,
            "in_flight": self.in_flight,
            "fail_next": self.fail_next,
            "fail_share": self.fail_share,
            "fail_status": self.fail_status,
            "delay_ms": self.delay_ms,
            "jitter_ms": self.jitter_ms,
            "gate": "closed" if self.gate_closed else "open",
            "ready": self.ready,
        }
        return 200, self.json, dumps(state) + "\n"


class Server:
    """The loop: sockets on one side, the app on the other."""

    def __init__(self, app: App, bind: str, port: int, log: bool) -> None:
        self.app, self.log = app, log
        self.lines: list[str] = []  # access log of this round, written in one go
        self.second, self.stamp, self.logged = -1, "", 0
        self.held: list[Connection] = []  # connections whose request waits at the gate
        self.delayed: list[
            tuple[float, int, Connection, Request]
        ] = []  # heap of (due, sequence number, connection, request)
        self.sequence = 0
        self.connections: dict[int, Connection] = {}
        self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if os.name != "nt":  # there it would let two programs share the port
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((bind, port))
        self.listener.listen(1024)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.accepting = True
        self.stop_at: float | None = None
        self.wake = -1
        self.poller: Any
        if hasattr(select, "epoll"):
            self.poller, self.unit = select.epoll(), 1
        elif hasattr(select, "poll"):
            self.poller, self.unit = select.poll(), 1000
        else:
            self.poller, self.unit = SelectPoller(), 1
        self.poller.register(self.listener.fileno(), READ)

    def stop_on_signals(self) -> None:
        """SIGTERM and ctrl-C end the loop, after at most GRACE_S for requests under way."""
        if os.name != "nt":
            # A signal arrives while we wait in poll(); a byte in this pipe is what ends the wait.
            self.wake, end = os.pipe()
            os.set_blocking(self.wake, False)
            os.set_blocking(end, False)
            signal.set_wakeup_fd(end)
            self.poller.register(self.wake, READ)
        signal.signal(signal.SIGTERM, self.stop)
        signal.signal(signal.SIGINT, self.stop)

    def stop(self, *_: object) -> None:
        self.stop_at = time.monotonic() + (GRACE_S if self.stop_at is None else 0)

    def run(self) -> None:
        while True:
            timeout: float | None = None
            if self.delayed:
                timeout = max(0.0, self.delayed[0][0] - time.monotonic())
            if self.stop_at is not None:
                if self.accepting:
                    self.pause_accepting()
                left = self.stop_at - time.monotonic()
                if left <= 0 or not (
                    self.app.in_flight or any(c.outbox for c in self.connections.values())
                ):
                    return
                timeout = left if timeout is None else min(timeout, left)
            if self.unit == 1000:  # poll() counts in ms, and cuts what is after the point
                timeout = None if timeout is None else int(timeout * 1000) + 1
            for fd, mask in self.poller.poll(timeout):
                if fd in self.connections:
                    connection = self.connections[fd]
                    if mask & ~WRITE:
                        self.read(connection)
                    if mask & WRITE and fd in self.connections:
                        self.flush(connection)
                elif self.accepting and fd == self.listener.fileno():
                    self.accept()
                elif fd == self.wake:
                    os.read(self.wake, 1024)
            if self.delayed:
                self.release_due(time.monotonic())
            if self.lines:
                self.write_log()

    def accept(self) -> None:
        for _ in range(64):  # then let the others have a turn
            try:
                fd, _ = self.listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                return
            except ConnectionError:
                continue
            except OSError:  # no file descriptors left: stop asking until a connection closes
                self.pause_accepting()
                return
            sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[fd] = Connection(sock)
            self.poller.register(fd, READ)

    def pause_accepting(self) -> None:
        self.accepting = False
        self.poller.unregister(self.listener.fileno())
        if self.stop_at is not None:
            self.listener.close()

    def drop(self, connection: Connection) -> None:
        fd = connection.sock.fileno()
        self.poller.unregister(fd)
        del self.connections[fd]
        connection.sock.close()
        if connection.waiting is not None:
            connection.waiting = None
            self.app.in_flight -= 1
            if connection in self.held:
                self.held.remove(connection)
        if not self.accepting and self.stop_at is None:
            self.accepting = True
            self.poller.register(self.listener.fileno(), READ)

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
                if request is not None:
                    self.handle(connection, request)
        except BadRequest as error:
            self.reply(connection, None, error.status, self.app.plain, f"{error}\n")
            connection.linger = True
        self.flush(connection)

    def next_request(self, connection: Connection) -> bool:
        """Reads a request's head from the inbox; False when it is not complete yet."""
        inbox = connection.inbox
        while inbox.startswith(
            b"\r\n"
        ):  # RFC 9112 2.2: be lenient with empty lines before a request
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

    def handle(self, connection: Connection, request: Request) -> None:
        app = self.app
        if request.path.startswith("/control/"):
            try:
                answer = app.control(request)
            except BadRequest as error:
                answer = error.status, app.plain, f"{error}\nthere are:\n{CONTROLS}"
            if self.held and not app.gate_closed:
                self.open_gate()
            if request.path == "/control/reset":
                self.release_due(float("inf"))
            self.reply(connection, request, *(answer or app.state(len(self.held))))
            return
        app.received += 1
        app.in_flight += 1
        connection.waiting = request
        if app.gate_closed:
            self.held.append(connection)
        else:
            self.after_gate(connection)

    def open_gate(self) -> None:
        held, self.held = self.held, []
        for connection in held:
            self.after_gate(connection)
            if connection.waiting is None:
                self.advance(connection)

    def after_gate(self, connection: Connection) -> None:
        delay = self.app.delay_s()
        if delay and connection.waiting is not None:
            self.sequence += 1
            due = time.monotonic() + delay
            heappush(self.delayed, (due, self.sequence, connection, connection.waiting))
        else:
            self.finish(connection)

    def release_due(self, now: float) -> None:
        while self.delayed and self.delayed[0][0] <= now:
            _, _, connection, request = heappop(self.delayed)
            if connection.waiting is request:  # else its client has gone
                self.finish(connection)
                self.advance(connection)

    def finish(self, connection: Connection) -> None:
        request, connection.waiting = connection.waiting, None
        if request is None:
            return
        self.app.in_flight -= 1
        status, kind, text = self.app.answer(request)
        self.reply(connection, request, status, kind, text)
        if self.log:
            now = time.time()
            if int(now) != self.second:
                if self.logged > MAX_LINES:
                    self.lines.append(
                        f"{self.stamp} and {self.logged - MAX_LINES} more in this second\n"
                    )
                self.second, self.logged = int(now), 0
                self.stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            self.logged += 1
            if self.logged > MAX_LINES:
                return
            took = (time.monotonic() - request.arrived) * 1000
            self.lines.append(
                f"{self.stamp}.{int(now * 1000) % 1000:03d}Z {request.method} {request.path} "
                f"{status} {took:.1f}ms\n"
            )

    def reply(
        self, connection: Connection, request: Request | None, status: int, kind: str, text: str
    ) -> None:
        body = text.encode()
        if request is None or not request.keep_alive or self.stop_at is not None:
            connection.close = True
            life = "connection: close\r\n"
        else:
            life = "connection: keep-alive\r\n" if request.version == "1.0" else ""
        reason = REASONS.get(status, "Status")
        connection.outbox += (
            f"HTTP/1.1 {status} {reason}\r\n{kind}{len(body)}\r\n{life}\r\n".encode("latin-1")
        )
        if request is None or request.method != "HEAD":
            connection.outbox += body

    def flush(self, connection: Connection) -> None:
        """Sends what it can, and asks the poller for what is needed next."""
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
                self.advance(
                    connection
                )  # there may be requests in the inbox that had to wait for room
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
        mask = WRITE if outbox else 0
        if not connection.eof and len(connection.inbox) < MAX_PENDING and len(outbox) < MAX_PENDING:
            mask |= READ
        if mask != connection.mask:
            connection.mask = mask
            self.poller.modify(connection.sock.fileno(), mask)

    def write_log(self) -> None:
        text = "".join(self.lines).encode("utf-8", "replace")
        self.lines.clear()
        try:
            os.write(1, text)
        except OSError:  # nobody reads it any more
            self.log = False


def main() -> None:
    env = os.environ
    pod = env.get("POD_NAME") or env.get("HOSTNAME") or socket.gethostname()
    app = App(env.get("VERSION", "v1"), pod)
    server = Server(
        app, env.get("BIND", "0.0.0.0"), int(env.get("PORT", "8080")), env.get("LOG", "1") != "0"
    )
    server.stop_on_signals()
    os.write(1, f"listening on {server.port}\n".encode())
    server.run()
    sys.exit(0)


if __name__ == "__main__":
    main()

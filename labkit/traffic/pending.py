"""`concurrent`: n requests at the same instant, each on its own connection, and answers when they
come.

Made for the gate of the hello-world app: the pods hold the requests, so that all of them are under
way at once as a fact. Then the gate opens, and `wait()` has the answers.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from labkit.errors import MORE_FILES, NO_MORE_FILES, TrafficError
from labkit.traffic.curl import ID_HEADER, reason
from labkit.traffic.http1 import BadResponse, ResponseParser, build_request
from labkit.traffic.result import COLUMNS, FAILED, Response, Result
from labkit.traffic.target import Target, clean_path
from labkit.waiting import steady_time

WAKE_S = 0.05  # how soon a close() is noticed


class Pending:
    """Requests under way.

    >>> pending = concurrent(target, n=10)
    >>> pending.answered, pending.codes          # the circuit breaker answers those that it refuses at once
    (8, {503: 8})
    >>> pending.wait(5).codes                    # after the gate was opened
    {200: 2, 503: 8}
    """  # noqa: E501

    def __init__(
        self, target: Target, path: str, method: str, timeout_s: float, ids: list[str]
    ) -> None:
        self.target, self.path, self.method, self.timeout_s = target, path, method, timeout_s
        self.ids = ids
        self.n = len(ids)
        self._finished = threading.Event()
        self._closing = False
        self._responses: list[Response | None] = [None] * self.n
        self._at = [0.0] * self.n
        self._started = [time.perf_counter()] * self.n
        self._broken: deque[tuple[int, str]] = deque()
        self._thread: threading.Thread | None = None

    @property
    def answered(self) -> int:
        """How many have an answer, or have failed, by now."""
        return sum(response is not None for response in self._responses)

    @property
    def done(self) -> bool:
        return self._finished.is_set()

    @property
    def codes(self) -> dict[int, int]:
        """The statuses so far."""
        found: dict[int, int] = {}
        for response in self._responses:
            if response is not None:
                found[response.status] = found.get(response.status, 0) + 1
        return dict(sorted(found.items()))

    def wait(self, timeout_s: float = 10) -> Result:
        """The result, when all have their answers; TrafficError when some have none after
        `timeout_s` seconds.
        """
        if not self._finished.wait(timeout_s):
            raise TrafficError(
                f"{self.n - self.answered} of {self.n} requests have no answer after "
                f"{timeout_s:g} s",
                seen=f"answered so far: {self.codes}",
                try_next="open the gate first: gate.open()",
            )
        return self.result()

    def result(self) -> Result:
        """What is known now; requests still under way have status -1 and the error "under way"."""
        rows = [
            response or Response(FAILED, at=at, error="under way")
            for response, at in zip(self._responses, self._at, strict=True)
        ]
        columns: dict[str, list[object]] = {name: [""] * self.n for name in COLUMNS}
        for name in ("at", "status", "pod", "version", "latency_ms", "error"):
            columns[name] = [getattr(row, name) for row in rows]
        columns["n"] = columns["connection"] = list(range(self.n))
        columns["method"], columns["path"] = [self.method] * self.n, [self.path] * self.n
        columns["id"] = list(self.ids)
        return Result(columns, rows)

    def close(self) -> None:
        """Gives up what is still under way: the connections are closed."""
        self._closing = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(5)

    def __enter__(self) -> Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Pending {self.answered} of {self.n} answered: {self.codes}>"

    # --- the thread ---

    def _run(self, sockets: list[socket.socket]) -> None:
        selector = selectors.DefaultSelector()
        parsers = [ResponseParser(self.method) for _ in sockets]
        started = self._started

        def finish(i: int, response: Response) -> None:
            if sockets[i].fileno() >= 0 and sockets[i].fileno() in selector.get_map():
                selector.unregister(sockets[i])
            sockets[i].close()
            self._responses[i] = response

        def fail(i: int, error: str) -> None:
            taken = (time.perf_counter() - started[i]) * 1000
            finish(i, Response(FAILED, latency_ms=taken, at=self._at[i], error=error))

        try:
            for i, sock in enumerate(sockets):
                selector.register(sock, selectors.EVENT_READ, i)
            deadline = time.perf_counter() + self.timeout_s
            while not self._closing and selector.get_map():
                left = deadline - time.perf_counter()
                if left <= 0:
                    for key in list(selector.get_map().values()):
                        fail(key.data, "timeout")
                    break
                while self._broken:
                    fail(*self._broken.popleft())
                for key, _ in selector.select(min(left, WAKE_S)):
                    i = key.data
                    try:
                        data = sockets[i].recv(65536)
                        complete = parsers[i].feed(data) if data else parsers[i].end()
                    except BlockingIOError:
                        continue
                    except (OSError, BadResponse) as error:
                        fail(i, reason(error) if isinstance(error, OSError) else "not HTTP")
                        continue
                    if complete:
                        finish(
                            i,
                            self._response(
                                parsers[i], i, (time.perf_counter() - started[i]) * 1000
                            ),
                        )
                    elif not data:
                        fail(i, "connection closed")
        finally:
            for sock in sockets:
                sock.close()
            selector.close()
            self._finished.set()

    def _send(
        self,
        sockets: list[socket.socket],
        requests: list[bytes],
        after_each: Callable[[int], object] | None,
    ) -> None:
        for i, request in enumerate(requests):
            self._at[i], self._started[i] = steady_time(), time.perf_counter()
            try:
                sockets[i].sendall(request)
            except OSError as error:
                self._broken.append((i, reason(error)))
            if after_each is not None:
                after_each(i)

    def _response(self, parser: ResponseParser, i: int, latency_ms: float) -> Response:
        headers = parser.headers
        return Response(
            parser.status,
            headers,
            bytes(parser.body),
            latency_ms,
            pod=headers.get("x-pod", ""),
            version=headers.get("x-version", ""),
            at=self._at[i],
        )


def concurrent(
    target: Target,
    path: str = "/",
    *,
    n: int,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes | str | None = None,
    timeout_s: float = 30,
    after_each: Callable[[int], object] | None = None,
) -> Pending:
    """Opens n connections, then sends n requests at once, and returns while they are under way.

    "At once" is some microseconds apart: less than Envoy needs for a connection to a pod. A request
    for which it makes one is pending meanwhile, so with http1MaxPendingRequests p and no connection
    yet, all but p of them are refused however many connections are allowed. For exact counts give
    `after_each`: it is called with 0, 1, … after each request was sent, and can wait until that one
    has reached its place.

    Raises TrafficError when a connection can't be made. `timeout_s` is how long all the answers may
    take.
    """
    if n < 1:
        raise TrafficError("At least one request is needed", seen=f"n={n}")
    path = clean_path(path)
    payload = body.encode() if isinstance(body, str) else body
    fields = {"host": target.authority, "user-agent": "labkit", "accept": "*/*"}
    fields.update({name.lower(): str(value) for name, value in (headers or {}).items()})
    before, after = build_request(method, path, fields, payload, ID_HEADER)
    prefix = os.urandom(6).hex()
    ids = [f"{prefix}-{i}" for i in range(n)]
    sockets: list[socket.socket] = []
    try:
        for _ in range(n):
            sockets.append(socket.create_connection((target.host, target.port), timeout=timeout_s))
            sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise TrafficError(
            f"Only {len(sockets)} of {n} connections to {target.host}:{target.port} could be "
            f"made: {reason(error)}",
            seen=str(error),
            try_next=f"fewer requests; {MORE_FILES}"
            if error.errno in NO_MORE_FILES
            else "mesh.get('pods') shows whether the gateway runs",
        ) from error
    pending = Pending(target, path, method, timeout_s, ids)
    requests = [before + request_id.encode() + after for request_id in ids]
    pending._thread = threading.Thread(
        target=pending._run, args=(sockets,), name="labkit-concurrent", daemon=True
    )
    pending._thread.start()
    try:
        pending._send(sockets, requests, after_each)
    except BaseException:
        pending.close()
        raise
    return pending

"""What the generator keeps: arrays of what happened to each request, and the state of each
connection.
"""

from __future__ import annotations

import socket
from array import array
from collections.abc import Callable
from typing import Any

from labkit.traffic.http1 import ResponseParser

IDLE, CONNECTING, RECEIVING, DONE = range(4)
ERRORS = ("", "timeout", "connection refused", "connection closed", "not HTTP", "no such host")
TIMEOUT, REFUSED, CLOSED, NOT_HTTP, NO_HOST = range(1, 6)


class Recorder:
    """What is known of each request, in arrays: no object a request, since a second has tens of
    thousands.
    """

    def __init__(self) -> None:
        self.start = array("d")  # perf_counter
        self.latency = array("d")  # seconds
        self.status = array("h")
        self.pod = array("H")
        self.connection = array("H")
        self.size = array("I")
        self.header_size = array("I")
        self.id = array("I")
        self.error = array("B")
        self.pods: dict[bytes, int] = {b"": 0}
        self.versions: list[bytes] = [b""]
        self.connect_times = array("d")
        # Bound once: looking up ten methods for each request is what would cost most here.
        self.appends: tuple[Callable[[Any], None], ...] = tuple(
            column.append
            for column in (
                self.start,
                self.latency,
                self.status,
                self.pod,
                self.connection,
                self.size,
                self.header_size,
                self.id,
                self.error,
            )
        )

    def add(
        self,
        start: float,
        latency: float,
        status: int,
        pod: int,
        connection: int,
        size: int,
        header_size: int,
        request_id: int,
        error: int,
    ) -> None:
        a, b, c, d, e, f, g, h, i = self.appends
        a(start)
        b(latency)
        c(status)
        d(pod)
        e(connection)
        f(size)
        g(header_size)
        h(request_id)
        i(error)

    def pod_of(self, data: bytes) -> int:
        """The number of the pod that the response's head names; 0 for none."""
        at = data.find(b"x-pod: ")
        if at < 0:
            return 0
        name = data[at + 7 : data.find(b"\r", at)]
        number = self.pods.get(name)
        if number is None:
            number = self.pods[name] = len(self.pods)
            at = data.find(b"x-version: ")  # a pod has one version, so once is enough
            self.versions.append(data[at + 11 : data.find(b"\r", at)] if at >= 0 else b"")
        return number


class Connection:
    __slots__ = (
        "began",
        "connect_started",
        "deadline",
        "done",
        "fresh",
        "id",
        "index",
        "limit",
        "parser",
        "registered",
        "sock",
        "sockets",
        "start",
        "state",
        "unsent",
        "warming",
    )

    def __init__(self, index: int, limit: int | None) -> None:
        self.index = index
        self.limit = limit  # calls to make; None: until the time is over
        self.done = 0
        self.sock: socket.socket | None = None
        self.sockets = 0
        self.state = IDLE
        self.began = self.start = self.connect_started = self.deadline = 0.0
        self.fresh = False  # nothing was answered on this socket before
        self.parser: ResponseParser | None = None
        self.registered = False
        self.unsent = b""
        self.id = 0
        self.warming = False

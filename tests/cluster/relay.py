"""A relay in front of an API server: it counts requests, may be slow, may end. HTTP here, TLS on
the other side.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) (/\S*) HTTP/1\.1\r\n")
WRITES = ("POST", "PUT", "PATCH", "DELETE")


class Relay:
    """Listens on loopback; each connection gets one to the API server. `requests` are (method,
    path), as they came.
    """

    def __init__(self, server: str, *, delay_s: float = 0.0) -> None:
        where = urlsplit(server)
        assert where.hostname is not None
        self.upstream, self.delay_s = (where.hostname, where.port or 443), delay_s
        self.requests: list[tuple[str, str]] = []
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self.listener.getsockname()[1])
        self.ended = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [one for one in self.requests if one[0] in WRITES]

    def accept(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # a test's own cluster, on this machine
        with contextlib.suppress(OSError):  # the end
            while True:
                near, _ = self.listener.accept()
                far = context.wrap_socket(socket.create_connection(self.upstream))
                self.open += [near, far]
                for pair in ((near, far, True), (far, near, False)):
                    threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if counts:
                    found = REQUEST.findall(data)
                    self.requests += [(method.decode(), path.decode()) for method, path in found]
                    if found:
                        self.ended.wait(self.delay_s)  # the way to the API server is long
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.ended.set()
        for one in (self.listener, *self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def relay(server: str, *, delay_s: float = 0.0) -> Iterator[Relay]:
    one = Relay(server, delay_s=delay_s)
    try:
        yield one
    finally:
        one.close()


def kubeconfig(server: str, user: dict[str, Any], context: str) -> dict[str, Any]:
    """A kubeconfig of one context."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [{"name": context, "cluster": {"server": server}}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }

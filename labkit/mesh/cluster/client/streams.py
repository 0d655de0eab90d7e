"""Byte streams into pods through the API server: what `kubectl port-forward` and `kubectl exec -i`
use.

The official client opens the WebSocket (with the context's certificates, tokens and proxies). Its
own port-forward was looked at and left aside: it wants a thread and a pair of sockets for each
stream, and tells the caller of a refused connection only by closing.
"""

from __future__ import annotations

import http.client
import io
import re
import select
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from labkit.errors import MeshError, TrafficError
from labkit.mesh.cluster.client.api import Api

PROTOCOL = "v4.channel.k8s.io"
OPEN_S = 10.0
READY_S = 10.0
OUT, NOTES, ERROR = (
    1,
    2,
    3,
    # channels of exec, whose input is 0; a port-forward has data on 0 in both directions, and errors on  # noqa: E501
    # 1
)


class PodStream:
    """One stream to a port of a pod, or to a command in it. Enough of a socket for http.client."""

    def __init__(
        self,
        api: Api,
        path: str,
        query: list[tuple[str, str]],
        *,
        reads: int,
        errors: int,
        hello: int,
    ) -> None:
        import websocket

        url = f"{api.host.replace('http', 'ws', 1)}{path}?{urlencode(query, quote_via=quote)}"
        self.closed_error = websocket.WebSocketException
        self.reads, self.errors = reads, errors
        self.trouble = self.notes = ""
        self.ended = False
        self.rest = b""
        self.ws: Any = None
        try:
            self.ws = open_websocket(api, url)
            for _ in range(hello):  # each channel of a port-forward first says its port
                self.ws.recv()
            self.ws.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except (OSError, websocket.WebSocketException) as error:
            self.close()
            raise MeshError(f"The API server opens no stream to {path}", seen=str(error)) from error
        self.settimeout(None)

    @classmethod
    def to_port(cls, api: Api, namespace: str, pod: str, port: int) -> PodStream:
        """A connection to a port of a pod, made inside the pod, to its loopback address: past its
        sidecar.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        return cls(api, path, [("ports", str(port))], reads=0, errors=1, hello=2)

    @classmethod
    def to_command(
        cls, api: Api, namespace: str, pod: str, container: str, command: list[str], ready: str = ""
    ) -> PodStream:
        """The standard input and output of a command in a container; `ready` is a pattern of what
        it says first.
        """
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        query = [("container", container), ("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
        found = cls(
            api,
            path,
            [*query, *(("command", c) for c in command)],
            reads=OUT,
            errors=ERROR,
            hello=0,
        )
        if ready:
            found.await_ready(ready, command)
        return found

    def await_ready(self, ready: str, command: list[str]) -> None:
        """Waits until the command says on its standard error that it is ready: what is sent earlier
        may be lost.
        """
        self.settimeout(READY_S)
        try:
            while not re.search(ready, self.notes):
                if self.ended:
                    raise TrafficError(
                        f"{command[-1]} can't be reached from the pod",
                        seen=self.notes or self.trouble,
                    )
                self.step()
        except TimeoutError as error:
            raise TrafficError(
                f"{command[0]} in the pod is not ready after {READY_S:g} s", seen=self.notes
            ) from error
        self.settimeout(None)

    # reading and writing

    def step(self) -> bytes:
        """What the next message holds for the reader: often nothing, since some messages only open
        a channel.
        """
        if self.rest:
            data, self.rest = self.rest, b""
            return data
        try:
            opcode, frame = self.ws.recv_data()
        except TimeoutError:
            raise
        except (OSError, self.closed_error) as error:
            if "timed out" in str(error):
                raise TimeoutError(str(error)) from error
            self.ended = True
            return b""
        if opcode not in (1, 2):
            self.ended = opcode == 8
            return b""
        channel, data = frame[0], bytes(frame[1:])
        if channel == self.reads:
            return data
        if channel == NOTES and self.reads == OUT:
            self.notes = (self.notes + data.decode(errors="replace"))[-4000:]
        if channel == self.errors and data:
            self.trouble += data.decode(errors="replace")
            # a port-forward that has an error is over; a command's result comes last
            self.ended = self.reads == 0
        return b""

    def receive(self) -> bytes:
        """The next bytes; b"" at the end of the stream."""
        while not self.ended:
            if data := self.step():
                return data
        return b""

    def pending(self) -> bool:
        """Whether a message lies ready here that select does not see."""
        return bool(self.rest) or self.decrypted()

    def decrypted(self) -> bool:
        """Whether TLS holds bytes back; an API server behind `kubectl proxy` is spoken to without
        it.
        """
        return hasattr(self.ws.sock, "pending") and self.ws.sock.pending() > 0

    def is_open(self) -> bool:
        """Whether the stream goes on, as far as is known now; what has come is kept."""
        while not self.ended and (self.decrypted() or select.select([self.ws.sock], [], [], 0)[0]):
            kept = self.rest
            self.rest = b""
            self.rest = kept + self.step()
        return not self.ended

    def fileno(self) -> int:
        """The descriptor to wait for in `select`; `pending` tells what it does not see."""
        return int(self.ws.sock.fileno())

    def sendall(self, data: bytes) -> None:
        """Sends bytes. Raises BrokenPipeError where the stream has ended."""
        try:
            self.ws.send_binary(b"\0" + data)
        except self.closed_error as error:
            raise BrokenPipeError(str(error)) from error

    # what http.client wants of a socket

    def settimeout(self, timeout_s: float | None) -> None:
        """How long reading may take, in seconds; None for as long as it takes."""
        self.ws.settimeout(timeout_s)

    def makefile(self, mode: str, *_: Any) -> io.BufferedReader:
        """A file to read from, as http.client wants one."""
        return io.BufferedReader(StreamReader(self))

    def close(self) -> None:
        """Ends the stream; a second call does nothing."""
        self.ended = True
        try:
            if self.ws is not None:
                self.ws.shutdown()
        except OSError:  # the other side was first
            return


def open_websocket(api: Api, url: str) -> Any:
    """As the client's own `create_websocket`, which has no time limit: a laptop that slept, or a
    VPN that is off, would let whoever asks wait without end."""
    import websocket
    from kubernetes.stream import ws_client

    client: Any = ws_client
    settings = api.settings
    tls: dict[str, Any] = {"cert_reqs": ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE}
    if settings.assert_hostname is not None:
        tls["check_hostname"] = settings.assert_hostname
    names = {
        "ca_certs": settings.ssl_ca_cert,  # without: those of the system
        "certfile": settings.cert_file,
        "keyfile": settings.key_file,
        "server_hostname": settings.tls_server_name,
    }
    tls |= {name: value for name, value in names.items() if value}
    headers = {**api.headers(), "sec-websocket-protocol": PROTOCOL}
    options: dict[str, Any] = {"header": [f"{name}: {value}" for name, value in headers.items()]}
    if api.pinned.direct:
        # This client looks into the environment for a proxy by itself, unless it is given one; with
        # one given that is for no host at all, it uses none.
        options |= {"http_proxy_host": "none", "http_proxy_port": 1, "http_no_proxy": ["*"]}
    elif settings.proxy or settings.proxy_headers:
        options = client.websocket_proxycare(options, settings, url, headers)
    # a redirect would take the headers, with their token, to wherever it leads
    return websocket.create_connection(url, timeout=OPEN_S, sslopt=tls, redirect_limit=0, **options)


class StreamReader(io.RawIOBase):
    """A stream as a file to read from."""

    def __init__(self, stream: PodStream) -> None:
        self.stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.stream.receive()
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        self.stream.rest = data[size:]
        return size


class StreamConnection(http.client.HTTPConnection):
    """HTTP to a port of a pod."""

    def __init__(
        self, api: Api, namespace: str, pod: str, port: int, timeout_s: float = 10.0
    ) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.api, self.where = api, (namespace, pod, port)

    def connect(self) -> None:
        stream = PodStream.to_port(self.api, *self.where)
        stream.settimeout(self.timeout)
        self.sock = stream


class PodClient:
    """HTTP requests to one port of one pod, on one connection that stays open. Raises TrafficError
    where none gets there, also when the pod is gone.

    >>> PodClient(api, "hello-world", "hello-world-v1-x", 8080).request("GET", "/control/state")
    (200, b'{"pod": …')
    """

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        self.api, self.where = api, (namespace, pod, port)
        self.connection: StreamConnection | None = None
        self.lock = threading.Lock()

    def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Sends one request; its status and body. Raises TrafficError where none gets there."""
        with self.lock:
            for fresh in (False, True):
                if self.connection is None:
                    self.connection = StreamConnection(self.api, *self.where)
                    fresh = True
                try:
                    self.connection.request(method, target, headers=dict(headers or {}))
                    answer = self.connection.getresponse()
                    return answer.status, answer.read()
                except (
                    OSError,
                    http.client.HTTPException,
                    MeshError,
                ) as error:  # MeshError: there is no such pod
                    seen = error.seen if isinstance(error, MeshError) else str(error)
                    trouble = getattr(self.connection.sock, "trouble", "") or seen
                    # one that was kept may have died since: a fresh one tells the truth
                    self.drop()
                    if fresh:
                        namespace, pod, port = self.where
                        raise TrafficError(
                            f"Port {port} of pod {pod!r} in {namespace!r} does not answer",
                            seen=trouble,
                        ) from error
        raise AssertionError("unreachable")

    def drop(self) -> None:
        """Closes the connection; the next request opens one again."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

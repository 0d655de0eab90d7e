"""A port of this machine that leads into the cluster, as `kubectl port-forward` gives one."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Callable

from labkit.errors import LabkitError
from labkit.mesh.cluster.client.streams import PodStream

CHUNK = 64 * 1024
SPARE = 4


class Forward:
    """Listens on 127.0.0.1; each connection gets a stream of its own, so the pod sees one
    connection for each.

    To open a stream takes 20 to 30 ms (a TLS and a WebSocket handshake), so `spare` streams are
    opened ahead: a curl then measures the mesh, not the way there.
    """

    def __init__(self, opener: Callable[[], PodStream], *, spare: int = SPARE) -> None:
        self.opener, self.spare = opener, spare
        self.ready: deque[PodStream] = deque()
        self.opening = 0
        self.lock = threading.Lock()
        self.closed = False
        self.trouble = ""
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True, name=f"forward {self.port}").start()
        self.refill()

    def accept(self) -> None:
        """The thread that accepts connections, each served in a thread of its own."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        """Gives one connection a stream, and moves bytes until one of the two ends."""
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                stream = self.take()
            except LabkitError as error:
                self.trouble = str(error)
                return
            try:
                pump(connection, stream)
            except OSError:  # one side went away: so does the other
                return
            finally:
                self.trouble = stream.trouble or self.trouble
                stream.close()

    def take(self) -> PodStream:
        """A stream: a spare one that is still good, or a new one."""
        while True:
            with self.lock:
                stream = self.ready.popleft() if self.ready else None
            if stream is None:
                break
            if stream.is_open():
                self.refill()
                return stream
            stream.close()
        self.refill()
        return self.opener()

    def refill(self) -> None:
        """Opens streams ahead, as many as are missing, each in a thread of its own."""
        with self.lock:
            missing = 0 if self.closed else self.spare - len(self.ready) - self.opening
            self.opening += max(0, missing)
        for _ in range(missing):
            threading.Thread(target=self.open_one, daemon=True).start()

    def open_one(self) -> None:
        """Opens one spare stream, and keeps it unless this forward was closed meanwhile."""
        stream, kept = None, False
        try:
            with contextlib.suppress(LabkitError):  # whoever needs one will open it, and be told
                stream = self.opener()
        # whatever went wrong: one that counts as being opened for ever would be missing for ever
        finally:
            with self.lock:
                self.opening -= 1
                if stream is not None and not self.closed:
                    self.ready.append(stream)
                    kept = True
        if stream is not None and not kept:
            stream.close()

    def drain(self) -> None:
        """Closes the spare streams."""
        with self.lock:
            spare, self.ready = list(self.ready), deque()
        for stream in spare:
            stream.close()

    def close(self) -> None:
        """Stops listening, and closes the spare streams; connections that are open go on."""
        with self.lock:
            self.closed = True
        # a thread that waits in accept() is woken by shutdown, not by close
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drain()


def pump(connection: socket.socket, stream: PodStream) -> None:
    """Moves bytes both ways until one side ends."""
    while True:
        both: list[socket.socket | PodStream] = [connection, stream]
        ready = [stream] if stream.pending() else select.select(both, [], [])[0]
        if connection in ready:
            data = connection.recv(CHUNK)
            if not data:
                return
            stream.sendall(data)
        if stream in ready:
            connection.sendall(stream.step())
            if stream.ended:
                return

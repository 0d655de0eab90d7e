"""Free ports of 127.0.0.1 for processes that are about to start."""

from __future__ import annotations

import random
import socket
import threading

from labkit.errors import MeshError

# Below what Linux (32768 and up) and macOS (49152 and up) give to outgoing connections, so that a connection made
# between choosing a port and listening on it can't take it away.
FIRST, LAST = 20000, 32000


class Ports:
    """Hands out each port once. Several meshes side by side start from different places, and look before they take."""

    def __init__(self) -> None:
        self.taken: set[int] = set()
        self.lock = threading.Lock()
        self.random = random.SystemRandom()

    def take(self) -> int:
        with self.lock:
            for _ in range(500):
                port = self.random.randrange(FIRST, LAST)
                if port not in self.taken and free(port):
                    self.taken.add(port)
                    return port
        raise MeshError(
            f"No free port was found between {FIRST} and {LAST}",
            try_next="close other meshes (labkit status shows them, labkit down ends them)",
        )

    def give_back(self, port: int) -> None:
        with self.lock:
            self.taken.discard(port)


def free(port: int) -> bool:
    """Whether nobody listens on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

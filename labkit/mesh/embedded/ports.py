"""Free ports of 127.0.0.1 for processes that are about to start."""

from __future__ import annotations

import random
import socket
import sys
import threading

from labkit.errors import MeshError

# Below what Linux (32768 and up) and macOS (49152 and up) give to outgoing connections, so that a
# connection made between choosing a port and listening on it can't take it away. And below the
# NodePorts of a Kubernetes on this machine (30000 to 32767): kube-proxy's rules lead whoever calls
# such a port into the cluster, on loopback too, and even while a process listens there. Nothing
# shows that: the port is free, listening works, and no request arrives.
FIRST, LAST = 20000, 30000


class Ports:
    """Hands out each port once, and to one mesh of this machine only, however many start at the
    same moment.

    Looking whether a port is free is not enough: it stays free until Envoy listens there, and
    another mesh may look meanwhile. So, on Linux, a socket of ours stays bound to it, which does
    not listen: whoever looks finds the port taken, and a process that listens with SO_REUSEADDR, as
    Envoy and the pods' application do, may have it. Other systems don't allow that (there the port
    is only looked at). The system lets go of all of them when we end.
    """

    def __init__(self) -> None:
        self.held: dict[int, socket.socket] = {}
        self.lock = threading.Lock()
        self.random = random.SystemRandom()

    def take(self) -> int:
        """A port that nobody else gets. Raises MeshError when none is found."""
        with self.lock:
            for _ in range(500):
                port = self.random.randrange(FIRST, LAST)
                if port not in self.held and (holder := hold(port)):
                    self.held[port] = holder
                    return port
        raise MeshError(
            f"No free port was found between {FIRST} and {LAST}",
            try_next="close other meshes (labkit status shows them, labkit down ends them)",
        )

    def give_back(self, port: int) -> None:
        """Lets somebody else have a port."""
        with self.lock:
            if holder := self.held.pop(port, None):
                holder.close()

    def close(self) -> None:
        """Gives back all of them."""
        for port in list(self.held):
            self.give_back(port)


def hold(port: int) -> socket.socket | None:
    """A socket that keeps this port of 127.0.0.1 from all who look; None where somebody has it."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # without SO_REUSEADDR: fails if anybody is bound here, listening or not
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return None
    if sys.platform == "linux":
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        holder.close()
    return holder

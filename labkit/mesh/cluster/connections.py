"""The ways into a cluster that requests take: to the gateway, to a pod, and from inside, through a
pod's sidecar.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from labkit.errors import TrafficError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.forward import Forward
from labkit.mesh.cluster.client.streams import PodStream
from labkit.mesh.cluster.pods import application
from labkit.resources import istio

READY = "Connected to|Established connection|open|succeeded"  # as the programs below say it
RELAY = """
import os, socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print("Connected to", *sys.argv[1:], file=sys.stderr, flush=True)
def up():
    while data := os.read(0, 65536):
        s.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := s.recv(65536):
    os.write(1, data)
"""


class Connections:
    """Forwards by where they lead; each is opened when first needed, and kept."""

    def __init__(self, api: Api, gateway: Callable[[], Json]) -> None:
        self.api, self.gateway = api, gateway
        self.forwards: dict[tuple[str, ...], Forward] = {}
        self.ports: dict[int, int] | None = None
        self.lock = threading.Lock()

    def forward(self, key: tuple[str, ...], opener: Callable[[], PodStream]) -> Forward:
        """The forward of this key, opened by `opener` when it is asked for first."""
        with self.lock:
            if key not in self.forwards:
                self.forwards[key] = Forward(opener)
            return self.forwards[key]

    def gateway_ports(self) -> dict[int, int]:
        """Where the gateway listens, by the port of its Service."""
        if self.ports is None:
            service = self.api.find(path_of("Service", istio.NAMESPACE, istio.GATEWAY))
            found = service["spec"]["ports"] if service else []
            targets = {
                p["port"]: p.get("targetPort")
                for p in found
                if isinstance(p.get("targetPort"), int)
            }
            self.ports = targets or dict(istio.TRAFFIC_PORTS)
        return self.ports

    def to_gateway(self, port: int, url: str) -> Forward:
        """A way to the gateway's Service at this port. Raises TrafficError for another port."""
        ports = self.gateway_ports()
        if port not in ports:
            raise TrafficError(
                f"The ingress gateway's Service has no port {port}",
                seen=f"{url}; its ports: {', '.join(map(str, sorted(ports)))}",
                try_next="call port 80: it leads to port "
                f"{ports.get(80, istio.TRAFFIC_PORTS[80])} of the gateway",
            )
        return self.to_pod(self.gateway(), ports[port])

    def to_pod(self, pod: Json, port: int) -> Forward:
        """A way to a port of a pod, past its sidecar."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        return self.forward(
            ("pod", pod["metadata"]["uid"], str(port)),
            lambda: PodStream.to_port(self.api, namespace, name, port),
        )

    def from_pod(self, pod: Json, host: str, port: int) -> Forward:
        """Connections that are made in a pod's own container, so that its sidecar
        takes them over.
        """
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        container = application(pod)
        command = relay(str(container["image"]), host, port)
        return self.forward(
            ("from", pod["metadata"]["uid"], host, str(port)),
            lambda: PodStream.to_command(
                self.api, namespace, name, container["name"], command, READY
            ),
        )

    def close(self) -> None:
        """Closes every forward."""
        with self.lock:
            for forward in self.forwards.values():
                forward.close()
            self.forwards.clear()


def relay(image: str, host: str, port: int) -> list[str]:
    """A command that joins its standard input and output to a TCP connection, with what an image
    has.

    curl reads its input only now and then (`-T .`: without waiting for it, or it would miss an
    answer that comes later than 0.1 s after the request), so a request from such a pod may be sent
    up to 0.1 s late.

    >>> relay("curlimages/curl:8.15.0", "hello-world", 80)
    ['curl', '-vN', '--no-progress-meter', '-T', '.', 'telnet://hello-world:80']
    """
    if "python" in image:
        return ["python3", "-c", RELAY, host, str(port)]
    if "curl" in image:
        return ["curl", "-vN", "--no-progress-meter", "-T", ".", f"telnet://{host}:{port}"]
    return ["nc", "-v", host, str(port)]

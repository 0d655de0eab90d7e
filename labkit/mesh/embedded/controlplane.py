"""What istiod does: turns what is known into each proxy's configuration, and sees that each proxy
holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.envoy import Envoy, run_changes
from labkit.mesh.embedded.loopback import Addresses, to_loopback
from labkit.mesh.embedded.outside import Outside, inside, with_passages
from labkit.mesh.embedded.ports import Ports
from labkit.translate import Pod, ProxyConfig, Registry, gateway_config, sidecar_config

# a port that nothing listens on: where a Service's targetPort names a port that no container has, a
# cluster refuses the connection, and so do we
NOBODY = 1
CLUSTERS_A_SECOND = 50  # that Envoys on one machine take at least


class EndpointPorts(Mapping[tuple[str, int], int]):
    """Where each pod takes traffic on this machine, by its address and container
    port in the mesh.
    """

    def __init__(self) -> None:
        self.ports: dict[tuple[str, int], int] = {}

    def __getitem__(self, key: tuple[str, int]) -> int:
        return self.ports.get(key, NOBODY)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.ports)

    def __len__(self) -> int:
        return len(self.ports)

    def __contains__(self, key: object) -> bool:
        return True


class Proxy:
    """One Envoy and where its listeners really are. `pod` is None for the ingress gateway, and a
    pod that is a gateway for any other.
    """

    def __init__(
        self,
        envoy: Envoy,
        ports: Ports,
        pod: Pod | None = None,
        app_ports: Mapping[int, int] | None = None,
    ):
        self.envoy = envoy
        self.ports = ports
        self.pod = pod
        self.app_ports = dict(app_ports or {})
        self.listeners: dict[str, int] = {}
        # whether anybody calls through it or looks into it; until then its endpoints are inline
        # (see to_loopback)
        self.inspected = self.is_gateway

    @property
    def is_gateway(self) -> bool:
        return self.pod is None or self.pod.gateway

    def port(self, listener: str) -> int:
        """The port of 127.0.0.1 that stands for a listener; chosen once, kept for good."""
        if listener not in self.listeners:
            self.listeners[listener] = self.ports.take()
        return self.listeners[listener]

    def has_listener(self, listener: str) -> bool:
        """Whether the configuration that this proxy was told last has this listener."""
        config = self.envoy.config
        return config is not None and any(each["name"] == listener for each in config.listeners)

    def config(
        self, registry: Registry, endpoints: EndpointPorts, outside: Outside | None = None
    ) -> ProxyConfig:
        """What this proxy is to hold, with this machine's addresses; `outside` is None where
        nothing leads out of the mesh. Raises UnsupportedError.
        """
        config = told(registry, self.pod, outside)
        for listener in config.listeners:
            port = self.port(str(listener["name"]))
            if self.pod is not None and self.pod.gateway:
                number = int(listener["address"]["socket_address"]["port_value"])
                endpoints.ports[self.pod.ip, number] = port
        addresses = Addresses(
            listeners=self.listeners,
            endpoints=endpoints,
            applications=self.app_ports,
            access_log=str(self.envoy.access_log.path),
            inline_endpoints=not self.inspected,
        )
        return to_loopback(config, addresses)


def told(registry: Registry, pod: Pod | None, outside: Outside | None) -> ProxyConfig:
    """What the ingress gateway (None), a sidecar, or a pod that is a gateway is told, with the
    mesh's own addresses; hosts outside are those that stand for them. Raises UnsupportedError.
    """
    if pod is None:
        config = gateway_config(registry)
    elif pod.gateway:
        config = gateway_config(registry, pod.labels, pod.namespace)
    else:
        config = sidecar_config(registry, pod)
    if outside is not None:
        config = inside(config, outside)
        if pod is not None and not pod.gateway:
            config = with_passages(config, outside.passages(config, pod))
    return config


class ControlPlane:
    """All proxies of a mesh."""

    def __init__(self) -> None:
        self.proxies: dict[str, Proxy] = {}
        self.endpoints = EndpointPorts()

    def in_order(self) -> list[tuple[str, Proxy]]:
        """Gateways first: where they listen, others may send to."""
        return sorted(self.proxies.items(), key=lambda item: not item[1].is_gateway)

    def push(self, registry: Registry, *, timeout_s: float = 5.0) -> dict[str, float]:
        """Brings every proxy to what the registry says; returns how long each changed one took, in
        ms.

        A proxy that does not serve yet (it starts, or starts again) finds its files when it reads
        them. Raises UnsupportedError before any proxy is touched; ConfigRejected when one refuses,
        after all have gone back.
        """
        outside = Outside.of(registry)
        configs = {
            name: proxy.config(registry, self.endpoints, outside) for name, proxy in self.in_order()
        }
        changes = []
        for name, config in configs.items():
            envoy = self.proxies[name].envoy
            if not envoy.serving:
                envoy.prepare(config)
            elif change := envoy.stage(config):
                changes.append(change)
        # an Envoy makes some hundred clusters a second, and says nothing meanwhile
        more = sum(len(change.config.clusters) for change in changes) // CLUSTERS_A_SECOND
        return run_changes(changes, timeout_s + more) if changes else {}

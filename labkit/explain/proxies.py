"""The proxy that a request comes to first: what it was told, and where its listener is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from labkit.explain.places import Place, Places
from labkit.explain.request import Request
from labkit.jsontypes import Json
from labkit.resources import istio
from labkit.resources.hosts import for_namespace, intersection
from labkit.translate import Pod, ProxyConfig, Registry, gateway_config, sidecar_config
from labkit.translate.gateway import Server, servers_of
from labkit.translate.listeners import HTTP_CONNECTION_MANAGER
from labkit.translate.rules.virtual_services import VirtualService
from labkit.translate.services.scope import Scope
from labkit.translate.services.service import NO_ADDRESS, Service
from labkit.translate.values import at


@dataclass(frozen=True)
class Proxy:
    """The ingress gateway, or the sidecar of a pod."""

    registry: Registry
    pod: Pod | None = None
    told: ProxyConfig | None = None
    """What it was told, where that is not what istiod tells it."""
    passes_on: bool = True
    """Whether a sidecar passes on what nobody has; the embedded mesh does not, and says 502."""

    @cached_property
    def config(self) -> ProxyConfig:
        if self.told is not None:
            return self.told
        if self.pod is None or self.is_gateway:
            return gateway_config(self.registry, self.labels, self.namespace)
        return sidecar_config(self.registry, self.pod)

    @cached_property
    def places(self) -> Places:
        """Where the objects of its mesh are written."""
        return Places(self.registry.resources)

    @property
    def name(self) -> str:
        """As people call it."""
        if self.pod is None:
            return "the ingress gateway"
        return (
            f"the gateway {self.pod.name}" if self.is_gateway else f"the sidecar of {self.pod.name}"
        )

    @property
    def is_gateway(self) -> bool:
        """Whether it is a gateway, which has listeners for Gateways alone."""
        return self.pod is None or self.pod.gateway

    @property
    def namespace(self) -> str:
        return istio.NAMESPACE if self.pod is None else self.pod.namespace

    @property
    def labels(self) -> Mapping[str, str]:
        return istio.GATEWAY_LABELS if self.pod is None else self.pod.labels

    def service_of(self, host: str) -> Service | None:
        """The Service that a pod means by a host when it connects."""
        for service in self.registry.services:
            long = f"{service.name}.{service.namespace}"
            names = {long, f"{long}.svc", service.host, service.address}
            if service.namespace == self.namespace:
                names.add(service.name)
            if host.rstrip(".") in names:
                return service
        return None

    @property
    def scope(self) -> Scope:
        """What it knows of."""
        if self.is_gateway:
            return self.registry.gateway_scope(self.namespace)
        return self.registry.scope(self.namespace, self.labels)

    def left_out_by(self, service: Service) -> tuple[str, Place] | None:
        """In words, and with its place: the Sidecar because of which this proxy does not know a
        Service.
        """
        if self.is_gateway or service.host in self.scope.called:
            return None
        rule = self.registry.sidecars.find(self.namespace, self.labels)
        if rule is None:
            return None
        key = ("Sidecar", rule.namespace, rule.name)
        text = f"Sidecar {rule.namespace}/{rule.name}: egress: it leaves {service.host} out"
        return text, self.places.of(key, ("spec", "egress"))

    def number(self, port: int) -> int:
        """The port at which the proxy listens for what is sent to `port`."""
        if not self.is_gateway:
            return port
        return self.registry.gateway_port(port, self.labels, self.namespace)

    def listener(self, request: Request, port: int) -> Json | None:
        """The listener that takes a request which was sent to a port."""
        number = self.number(port)
        by_name = {each["name"]: each for each in self.config.listeners}
        addresses = [NO_ADDRESS]
        if not self.is_gateway:
            service = self.service_of(request.host)
            if service is not None:
                addresses = [*self._addresses_of(service), *addresses]
        for address in addresses:
            found = by_name.get(f"{address}_{number}")
            if found is not None and found["traffic_direction"] == "OUTBOUND":
                return found
        return None

    def _addresses_of(self, service: Service) -> list[str]:
        if not service.headless:
            return [] if service.address == NO_ADDRESS else [service.address]
        return [pod.ip for pod in self.registry.pods if service.selects(pod)]

    def route_config(self, name: str) -> Json | None:
        return next((each for each in self.config.routes if each["name"] == name), None)

    def servers(self, route_config: str) -> list[tuple[Place, Server]]:
        """The servers behind a gateway's route configuration, with their places."""
        merged = servers_of(self.registry, self.labels, self.namespace)
        return [(self.place_of(one), one) for one in merged.by_route.get(route_config, ())]

    def place_of(self, server: Server) -> Place:
        namespace, _, name = server.gateway.partition("/")
        return self.places.of(("Gateway", namespace, name), ("spec", "servers", server.index))

    def caller(self, vs: VirtualService, route_config: str, port: int) -> Caller:
        """Who asks for the routes of a VirtualService."""
        gateways, number = frozenset({istio.MESH}), port
        if self.is_gateway:
            servers = [server for _, server in self.servers(route_config)]
            gateways = frozenset(server.gateway for server in servers)
            for server in servers:
                shared = intersection(for_namespace(server.hosts, vs.namespace), vs.hosts)
                if server.gateway in vs.gateways and shared:
                    gateways, number = frozenset({server.gateway}), server.number
                    break
        return Caller(gateways, self.labels, self.namespace, number)


@dataclass(frozen=True)
class Caller:
    """What a match may ask of the proxy: the names of its gateways, its labels and namespace, and
    the port that was asked for.
    """

    gateways: frozenset[str]
    labels: Mapping[str, str]
    namespace: str
    port: int


def manager_of(listener: Json) -> Json | None:
    """The HTTP connection manager of a listener; None where it speaks no HTTP."""
    for chain in listener.get("filter_chains", ()):
        for each in chain.get("filters", ()):
            if each["name"] == HTTP_CONNECTION_MANAGER:
                found: Json = each["typed_config"]
                return found
    return None


def speaks_tls(listener: Json) -> bool:
    """Whether a listener takes TLS, so that a plain request is refused before it is read."""
    return any("transport_socket" in chain for chain in listener.get("filter_chains", ()))


def tcp_cluster_of(listener: Json) -> str:
    """The cluster to which a listener passes connections as they are."""
    for chain in listener.get("filter_chains", ()):
        for each in chain.get("filters", ()):
            if at(each, "typed_config", "cluster"):
                return str(each["typed_config"]["cluster"])
    return ""

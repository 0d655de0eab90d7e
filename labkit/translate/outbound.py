"""A sidecar's listeners for what its application sends.

As istiod's `buildSidecarOutboundListener` in `pilot/pkg/networking/core/listener.go` makes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from labkit.jsontypes import Json
from labkit.resources import protocols
from labkit.resources.istio import cluster_name
from labkit.resources.names import ip_address
from labkit.translate import listeners
from labkit.translate.clusters import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER
from labkit.translate.model import Pod
from labkit.translate.registry import Registry
from labkit.translate.services.scope import Scope
from labkit.translate.services.service import NO_ADDRESS, Service, ServicePort

HTTP_PORT_OF_THE_GATEWAY = 80
"""The ingress gateway's own Service has HTTP at port 80, so every sidecar that knows of it listens
there, Services or not.
"""


@dataclass(frozen=True)
class Chain:
    """A filter chain: the route configuration of one that speaks HTTP, or the filter that passes
    connections on. It takes what looks like HTTP, or what asks for a server's name, or what goes
    to a range of addresses; everything where it says none of these.
    """

    route: str = ""
    traffic: Json | None = None
    looks: bool = False
    server_name: str = ""
    prefix: str = ""

    @property
    def takes_everything(self) -> bool:
        return not (self.looks or self.server_name or self.prefix)

    @property
    def wants(self) -> tuple[bool, str, str]:
        """Two chains of one listener may not want the same."""
        return self.looks, self.server_name, self.prefix


@dataclass
class Listener:
    """A listener in the making; `protocol` is UNKNOWN once it takes HTTP and other traffic."""

    bind: str
    number: int
    protocol: str
    chains: list[Chain] = field(default_factory=list)

    def merge(self, chains: Iterable[Chain]) -> None:
        """Adds chains; of two that want the same the first has it."""
        for chain in chains:
            if all(chain.wants != known.wants for known in self.chains):
                self.chains.append(chain)


def outbound_listeners(registry: Registry, scope: Scope, pod: Pod) -> tuple[list[str], list[Json]]:
    """(names of route configurations, listeners).

    Ports that say they are HTTP share one listener a number, at 0.0.0.0, and one route
    configuration. A port that says nothing has a listener at its Service's own address, which looks
    at the first bytes to tell.
    """
    found = OutboundListeners(registry, scope)
    gateway = scope.gateway
    for service in scope.services:
        if gateway and registry.is_public(service):  # it is the oldest of these
            found.add_http(HTTP_PORT_OF_THE_GATEWAY)
            gateway = False
        for port in service.ports:
            if protocols.is_http(port.protocol):
                found.add_http(port.number)
            elif port.protocol != protocols.UDP:
                found.add_service(service, port, pod)
    if gateway:
        found.add_http(HTTP_PORT_OF_THE_GATEWAY)
    made = [found.message(each) for each in found.listeners.values()]
    routes = {chain.route: None for each in found.listeners.values() for chain in each.chains}
    return [name for name in routes if name], made


class OutboundListeners:
    """A sidecar's listeners, by address and port. Where several ports want one, as those of entries
    without an address and those of headless Services with the same pods do, the first has it; HTTP
    and other traffic share it, unless a server speaks first.
    """

    def __init__(self, registry: Registry, scope: Scope) -> None:
        self.registry, self.scope = registry, scope
        self.listeners: dict[tuple[str, int], Listener] = {}

    def add_http(self, number: int) -> None:
        """All ports of this number that say they are HTTP."""
        chain = Chain(route=str(number), looks=True)
        known = self.listeners.get((NO_ADDRESS, number))
        if known is None:
            new = Listener(NO_ADDRESS, number, protocols.UNKNOWN, [chain])
            self.listeners[NO_ADDRESS, number] = new
        elif known.protocol not in (protocols.UNKNOWN, *protocols.SERVER_ALWAYS_FIRST):
            known.merge([chain])
            known.protocol = protocols.UNKNOWN

    def add_service(self, service: Service, port: ServicePort, pod: Pod) -> None:
        """A port of a service that says it is not HTTP, or nothing."""
        rules, namespace = self.registry.destination_rules, service.namespace
        rule = rules.find(service.host, namespace, pod.namespace, pod.labels)
        cluster = cluster_name(port.number, "", service.host)
        traffic = listeners.tcp_proxy(cluster, rule.policy if rule else None)
        for bind in addresses_of(self.registry, service, port, pod):
            prefix = bind if "/" in bind else ""
            name = ""
            if protocols.is_tls(port.protocol):
                name = server_name(service, bind)
            place = NO_ADDRESS if prefix else bind
            self.add(place, port, Chain(traffic=traffic, server_name=name, prefix=prefix), service)

    def add(self, bind: str, port: ServicePort, chain: Chain, service: Service) -> None:
        place = (bind, port.number)
        known = self.listeners.get(place)
        chains = [chain]
        if port.protocol == protocols.UNKNOWN:
            if known is not None and known.protocol == protocols.UNKNOWN:
                return
            shared = str(port.number) if bind == NO_ADDRESS else f"{service.host}:{port.number}"
            chains.append(Chain(route=shared, looks=True))
        if known is None:
            self.listeners[place] = Listener(bind, port.number, port.protocol, chains)
            return
        first = {known.protocol, port.protocol} & protocols.SERVER_ALWAYS_FIRST
        if first and known.protocol != port.protocol:
            return
        known.merge(chains)
        if port.protocol == protocols.UNKNOWN:
            known.protocol = protocols.UNKNOWN

    def message(self, listener: Listener) -> Json:
        """A listener as Envoy has it."""
        elsewhere = BLACKHOLE_CLUSTER if self.scope.registry_only else PASSTHROUGH_CLUSTER
        return listeners.outbound(
            listener.bind,
            listener.number,
            [(match_of(chain), chain.route or chain.traffic or {}) for chain in listener.chains],
            listeners.tcp_proxy(elsewhere),
            self.registry.settings,
        )


def match_of(chain: Chain) -> Json:
    """What a chain takes, as a FilterChainMatch; empty for one that takes everything."""
    match: Json = dict(listeners.LOOKS_LIKE_HTTP) if chain.looks else {}
    if chain.server_name:
        match["server_names"] = [chain.server_name]
    if chain.prefix:
        address, _, length = chain.prefix.partition("/")
        match["prefix_ranges"] = [{"address_prefix": address, "prefix_len": int(length)}]
    return match


def server_name(service: Service, bind: str) -> str:
    """The name that a TLS connection must ask for, where its address does not tell the service."""
    return service.host if "/" in bind or service.address == bind == NO_ADDRESS else ""


def addresses_of(
    registry: Registry, service: Service, port: ServicePort, pod: Pod
) -> Iterable[str]:
    """Where a client connects to: the service's address, or each pod's (but its own) where it is
    headless. An entry that has neither is at every address.
    """
    if not service.passes_on or service.address != NO_ADDRESS:
        return [service.address]
    behind = registry.backends(service, port, {}, by_name=False)
    if service.entry and not behind and not service.selector:
        return [NO_ADDRESS]
    ready = (each.address for each in behind if ip_address(each.address))
    return [address for address in ready if address != pod.ip]

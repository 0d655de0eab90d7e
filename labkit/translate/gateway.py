"""What the ingress gateway gets: listeners from Gateways, routes from the VirtualServices bound to
them.

As istiod's `pilot/pkg/networking/core/gateway.go` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from labkit.jsontypes import Json
from labkit.resources import istio, protocols
from labkit.resources.hosts import for_namespace, intersection, specificity
from labkit.translate import clusters, listeners
from labkit.translate.model import ProxyConfig
from labkit.translate.registry import Registry
from labkit.translate.routes.http_routes import Viewer, routes_of
from labkit.translate.routes.match import is_catch_all
from labkit.translate.values import at

FIRST_UNPRIVILEGED_PORT = 1024
TAKEN_PORTS = {istio.STATUS_PORT, istio.METRICS_PORT}
"""The gateway's pod answers probes and shows its metrics there: a Gateway gets no listener at
these.
"""


@dataclass(frozen=True)
class Server:
    """One server of one Gateway. `number` is the port as the Gateway says it."""

    gateway: str
    hosts: tuple[str, ...]
    number: int
    https_redirect: bool


@dataclass
class Port:
    """A port that the gateway's pod listens at, with all servers that share it."""

    bind: str
    number: int
    protocol: str
    servers: list[Server] = field(default_factory=list)

    @property
    def route_config(self) -> str:
        return f"http.{self.number}{'.' + self.bind if self.bind else ''}"


def gateway_config(
    registry: Registry,
    labels: Mapping[str, str] = istio.GATEWAY_LABELS,
    namespace: str = istio.NAMESPACE,
) -> ProxyConfig:
    """What istiod gives a gateway whose pods have `labels`: clusters, endpoints, routes, listeners.

    >>> gateway_config(registry_of(load("manifests/"))).listeners[0]["name"]
    '0.0.0.0_8080'
    """
    found = list(clusters.outbound(registry, namespace, labels, sidecar=False))
    ports = ports_of(registry, labels, namespace)
    return ProxyConfig(
        clusters=tuple(cluster.message for cluster in found),
        endpoints=tuple(c.assignment for c in found if not c.is_original_dst),
        original_destinations=tuple(c.assignment for c in found if c.is_original_dst),
        routes=tuple(route_config(registry, port, labels, namespace) for port in ports),
        listeners=tuple(
            listeners.gateway(
                port.bind or "0.0.0.0", port.number, port.route_config, registry.settings
            )
            for port in ports
        ),
    )


def ports_of(registry: Registry, labels: Mapping[str, str], namespace: str) -> list[Port]:
    """All servers of the Gateways that select this gateway, by the port that they end up at."""
    ports: dict[tuple[int, str], Port] = {}
    for resource in registry.gateways:
        selector = resource.spec.get("selector")
        if selector is not None and not all(labels.get(k) == v for k, v in selector.items()):
            continue
        for server in resource.spec.get("servers") or []:
            said = int(at(server, "port", "number") or 0)
            number = registry.gateway_port(said, labels, namespace)
            if number < FIRST_UNPRIVILEGED_PORT or number in TAKEN_PORTS:
                continue  # the gateway's pod may not, or can't, listen there
            bind = str(server.get("bind") or "")
            protocol = protocols.parse(str(at(server, "port", "protocol") or ""))
            port = ports.setdefault((number, bind), Port(bind, number, protocol))
            port.servers.append(
                Server(
                    gateway=f"{resource.namespace}/{resource.name}",
                    hosts=tuple(own_hosts(server.get("hosts") or [], resource.namespace)),
                    number=said,
                    https_redirect=bool(at(server, "tls", "httpsRedirect")),
                )
            )
    return list(ports.values())


def own_hosts(hosts: list[str], namespace: str) -> list[str]:
    """A server's hosts with `./` made the Gateway's namespace, and `*/` left out."""
    found = []
    for host in hosts:
        owner, slash, name = str(host).partition("/")
        if slash and owner == ".":
            found.append(f"{namespace}/{name}")
        elif slash and owner == "*":
            if name == "*":
                return ["*"]
            found.append(name)
        else:
            found.append(str(host))
    return found


def route_config(registry: Registry, port: Port, labels: Mapping[str, str], namespace: str) -> Json:
    """The routes of one port: RouteConfiguration `http.8080`."""
    hosts = virtual_hosts(registry, port, labels, namespace)
    if not hosts:
        # Envoy answers 404 to everything: the Gateway is there, but no VirtualService.
        blackhole = {"name": f"blackhole:{port.servers[0].number}", "domains": ["*"]}
        return listeners.route_configuration(port.route_config, [blackhole])
    merged = merge_equal(hosts)
    for host in merged:
        host["routes"] = catch_all_last(host["routes"])
        if not host["routes"]:
            del host["routes"]
    return listeners.route_configuration(
        port.route_config, sorted(merged, key=lambda h: str(h["name"]))
    )


def virtual_hosts(
    registry: Registry, port: Port, labels: Mapping[str, str], namespace: str
) -> dict[str, Json]:
    """Host → virtual host. A host that several VirtualServices have gets the routes of all, in
    their order.
    """
    found: dict[str, Json] = {}
    cache: dict[tuple[str, str, str], list[Json]] = {}
    for server in port.servers:
        viewer = Viewer(
            registry=registry,
            gateways=frozenset({server.gateway}),
            labels=labels,
            namespace=namespace,
            port=server.number,
            service=partial(registry.visible_service, namespace=namespace),
        )
        for vs in registry.visible_virtual_services(namespace, server.gateway):
            shared = intersection(for_namespace(server.hosts, vs.namespace), vs.hosts)
            if not shared:
                continue
            key = (server.gateway, vs.namespace, vs.name)
            if not cache.get(key):
                cache[key] = routes_of(vs, viewer)
            routes = cache[key]
            if not routes:
                continue
            for host in map(str.lower, shared):
                if host in found:
                    found[host]["routes"] += routes
                else:
                    found[host] = {
                        "name": f"{host}:{server.number}",
                        "domains": [host],
                        "routes": list(routes),
                        "include_request_attempt_count": True,
                    }
                if server.https_redirect:
                    found[host]["require_tls"] = "ALL"
        if server.https_redirect:
            for host in map(str.lower, server.hosts):
                empty = {
                    "name": f"{host}:{server.number}",
                    "domains": [host],
                    "routes": [],
                    "include_request_attempt_count": True,
                }
                found.setdefault(host, empty)["require_tls"] = "ALL"
    return found


def merge_equal(hosts: dict[str, Json]) -> list[Json]:
    """Virtual hosts with the very same routes become one with several domains, the most special
    first.
    """
    merged: dict[tuple[object, ...], Json] = {}
    for name in sorted(hosts, key=specificity):
        host = hosts[name]
        key = (*map(id, host["routes"]), host.get("require_tls"))
        if key in merged:
            merged[key]["domains"] += host["domains"]
        else:
            merged[key] = host
    return list(merged.values())


def catch_all_last(routes: list[Json]) -> list[Json]:
    """Routes of several VirtualServices, those that take everything moved behind the others."""
    return sorted(routes, key=is_catch_all)

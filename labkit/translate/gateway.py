"""What the ingress gateway gets: listeners from Gateways, routes from the VirtualServices bound to
them.

As istiod's `pilot/pkg/networking/core/gateway.go` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from labkit.jsontypes import Json
from labkit.resources import istio
from labkit.resources.hosts import for_namespace, intersection, specificity
from labkit.translate import clusters, listeners
from labkit.translate.model import ProxyConfig
from labkit.translate.registry import Registry
from labkit.translate.routes.http_routes import Viewer, routes_of
from labkit.translate.routes.match import is_catch_all
from labkit.translate.services.service import NO_ADDRESS
from labkit.translate.support import refusal
from labkit.translate.values import at

FIRST_UNPRIVILEGED_PORT = 1024
TAKEN_PORTS = {istio.STATUS_PORT, istio.METRICS_PORT}
"""The gateway's pod answers probes and shows its metrics there: a Gateway gets no listener at
these.
"""


@dataclass(frozen=True)
class Server:
    """One server of one Gateway, the one at `index` there. `number` is the port as the Gateway says
    it; `tls` is true where it has such a block, if only for `httpsRedirect`.
    """

    gateway: str
    index: int
    hosts: tuple[str, ...]
    number: int
    tls: bool
    https_redirect: bool


@dataclass(frozen=True)
class Bind:
    """Where servers meet: a port of the gateway's pod, an address of it ("" for all of them), and
    the protocol as they write it.
    """

    number: int
    protocol: str
    address: str

    @property
    def listener(self) -> tuple[str, int]:
        return self.address or NO_ADDRESS, self.number

    @property
    def route_config(self) -> str:
        return f"http.{self.number}{'.' + self.address if self.address else ''}"


@dataclass
class Servers:
    """All servers of the Gateways that select one gateway, merged as istiod merges them.

    `binds` has each listener, in order, and `by_route` the servers behind each route configuration.
    """

    binds: list[Bind] = field(default_factory=list)
    by_route: dict[str, list[Server]] = field(default_factory=dict)
    last: dict[int, Bind] = field(default_factory=dict)
    hosts: dict[tuple[int, str], str] = field(default_factory=dict)

    def of(self, bind: Bind) -> list[Server]:
        return self.by_route[bind.route_config]

    def add(self, server: Server, bind: Bind) -> bool:
        """Whether its listener has no other filter chain: Envoy takes no two that are alike.

        As `mergeGateways` of istiod's `pilot/pkg/model/gateway.go`: a server joins those of its
        port whose address is the same as that of the last bind which was new there. So a third one
        may take the routes of the first away from it.
        """
        if server.tls and not self.claims_hosts(server, bind):
            return True
        last = self.last.get(bind.number)
        if last is not None and (last.address == bind.address or bind in self.binds):
            self.by_route[bind.route_config].append(server)
            return True
        self.last[bind.number] = bind
        self.by_route[bind.route_config] = [server]
        self.binds.append(bind)
        return [each.listener for each in self.binds].count(bind.listener) == 1

    def claims_hosts(self, server: Server, bind: Bind) -> bool:
        """Whether no server with `tls` has one of the hosts already, at that port and address."""
        taken = [self.hosts.get((bind.number, host)) == bind.address for host in server.hosts]
        if any(taken):
            return False
        self.hosts.update({(bind.number, host): bind.address for host in server.hosts})
        return True


def gateway_config(
    registry: Registry,
    labels: Mapping[str, str] = istio.GATEWAY_LABELS,
    namespace: str = istio.NAMESPACE,
) -> ProxyConfig:
    """What istiod gives a gateway whose pods have `labels`: clusters, endpoints, routes, listeners.

    >>> gateway_config(registry_of(load("manifests/"))).listeners[0]["name"]
    '0.0.0.0_8080'
    """
    scope = registry.gateway_scope(namespace)
    found = list(clusters.outbound(registry, scope, namespace, labels, sidecar=False))
    servers = servers_of(registry, labels, namespace)
    return ProxyConfig(
        clusters=tuple(cluster.message for cluster in found),
        endpoints=tuple(c.assignment for c in found if c.is_eds),
        original_destinations=tuple(c.assignment for c in found if c.is_original_dst),
        routes=tuple(
            route_config(registry, bind.route_config, servers.of(bind), labels, namespace)
            for bind in servers.binds
        ),
        listeners=tuple(
            listeners.gateway(*bind.listener, bind.route_config, registry.settings)
            for bind in servers.binds
        ),
    )


def servers_of(registry: Registry, labels: Mapping[str, str], namespace: str) -> Servers:
    """The servers of the Gateways that select this gateway, by where they end up. Raises
    UnsupportedError for one that makes a listener which Envoy refuses.
    """
    found = Servers()
    for resource in registry.gateways:
        selector = resource.spec.get("selector")
        if selector is not None and not all(labels.get(k) == v for k, v in selector.items()):
            continue
        for index, server in enumerate(resource.spec.get("servers") or []):
            said = int(at(server, "port", "number") or 0)
            number = registry.gateway_port(said, labels, namespace)
            if number < FIRST_UNPRIVILEGED_PORT or number in TAKEN_PORTS:
                continue  # the gateway's pod may not, or can't, listen there
            protocol = str(at(server, "port", "protocol") or "")
            one = Server(
                gateway=f"{resource.namespace}/{resource.name}",
                index=index,
                hosts=tuple(own_hosts(server.get("hosts") or [], resource.namespace)),
                number=said,
                tls=server.get("tls") is not None,
                https_redirect=bool(at(server, "tls", "httpsRedirect")),
            )
            if not found.add(one, Bind(number, protocol, str(server.get("bind") or ""))):
                why = f"istiod makes two filter chains of port {number} that Envoy refuses: give "
                why += "all servers of that port the same `bind`, or none"
                raise refusal(resource, f"spec.servers[{index}].bind", why)
    return found


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


def route_config(
    registry: Registry,
    name: str,
    servers: list[Server],
    labels: Mapping[str, str],
    namespace: str,
) -> Json:
    """The routes of one port: RouteConfiguration `http.8080`."""
    hosts = virtual_hosts(registry, servers, labels, namespace)
    if not hosts:
        # Envoy answers 404 to everything: the Gateway is there, but no VirtualService.
        blackhole = {"name": f"blackhole:{servers[0].number}", "domains": ["*"]}
        return listeners.route_configuration(name, [blackhole])
    merged = merge_equal(hosts)
    for host in merged:
        host["routes"] = catch_all_last(host["routes"])
        if not host["routes"]:
            del host["routes"]
    return listeners.route_configuration(name, sorted(merged, key=lambda h: str(h["name"])))


def virtual_hosts(
    registry: Registry, servers: list[Server], labels: Mapping[str, str], namespace: str
) -> dict[str, Json]:
    """Host → virtual host. A host that several VirtualServices have gets the routes of all, in
    their order.
    """
    found: dict[str, Json] = {}
    cache: dict[tuple[str, str, str], list[Json]] = {}
    scope = registry.gateway_scope(namespace)
    for server in servers:
        viewer = Viewer(
            registry=registry,
            scope=scope,
            gateways=frozenset({server.gateway}),
            labels=labels,
            namespace=namespace,
            port=server.number,
            tls=server.tls,
            service=scope.called.get,
        )
        for vs in registry.visible_virtual_services(namespace, server.gateway):
            shared = intersection(for_namespace(server.hosts, vs.namespace), vs.hosts)
            if not shared:
                continue
            key = (server.gateway, vs.namespace, vs.name)
            if not cache.get(key):
                meant = partial(registry.service_meant, vs=vs.namespace, gateway=namespace)
                cache[key] = routes_of(vs, replace(viewer, service=meant))
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
    first: a host joins the last one before it with these routes, or none where that one redirects
    to https and it does not (`collapseDuplicateRoutes`).
    """
    merged: list[Json] = []
    last: dict[tuple[int, ...], Json] = {}
    for name in sorted(hosts, key=specificity):
        host = hosts[name]
        routes = tuple(map(id, host["routes"]))
        known = last.get(routes)
        if known is not None and known.get("require_tls") == host.get("require_tls"):
            known["domains"] += host["domains"]
        else:
            last[routes] = host
            merged.append(host)
    return merged


def catch_all_last(routes: list[Json]) -> list[Json]:
    """Routes of several VirtualServices, those that take everything moved behind the others."""
    return sorted(routes, key=is_catch_all)

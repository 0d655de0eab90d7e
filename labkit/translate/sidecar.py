"""What a pod's sidecar gets: clusters and routes for what it may call, and one listener for each of
its ports.

As istiod's `pilot/pkg/networking/core/httproute.go` (routes), `listener.go` and
`listener_inbound.go` (listeners) make it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from labkit.jsontypes import Json
from labkit.resources import protocols
from labkit.resources.hosts import is_wildcard, matches, specificity, subset_of
from labkit.resources.istio import (
    GATEWAY_HOST,
    GATEWAY_PORTS,
    MESH,
    SERVICE_DOMAIN,
    cluster_name,
)
from labkit.resources.names import ip_address
from labkit.translate import clusters, listeners
from labkit.translate.clusters import PASSTHROUGH_CLUSTER
from labkit.translate.model import Pod, ProxyConfig
from labkit.translate.outbound import HTTP_PORT_OF_THE_GATEWAY, outbound_listeners
from labkit.translate.registry import Registry
from labkit.translate.routes.http_routes import Viewer, hash_policy, routes_of
from labkit.translate.routes.retries import retry_policy
from labkit.translate.rules.destination_rules import hash_for_port
from labkit.translate.rules.virtual_services import VirtualService
from labkit.translate.services.scope import Scope
from labkit.translate.services.service import NO_ADDRESS, Service, ServicePort


def sidecar_config(registry: Registry, pod: Pod) -> ProxyConfig:
    """What istiod gives the sidecar of `pod`: outbound and inbound.

    >>> sidecar_config(registry, pod).routes[0]["name"]
    '80'
    """
    scope = registry.scope(pod.namespace, pod.labels)
    found = list(clusters.outbound(registry, scope, pod.namespace, pod.labels, sidecar=True))
    own = list(clusters.inbound(registry, scope, pod))
    names, listening = outbound_listeners(registry, scope, pod)
    return ProxyConfig(
        clusters=(
            *(cluster.message for cluster in found),
            *clusters.catch_alls(registry.settings),
            *own,
        ),
        endpoints=tuple(c.assignment for c in found if c.is_eds),
        original_destinations=tuple(c.assignment for c in found if c.is_original_dst),
        routes=tuple(route_config(registry, scope, pod, name) for name in names),
        listeners=(*listening, *inbound_listeners(registry, pod)),
    )


def inbound_listeners(registry: Registry, pod: Pod) -> list[Json]:
    """One listener for each port of the pod that Services lead to; the oldest Service says the
    protocol.
    """
    found: dict[int, Json] = {}
    for target in registry.targets_of(pod):
        if protocols.is_http_or_unknown(target.port.protocol):
            listener = listeners.inbound(target.number, target.port.number, registry.settings)
            found.setdefault(target.number, listener)
        else:
            found.setdefault(target.number, listeners.inbound_tcp(target.number))
    return list(found.values())


def route_config(registry: Registry, scope: Scope, pod: Pod, name: str) -> Json:
    """The virtual hosts of a port (`80`), or of one port of one Service (`host:81`)."""
    host, colon, number = name.rpartition(":")
    hosts = virtual_hosts(registry, scope, pod, int(number))
    hosts.sort(key=lambda h: str(h["name"]))
    if colon:
        hosts = [h for h in hosts if host in h["domains"] or name in h["domains"]]
        if len(hosts) == 1:
            hosts[0]["domains"] = ["*"]
    else:
        hosts.append(block_all() if scope.registry_only else catch_all())
    return listeners.route_configuration(name, hosts)


def virtual_hosts(registry: Registry, scope: Scope, pod: Pod, number: int) -> list[Json]:
    """The hosts that answer at a port: those of VirtualServices first, then Services that none
    speaks of.
    """
    services: dict[str, Service] = {}
    for service in scope.services:
        port = service.port(number)
        if port is not None:
            here = service.only(port)
            if here.entry:  # istiod makes its host small here, and nowhere else
                here = replace(here, name=here.name.lower())
            services[here.host] = here
    viewer = Viewer(
        registry=registry,
        scope=scope,
        gateways=frozenset({MESH}),
        labels=pod.labels,
        namespace=pod.namespace,
        port=number,
        tls=False,
        service=services.get,
    )
    bound = list(scope.virtual_services)
    owners = owners_of_wildcards(bound, [service.host for service in scope.services])
    builder = HostBuilder(pod.namespace, number, services)
    spoken_for: set[str] = set()
    wrappers: list[tuple[list[str], list[Service], list[Json]]] = []
    for vs in bound:
        if number != HTTP_PORT_OF_THE_GATEWAY and not any(speaks_of(vs, host) for host in services):
            continue
        routes = routes_of(vs, viewer)
        if not routes:
            continue
        foreign, own = hosts_of(vs, number, services, owners, gateway=scope.gateway)
        usable = [s for s in own if protocols.is_http_or_unknown(s.ports[0].protocol)]
        if usable or (number == HTTP_PORT_OF_THE_GATEWAY):
            wrappers.append((foreign, usable, routes))
            spoken_for.update(s.host for s in usable)
    for service in services.values():
        port = service.ports[0]
        if service.host not in spoken_for and protocols.is_http_or_unknown(port.protocol):
            wrappers.append(([], [service], [default_route(registry, scope, pod, service, port)]))
    for foreign, own, routes in wrappers:
        for host in foreign:
            builder.add(host.lower(), None, routes)
        for service in own:
            builder.add(service.host, service, routes)
    return builder.found


class HostBuilder:
    """Collects virtual hosts; the first to claim a name or a domain has it."""

    def __init__(self, namespace: str, number: int, services: dict[str, Service]) -> None:
        self.namespace, self.number, self.services = namespace, number, services
        self.names: set[str] = set()
        self.domains: set[str] = set()
        self.found: list[Json] = []

    def add(self, host: str, service: Service | None, routes: list[Json]) -> None:
        """Adds the virtual host of a host name, or of a Service with all its names."""
        name = f"{host}:{self.number}"
        if name in self.names:
            return
        self.names.add(name)
        wanted = [host] if service is None else domains_of(service, self.namespace)
        domains = [
            domain
            for domain in wanted
            # A short form of one Service must not take the full name of another.
            if domain.lower() not in self.domains
            and (domain == host or domain not in self.services)
        ]
        self.domains.update(domain.lower() for domain in domains)
        if domains:
            self.found.append(
                {
                    "name": name,
                    "domains": domains,
                    "routes": routes,
                    "include_request_attempt_count": True,
                }
            )


def domains_of(service: Service, namespace: str) -> list[str]:
    """Every Host header by which a pod of `namespace` may call a Service.

    >>> domains_of(hello_world, "other")
    ['hello-world.hello-world.svc.cluster.local', …, 'hello-world.hello-world', …]
    """
    found = [service.host, *other_names(service.host, namespace)]
    if service.headless:
        found += [f"*.{domain}" for domain in found]
    elif service.address != NO_ADDRESS:
        found.append(service.address)
    return found


def other_names(host: str, namespace: str) -> list[str]:
    """What else a host is called in a namespace: `host.` and, of a Service of Kubernetes, its short
    names.
    """
    if not host.endswith(SERVICE_DOMAIN):
        return [] if ip_address(host) else [f"{host}."]
    found = [f"{host}."]
    mark, dot = host.find(".svc."), host.find(".")
    # istiod takes the name of a namespace `svc` for the mark after it
    if mark <= dot:
        return found
    half = host[:mark]
    if host[dot + 1 : mark] == namespace:
        return [*found, host[:dot], f"{half}.svc", half]
    return [*found, half, f"{half}.svc"]


def speaks_of(vs: VirtualService, host: str) -> bool:
    """Whether a VirtualService has a host that covers this one or is covered by it."""
    return any(matches(h.lower(), host) for h in vs.hosts)


def owners_of_wildcards(
    bound: list[VirtualService], services: Iterable[str]
) -> dict[str, VirtualService]:
    """Service host → the VirtualService whose host is the most special that covers it."""
    first: dict[str, VirtualService] = {}
    for vs in bound:
        for host in vs.hosts:
            first.setdefault(host, vs)
    owners = {}
    for service_host in services:
        covering = [host for host in first if subset_of(service_host, host)]
        if covering:
            owners[service_host] = first[min(covering, key=specificity)]
    return owners


def hosts_of(
    vs: VirtualService,
    number: int,
    services: dict[str, Service],
    owners: dict[str, VirtualService],
    *,
    gateway: bool,
) -> tuple[list[str], list[Service]]:
    """(hosts that are no Service, Services) among a VirtualService's hosts, wildcards last. A
    wildcard that covers the gateway's own Service, which no manifest has, covers a Service.
    """
    foreign: list[str] = []
    own: list[Service] = []
    for host in (h for h in vs.hosts if not is_wildcard(h)):
        service = services.get(host.lower())
        if service is None:
            foreign.append(host)
        else:
            own.append(service)
    for host in (h.lower() for h in vs.hosts if is_wildcard(h)):
        covered = [service for name, service in services.items() if matches(name, host)]
        own += [service for service in covered if owners.get(service.host) is vs]
        of_gateway = gateway and number in GATEWAY_PORTS and subset_of(GATEWAY_HOST, host)
        if not covered and not of_gateway:
            foreign.append(host)
    return foreign, own


def default_route(
    registry: Registry, scope: Scope, pod: Pod, service: Service, port: ServicePort
) -> Json:
    """The route to a service of which no VirtualService speaks. No rule is found for an entry whose
    host is written with capital letters: here they are small.
    """
    rules, rule = registry.destination_rules, None
    if service.host in scope.called:
        rule = rules.find(service.host, service.namespace, pod.namespace, pod.labels)
    action: Json = {
        "cluster": cluster_name(port.number, "", service.host),
        "timeout": "0s",
        "max_grpc_timeout": "0s",
    }
    retries = retry_policy(registry.settings.retries, hashed=False)
    if retries is not None:
        action["retry_policy"] = retries
    policy = hash_policy(hash_for_port(rule, port.number))
    if policy is not None:
        action["hash_policy"] = [policy]
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def catch_all() -> Json:
    """What no Service owns goes on to wherever the client meant it to go (outboundTrafficPolicy
    ALLOW_ANY).
    """
    action = {"cluster": PASSTHROUGH_CLUSTER, "timeout": "0s", "max_grpc_timeout": "0s"}
    return {
        "name": "allow_any",
        "domains": ["*"],
        "routes": [{"name": "allow_any", "match": {"prefix": "/"}, "route": action}],
        "include_request_attempt_count": True,
    }


def block_all() -> Json:
    """What no Service owns is not let out (outboundTrafficPolicy REGISTRY_ONLY)."""
    route: Json = {
        "name": "block_all",
        "match": {"prefix": "/"},
        "direct_response": {"status": 502},
    }
    return {
        "name": "block_all",
        "domains": ["*"],
        "routes": [route],
        "include_request_attempt_count": True,
    }

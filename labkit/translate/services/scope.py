"""What one proxy knows of: its services, the rules about them, and what becomes of other traffic.

istiod's SidecarScope (`pilot/pkg/model/sidecar.go`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from labkit.resources import istio
from labkit.translate.rules.sidecars import Egress
from labkit.translate.rules.virtual_services import VirtualService
from labkit.translate.services.service import Service, ServicePort

ByHost = Mapping[str, Mapping[str, Service]]
"""Every service, by its host and its namespace."""


@dataclass(frozen=True)
class Scope:
    """`services` are those that listeners and routes are made of, one for each address; `called`
    has one for each host, those that only a VirtualService leads to among them: for each there are
    clusters. With `registry_only` nothing else is let out.
    """

    services: tuple[Service, ...]
    called: Mapping[str, Service]
    virtual_services: tuple[VirtualService, ...] = ()
    registry_only: bool = False
    gateway: bool = True
    """Whether the ingress gateway's own Service, which no manifest has, is one of them."""


def gateway_scope(services: Iterable[Service]) -> Scope:
    """A gateway's: all that it may see."""
    seen = tuple(services)
    called: dict[str, Service] = {}
    for service in seen:
        add(called, service)
    return Scope(seen, called)


def sidecar_scope(
    seen: Iterable[Service],
    virtual_services: Iterable[VirtualService],
    egress: Egress | None,
    namespace: str,
    known: ByHost,
    sees: Callable[[str, Service], bool],
    *,
    registry_only: bool,
) -> Scope:
    """A sidecar's: of the services and VirtualServices that its namespace may see, those that its
    Sidecar imports, and what these VirtualServices lead to.
    """
    services = list(seen)
    rules = list(virtual_services)
    if egress is not None:
        if egress.exact is not None:
            # istiod looks for such hosts in an index, which has one service of each
            chosen = {id(known.get(host, {}).get(owner)) for owner, host in egress.exact}
            services = [service for service in services if id(service) in chosen]
        services = [s for s in services if egress.has_service(s.namespace, s.host)]
        rules = [vs for vs in rules if egress.has_rule(vs.namespace, vs.hosts)]
    services = of_one_namespace(services, namespace)
    called: dict[str, Service] = {}
    for service in services:
        add(called, service)
    ports: dict[str, set[int]] = {}
    for vs in rules:
        for host, number in vs.destinations(namespace):
            ports.setdefault(host, set()).add(number)
    for host, numbers in ports.items():
        found = destination(known.get(host) or {}, namespace, sees)
        meant = with_ports(found, numbers) if found is not None else None
        if meant is not None:
            add(called, meant)
    gateway = egress is None or egress.has_service(istio.NAMESPACE, istio.GATEWAY_HOST)
    return Scope(tuple(services), called, tuple(rules), registry_only, gateway)


def of_one_namespace(services: list[Service], namespace: str) -> list[Service]:
    """Services without those whose host another namespace's has: the proxy's own namespace counts
    first, then Kubernetes' own Services, then age.
    """
    owner: dict[str, tuple[str, bool]] = {}
    for service in services:
        own = (service.namespace, not service.entry)
        known = owner.get(service.host)
        if (
            known is None
            or service.namespace == namespace
            or (not known[1] and own[1] and known[0] != namespace)
        ):
            owner[service.host] = own
    return [s for s in services if owner[s.host][0] == s.namespace]


def destination(
    by_namespace: Mapping[str, Service], namespace: str, sees: Callable[[str, Service], bool]
) -> Service | None:
    """The service that a VirtualService means by a host: that of the proxy's own namespace, seen or
    not; or else of those that are seen Kubernetes' own, or the oldest.
    """
    if namespace in by_namespace:
        return by_namespace[namespace]
    seen = [service for service in by_namespace.values() if sees(namespace, service)]
    return next((s for s in seen if not s.entry), seen[0] if seen else None)


def with_ports(service: Service, numbers: set[int]) -> Service | None:
    """A service with these ports alone; 0 stands for all of them."""
    if 0 in numbers:
        return service
    ports = tuple(port for port in service.ports if port.number in numbers)
    if len(ports) == len(service.ports):
        return service
    return replace(service, ports=ports) if ports else None


def add(called: dict[str, Service], service: Service) -> None:
    """Adds a service to those of other hosts. Where its host is there already, Kubernetes' own
    counts before a ServiceEntry, and entries that are alike become one with the ports of both.
    """
    known = called.get(service.host)
    if known is None or (known.entry and not service.entry):
        called[service.host] = service
    elif known.entry == service.entry and known is not service and alike(known, service):
        numbers = {port.number for port in known.ports}
        more = tuple(port for port in service.ports if port.number not in numbers)
        if more:
            called[service.host] = replace(known, ports=(*known.ports, *more))


def alike(one: Service, other: Service) -> bool:
    def facts(service: Service) -> tuple[object, ...]:
        return (
            service.namespace,
            service.resolution,
            dict(service.labels),
            dict(service.selector),
            service.export_to,
        )

    return facts(one) == facts(other) and plain(one) != plain(other)


def plain(service: Service) -> list[tuple[int, str, str]]:
    return [named(port) for port in service.ports]


def named(port: ServicePort) -> tuple[int, str, str]:
    return port.number, port.name, port.protocol

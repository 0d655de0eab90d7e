"""All that a control plane knows at one moment: objects, pods and addresses, indexed once and then
asked by every proxy.

What istiod has in its PushContext (`pilot/pkg/model/push_context.go`) and its service registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labkit.resources.istio import GATEWAY_PORTS, MESH, OWN_REVISION, REVISION
from labkit.resources.model import Resource
from labkit.resources.precedence import DestinationRules
from labkit.translate.model import Pod
from labkit.translate.rules.sidecars import Egress, SidecarRules
from labkit.translate.rules.virtual_services import VirtualService, resolve_all
from labkit.translate.services.entries import (
    Backend,
    backends_of,
    behind_a_service,
    services_of,
    workload_of,
)
from labkit.translate.services.scope import Scope, gateway_scope, sidecar_scope
from labkit.translate.services.service import (
    NOBODY,
    Service,
    ServicePort,
    has_labels,
    is_visible,
    service_of,
    target_port,
)
from labkit.translate.settings import settings_of
from labkit.translate.support import check_supported, refusal


@dataclass(frozen=True)
class Target:
    """A port of a pod at which a Service's traffic arrives."""

    service: Service
    port: ServicePort
    number: int


class Registry:
    """What `gateway_config` and `sidecar_config` are made of; it does not change.

    `resources` are all objects, `pods` those that run, and `service_ips` has each Service's address
    by (namespace, name); one without is taken to have none. Raises UnsupportedError when an object
    asks for what this mesh does not do.

    Where two objects of one kind compete, the older wins: by `metadata.creationTimestamp` (whole
    seconds, as Kubernetes writes it; none is oldest), then by name, then by namespace.

    >>> registry = Registry(load("manifests/"), pods, {("hello-world", "hello-world"): "10.96.0.7"})
    >>> gateway_config(registry), [sidecar_config(registry, pod) for pod in pods]
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        pods: Iterable[Pod],
        service_ips: Mapping[tuple[str, str], str],
    ) -> None:
        self.resources = tuple(resources)
        self.pods = tuple(pods)
        self.service_ips = dict(service_ips)
        check_supported(self.resources)
        self.settings = settings_of(self.resources)
        by_age = sorted(self.resources, key=age)
        # istiod reads no policy that is labelled for an istiod of another revision
        read = [r for r in by_age if r.labels.get(REVISION, OWN_REVISION) == OWN_REVISION]
        entries = [r for r in read if r.kind == "ServiceEntry"]
        self.services = all_services(by_age, entries, self.service_ips)
        self.workloads = [workload_of(r) for r in read if r.kind == "WorkloadEntry"]
        self.entry_backends = backends_of(entries, self.workloads, self.pods)
        self.known: dict[str, dict[str, Service]] = {}
        for service in self.services:
            by_namespace = self.known.setdefault(service.host, {})
            before = by_namespace.get(service.namespace)
            if before is None or (before.entry and not service.entry):
                by_namespace[service.namespace] = service
        self.gateways = [r for r in read if r.kind == "Gateway"]
        self.virtual_services: list[VirtualService] = resolve_all(
            [r for r in read if r.kind == "VirtualService"],
            self.settings.virtual_service_export_to,
        )
        self.destination_rules = DestinationRules(
            [r for r in read if r.kind == "DestinationRule"],
            root_namespace=self.settings.root_namespace,
            private_by_default=self.settings.private_destination_rules,
        )
        self.sidecars = SidecarRules(
            [r for r in read if r.kind == "Sidecar"], self.settings.root_namespace
        )
        self._scopes: dict[tuple[str, str, str], Scope] = {}

    def scope(self, namespace: str, labels: Mapping[str, str]) -> Scope:
        """What a sidecar knows of, of a pod with these labels."""
        rule = self.sidecars.find(namespace, labels)
        key = (namespace, "", "") if rule is None else (namespace, rule.namespace, rule.name)
        if key not in self._scopes:
            only = self.settings.registry_only
            if rule is not None and rule.registry_only is not None:
                only = rule.registry_only
            self._scopes[key] = sidecar_scope(
                self.visible_services(namespace),
                self.visible_virtual_services(namespace, MESH),
                None if rule is None else Egress(rule.hosts, namespace),
                namespace,
                self.known,
                self.sees,
                registry_only=only,
            )
        return self._scopes[key]

    def gateway_scope(self, namespace: str) -> Scope:
        """What a gateway of a namespace knows of."""
        key = (namespace, "gateway", "")
        if key not in self._scopes:
            self._scopes[key] = gateway_scope(self.visible_services(namespace))
        return self._scopes[key]

    def service_meant(self, host: str, *, vs: str, gateway: str) -> Service | None:
        """The service that a VirtualService of namespace `vs` means, for a gateway: that of its own
        namespace, or else the one that the gateway knows by that host.
        """
        own = self.known.get(host, {}).get(vs)
        if own is not None and self.sees(gateway, own):
            return own
        return self.gateway_scope(gateway).called.get(host)

    def visible_services(self, namespace: str) -> list[Service]:
        """The services whose `exportTo` lets proxies of `namespace` see them: first those that not
        everybody may see.
        """
        private, public = [], []
        for service in self.services:
            if self.is_public(service):
                public.append(service)
            elif self.sees(namespace, service):
                private.append(service)
        return private + public

    def is_public(self, service: Service) -> bool:
        """Whether everybody may know of a service."""
        export_to = service.export_to or self.settings.service_export_to
        return not export_to or "*" in export_to

    def sees(self, namespace: str, service: Service) -> bool:
        """Whether proxies of a namespace may know of a Service."""
        export_to = service.export_to or self.settings.service_export_to
        return is_visible(export_to, service.namespace, namespace)

    def visible_virtual_services(self, namespace: str, gateway: str) -> list[VirtualService]:
        """The VirtualServices bound to `gateway`: first the namespace's own private ones, then all
        others'.
        """
        private, exported, public = [], [], []
        for vs in self.virtual_services:
            times = [vs] * vs.gateways.count(gateway)  # istiod takes each mention by itself
            export_to = vs.export_to or self.settings.virtual_service_export_to
            if not export_to or "*" in export_to:
                public += times
            elif NOBODY in export_to:
                continue
            elif vs.namespace == namespace and export_to & {".", namespace}:
                private += times
            elif namespace in export_to:
                exported += times
        return private + exported + public

    def backends(
        self,
        service: Service,
        port: ServicePort,
        labels: Mapping[str, str],
        *,
        by_name: bool = True,
    ) -> list[Backend]:
        """What is behind a service's port and has `labels` too. Of ServiceEntries of its host those
        whose port has the same name, or number: istiod goes by the one in EDS, by the other in CDS.
        """
        if service.entry:
            return [
                each
                for each in self.entry_backends.get((service.namespace, service.host), ())
                if (each.port_name == port.name if by_name else each.port_number == port.number)
                and has_labels(each, labels)
            ]
        if NOBODY in service.export_to:
            return []
        found = []
        for pod in self.pods:
            if service.selects(pod) and has_labels(pod, labels):
                number = target_port(pod, port)
                if number is not None:
                    ready = pod.ready or service.publishes_unready
                    found.append(Backend(pod.ip, number, pod.labels, ready))
        for workload in self.workloads:
            behind = behind_a_service(service, port, workload)
            if behind is not None and has_labels(behind, labels):
                found.append(behind)
        return found

    def targets_of(self, pod: Pod) -> list[Target]:
        """The ports of a pod that services lead to; the oldest service first."""
        targets = []
        for service in self.services:
            if service.entry:
                own = self.entry_backends.get((service.namespace, service.host), ())
                here = [e for e in own if e.address == pod.ip and e.source == service.source]
                if service.namespace == pod.namespace:
                    targets += [
                        Target(service, port, each.port)
                        for port in service.ports
                        for each in here
                        if each.port_number == port.number
                    ]
            elif service.selects(pod):
                for port in service.ports:
                    number = target_port(pod, port)
                    if number is not None:
                        targets.append(Target(service, port, number))
        return targets

    def gateway_port(self, number: int, labels: Mapping[str, str], namespace: str) -> int:
        """The port at which a gateway's pod listens for a Gateway server's port.

        A Service before the gateway translates its own ports (80 → 8080); any other is taken as it
        is.
        """
        own = [
            s
            for s in self.services
            if not s.entry and s.namespace == namespace and selects_labels(s.selector, labels)
        ]
        for port in (port for service in own for port in service.ports):
            if port.number == number and isinstance(port.target, int):
                return port.target
        return number if own else GATEWAY_PORTS.get(number, number)


def age(resource: Resource) -> tuple[str, str, str]:
    """Istio's order of objects: by creation, then by name, then by namespace."""
    return (
        str(resource.metadata.get("creationTimestamp") or ""),
        resource.name,
        resource.namespace,
    )


def all_services(
    by_age: Iterable[Resource],
    entries: Iterable[Resource],
    addresses: Mapping[tuple[str, str], str],
) -> list[Service]:
    """All services by age, Kubernetes' own and those of entries, which go by their hosts. Raises
    UnsupportedError for an entry that has the host of a Service of its own namespace.
    """
    found = [(age(r), service_of(r, addresses)) for r in by_age if r.kind == "Service"]
    taken = {(service.namespace, service.host) for _, service in found}
    for entry in entries:
        time = age(entry)[0]
        for host in map(str, entry.spec.get("hosts") or ()):
            if (entry.namespace, host.lower()) in taken:
                why = "a Service of this namespace has that host: istiod mixes what is behind both"
                raise refusal(entry, f"spec.hosts: {host}", why)
        found += [((time, s.name, s.namespace), s) for s in services_of(entry)]
    return [service for _, service in sorted(found, key=lambda each: each[0])]


def selects_labels(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector chooses these labels; an empty one chooses nothing."""
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())

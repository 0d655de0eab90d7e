"""All that a control plane knows at one moment: objects, pods and addresses, indexed once and then
asked by every proxy.

What istiod has in its PushContext (`pilot/pkg/model/push_context.go`) and its service registry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from labkit.resources import protocols
from labkit.resources.istio import (
    EXPORT_TO,
    GATEWAY_PORTS,
    MESH,
    OWN_REVISION,
    REVISION,
    service_host,
)
from labkit.resources.model import Resource
from labkit.resources.precedence import DestinationRules
from labkit.translate.model import Pod, port_name
from labkit.translate.rules.virtual_services import VirtualService, resolve_all
from labkit.translate.settings import settings_of
from labkit.translate.support import check_supported

NO_ADDRESS = "0.0.0.0"
NOBODY = "~"
"""In an `exportTo`: nobody sees the object."""


@dataclass(frozen=True)
class ServicePort:
    """A port of a Service. `protocol` is one of `protocols`; `target` a number, or a name of a port
    of the pods.
    """

    number: int
    name: str
    protocol: str
    target: int | str


@dataclass(frozen=True)
class Service:
    """A Kubernetes Service. `address` is 0.0.0.0 when it is headless or has none."""

    name: str
    namespace: str
    ports: tuple[ServicePort, ...]
    address: str
    headless: bool
    selector: Mapping[str, str]
    export_to: frozenset[str]
    publishes_unready: bool = False
    """Whether pods count as ready behind it that are not: Kubernetes says so to everybody."""

    @property
    def host(self) -> str:
        """Its full name, by which clusters and rules know it."""
        return service_host(self.name, self.namespace)

    def port(self, number: int) -> ServicePort | None:
        """The port of that number to which one can connect; None where there is none."""
        ports = (port for port in self.ports if port.protocol != protocols.UDP)
        return next((port for port in ports if port.number == number), None)

    def only(self, port: ServicePort) -> Service:
        """The same Service with this port alone."""
        return replace(self, ports=(port,))

    def selects(self, pod: Pod) -> bool:
        """Whether the pod is behind it: same namespace, all labels of its selector."""
        return (
            bool(self.selector)
            and pod.namespace == self.namespace
            and has_labels(pod, self.selector)
        )


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
        self.services = [service_of(r, self.service_ips) for r in by_age if r.kind == "Service"]
        self.by_host = {service.host: service for service in self.services}
        # istiod reads no policy that is labelled for an istiod of another revision
        read = [r for r in by_age if r.labels.get(REVISION, OWN_REVISION) == OWN_REVISION]
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

    def knows(self, namespace: str, service: Service, *, sidecar: bool) -> bool:
        """Whether proxies of a namespace obey rules about a Service: it is visible to them, or a
        sidecar has a cluster for it all the same.
        """
        return self.sees(namespace, service) or (
            sidecar
            and service.namespace == namespace
            and any(called.host == service.host for called in self.services_called(namespace))
        )

    def visible_services(self, namespace: str) -> list[Service]:
        """The Services whose `networking.istio.io/exportTo` lets proxies of
        `namespace` see them.
        """
        return [s for s in self.services if self.sees(namespace, s)]

    def sees(self, namespace: str, service: Service) -> bool:
        """Whether proxies of a namespace may know of a Service."""
        export_to = service.export_to or self.settings.service_export_to
        return is_visible(export_to, service.namespace, namespace)

    def services_called(self, namespace: str) -> list[Service]:
        """The Services that sidecars of `namespace` have clusters for: all that they may see, and
        those of their own namespace that are hidden even there, as far as a VirtualService leads to
        them.
        """
        seen = self.visible_services(namespace)
        hidden = {
            s.host: s
            for s in self.services
            if s.namespace == namespace and not self.sees(namespace, s)
        }
        if not hidden:
            return seen
        ports: dict[str, set[int]] = {}
        for vs in self.visible_virtual_services(namespace, MESH):
            for host, number in vs.destinations(namespace):
                ports.setdefault(host, set()).add(number)
        for host, service in hidden.items():
            named = ports.get(host, set())
            chosen = [port for port in service.ports if 0 in named or port.number in named]
            if chosen:
                seen.append(replace(service, ports=tuple(chosen)))
        return seen

    def visible_service(self, host: str, namespace: str) -> Service | None:
        """The Service of that full name, if proxies of `namespace` may see it."""
        service = self.by_host.get(host)
        return service if service is not None and self.sees(namespace, service) else None

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

    def pods_of(
        self, service: Service, port: ServicePort, labels: Mapping[str, str]
    ) -> list[tuple[Pod, int]]:
        """The pods behind a Service's port that have `labels` too, each with the port that takes
        the traffic.
        """
        found = []
        for pod in self.pods:
            if service.selects(pod) and has_labels(pod, labels):
                number = target_port(pod, port)
                if number is not None:
                    found.append((pod, number))
        return found

    def targets_of(self, pod: Pod) -> list[Target]:
        """The ports of a pod that Services lead to; the oldest Service first."""
        targets = []
        for service in self.services:
            if not service.selects(pod):
                continue
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
            if s.namespace == namespace and selects_labels(s.selector, labels)
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


def has_labels(pod: Pod, labels: Mapping[str, str]) -> bool:
    """Whether a pod has all of these labels."""
    return all(pod.labels.get(key) == value for key, value in labels.items())


def selects_labels(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector chooses these labels; an empty one chooses nothing."""
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def is_visible(export_to: Iterable[str], owner: str, namespace: str) -> bool:
    """True when `exportTo` of an object in `owner` covers proxies of `namespace`; an empty one is
    public. `*` counts before all others, and `~` before all but that.
    """
    names = set(export_to)
    if not names or "*" in names:
        return True
    return NOBODY not in names and (namespace in names or ("." in names and owner == namespace))


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """A target port's number; a name is looked up among the pod's own ports of the same transport,
    and None where it has no such.
    """
    if isinstance(port.target, int):
        return port.target
    return pod.named_ports.get(port_name(port.target, udp=port.protocol == protocols.UDP))


def service_of(resource: Resource, addresses: Mapping[tuple[str, str], str]) -> Service:
    """A Service object as translation reads it; `addresses` are those of `Registry`."""
    spec = resource.spec
    headless = spec.get("clusterIP") == "None"
    address = addresses.get((resource.namespace, resource.name), NO_ADDRESS)
    annotations = resource.metadata.get("annotations") or {}
    export_to = str(annotations.get(EXPORT_TO) or "")
    return Service(
        name=resource.name,
        namespace=resource.namespace,
        ports=tuple(service_port(port) for port in spec.get("ports") or []),
        address=NO_ADDRESS if headless else address,
        headless=headless,
        selector=spec.get("selector") or {},
        export_to=frozenset(part.strip() for part in export_to.split(",") if part.strip()),
        publishes_unready=bool(spec.get("publishNotReadyAddresses")),
    )


def service_port(port: dict[str, Any]) -> ServicePort:
    """One entry of a Service's `spec.ports`. Without `targetPort` it is the port itself."""
    number = int(port["port"])
    name = str(port.get("name") or "")
    target = port.get("targetPort")
    return ServicePort(
        number=number,
        name=name,
        protocol=protocols.of_port(
            number, name, port.get("protocol") or "TCP", port.get("appProtocol")
        ),
        target=number if not target else int(target) if str(target).isdigit() else str(target),
    )

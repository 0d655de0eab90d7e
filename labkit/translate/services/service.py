"""Services as translation reads them: Kubernetes' own, and the hosts that a ServiceEntry names.

What istiod has as `model.Service` (`pilot/pkg/model/service.go`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from labkit.resources import protocols
from labkit.resources.istio import EXPORT_TO, service_host
from labkit.resources.model import Resource
from labkit.translate.model import Pod, port_name

NO_ADDRESS = "0.0.0.0"
NOBODY = "~"
"""In an `exportTo`: nobody sees the object."""
STATIC, DNS, DNS_ROUND_ROBIN, NONE = "STATIC", "DNS", "DNS_ROUND_ROBIN", "NONE"
"""How a service's addresses are found, by a ServiceEntry's words: they are known; Envoy looks names
up, and takes all addresses or one; or a connection goes where the client meant it to go.
"""


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
    """A Kubernetes Service, or a host of a ServiceEntry. `address` is 0.0.0.0 when it is headless
    or has none; that of an entry may be a range, as `10.1.0.0/16`.
    """

    name: str
    namespace: str
    ports: tuple[ServicePort, ...]
    address: str
    headless: bool
    selector: Mapping[str, str]
    export_to: frozenset[str]
    publishes_unready: bool = False
    """Whether pods count as ready behind it that are not: Kubernetes says so to everybody."""
    entry: bool = False
    """Whether a ServiceEntry names it: its `name` is the host then."""
    external: bool = False
    """Whether it is outside of the mesh."""
    resolution: str = STATIC
    """How its addresses are found, as a ServiceEntry says it."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of an entry."""
    source: str = ""
    """The name of the ServiceEntry."""
    overrides: Mapping[int, int] = field(default_factory=dict)
    """Of an entry that passes connections on: its port → the port where they go."""

    @property
    def host(self) -> str:
        """Its full name, by which clusters and rules know it."""
        return self.name if self.entry else service_host(self.name, self.namespace)

    @property
    def passes_on(self) -> bool:
        """Whether a sidecar lets a connection go where the client meant it to go."""
        return self.resolution == NONE

    @property
    def is_dns(self) -> bool:
        """Whether Envoy itself looks up the names of its endpoints."""
        return self.resolution in (DNS, DNS_ROUND_ROBIN)

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


class Labelled(Protocol):
    """What labels choose: a pod, a workload."""

    @property
    def labels(self) -> Mapping[str, str]: ...


def has_labels(pod: Labelled, labels: Mapping[str, str]) -> bool:
    """Whether a pod has all of these labels."""
    return all(pod.labels.get(key) == value for key, value in labels.items())


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
        resolution=NONE if headless else STATIC,
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

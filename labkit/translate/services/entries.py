"""ServiceEntry and WorkloadEntry: hosts that no Kubernetes Service has, and what is behind them.

As istiod's `pilot/pkg/serviceregistry/serviceentry/conversion.go` reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labkit.resources import protocols
from labkit.resources.model import Resource
from labkit.resources.names import ip_address
from labkit.translate.model import Pod
from labkit.translate.services.service import (
    DNS_ROUND_ROBIN,
    NO_ADDRESS,
    NONE,
    Service,
    ServicePort,
    has_labels,
)
from labkit.translate.support import refusal
from labkit.translate.values import at

CLUSTER = "Kubernetes"


@dataclass(frozen=True)
class Backend:
    """One endpoint behind a port. `locality` is `region/zone/subzone`, and `workload` what Istio
    tells of it in its metadata ("" for a pod, of which the pod itself tells).
    """

    address: str
    port: int
    labels: Mapping[str, str]
    ready: bool = True
    weight: int = 1
    locality: str = ""
    workload: str = ""
    port_name: str = ""
    port_number: int = 0
    """The port of the ServiceEntry that it is behind."""
    source: str = ""
    """The name of that entry."""


@dataclass(frozen=True)
class Workload:
    """What an entry leads to: a WorkloadEntry, an endpoint within a ServiceEntry, or a pod.
    `ports` are its own, by the names of the ports that lead there.
    """

    name: str
    namespace: str
    address: str
    labels: Mapping[str, str]
    ports: Mapping[str, int]
    weight: int = 1
    locality: str = ""
    pod: bool = False

    def behind(self, port: ServicePort, number: int) -> Backend:
        """This workload as an endpoint of a port, at the port `number` of its own."""
        return Backend(
            address=self.address,
            port=number,
            labels=self.labels,
            weight=self.weight,
            locality=self.locality,
            workload="" if self.pod else f"{self.name};{self.namespace};{canonical(self)}",
            port_name=port.name,
            port_number=port.number,
        )


def canonical(workload: Workload) -> str:
    """Service, version and cluster, as Istio tells them of a workload."""
    labels = workload.labels
    names = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
    versions = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")
    name = next((labels[key] for key in names if key in labels), workload.name)
    version = next((labels[key] for key in versions if key in labels), "")
    return f"{name};{version};{CLUSTER}"


def services_of(resource: Resource) -> list[Service]:
    """The services of a ServiceEntry: one for each host. Raises UnsupportedError where several have
    one address.
    """
    spec = resource.spec
    if spec.get("addresses") and len(spec.get("hosts") or ()) > 1:
        why = "which of its hosts routes take the address for is chance in istiod"
        raise refusal(resource, "spec.addresses", f"{why}: write an entry for each")
    resolution = str(spec.get("resolution") or NONE)
    ports = tuple(service_port(port) for port in spec.get("ports") or [])
    overrides = {
        int(port["number"]): int(port["targetPort"])
        for port in spec.get("ports") or []
        if resolution == NONE and port.get("targetPort")
    }
    return [
        Service(
            name=str(host),
            namespace=resource.namespace,
            ports=ports,
            address=address,
            headless=False,
            selector=at(spec, "workloadSelector", "labels") or {},
            export_to=frozenset(spec.get("exportTo") or ()),
            entry=True,
            external=spec.get("location") != "MESH_INTERNAL",
            resolution=resolution,
            labels=resource.labels,
            source=resource.name,
            overrides=overrides,
        )
        for host in spec.get("hosts") or []
        for address in [plain(each) for each in spec.get("addresses") or []] or [NO_ADDRESS]
    ]


def service_port(port: dict[str, Any]) -> ServicePort:
    """One entry of a ServiceEntry's `ports`, which says its protocol itself."""
    number = int(port["number"])
    protocol = protocols.parse(str(port.get("protocol") or ""))
    target = int(port.get("targetPort") or number)
    return ServicePort(number, str(port.get("name") or ""), protocol, target)


def plain(address: str) -> str:
    """A range of one address as that address.

    >>> plain("10.1.2.3/32"), plain("10.1.0.0/16")
    ('10.1.2.3', '10.1.0.0/16')
    """
    return address.removesuffix("/32") if ":" not in address else address.removesuffix("/128")


def workload_of(resource: Resource) -> Workload:
    """A WorkloadEntry; a label of its metadata counts before one of its spec, and its workload may
    have another name.
    """
    labels = {**(resource.spec.get("labels") or {}), **resource.labels}
    annotations = resource.metadata.get("annotations") or {}
    name = annotations.get("istio.io/autoRegistrationGroup")
    name = name or resource.labels.get("service.istio.io/workload-name") or resource.name
    return workload_from(resource.spec, name, resource.namespace, labels)


def workload_from(
    entry: Mapping[str, Any], name: str, namespace: str, labels: Mapping[str, str]
) -> Workload:
    return Workload(
        name=name,
        namespace=namespace,
        address=str(entry.get("address") or ""),
        labels=labels,
        ports={str(key): int(port) for key, port in (entry.get("ports") or {}).items()},
        weight=int(entry.get("weight") or 1),
        locality=str(entry.get("locality") or ""),
    )


def workload_of_pod(pod: Pod) -> Workload:
    """A pod, as a ServiceEntry's workloadSelector finds it."""
    ports = {name.removesuffix("/UDP"): number for name, number in pod.named_ports.items()}
    return Workload(pod.name, pod.namespace, pod.ip, pod.labels, ports, pod=True)


Backends = dict[tuple[str, str], list[Backend]]
"""By namespace and host."""


def backends_of(
    entries: Sequence[Resource], workloads: Iterable[Workload], pods: Iterable[Pod]
) -> Backends:
    """What is behind the hosts of ServiceEntries; give them oldest first. Of several that Envoy is
    to look up and take one of, a port has the first only.
    """
    found: Backends = {}
    chosen = [workload_of_pod(pod) for pod in pods if pod.ready] if entries else []
    chosen = sorted([*chosen, *workloads], key=lambda each: (not each.pod, each.name))
    for entry in entries:
        for service in dict.fromkeys(each.host for each in services_of(entry)):
            own = found.setdefault((entry.namespace, service), [])
            for backend in backends_of_host(entry, service, chosen):
                taken = {each.port_number for each in own}
                if entry.spec.get("resolution") != DNS_ROUND_ROBIN or (
                    backend.port_number not in taken
                ):
                    own.append(backend)
    return found


def backends_of_host(
    entry: Resource, host: str, workloads: Iterable[Workload]
) -> Iterator[Backend]:
    spec = entry.spec
    selector, dns = spec.get("workloadSelector"), "DNS" in str(spec.get("resolution") or "")
    endpoints = spec.get("endpoints") or []
    if selector is None and not endpoints and dns:
        own = [Workload(entry.name, entry.namespace, host, {}, {})]
    elif selector is None:
        own = [
            workload_from(each, f"{entry.name}-{n}", entry.namespace, each.get("labels") or {})
            for n, each in enumerate(endpoints)
        ]
    else:
        own = [
            each
            for each in workloads
            if each.namespace == entry.namespace
            and has_labels(each, selector.get("labels") or {})
            and (dns or ip_address(each.address))
        ]
    for workload in own:
        for port in (service_port(each) for each in spec.get("ports") or []):
            behind = workload.behind(port, workload.ports.get(port.name) or int(port.target))
            yield replace(behind, source=entry.name)


def behind_a_service(service: Service, port: ServicePort, workload: Workload) -> Backend | None:
    """A WorkloadEntry as an endpoint of a Kubernetes Service whose selector chooses it: such a
    Service's named target is looked up among the entry's ports.
    """
    if not (
        service.selector
        and service.resolution != NONE
        and workload.namespace == service.namespace
        and ip_address(workload.address)
        and has_labels(workload, service.selector)
    ):
        return None
    if isinstance(port.target, int):
        return workload.behind(port, workload.ports.get(port.name) or port.target)
    number = workload.ports.get(port.target)
    return workload.behind(port, number) if number else None

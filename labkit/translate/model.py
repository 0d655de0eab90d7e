"""What goes into translation and what comes out: plain values, no files and no processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.resources.model import Resource
    from labkit.translate.registry import Registry

Json = dict[str, Any]
"""A message of Envoy's API as config_dump shows it: snake_case names, durations
such as "0.500s".
"""

FIRST_CLUSTER_IP = "10.96.230.27"
FIRST_POD_IP = "10.244.0.12"


@dataclass(frozen=True)
class Pod:
    """What translation needs of a pod: labels choose it, its address and ports are where traffic
    goes.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    ip: str
    containers_ports: tuple[int, ...] = ()
    named_ports: Mapping[str, int] = field(default_factory=dict)
    ready: bool = True
    injected: bool = True

    @property
    def group(self) -> str:
        """`app-version`, the name that a comparison gives to every pod of one Deployment."""
        return "-".join(filter(None, (self.labels.get("app"), self.labels.get("version"))))


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All that a control plane knows at one moment.

    Where two objects of one kind compete, the older wins: by `metadata.creationTimestamp` (whole
    seconds, as Kubernetes writes it; none is oldest), then by name, then by namespace.
    """

    resources: tuple[Resource, ...]
    pods: tuple[Pod, ...]
    service_ips: Mapping[tuple[str, str], str]

    @cached_property
    def registry(self) -> Registry:
        """The snapshot, indexed once for all proxies."""
        from labkit.translate.registry import Registry

        return Registry(self)


@dataclass(frozen=True)
class ProxyConfig:
    """The resources that one Envoy gets: CDS, EDS, RDS and LDS, each a tuple of messages.

    `endpoints` has also those of ORIGINAL_DST clusters, for `to_loopback`; on a cluster no Envoy is
    told them.
    """

    clusters: tuple[Json, ...]
    endpoints: tuple[Json, ...]
    routes: tuple[Json, ...]
    listeners: tuple[Json, ...]

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{len(getattr(self, part))} {part}"
            for part in ("clusters", "endpoints", "routes", "listeners")
        )
        return f"<ProxyConfig: {sizes}>"


def snapshot_of(resources: Iterable[Resource]) -> Snapshot:
    """A snapshot in which every Deployment has all its pods, ready: what `labkit translate` starts
    from.

    A Service without `spec.clusterIP` gets an address in the order of the manifest, from
    10.96.230.27 on.

    >>> snapshot_of(load("manifests/hello-world.yaml")).pods[0].name
    'hello-world-v1-1'
    """
    known = tuple(resources)
    injected_namespaces = {
        r.name
        for r in known
        if r.kind == "Namespace" and r.labels.get("istio-injection") == "enabled"
    }
    pods: list[Pod] = []
    for resource in known:
        if resource.kind == "Deployment":
            replicas = resource.spec.get("replicas", 1)
            template = resource.spec.get("template") or {}
            names = [f"{resource.name}-{n + 1}" for n in range(int(replicas))]
        elif resource.kind == "Pod":
            template, names = resource.body, [resource.name]
        else:
            continue
        for name in names:
            known_address = (resource.body.get("status") or {}).get("podIP")
            address = known_address or next_address(FIRST_POD_IP, len(pods))
            injected = resource.namespace in injected_namespaces
            pods.append(pod_of(template, name, resource.namespace, address, injected))
    service_ips: dict[tuple[str, str], str] = {}
    allocated = 0
    for resource in known:
        if resource.kind != "Service":
            continue
        address = str(resource.spec.get("clusterIP") or "")
        if not address:
            address = next_address(FIRST_CLUSTER_IP, allocated)
            allocated += 1
        service_ips[resource.namespace, resource.name] = address
    return Snapshot(known, tuple(pods), service_ips)


def pod_of(template: Json, name: str, namespace: str, ip: str, injected: bool) -> Pod:
    """A pod made of a Deployment's template (or of a Pod's own body).

    >>> pod_of({"metadata": {"labels": {"app": "client"}}}, "client-1", "hello-world", "10.244.0.15", True).group
    'client'
    """  # noqa: E501
    metadata = template.get("metadata") or {}
    ports = [
        port
        for container in (template.get("spec") or {}).get("containers") or []
        for port in container.get("ports") or []
    ]
    return Pod(
        name=name,
        namespace=namespace,
        labels=dict(metadata.get("labels") or {}),
        ip=ip,
        containers_ports=tuple(int(port["containerPort"]) for port in ports),
        named_ports={
            port["name"]: int(port["containerPort"]) for port in ports if port.get("name")
        },
        injected=injected,
    )


def next_address(first: str, n: int) -> str:
    """The n-th IPv4 address after `first`.

    >>> next_address("10.96.230.254", 3)
    '10.96.231.1'
    """
    a, b, c, d = (int(part) for part in first.split("."))
    number = ((a * 256 + b) * 256 + c) * 256 + d + n
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))

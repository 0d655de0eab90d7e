"""The values that go into a translation (a pod) and that come out of it (messages of Envoy)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.jsontypes import Json


def port_name(name: str, *, udp: bool) -> str:
    """How a port of a pod is named among its ports: a Service's port finds one of its own transport
    only.

    >>> port_name("dns", udp=True), port_name("web", udp=False)
    ('dns/UDP', 'web')
    """
    return f"{name}/UDP" if udp else name


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
    """By `port_name`."""
    ready: bool = True
    injected: bool = True
    gateway: bool = False
    """Whether it is a gateway: an Envoy and nothing else."""
    workload: str = ""
    """The Deployment that it belongs to, or its own name; "" where a mesh has no need of it."""

    @property
    def group(self) -> str:
        """`app-version`, the name that a comparison gives to every pod of one Deployment."""
        return "-".join(filter(None, (self.labels.get("app"), self.labels.get("version"))))


@dataclass(frozen=True)
class ProxyConfig:
    """The resources that istiod gives one Envoy: CDS, EDS, RDS and LDS, each a tuple of messages.

    Beside them, in `original_destinations`, what istiod knows and sends to nobody: the pods behind
    each ORIGINAL_DST cluster, as load assignments. Envoy needs none there, since it follows a
    connection that was redirected to it; the embedded mesh redirects none, and does need them.
    """

    clusters: tuple[Json, ...]
    endpoints: tuple[Json, ...]
    routes: tuple[Json, ...]
    listeners: tuple[Json, ...]
    original_destinations: tuple[Json, ...] = ()

    def __repr__(self) -> str:
        sizes = ", ".join(
            f"{len(getattr(self, part))} {part}"
            for part in ("clusters", "endpoints", "routes", "listeners")
        )
        return f"<ProxyConfig: {sizes}>"

"""How a proxy is configured, from its config_dump: a policy's own numbers, as Envoy names them.

Behaviour is what counts, and is checked first. But the effect of a number like `interval: 5m`
shows only after minutes, and then this is how to see that it has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.envoy import dump
from labkit.errors import NotFound

if TYPE_CHECKING:
    from labkit.mesh import Mesh


def configured(mesh: Mesh, cluster: str, part: str, *, proxy: str = "gateway") -> dict[str, Any]:
    """One part of a cluster's configuration, such as "outlier_detection" or "circuit_breakers", in
    Envoy's own words and units ("900s"); {} where it has none.

    Raises NotFound when the proxy has no such cluster.

    >>> service = "outbound|80||hello-world.hello-world.svc.cluster.local"
    >>> configured(mesh, service, "outlier_detection")["base_ejection_time"]
    '900s'
    """
    found = dump.by_name(dump.clusters(mesh.config(proxy)))
    if cluster not in found:
        raise NotFound(f"{proxy} has no cluster {cluster!r}", seen=f"clusters: {', '.join(found)}")
    value = found[cluster].get(part) or {}
    return dict(value) if isinstance(value, Mapping) else {part: value}


def configured_weights(mesh: Mesh, *, proxy: str = "gateway") -> list[dict[str, int]]:
    """The weights of each route that has any: a list of {cluster: weight}, in the order in which
    routes are tried.

    A route with one destination has no weights for Envoy, and counts as 100 for it.

    >>> configured_weights(mesh)
    [{'outbound|80|v1|hello-world…': 80, 'outbound|80|v2|hello-world…': 20}]
    """
    return [dict(dump.targets(route)) for _, route in dump.routes(mesh.config(proxy))]

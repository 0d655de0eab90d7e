"""A ProxyConfig in the shape in which configurations are compared: only what traffic management
decides.

Left out: what a mesh without certificates and telemetry has no use for (transport sockets,
metadata, statistics' names), Istio's own listeners and clusters; and, unless the whole is asked
for, services outside the lesson's namespace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from labkit.jsontypes import Json
from labkit.resources.istio import PROXY_PORTS
from labkit.translate.clusters import HTTP_PROTOCOL_OPTIONS
from labkit.translate.model import Pod, ProxyConfig
from labkit.translate.routes.filters import FAULT

OWN_CLUSTERS = re.compile(r"(outbound|inbound)\|")
LESSON = "hello-world"
DROPPED = {
    "@type",
    "alt_stat_name",
    "decorator",
    "eds_cluster_config",
    "filter_metadata",
    "filters",
    "load_assignment",
    "max_grpc_timeout",
    "metadata",
    "request_headers_to_remove_default",
    "service_name",
    "stat_prefix",
    "transport_socket",
    "transport_socket_matches",
    "upstream_bind_config",
}


def normalised(config: ProxyConfig, pods: Iterable[Pod], *, whole: bool = False) -> Json:
    """`{"clusters": …, "endpoints": …, "routes": …, "listeners": …}`, with pods named by
    Deployment. With `whole` services of every name, and all settings of a route.

    >>> normalised(gateway_config(registry), registry.pods)["endpoints"]
    {'outbound|80||hello-world.hello-world.svc.cluster.local': [['hello-world-v1', 1], …]}
    """
    groups = {pod.ip: pod.group for pod in pods}
    concerns = is_own if whole else concerns_lesson
    clusters = {
        c["name"]: cluster_view(c, whole=whole) for c in config.clusters if concerns(c["name"])
    }
    endpoints: dict[str, list[list[Any]]] = {name: [] for name in clusters}
    for assignment in config.endpoints:
        name = assignment["cluster_name"]
        if name in clusters and clusters[name]["type"] == "EDS":
            endpoints[name] = sorted(rows_of(assignment, groups))
    routes = {r["name"]: hosts_of(r) if whole else hosts_of_lesson(r) for r in config.routes}
    return {
        "clusters": clusters,
        "endpoints": endpoints,
        "routes": {name: hosts for name, hosts in routes.items() if hosts},
        "listeners": {name: view for name, view in map(listener_view, config.listeners) if view},
    }


def is_own(name: str) -> bool:
    """Whether a cluster leads to a Service, or to the application."""
    return bool(OWN_CLUSTERS.match(name))


def concerns_lesson(name: str) -> bool:
    """Whether a cluster is compared: one of the lesson's Services, or to the application."""
    return bool(OWN_CLUSTERS.match(name)) and (LESSON in name or name.startswith("inbound|"))


def cluster_view(cluster: Json, *, whole: bool = False) -> Json:
    """A cluster without what is not compared; its HTTP options under `http_protocol_options`."""
    rest = {
        key: value for key, value in cluster.items() if key != "typed_extension_protocol_options"
    }
    found: Json = strip(rest, whole=whole)
    http = (cluster.get("typed_extension_protocol_options") or {}).get(HTTP_PROTOCOL_OPTIONS)
    if http:
        found["http_protocol_options"] = strip(http)
    return found


def rows_of(assignment: Json, groups: dict[str, str]) -> list[list[Any]]:
    """`[group, weight]` of each endpoint; an address of no pod stands for itself."""
    rows = []
    for locality in assignment.get("endpoints", []):
        for row in locality.get("lb_endpoints", []):
            ip = row["endpoint"]["address"].get("socket_address", {}).get("address", "")
            rows.append([groups.get(ip, ip), row.get("load_balancing_weight", 1)])
    return rows


def hosts_of_lesson(route_config: Json) -> list[Any]:
    """The virtual hosts that speak of the lesson's namespace, and those that answer 404."""
    hosts = route_config.get("virtual_hosts", [])
    return [strip(h) for h in hosts if mentions(h, LESSON) or "blackhole" in h.get("name", "")]


def hosts_of(route_config: Json) -> list[Any]:
    """The virtual hosts, without the one by which Istio lets everything else pass."""
    hosts = route_config.get("virtual_hosts", [])
    return [strip(h, whole=True) for h in hosts if h.get("name") != "allow_any"]


def mentions(value: Any, word: str) -> bool:
    """Whether a word is in a key or a value at any depth."""
    if isinstance(value, dict):
        return any(word in str(key) or mentions(inner, word) for key, inner in value.items())
    if isinstance(value, list):
        return any(mentions(inner, word) for inner in value)
    return word in str(value)


def listener_view(listener: Json) -> tuple[str, Json | None]:
    """(name, its address and route configurations), or (name, None) where it is not compared."""
    address = listener["address"]["socket_address"]
    names = sorted(set(route_names(listener)))
    if address["port_value"] in PROXY_PORTS or not names:
        return listener["name"], None
    view = {"address": address["address"], "port": address["port_value"], "routes": names}
    return listener["name"], view


def route_names(value: Any) -> Iterable[str]:
    """The names of all route configurations that a listener asks for."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "route_config_name":
                yield inner
            else:
                yield from route_names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from route_names(inner)


def strip(value: Any, *, whole: bool = False) -> Any:
    """Drops the fields above, and empty values, at every depth (an empty panic threshold means
    "off": it stays). With `whole`, the settings of all filters stay.
    """
    if isinstance(value, dict):
        kept = {
            key: strip(inner, whole=whole) for key, inner in value.items() if key not in DROPPED
        }
        if "typed_per_filter_config" in kept and not whole:
            filters = kept["typed_per_filter_config"]
            kept["typed_per_filter_config"] = {k: v for k, v in filters.items() if k == FAULT}
        return {
            k: v
            for k, v in kept.items()
            if v not in ({}, [], None) or k == "healthy_panic_threshold"
        }
    if isinstance(value, list):
        return [strip(inner, whole=whole) for inner in value]
    return value

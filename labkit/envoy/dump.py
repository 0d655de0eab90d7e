"""Reads a config_dump: what an Envoy holds now, by what it is.

Envoy writes it as a list of sections, each with entries of several states. Counted here is what is
in force: a listener that only finishes the connections it has is no listener any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from labkit.jsontypes import Json

LISTENERS = "dynamic_listeners"
CLUSTERS = "dynamic_active_clusters"
STATIC_CLUSTERS = "static_clusters"
ROUTES = "dynamic_route_configs"
ENDPOINTS = "dynamic_endpoint_configs"
"""The parts of a dump, by Envoy's own words for them; the ones with `dynamic` came from a control
plane."""
_SECTIONS = "configs"
_IN_FORCE = "active_state"

Dump = Mapping[str, Any]


def entries(dump: Dump, part: str) -> Iterator[Json]:
    """The entries of one part, each with its state, its version and the time it was made."""
    for section in dump.get(_SECTIONS) or []:
        yield from section.get(part) or []


def in_force(entry: Json) -> Json | None:
    """The message of an entry: a cluster, a listener, a route configuration; None where it is not
    in force.
    """
    active = entry.get(_IN_FORCE) or {}
    found = (
        entry.get("cluster")
        or entry.get("route_config")
        or entry.get("endpoint_config")
        or active.get("listener", active)
    )
    return found or None


def messages(dump: Dump, part: str) -> Iterator[Json]:
    """The messages of one part that are in force.

    >>> [cluster["name"] for cluster in messages(mesh.config("gateway"), CLUSTERS)][:1]
    ['outbound|80||hello-world.hello-world.svc.cluster.local']
    """
    return (message for entry in entries(dump, part) if (message := in_force(entry)))


def clusters(dump: Dump) -> Iterator[Json]:
    return messages(dump, CLUSTERS)


def listeners(dump: Dump) -> Iterator[Json]:
    return messages(dump, LISTENERS)


def route_configs(dump: Dump) -> Iterator[Json]:
    return messages(dump, ROUTES)


def routes(dump: Dump) -> Iterator[tuple[str, Json]]:
    """(virtual host's name, route) of each route, in the order in which they are tried."""
    for config in route_configs(dump):
        for host in config.get("virtual_hosts") or []:
            for route in host.get("routes") or []:
                yield str(host.get("name")), route


def targets(route: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(cluster, weight) of each cluster that a route leads to. One that has no weights for Envoy
    counts as 100.
    """
    action = route.get("route") or {}
    found = [(str(action["cluster"]), 100)] if "cluster" in action else []
    weighted = (action.get("weighted_clusters") or {}).get("clusters") or []
    return found + [(str(one["name"]), int(one.get("weight", 0))) for one in weighted]


def by_name(found: Iterable[Json]) -> dict[str, Json]:
    """Messages by their names."""
    return {str(one.get("name")): one for one in found}


def changed(dump: Dump, part: str, change: Callable[[Json], Json | None]) -> Json:
    """The dump with each entry of one part as `change` makes it; None leaves an entry out."""
    sections = []
    for section in dump[_SECTIONS]:
        if part in section:
            kept = [new for entry in section[part] if (new := change(entry)) is not None]
            section = {**section, part: kept}
        sections.append(section)
    return {**dump, _SECTIONS: sections}


_ADMIN = "type.googleapis.com/envoy.admin.v3."
_CONFIG = "type.googleapis.com/envoy.config."


def dump_of(
    *,
    clusters: Iterable[Json],
    listeners: Iterable[Json],
    routes: Iterable[Json],
    endpoints: Iterable[Json],
) -> Json:
    """Messages in the shape of Envoy's own `config_dump?include_eds`, so that what reads a proxy's
    dump reads them: `istioctl proxy-config … --file`, for one.

    >>> [part["@type"].rpartition(".")[2] for part in dump_of(**nothing)["configs"]]
    ['ClustersConfigDump', 'ListenersConfigDump', 'RoutesConfigDump', 'EndpointsConfigDump']
    """

    def item(field: str, kind: str, message: Json) -> Json:
        return {field: {"@type": _CONFIG + kind, **message}}

    parts = {
        CLUSTERS: ("Clusters", [item("cluster", "cluster.v3.Cluster", c) for c in clusters]),
        LISTENERS: (
            "Listeners",
            [
                {"name": each["name"], _IN_FORCE: item("listener", "listener.v3.Listener", each)}
                for each in listeners
            ],
        ),
        ROUTES: (
            "Routes",
            [item("route_config", "route.v3.RouteConfiguration", each) for each in routes],
        ),
        ENDPOINTS: (
            "Endpoints",
            [
                item("endpoint_config", "endpoint.v3.ClusterLoadAssignment", each)
                for each in endpoints
            ],
        ),
    }
    sections = [
        {"@type": f"{_ADMIN}{kind}ConfigDump", part: found} for part, (kind, found) in parts.items()
    ]
    return {_SECTIONS: sections}


def clusters_of(assignments: Iterable[Json]) -> Json:
    """Load assignments in the shape of Envoy's own `/clusters?format=json`, of a proxy that nobody
    has called yet: `istioctl proxy-config endpoints --file` reads it.

    >>> clusters_of([{"cluster_name": "outbound|80||web"}])
    {'cluster_statuses': [{'name': 'outbound|80||web', 'added_via_api': True, 'host_statuses': []}]}
    """
    statuses = []
    for assignment in assignments:
        hosts = [
            {
                "address": row["endpoint"]["address"],
                "health_status": {"eds_health_status": row.get("health_status", "HEALTHY")},
                "weight": row.get("load_balancing_weight", 1),
            }
            for group in assignment.get("endpoints", ())
            for row in group.get("lb_endpoints", ())
        ]
        name = assignment["cluster_name"]
        statuses.append({"name": name, "added_via_api": True, "host_statuses": hosts})
    return {"cluster_statuses": statuses}


def refusals(value: Any) -> list[str]:
    """Every reason for which an Envoy refused something, as its config_dump has it."""
    if isinstance(value, dict):
        error = value.get("error_state")
        own = [str(error.get("details", ""))] if isinstance(error, dict) else []
        return own + [reason for inner in value.values() for reason in refusals(inner)]
    if isinstance(value, list):
        return [reason for inner in value for reason in refusals(inner)]
    return []

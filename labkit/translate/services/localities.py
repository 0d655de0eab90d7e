"""Endpoints of a load assignment, by the place where they are.

As istiod's `pilot/pkg/xds/endpoints/endpoint_builder.go` groups them, for a proxy that is in no
place: all pods here are in one, and only entries say another.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.jsontypes import Json
from labkit.translate.services.entries import Backend

PARTS = ("region", "zone", "sub_zone")


def groups_of(backends: Iterable[Backend], *, by_distance: bool) -> list[Json]:
    """LocalityLbEndpoints. With `by_distance`, as with outlier detection, the nearest come first
    and the others wait for these to fail.

    >>> groups_of([Backend("10.1.1.1", 80, {}, locality="a/b")], by_distance=False)[0]["locality"]
    {'region': 'a', 'zone': 'b'}
    """
    by_place: dict[str, list[Backend]] = {}
    for backend in backends:
        by_place.setdefault(backend.locality, []).append(backend)
    places = sorted(by_place)
    distances = sorted({distance(place) for place in places})
    groups = []
    for place in places:
        rows = by_place[place]
        group: Json = {
            "locality": locality(place),
            "lb_endpoints": [endpoint(each) for each in rows],
            "load_balancing_weight": sum(each.weight for each in rows),
        }
        if by_distance and distances.index(distance(place)):
            group["priority"] = distances.index(distance(place))
        groups.append(group)
    return groups


def locality(place: str) -> Json:
    """`region/zone/subzone` as Envoy's Locality."""
    return {key: part for key, part in zip(PARTS, place.split("/"), strict=False) if part}


def distance(place: str) -> int:
    """How far a place is from a proxy that is in none: 0 to 3."""
    region, zone, sub_zone = (*place.split("/"), "", "", "")[:3]
    return 3 if region else 2 if zone else 1 if sub_zone else 0


def endpoint(backend: Backend) -> Json:
    """One LbEndpoint: address, port, and whether it counts as ready."""
    address = {"address": backend.address, "port_value": backend.port}
    found: Json = {
        "endpoint": {"address": {"socket_address": address}},
        "health_status": "HEALTHY" if backend.ready else "UNHEALTHY",
        "load_balancing_weight": backend.weight,
    }
    if backend.workload:
        metadata = {"filter_metadata": {"istio": {"workload": backend.workload}}}
        found["metadata"] = metadata
        del found["health_status"]
    return found

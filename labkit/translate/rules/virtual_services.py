"""VirtualServices with every short name made full, and delegates merged into their roots.

As istiod's `pilot/pkg/model/virtualservice.go` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from labkit.jsontypes import Json
from labkit.resources.hosts import gateway_name
from labkit.resources.istio import MESH, full_host
from labkit.resources.model import Key, Path, Resource
from labkit.translate.rules.delegates import Pair, merge_all


@dataclass(frozen=True)
class Part:
    """A part of an object: of a VirtualService a route, or one match of it."""

    key: Key
    path: Path


@dataclass(frozen=True)
class Origin:
    """Where an HTTP route was written: the `route` itself and, where that is a delegate's, the
    root's route that delegates to it. `matches` has the same for each of its matches.
    """

    route: tuple[Part, ...]
    matches: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True)
class VirtualService:
    """One with hosts, as every proxy reads it: `hosts`, `gateways` and destinations have full
    names, and `http` are its routes with delegates merged in. An empty `export_to` is public.
    `origins` says of each route where it was written.
    """

    name: str
    namespace: str
    hosts: tuple[str, ...]
    gateways: tuple[str, ...]
    export_to: frozenset[str]
    http: tuple[Json, ...]
    origins: tuple[Origin, ...] = field(default=(), repr=False, compare=False)

    def destinations(self, namespace: str) -> Iterator[tuple[str, int]]:
        """(host, port) that callers of a namespace may be led to; 0 is a port that is not said."""
        for route in self.http:
            sources = {match.get("sourceNamespace") for match in route.get("match") or ()}
            if any(sources) and namespace not in sources:
                continue
            targets = [entry.get("destination") for entry in route.get("route") or ()]
            targets += [entry.get("destination") for entry in route.get("mirrors") or ()]
            for target in (*targets, route.get("mirror")):
                if target is not None:
                    number = (target.get("port") or {}).get("number") or 0
                    yield str(target.get("host") or ""), int(number)


def resolve_all(
    resources: Iterable[Resource], export_to: frozenset[str] = frozenset()
) -> list[VirtualService]:
    """Give them oldest first; delegates (VirtualServices without hosts) appear only within their
    roots. `export_to` is the mesh's, for delegates without one of their own.
    """
    known = list(resources)
    delegates = {(r.namespace, r.name): r for r in known if not r.spec.get("hosts")}
    return [resolved(r, delegates, export_to) for r in known if r.spec.get("hosts")]


def resolved(
    resource: Resource, delegates: dict[tuple[str, str], Resource], export_to: frozenset[str]
) -> VirtualService:
    """One VirtualService; a delegate that is missing, or not exported to it, leaves no route."""
    spec, namespace = resource.spec, resource.namespace
    http: list[Json] = []
    origins: list[Origin] = []
    for number, route in enumerate(spec.get("http") or []):
        own = resolved_route(route, namespace)
        delegate = route.get("delegate")
        if delegate is None:
            http.append(own)
            matches = range(len(route.get("match") or []))
            origins.append(origin((resource.key, number), [(None, inner) for inner in matches]))
            continue
        key = (str(delegate.get("namespace") or namespace), str(delegate.get("name") or ""))
        target = delegates.get(key)
        if target is not None and exports_to(target, namespace, export_to):
            routes = [resolved_route(r, target.namespace) for r in target.spec.get("http") or []]
            for merged in merge_all(own, routes):
                http.append(merged.route)
                inner = (target.key, merged.number)
                origins.append(origin(inner, merged.pairs, (resource.key, number)))
    return VirtualService(
        name=resource.name,
        namespace=namespace,
        hosts=tuple(full_host(str(host), namespace) for host in spec["hosts"]),
        gateways=tuple(gateway_name(g, namespace) for g in spec.get("gateways") or [MESH]),
        export_to=frozenset(spec.get("exportTo") or []),
        http=tuple(http),
        origins=tuple(origins),
    )


Numbered = tuple[Key, int]
"""A VirtualService, and the number of one of its routes."""


def origin(own: Numbered, pairs: Iterable[Pair], root: Numbered | None = None) -> Origin:
    """The origin of a route, and of one that a root delegates to."""

    def part(where: Numbered, *more: str | int) -> Part:
        return Part(where[0], ("spec", "http", where[1], *more))

    matches = []
    for outer, inner in pairs:
        parts = [part(own, "match", inner)] if inner is not None else []
        if root is not None and outer is not None:
            parts.append(part(root, "match", outer))
        matches.append(tuple(parts))
    routes = (part(own),) if root is None else (part(own), part(root))
    return Origin(routes, tuple(matches))


def exports_to(delegate: Resource, namespace: str, by_default: frozenset[str]) -> bool:
    """Whether a delegate lets roots of `namespace` use it."""
    names = set(delegate.spec.get("exportTo") or by_default or ["*"])
    return "*" in names or namespace in names or ("." in names and delegate.namespace == namespace)


def resolved_route(route: Json, namespace: str) -> Json:
    """A copy of an HTTP route in which hosts and gateways have their full names, and one field that
    has two names has the usual one.
    """
    found = dict(route)
    if "mirror_percent" in found:
        found["mirrorPercent"] = found.pop("mirror_percent")
    if route.get("match"):
        found["match"] = [
            {**match, "gateways": [gateway_name(g, namespace) for g in match["gateways"]]}
            if match.get("gateways")
            else match
            for match in route["match"]
        ]
    if route.get("route"):
        found["route"] = [with_full_host(entry, namespace) for entry in route["route"]]
    if route.get("mirror") is not None:
        found["mirror"] = full_destination(route["mirror"], namespace)
    if route.get("mirrors"):
        found["mirrors"] = [with_full_host(entry, namespace) for entry in route["mirrors"]]
    return found


def with_full_host(entry: Json, namespace: str) -> Json:
    """An entry of `route` or `mirrors` whose destination has its full host."""
    if entry.get("destination") is None:
        return entry
    return {**entry, "destination": full_destination(entry["destination"], namespace)}


def full_destination(destination: Json, namespace: str) -> Json:
    """A destination with its host's name made full."""
    return {**destination, "host": full_host(str(destination.get("host") or ""), namespace)}

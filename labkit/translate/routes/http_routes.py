"""A VirtualService's HTTP routes as Envoy routes, for one proxy and one port.

As istiod's `pilot/pkg/networking/core/route/route.go` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from labkit.jsontypes import Json
from labkit.resources.istio import cluster_name
from labkit.translate.registry import Registry
from labkit.translate.routes import filters as route_filters
from labkit.translate.routes.match import is_catch_all, route_match
from labkit.translate.routes.retries import retry_policy
from labkit.translate.rules.destination_rules import hash_for_destination
from labkit.translate.rules.virtual_services import VirtualService
from labkit.translate.services.scope import Scope
from labkit.translate.services.service import Service
from labkit.translate.values import at, duration, hundred_percent, made_of, million_percent


@dataclass(frozen=True)
class Viewer:
    """Who asks for routes: its gateway names (`mesh` for a sidecar), labels, namespace, the port
    asked for, and whether the Gateway's server there has a `tls` block.
    """

    registry: Registry
    scope: Scope
    gateways: frozenset[str]
    labels: Mapping[str, str]
    namespace: str
    port: int
    tls: bool
    service: Callable[[str], Service | None]

    def hash_of(self, destination: Json) -> Json | None:
        """The consistentHash of a destination; None where no rule has one or the Service is not
        seen.
        """
        host = str(destination.get("host") or "")
        service = self.scope.called.get(host)
        if service is None:
            return None
        rules = self.registry.destination_rules
        rule = rules.find(host, service.namespace, self.namespace, self.labels)
        return hash_for_destination(rule, destination)

    def cluster_of(self, destination: Json) -> str:
        """The cluster of a destination. Its port, where none is said: the service's only one, or
        the port asked for.
        """
        host = str(destination.get("host") or "")
        number = at(destination, "port", "number")
        if number is None:
            service = self.service(host)
            number = service.ports[0].number if service and len(service.ports) == 1 else self.port
        return cluster_name(number, str(destination.get("subset") or ""), host)


class Route(dict[str, Any]):
    """A route that remembers what it was made of: the VirtualService, the number of the HTTP route
    in its `http`, and of the match in that (None for a route without one). As a message it is what
    it would be without.
    """

    __slots__ = ("http", "match", "vs")

    def __init__(self, message: Json, vs: VirtualService, http: int, match: int | None) -> None:
        super().__init__(message)
        self.vs, self.http, self.match = vs, http, match


def routes_of(vs: VirtualService, viewer: Viewer) -> list[Json]:
    """The routes of a VirtualService that hold for this proxy, up to the first that takes
    everything.

    Each match of a route is a route of its own; conditions on gateway, port, labels and namespace
    of the caller are decided here, the rest by Envoy.
    """
    found: list[Json] = []
    for number, http in enumerate(vs.http):
        matches = http.get("match") or [None]
        for index, match in enumerate(matches):
            if unconcerned(match, viewer):
                continue
            message = {
                **one_route(http, match, viewer),
                "metadata": made_of("VirtualService", vs.namespace, vs.name),
            }
            route = Route(message, vs, number, None if match is None else index)
            found.append(route)
            if match is None or is_catch_all(route):
                return found
        if not http.get("match"):
            return found
    return found


class Caller(Protocol):
    """Of a `Viewer`, what a match may ask of it."""

    @property
    def gateways(self) -> frozenset[str]: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def namespace(self) -> str: ...
    @property
    def port(self) -> int: ...


def unconcerned(match: Json | None, viewer: Caller) -> str:
    """The field by which a match can't hold for this proxy: its port, gateway, labels or namespace;
    "" where it may.
    """
    if match is None:
        return ""
    if match.get("port") and match["port"] != viewer.port:
        return "port"
    if match.get("gateways"):
        return "" if viewer.gateways & set(match["gateways"]) else "gateways"
    if any(viewer.labels.get(k) != v for k, v in (match.get("sourceLabels") or {}).items()):
        return "sourceLabels"
    return "" if match.get("sourceNamespace") in (None, "", viewer.namespace) else "sourceNamespace"


def one_route(http: Json, match: Json | None, viewer: Viewer) -> Json:
    """The Envoy route of one match of one HTTP route; None is the route without a match."""
    route: Json = {}
    name = str(http.get("name") or "")
    if match is not None and match.get("name"):
        name = f"{name}.{match['name']}"
    if name:
        route["name"] = name
    route["match"] = route_match(match)
    if match is not None and match.get("statPrefix"):
        route["stat_prefix"] = match["statPrefix"]
    operations = route_filters.header_operations(http.get("headers"))
    route.update(operations.fields)
    if http.get("redirect") is not None:
        route["redirect"] = redirect(http["redirect"], viewer.port, viewer.tls)
    elif http.get("directResponse") is not None:
        route["direct_response"] = direct_response(http["directResponse"])
    else:
        add_action(route, http, operations.authority, viewer)
    filters = route_filters.per_filter_config(http)
    if filters:
        route["typed_per_filter_config"] = filters
    return route


def add_action(route: Json, http: Json, authority: str, viewer: Viewer) -> None:
    """Adds where the requests go: cluster or weighted clusters, timeout, rewrite, mirrors, retries,
    hash.
    """
    timeout = duration(http["timeout"]) if http.get("timeout") else "0s"
    action: Json = {"timeout": timeout, "max_grpc_timeout": timeout}
    rewrite = http.get("rewrite")
    if rewrite is not None:
        regex = rewrite.get("uriRegexRewrite")
        if regex is not None:
            action["regex_rewrite"] = {
                "pattern": {"regex": str(regex.get("match") or "")},
                "substitution": str(regex.get("rewrite") or ""),
            }
        elif rewrite.get("uri"):
            action["prefix_rewrite"] = rewrite["uri"]
        authority = rewrite.get("authority") or authority
    if authority:
        action["host_rewrite_literal"] = authority
    mirrors = mirror_policies(http, viewer)
    if mirrors:
        action["request_mirror_policies"] = mirrors
    destinations = http.get("route") or []
    hashes = [viewer.hash_of(entry.get("destination") or {}) for entry in destinations]
    if len(destinations) == 1:
        add_destination(route, action, destinations[0], viewer)
    else:
        # A destination of weight 0 gets nothing, and its hash is not used.
        weighted = [(d, h) for d, h in zip(destinations, hashes, strict=True) if d.get("weight")]
        hashes = [h for _, h in weighted]
        action["weighted_clusters"] = {
            "clusters": [weighted_cluster(d, viewer) for d, _ in weighted]
        }
    policies = [policy for policy in map(hash_policy, hashes) if policy is not None]
    if policies:
        action["hash_policy"] = policies
    hashed = len(destinations) == 1 and hashes[0] is not None
    wanted = http.get("retries")
    wanted = viewer.registry.settings.retries if wanted is None else wanted
    retries = retry_policy(wanted, hashed)
    if retries is not None:
        action["retry_policy"] = retries
    route["route"] = action


def add_destination(route: Json, action: Json, entry: Json, viewer: Viewer) -> None:
    """The only destination of a route: its cluster, and its header operations among the route's."""
    action["cluster"] = viewer.cluster_of(entry.get("destination") or {})
    operations = route_filters.header_operations(entry.get("headers"))
    for key, values in operations.fields.items():
        route[key] = [*route.get(key, []), *values]
    if operations.authority:
        action.setdefault("host_rewrite_literal", operations.authority)


def weighted_cluster(entry: Json, viewer: Viewer) -> Json:
    """One of several destinations, with its weight and its own header operations."""
    operations = route_filters.header_operations(entry.get("headers"))
    found: Json = {
        "name": viewer.cluster_of(entry.get("destination") or {}),
        "weight": entry["weight"],
        **operations.fields,
    }
    if operations.authority:
        found["host_rewrite_literal"] = operations.authority
    return found


def hash_policy(consistent: Json | None) -> Json | None:
    """What a request is hashed by. None for a consistentHash that names no key."""
    if consistent is None:
        return None
    if consistent.get("httpHeaderName"):
        return {"header": {"header_name": consistent["httpHeaderName"]}}
    cookie = consistent.get("httpCookie")
    if cookie is not None:
        found: Json = {"name": cookie.get("name") or ""}
        if cookie.get("ttl") is not None:
            found["ttl"] = duration(cookie["ttl"])
        if cookie.get("path"):
            found["path"] = cookie["path"]
        if cookie.get("attributes"):
            found["attributes"] = [
                {key: a[key] for key in ("name", "value") if a.get(key)}
                for a in cookie["attributes"]
            ]
        return {"cookie": found}
    if consistent.get("useSourceIp") is not None:
        return {"connection_properties": {"source_ip": True} if consistent["useSourceIp"] else {}}
    if consistent.get("httpQueryParameterName"):
        return {"query_parameter": {"name": consistent["httpQueryParameterName"]}}
    return None


def mirror_policies(http: Json, viewer: Viewer) -> list[Json]:
    """A RequestMirrorPolicy for `mirror` and for each of `mirrors`; none for a share of 0."""
    found = []
    if http.get("mirror") is not None:
        fraction = mirror_fraction(http.get("mirrorPercentage"), http.get("mirrorPercent"))
        if fraction:
            found.append(mirror_policy(viewer.cluster_of(http["mirror"]), fraction))
    for mirror in http.get("mirrors") or []:
        fraction = mirror_fraction(mirror.get("percentage"), None)
        if fraction and mirror.get("destination") is not None:
            found.append(mirror_policy(viewer.cluster_of(mirror["destination"]), fraction))
    return found


def mirror_fraction(percentage: Json | None, whole: int | None) -> Json | None:
    """The share of requests to mirror: all where nothing is said, None for a share of 0."""
    if percentage is not None:
        return million_percent(percentage) if (percentage.get("value") or 0) > 0 else None
    if whole is not None:
        return hundred_percent(whole) if whole > 0 else None
    return hundred_percent(100)


def mirror_policy(cluster: str, fraction: Json) -> Json:
    """As istiod sets it: not sampled for tracing, and the Host without `-shadow`."""
    return {
        "cluster": cluster,
        "runtime_fraction": {"default_value": fraction},
        "trace_sampled": False,
        "disable_shadow_host_suffix_append": True,
    }


REDIRECT_CODES = {
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
"""301 is Envoy's default, and defaults are not written."""


def redirect(wanted: Json, port: int, tls: bool) -> Json:
    """An HTTPRedirect as Envoy's RedirectAction. `port` is the port asked for, for `derivePort`;
    with `tls` the usual port is that of https.
    """
    found: Json = {}
    if wanted.get("authority"):
        found["host_redirect"] = wanted["authority"]
    if wanted.get("prefixRewrite"):
        found["prefix_rewrite"] = wanted["prefixRewrite"]
    else:
        found["path_redirect"] = wanted.get("uri") or ""
    if wanted.get("scheme"):
        found["scheme_redirect"] = wanted["scheme"]
    number = wanted.get("port") or (port if wanted.get("derivePort") == "FROM_REQUEST_PORT" else 0)
    usual = {"http": 80, "https": 443}.get(wanted.get("scheme") or ("https" if tls else "http"))
    if number and number != usual:
        found["port_redirect"] = number
    code = REDIRECT_CODES.get(wanted.get("redirectCode") or 301)
    if code:
        found["response_code"] = code
    return found


def direct_response(wanted: Json) -> Json:
    """A fixed answer: its status and, if there is one, its body."""
    found: Json = {"status": wanted["status"]}
    body = wanted.get("body") or {}
    if body.get("string") is not None:
        found["body"] = {"inline_string": body["string"]}
    elif body.get("bytes") is not None:
        found["body"] = {"inline_bytes": body["bytes"]}
    return found

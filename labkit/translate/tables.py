"""What a proxy is given as tables, in the manner of `istioctl proxy-config`."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from labkit.jsontypes import Json
from labkit.resources.istio import SERVICE_DOMAIN
from labkit.translate.clusters import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER
from labkit.translate.model import ProxyConfig
from labkit.translate.on_a_cluster import as_on_a_cluster
from labkit.translate.values import at

Row = tuple[str, ...]
VIEWS = ("clusters", "routes", "listeners", "endpoints")
HEADS: dict[str, Row] = {
    "clusters": ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"),
    "routes": ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"),
    "listeners": ("ADDRESSES", "PORT", "MATCH", "DESTINATION"),
    "endpoints": ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"),
}


def messages(config: ProxyConfig, view: str) -> list[Json]:
    """The messages of a view, as a cluster's proxy has them."""
    if view == "listeners":
        return as_on_a_cluster(config.listeners)
    return list(getattr(config, view))


def chosen(
    config: ProxyConfig, view: str, *, service: str = "", port: int = 0
) -> tuple[list[Json], list[Json]]:
    """The messages of a view about a service (its full name, or one that begins with it) and a
    port, twice: as a cluster's proxy has them, and as they are here.

    Routes are chosen by their virtual hosts, of which only those that fit are left; listeners by
    what they lead to; endpoints by the port of their Service or their own.
    """
    routes = {
        route["name"]
        for route in config.routes
        if any(_is_about(host, service) for host in route.get("virtual_hosts", ()))
    }

    def fitting(found: Iterable[Json]) -> list[Json]:
        return [part for each in found for part in _chosen(each, view, service, port, routes)]

    return fitting(messages(config, view)), fitting(getattr(config, view))


def _chosen(
    message: Json, view: str, service: str, port: int, routes: Container[str]
) -> Iterator[Json]:
    if view == "listeners":
        number = message["address"]["socket_address"]["port_value"]
        if (not port or number == port) and (not service or _leads_to(message, service, routes)):
            yield message
        return
    if view == "routes":
        hosts = [
            host
            for host in message.get("virtual_hosts", ())
            if (not port or message["name"] == str(port) or host["name"].endswith(f":{port}"))
            and (not service or _is_about(host, service))
        ]
        if hosts:
            yield {**message, "virtual_hosts": hosts}
        return
    name = str(message.get("cluster_name") or message.get("name"))
    _, number_text, _, host = _split(name)
    if service and not _named(host, service):
        return
    if not port or number_text == str(port):
        yield message
    elif view == "endpoints":
        groups = [
            {**group, "lb_endpoints": rows}
            for group in message.get("endpoints", ())
            if (rows := [row for row in group.get("lb_endpoints", ()) if _port_of(row) == port])
        ]
        if groups:
            yield {**message, "endpoints": groups}


def _leads_to(listener: Json, service: str, routes: Container[str]) -> bool:
    """Whether a filter chain of a listener leads to a service, by a cluster or by routes."""
    for chain in _chains(listener):
        for filter_ in chain.get("filters", ()):
            config: dict[str, Any] = filter_.get("typed_config") or {}
            name = at(config, "rds", "route_config_name")
            host = _split(str(config.get("cluster") or ""))[3]
            if name in routes or _named(host, service):
                return True
    return False


def _chains(listener: Json) -> list[Json]:
    last = listener.get("default_filter_chain")
    return [*listener.get("filter_chains", ()), *([last] if last else [])]


def _port_of(row: Json) -> int:
    return int(at(row, "endpoint", "address", "socket_address", "port_value") or 0)


def _is_about(host: Json, service: str) -> bool:
    return any(_named(domain, service) for domain in host.get("domains", ())) or (
        f"|{service}" in str(host)
    )


def _named(host: str, service: str) -> bool:
    return host == service or host.startswith(f"{service}.")


def table(found: Sequence[Json], view: str) -> list[str]:
    """The lines of a view's table, its head first.

    >>> table(messages(config, "clusters"), "clusters")[0].split()[:2]
    ['SERVICE', 'FQDN']
    """
    rows = {
        "clusters": _clusters,
        "routes": _routes,
        "listeners": _listeners,
        "endpoints": _endpoints,
    }[view](found)
    whole = [HEADS[view], *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(HEADS[view]))]
    return [
        "     ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in whole
    ]


def _split(name: str) -> tuple[str, str, str, str]:
    """(direction, port, subset, host) of a cluster; its name alone where it is Istio's own."""
    parts = name.split("|")
    return (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 4 else ("", "", "", name)


def _clusters(found: Sequence[Json]) -> list[Row]:
    rows: list[tuple[Any, Row]] = []
    for cluster in found:
        direction, port, subset, host = _split(cluster["name"])
        rule = _owner(cluster)
        kind = str(cluster.get("type") or at(cluster, "cluster_type", "name") or "")
        row = (host, port or "-", subset or "-", direction or "-", kind, rule)
        rows.append(((host, subset, int(port or 0), direction), row))
    return [row for _, row in sorted(rows)]


def _owner(message: Json) -> str:
    """`name.namespace` of the object that a message comes from, by its metadata."""
    path = str(at(message, "metadata", "filter_metadata", "istio", "config") or "")
    parts = path.split("/")
    # /apis/networking.istio.io/v1/namespaces/NAMESPACE/KIND/NAME
    return f"{parts[-1]}.{parts[-3]}" if len(parts) >= 4 else ""


def _routes(found: Sequence[Json]) -> list[Row]:
    rows: list[Row] = []
    for routes in sorted(found, key=_number):
        for host in routes.get("virtual_hosts", ()):
            place = (routes["name"], host["name"], _domains(host.get("domains", [])))
            for route in host.get("routes", ()):
                if at(route, "route", "cluster") != PASSTHROUGH_CLUSTER:
                    rows.append((*place, _match(route.get("match") or {}), _owner(route)))
            if not host.get("routes"):
                rows.append((*place, "/*", "404"))
    return rows


def _number(routes: Json) -> tuple[bool, int]:
    """Route configurations that are a port come first, in its order."""
    name = str(routes["name"])
    return (False, int(name)) if name.isdecimal() else (True, 0)


def _domains(domains: Sequence[str]) -> str:
    """Two of the domains, without the longer forms of others."""
    if len(domains) < 2:
        return "".join(domains)
    short = [
        domain
        for domain in domains
        if ":" not in domain
        and not any(
            domain.endswith(end) and domain.removesuffix(end) in domains
            for end in (f".{SERVICE_DOMAIN}", ".svc")
        )
    ]
    more = f" + {len(short) - 2} more..." if len(short) > 2 else ""
    return ", ".join(short[:2]) + more


def _match(match: Json) -> str:
    """Of a match, the path that it asks for."""
    for field, text in (
        ("prefix", "{}*"),
        ("path", "{}"),
        ("path_separated_prefix", "PathPrefix:{}"),
    ):
        if match.get(field):
            return text.format(match[field])
    regex = at(match, "safe_regex", "regex")
    return f"regex {regex}" if regex else ""


def _listeners(found: Sequence[Json]) -> list[Row]:
    rows: list[Row] = []
    for listener in sorted(found, key=_place):
        number, address = _place(listener)
        chains = [(_destination(chain), _chain(chain)) for chain in _chains(listener)]
        chains.sort(key=lambda pair: pair[0], reverse=True)
        rows += [(address, str(number), match, destination) for destination, match in chains]
    return rows


def _place(listener: Json) -> tuple[int, str]:
    address = listener["address"]["socket_address"]
    return int(address["port_value"]), str(address["address"])


def _chain(chain: Json) -> str:
    """What a filter chain is for."""
    match = chain.get("filter_chain_match") or {}
    said = []
    if match.get("server_names"):
        said.append(f"SNI: {','.join(match['server_names'])}")
    if match.get("transport_protocol"):
        said.append(f"Trans: {match['transport_protocol']}")
    if match.get("application_protocols"):
        said.append(f"App: {','.join(match['application_protocols'])}")
    if match.get("destination_port"):
        said.append(f"Addr: *:{match['destination_port']}")
    return "; ".join(said) or "ALL"


def _destination(chain: Json) -> str:
    for filter_ in chain.get("filters", ()):
        config: dict[str, Any] = filter_.get("typed_config") or {}
        name = at(config, "rds", "route_config_name")
        if name:
            return f"Route: {name}"
        for host in at(config, "route_config", "virtual_hosts") or ():
            # an inbound chain has one host with one route: all to the application
            return _leading_to(str(host["routes"][0]["route"]["cluster"]))
        if config.get("cluster") and config["cluster"] != BLACKHOLE_CLUSTER:
            return _leading_to(str(config["cluster"]))
    return "Non-HTTP/Non-TCP"


def _leading_to(cluster: str) -> str:
    return cluster if "Cluster" in cluster else f"Cluster: {cluster}"


def _endpoints(found: Sequence[Json]) -> list[Row]:
    """OUTLIER CHECK is what it is before anybody has called; STATUS is what istiod says."""
    rows: list[tuple[Any, Row]] = []
    for assignment in found:
        for group in assignment.get("endpoints", ()):
            for row in group.get("lb_endpoints", ()):
                address = str(at(row, "endpoint", "address", "socket_address", "address"))
                name, port = str(assignment["cluster_name"]), _port_of(row)
                status = str(row.get("health_status") or "HEALTHY")
                rows.append(((address, port, name), (f"{address}:{port}", status, "OK", name)))
    return [row for _, row in sorted(rows)]

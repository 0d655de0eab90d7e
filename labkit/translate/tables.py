"""What a proxy is given as tables, in the manner of `istioctl proxy-config`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from labkit.jsontypes import Json
from labkit.translate.model import ProxyConfig
from labkit.translate.on_a_cluster import as_on_a_cluster
from labkit.translate.values import at

Row = tuple[str, ...]
VIEWS = ("clusters", "routes", "listeners", "endpoints")
HEADS: dict[str, Row] = {
    "clusters": ("SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"),
    "routes": ("NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"),
    "listeners": ("ADDRESS", "PORT", "MATCH", "DESTINATION"),
    "endpoints": ("ENDPOINT", "STATUS", "OUTLIER CHECK", "CLUSTER"),
}


def messages(config: ProxyConfig, view: str) -> list[Json]:
    """The messages of a view, as a cluster's proxy has them."""
    if view == "listeners":
        return as_on_a_cluster(config.listeners)
    return list(getattr(config, view))


def chosen(found: Iterable[Json], view: str, *, service: str = "", port: int = 0) -> list[Json]:
    """The messages about a service (its full name, or one that begins with it) and a port.

    Routes are chosen by their virtual hosts, of which only those that fit are left.
    """
    return [part for each in found for part in _chosen(each, view, service, port)]


def _chosen(message: Json, view: str, service: str, port: int) -> Iterator[Json]:
    if view == "listeners":
        number = message["address"]["socket_address"]["port_value"]
        if (not port or number == port) and (not service or service in str(message)):
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
    if (not port or number_text == str(port)) and (not service or _named(host, service)):
        yield message


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
    rows: list[Row] = []
    for cluster in found:
        direction, port, subset, host = _split(cluster["name"])
        rule = _owner(cluster)
        kind = str(cluster.get("type") or at(cluster, "cluster_type", "name") or "")
        rows.append((host, port or "-", subset or "-", direction or "-", kind, rule))
    return sorted(rows)


def _owner(message: Json) -> str:
    """`name.namespace` of the object that a message comes from, by its metadata."""
    path = str(at(message, "metadata", "filter_metadata", "istio", "config") or "")
    parts = path.split("/")
    # /apis/networking.istio.io/v1/namespaces/NAMESPACE/KIND/NAME
    return f"{parts[-1]}.{parts[-3]}" if len(parts) >= 4 else ""


def _routes(found: Sequence[Json]) -> list[Row]:
    rows: list[Row] = []
    for routes in found:
        for host in routes.get("virtual_hosts", ()):
            domains = host.get("domains", [])
            more = f" + {len(domains) - 2} more..." if len(domains) > 2 else ""
            for route in host.get("routes") or [{}]:
                match = _match(route.get("match") or {})
                shown = ", ".join(domains[:2]) + more
                rows.append((routes["name"], host["name"], shown, match, _owner(route)))
    return rows


def _match(match: Json) -> str:
    """Of a match, the path that it asks for."""
    for field, text in (
        ("prefix", "{}*"),
        ("path", "{}"),
        ("path_separated_prefix", "{}*"),
    ):
        if match.get(field):
            return text.format(match[field])
    regex = at(match, "safe_regex", "regex")
    return f"regex {regex}" if regex else "/*"


def _listeners(found: Sequence[Json]) -> list[Row]:
    rows: list[Row] = []
    for listener in found:
        address = listener["address"]["socket_address"]
        place = (address["address"], str(address["port_value"]))
        chains = [(chain, _chain(chain)) for chain in listener.get("filter_chains", ())]
        last = listener.get("default_filter_chain")
        if last:
            chains.append((last, "ALL"))
        rows += [(*place, match, _destination(chain)) for chain, match in chains]
    return rows


def _chain(chain: Json) -> str:
    """What a filter chain is for."""
    match = chain.get("filter_chain_match") or {}
    said = []
    if match.get("transport_protocol"):
        said.append(f"Trans: {match['transport_protocol']}")
    if match.get("application_protocols"):
        said.append(f"App: {','.join(match['application_protocols'])}")
    if match.get("server_names"):
        said.append(f"SNI: {','.join(match['server_names'])}")
    if match.get("destination_port"):
        said.append(f"Port: {match['destination_port']}")
    return "; ".join(said) or "ALL"


def _destination(chain: Json) -> str:
    for filter_ in chain.get("filters", ()):
        config: dict[str, Any] = filter_.get("typed_config") or {}
        name = at(config, "rds", "route_config_name")
        if name:
            return f"Route: {name}"
        hosts = at(config, "route_config", "virtual_hosts")
        if hosts:
            return f"Inline Route: {', '.join(_targets(hosts))}"
        if config.get("cluster"):
            return f"Cluster: {config['cluster']}"
    return "-"


def _targets(hosts: Sequence[Json]) -> list[str]:
    routes = [route for host in hosts for route in host.get("routes", ())]
    return [_match(route.get("match") or {}) for route in routes]


def _endpoints(found: Sequence[Json]) -> list[Row]:
    rows: list[Row] = []
    for assignment in found:
        for group in assignment.get("endpoints", ()):
            for row in group.get("lb_endpoints", ()):
                address = at(row, "endpoint", "address", "socket_address") or {}
                place = f"{address.get('address')}:{address.get('port_value')}"
                status = str(row.get("health_status") or "HEALTHY")
                rows.append((place, status, "OK", str(assignment["cluster_name"])))
    return rows

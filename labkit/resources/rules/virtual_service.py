"""What Istio's webhook checks of a VirtualService, beyond its schema."""

from __future__ import annotations

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import HOST_FORM, host_problem, inside, ip_address, ip_subnet, overlap
from labkit.resources.rules.routes.http_route import check_http_route, gateway_names, is_jwt_claim
from labkit.resources.rules.routes.reachability import check_reachability
from labkit.resources.rules.shared import (
    Fields,
    block,
    destination,
    export_to,
    items,
    labels,
    own_annotations,
    port,
    weights,
)


def check_virtual_service(report: Report) -> None:
    """Adds what the webhook would say to the report. The structure must be right already."""
    own_annotations(report)
    spec = report.resource.spec
    hosts, gateways = items(spec, "hosts"), items(spec, "gateways")
    if not hosts:
        # Without hosts it can only be what another VirtualService delegates to.
        for name in ("gateways", "tls", "tcp"):
            if items(spec, name):
                report.error(
                    ("spec", name),
                    f"a VirtualService without hosts is a delegate and can't have `{name}`",
                    hint="add `hosts`, such as the name of the service",
                )
    gateway_names(gateways, ("spec", "gateways"), report)
    at_gateway = bool(gateways) and "mesh" not in gateways
    if not at_gateway:
        _no_jwt_claims(spec, report)
    _hosts(hosts, at_gateway, spec, report)
    if not any(items(spec, name) for name in ("http", "tcp", "tls")):
        report.error(
            ("spec", "http"),
            "a VirtualService needs at least one route",
            allowed="http, tcp or tls",
        )
    for index, route in enumerate(items(spec, "http")):
        check_http_route(route, ("spec", "http", index), report, delegate=not hosts)
    for index, route in enumerate(items(spec, "tls")):
        _tls_route(route, ("spec", "tls", index), hosts, at_gateway or not gateways, report)
    for index, route in enumerate(items(spec, "tcp")):
        _tcp_route(route, ("spec", "tcp", index), report)
    export_to(spec, report)
    check_reachability(spec, report)


def _no_jwt_claims(spec: Fields, report: Report) -> None:
    for index, route in enumerate(items(spec, "http")):
        for number, match in enumerate(items(route, "match")):
            for name in ("headers", "withoutHeaders"):
                for key in match.get(name) or {}:
                    if is_jwt_claim(key):
                        report.error(
                            ("spec", "http", index, "match", number, name, key),
                            "routing by a claim of a JWT works at a gateway only",
                            found=key,
                        )


def _hosts(hosts: list[str], at_gateway: bool, spec: Fields, report: Report) -> None:
    path: Path = ("spec", "hosts")
    sni = any(
        items(match, "sniHosts") for route in items(spec, "tls") for match in items(route, "match")
    )
    good = True
    for index, host in enumerate(hosts):
        problem = sni_problem(host) if at_gateway and sni else host_problem(host)
        if problem and not ip_address(host):
            report.error((*path, index), f"not a host: {problem}", found=host, allowed=HOST_FORM)
            good = False
        elif not problem and not at_gateway and host == "*":
            report.error(
                (*path, index),
                "the host `*` is for a VirtualService at a gateway, not for the mesh",
                found=host,
                hint="name a gateway in `gateways`, or name the hosts",
            )
            good = False
    if not good:
        return
    for index, host in enumerate(hosts):
        for other in range(index + 1, len(hosts)):
            if overlap(host, hosts[other]):
                report.error(
                    (*path, other),
                    f'the host is the same as, or covered by, "{host}"',
                    found=hosts[other],
                )


def sni_problem(host: str) -> str:
    """What is wrong with a host of a gateway that looks at the server name of TLS."""
    if not host.startswith("outbound_") or len(host) > 255:
        return host_problem(host)
    parts = host.split("_")
    if len(parts) < 4 or not any(letter.isdigit() for letter in parts[1]):
        return "it does not follow outbound_.PORT_._.HOST"
    return (
        ""
        if any("a" <= letter.lower() <= "z" for letter in parts[3])
        else "it does not follow outbound_.PORT_._.HOST"
    )


def _tls_route(
    route: Fields, path: Path, hosts: list[str], at_gateway: bool, report: Report
) -> None:
    if not items(route, "match"):
        report.error((*path, "match"), "a route for TLS needs at least one match")
    for index, match in enumerate(items(route, "match")):
        place = (*path, "match", index)
        if not items(match, "sniHosts"):
            report.error((*place, "sniHosts"), "a match for TLS needs at least one host")
        for number, host in enumerate(items(match, "sniHosts")):
            _sni_host(host, (*place, "sniHosts", number), hosts, at_gateway, report)
        _connection_match(match, place, report)
    _route(route, path, report)


def _sni_host(host: str, path: Path, hosts: list[str], at_gateway: bool, report: Report) -> None:
    problem = sni_problem(host) if at_gateway else host_problem(host)
    if problem and ip_address(host):
        report.warning(path, "an address as server name: most clients do not send one", found=host)
    elif problem:
        report.error(path, f"not a host: {problem}", found=host, allowed=HOST_FORM)
    elif not any(inside(host, whole) for whole in hosts):
        report.error(
            path,
            "not one of the hosts of this VirtualService",
            found=host,
            allowed=", ".join(hosts) or "(no hosts)",
        )


def _tcp_route(route: Fields, path: Path, report: Report) -> None:
    for index, match in enumerate(items(route, "match")):
        _connection_match(match, (*path, "match", index), report.errors_only())
    _route(route, path, report)


def _connection_match(match: Fields, path: Path, report: Report) -> None:
    """What matches for TLS and TCP have in common."""
    for index, subnet in enumerate(items(match, "destinationSubnets")):
        if not ip_subnet(subnet):
            report.error(
                (*path, "destinationSubnets", index),
                "not a subnet",
                found=subnet,
                allowed="10.1.2.0/24",
            )
    if match.get("port"):
        port(match["port"], (*path, "port"), report)
    labels(match.get("sourceLabels"), (*path, "sourceLabels"), report)
    gateway_names(items(match, "gateways"), (*path, "gateways"), report)


def _route(route: Fields, path: Path, report: Report) -> None:
    destinations = items(route, "route")
    if not destinations:
        report.error((*path, "route"), "the field is required and missing")
    weights(destinations, (*path, "route"), report)
    for index, item in enumerate(destinations):
        destination(block(item, "destination"), (*path, "route", index, "destination"), report)

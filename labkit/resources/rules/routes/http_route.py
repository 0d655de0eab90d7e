"""What Istio's webhook checks of one HTTP route of a VirtualService."""

from __future__ import annotations

from typing import Any

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import fqdn_problem, istio_label
from labkit.resources.rules.routes.headers import check_headers, header_match_problem, is_jwt_claim
from labkit.resources.rules.routes.http_actions import (
    check_cors,
    check_direct_response,
    check_fault,
    check_mirror,
    check_redirect,
    check_retries,
)
from labkit.resources.rules.shared import (
    Fields,
    block,
    destination,
    duration,
    items,
    labels,
    port,
    regex,
    weights,
)

__all__ = ["check_http_route", "gateway_names", "is_jwt_claim"]


def check_http_route(route: Fields, path: Path, report: Report, *, delegate: bool) -> None:
    """Adds what the webhook would say of one route. `delegate`: the VirtualService has no hosts."""
    _action(route, path, report, delegate=delegate)
    for index, match in enumerate(items(route, "match")):
        _match(match, (*path, "match", index), report)
    check_headers(block(route, "headers"), (*path, "headers"), report)
    _authority_once(route, path, report)
    check_cors(block(route, "corsPolicy"), (*path, "corsPolicy"), report)
    check_fault(block(route, "fault"), (*path, "fault"), report)
    check_mirror(route, path, report)
    check_redirect(block(route, "redirect"), items(route, "match"), (*path, "redirect"), report)
    check_direct_response(block(route, "directResponse"), (*path, "directResponse"), report)
    check_retries(block(route, "retries"), (*path, "retries"), report)
    _rewrite(block(route, "rewrite"), (*path, "rewrite"), report)
    _destinations(items(route, "route"), (*path, "route"), report)
    duration(route, "timeout", path, report)


def gateway_names(gateways: list[str], path: Path, report: Report) -> None:
    """References to gateways: `name`, `namespace/name`, `mesh`."""
    for index, name in enumerate(gateways):
        namespace, slash, rest = name.partition("/")
        place = (*path, index)
        if not slash:
            parts = name.split(".")
            if len(parts) > 1:
                report.warning(
                    place,
                    "an old way to name a gateway",
                    found=name,
                    hint=f'write "{parts[1]}/{parts[0]}"',
                )
            problem = fqdn_problem(name)
            if problem:
                report.error(
                    place,
                    f"not the name of a gateway: {problem}",
                    found=name,
                    allowed="namespace/name",
                )
            # Istio looks no further after a name without a namespace.
            return
        if not istio_label(namespace) or not istio_label(rest):
            report.error(place, "not the name of a gateway", found=name, allowed="namespace/name")


def _action(route: Fields, path: Path, report: Report, *, delegate: bool) -> None:
    """A route does exactly one thing: forward, redirect, answer, or delegate."""
    has_route = bool(items(route, "route"))
    redirect, answer = block(route, "redirect"), block(route, "directResponse")
    if block(route, "delegate") is not None:
        if not delegate:
            for name, present in (
                ("redirect", redirect is not None),
                ("route", route.get("route") is not None),
            ):
                if present and (name != "route" or has_route):
                    report.error((*path, name), f"a route that delegates can't have `{name}`")
            return
        report.error(
            (*path, "delegate"),
            "a VirtualService without hosts is a delegate itself and can't delegate",
        )
    first = "redirect" if redirect is not None else "directResponse" if answer is not None else ""
    if first:
        others = {
            "route": has_route,
            "fault": block(route, "fault") is not None,
            "rewrite": block(route, "rewrite") is not None,
            "directResponse": first == "redirect" and answer is not None,
        }
        for name, present in others.items():
            if present:
                report.error(
                    (*path, name),
                    f"a route with `{first}` can't also have `{name}`",
                    hint=f"remove `{name}`",
                )
    elif not has_route:
        report.error(
            (*path, "route"),
            "the route does nothing",
            allowed="route, redirect or directResponse is required",
        )
    if block(route, "mirror") is not None and items(route, "mirrors"):
        report.error((*path, "mirrors"), "only one of mirror and mirrors may be set")


def _match(match: Fields, path: Path, report: Report) -> None:
    for name in ("headers", "withoutHeaders"):
        for key, value in (match.get(name) or {}).items():
            problem = header_match_problem(key)
            if problem:
                report.error((*path, name, key), problem, found=key)
            if name == "headers" or value.get("regex") != "*":
                _string(value, (*path, name, key), report)
    # An empty prefix of a path matches all; of the others Envoy allows none.
    _string(match.get("uri"), (*path, "uri"), report, empty_prefix=True)
    for name in ("scheme", "method", "authority"):
        _string(match.get(name), (*path, name), report)
    for key, value in (match.get("queryParams") or {}).items():
        _string(value, (*path, "queryParams", key), report)
    if match.get("port"):
        port(match["port"], (*path, "port"), report)
    labels(match.get("sourceLabels"), (*path, "sourceLabels"), report)
    gateway_names(items(match, "gateways"), (*path, "gateways"), report.errors_only())
    namespace = match.get("sourceNamespace")
    if namespace and not istio_label(namespace):
        report.error((*path, "sourceNamespace"), "not the name of a namespace", found=namespace)


def _string(match: Any, path: Path, report: Report, *, empty_prefix: bool = False) -> None:
    """exact, prefix or regex."""
    if not match:
        return
    if match.get("prefix") == "" and not empty_prefix:
        report.error(
            (*path, "prefix"),
            "the prefix is empty",
            found="",
            hint="leave the match out to match all",
        )
    if "regex" in match:
        regex(match["regex"], (*path, "regex"), report)


def _authority_once(route: Fields, path: Path, report: Report) -> None:
    """The host of a request can be rewritten in one place only."""
    request = block(block(route, "headers"), "request") or {}
    current = (block(route, "rewrite") or {}).get("authority") or ""
    for name in ("set", "add"):
        for key, value in (request.get(name) or {}).items():
            if key.lower() not in (":authority", "host"):
                continue
            if current:
                report.error(
                    (*path, "headers", "request", name, key),
                    "the host is set a second time",
                    found=value,
                )
                return
            current = value


def _rewrite(rewrite: Fields | None, path: Path, report: Report) -> None:
    if rewrite is None:
        return
    expression = block(rewrite, "uriRegexRewrite")
    if rewrite.get("uri") and expression is not None:
        report.error((*path, "uriRegexRewrite"), "only one of uri and uriRegexRewrite may be set")
    elif not rewrite.get("uri") and expression is None and not rewrite.get("authority"):
        report.error(
            path, "a rewrite must say what to rewrite", allowed="uri, uriRegexRewrite, authority"
        )
    elif expression is not None:
        for name in ("match", "rewrite"):
            if not expression.get(name):
                report.error((*path, "uriRegexRewrite", name), "the field is required and missing")
        if expression.get("match"):
            regex(expression["match"], (*path, "uriRegexRewrite", "match"), report)


def _destinations(destinations: list[Fields], path: Path, report: Report) -> None:
    weights(destinations, path, report)
    for index, item in enumerate(destinations):
        check_headers(block(item, "headers"), (*path, index, "headers"), report)
        destination(block(item, "destination"), (*path, index, "destination"), report)

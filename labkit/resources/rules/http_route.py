"""What Istio's webhook checks of one HTTP route of a VirtualService."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from labkit.resources.durations import nanoseconds
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import fqdn_problem, header_name, istio_label
from labkit.resources.rules.headers import check_headers, header_match_problem, is_jwt_claim
from labkit.resources.rules.shared import (
    Fields,
    block,
    destination,
    duration,
    items,
    labels,
    port,
    weights,
)
from labkit.resources.words import closest

__all__ = ["check_http_route", "gateway_names", "is_jwt_claim"]

_RETRY_ON = (
    *("5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx"),
    *("refused-stream", "retriable-status-codes", "retriable-headers", "envoy-ratelimited"),
    *(
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
    ),
    "unavailable",
)
_STATUS = {
    *(100, 101, 102, 103),
    *(200, 201, 202, 203, 204, 205, 206, 207, 208, 226),
    *(300, 301, 302, 303, 304, 305, 307, 308),
    *range(400, 419),
    *(421, 422, 423, 424, 425, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511),
}
_GRPC = (
    *(
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
    ),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
_CORS_METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "*",
)
_MEBIBYTE = 2**20


def check_http_route(route: Fields, path: Path, report: Report, *, delegate: bool) -> None:
    """Adds what the webhook would say of one route. `delegate`: the VirtualService has no hosts."""
    _action(route, path, report, delegate=delegate)
    for index, match in enumerate(items(route, "match")):
        _match(match, (*path, "match", index), report)
    check_headers(block(route, "headers"), (*path, "headers"), report)
    _authority_once(route, path, report)
    _cors(block(route, "corsPolicy"), (*path, "corsPolicy"), report)
    _fault(block(route, "fault"), (*path, "fault"), report)
    _mirror(route, path, report)
    _redirect(block(route, "redirect"), items(route, "match"), (*path, "redirect"), report)
    _direct_response(block(route, "directResponse"), (*path, "directResponse"), report)
    _retries(block(route, "retries"), (*path, "retries"), report)
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


def regex(text: str, path: Path, report: Report) -> None:
    """A regular expression of RE2, of at most 1024 bytes."""
    if text == "":
        report.error(path, "the regular expression is empty", found="")
        return
    if len(text.encode()) > 1024:
        report.error(path, "the regular expression is too long", allowed="at most 1024 bytes")
        return
    from labkit.resources.regex import problem  # a large table, for few manifests

    wrong = problem(text)
    if wrong:
        report.error(path, f"not a regular expression of RE2: {wrong}", found=text)


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


def _cors(policy: Fields | None, path: Path, report: Report) -> None:
    for index, origin in enumerate(items(policy, "allowOrigins")):
        if not any(origin.get(name) for name in ("exact", "prefix", "regex")):
            report.error(
                (*path, "allowOrigins", index),
                "an origin needs exact, prefix or regex",
                found=origin,
            )
        elif "regex" in origin:
            regex(origin["regex"], (*path, "allowOrigins", index, "regex"), report)
    for index, method in enumerate(items(policy, "allowMethods")):
        if method not in _CORS_METHODS:
            report.error(
                (*path, "allowMethods", index),
                "not a method",
                found=method,
                allowed=", ".join(_CORS_METHODS),
            )
    for name in ("allowHeaders", "exposeHeaders"):
        for index, header in enumerate(items(policy, name)):
            if not header_name(header):
                report.error((*path, name, index), "not the name of a header", found=header)
    if policy is not None:
        before = len(report.findings)
        duration(policy, "maxAge", path, report)
        age = policy.get("maxAge")
        if (
            isinstance(age, str)
            and len(report.findings) == before
            and (nanoseconds(age) or 0) % 10**9
        ):
            report.error(
                (*path, "maxAge"),
                "the duration is finer than a second",
                found=age,
                allowed="whole seconds",
            )


def _fault(fault: Fields | None, path: Path, report: Report) -> None:
    if fault is None:
        return
    abort, delay = block(fault, "abort"), block(fault, "delay")
    if abort is None and delay is None:
        report.error(path, "a fault needs an abort or a delay", allowed="abort, delay")
    if abort is not None:
        _fault_percentage(abort, (*path, "abort"), report)
        if "grpcStatus" in abort:
            if abort["grpcStatus"] not in _GRPC:
                near = closest(abort["grpcStatus"], _GRPC)
                report.error(
                    (*path, "abort", "grpcStatus"),
                    "not a status of gRPC",
                    found=abort["grpcStatus"],
                    allowed=", ".join(_GRPC),
                    hint=f"did you mean `{near}`?" if near else "",
                )
        elif "http2Error" in abort:
            report.error(
                (*path, "abort", "http2Error"), "not supported by Istio", hint="use httpStatus"
            )
        elif "httpStatus" in abort:
            _status(abort["httpStatus"], (*path, "abort", "httpStatus"), report)
    if delay is not None:
        _fault_percentage(delay, (*path, "delay"), report)
        duration(delay, "fixedDelay", (*path, "delay"), report)
        if "exponentialDelay" in delay:
            report.error(
                (*path, "delay", "exponentialDelay"),
                "not supported by Istio",
                hint="use fixedDelay",
            )


def _fault_percentage(part: Fields, path: Path, report: Report) -> None:
    value = (block(part, "percentage") or {}).get("value") or 0
    if not 0 <= value <= 100 or 0 < value < 0.0001:
        report.error(
            (*path, "percentage", "value"),
            "not a percentage",
            found=value,
            allowed="0, or 0.0001 to 100",
        )


def _status(value: int, path: Path, report: Report) -> None:
    # 600 passes at Istio too, though its own message says 599.
    if not 200 <= value <= 600:
        report.error(path, "not a status of HTTP", found=value, allowed="200 to 599")


def _mirror(route: Fields, path: Path, report: Report) -> None:
    for name in ("mirrorPercent", "mirror_percent"):
        if route.get(name) is None:
            continue
        if route[name] > 100:
            report.error((*path, name), "not a percentage", found=route[name], allowed="0 to 100")
        report.warning((*path, name), f"{name} is deprecated", hint="use mirrorPercentage")
    _percentage(route.get("mirrorPercentage"), (*path, "mirrorPercentage"), report)
    destination(block(route, "mirror"), (*path, "mirror"), report)
    for index, mirror in enumerate(items(route, "mirrors")):
        place = (*path, "mirrors", index)
        destination(block(mirror, "destination"), (*place, "destination"), report)
        _percentage(mirror.get("percentage"), (*place, "percentage"), report)


def _percentage(value: Any, path: Path, report: Report) -> None:
    number = (value or {}).get("value") or 0
    if not 0 <= number <= 100:
        report.error((*path, "value"), "not a percentage", found=number, allowed="0 to 100")


def _redirect(redirect: Fields | None, matches: list[Fields], path: Path, report: Report) -> None:
    if redirect is None:
        return
    if redirect.get("uri") and redirect.get("prefixRewrite"):
        report.error((*path, "prefixRewrite"), "only one of uri and prefixRewrite may be set")
    if redirect.get("prefixRewrite") and any(
        match.get("uri") and "prefix" not in match["uri"] for match in matches
    ):
        report.error(
            (*path, "prefixRewrite"), "prefixRewrite works only where every match is a prefix"
        )
    if not any(
        redirect.get(name) for name in ("uri", "prefixRewrite", "authority", "scheme")
    ) and not ("port" in redirect or "derivePort" in redirect):
        report.error(
            path,
            "a redirect must say where to",
            allowed="uri, prefixRewrite, authority, scheme, port",
        )
    code = redirect.get("redirectCode") or 0
    if code and not 300 <= code <= 399:
        report.error(
            (*path, "redirectCode"), "not a status of a redirect", found=code, allowed="300 to 399"
        )
    scheme = redirect.get("scheme") or "http"
    if scheme not in ("http", "https"):
        report.error((*path, "scheme"), "not a known value", found=scheme, allowed="http, https")
    if redirect.get("port"):
        port(redirect["port"], (*path, "port"), report)


def _direct_response(answer: Fields | None, path: Path, report: Report) -> None:
    if answer is None:
        return
    _status(answer.get("status") or 0, (*path, "status"), report)
    body = block(answer, "body") or {}
    size = len((body.get("string") or "").encode())
    if body.get("bytes"):
        try:
            size = len(base64.b64decode(body["bytes"], validate=True))
        except (binascii.Error, ValueError):
            report.error((*path, "body", "bytes"), "not base64", found=body["bytes"])
    if size > _MEBIBYTE:
        report.error((*path, "body"), "the body is too large", found=size, allowed="at most 1 MiB")
    elif size > _MEBIBYTE // 1024 * 100:
        report.warning((*path, "body"), "a large body burdens the control plane", found=size)


def _retries(retries: Fields | None, path: Path, report: Report) -> None:
    if retries is None:
        return
    attempts = retries.get("attempts") or 0
    if attempts < 0:
        report.error(
            (*path, "attempts"), "the number can't be negative", found=attempts, allowed="0 or more"
        )
    useless = [
        name
        for name in ("perTryTimeout", "retryOn", "retryRemoteLocalities")
        if retries.get(name) not in (None, "")
    ]
    if attempts == 0 and useless:
        report.error(
            (*path, "attempts"),
            f"0 attempts means no retries, so that {' and '.join(useless)} can't be set",
            found=attempts,
            hint="set `attempts`, such as `attempts: 2`",
        )
    duration(retries, "perTryTimeout", path, report)
    duration(retries, "backoff", path, report)
    for condition in (retries.get("retryOn") or "").split(",") if retries.get("retryOn") else ():
        number = (
            int(condition)
            if condition.lstrip("+-").isascii() and condition.lstrip("+-").isdigit()
            else 0
        )
        if condition not in _RETRY_ON and number not in _STATUS:
            near = closest(condition.strip(), _RETRY_ON)
            report.error(
                (*path, "retryOn"),
                "not a condition for a retry",
                found=condition,
                allowed=", ".join(_RETRY_ON) + ", or a status such as 503",
                hint=f"did you mean `{near}`?" if near else "",
            )


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

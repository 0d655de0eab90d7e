"""What Istio's webhook checks of what an HTTP route does besides leading somewhere: CORS, faults,
mirrors, redirects, responses of its own, retries.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from labkit.resources.durations import nanoseconds
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import header_name
from labkit.resources.protocols import GRPC_CODES
from labkit.resources.rules.shared import Fields, block, destination, duration, items, port, regex
from labkit.resources.words import closest

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


def check_cors(policy: Fields | None, path: Path, report: Report) -> None:
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


def check_fault(fault: Fields | None, path: Path, report: Report) -> None:
    if fault is None:
        return
    abort, delay = block(fault, "abort"), block(fault, "delay")
    if abort is None and delay is None:
        report.error(path, "a fault needs an abort or a delay", allowed="abort, delay")
    if abort is not None:
        _fault_percentage(abort, (*path, "abort"), report)
        if "grpcStatus" in abort:
            if abort["grpcStatus"] not in GRPC_CODES:
                near = closest(abort["grpcStatus"], GRPC_CODES)
                report.error(
                    (*path, "abort", "grpcStatus"),
                    "not a status of gRPC",
                    found=abort["grpcStatus"],
                    allowed=", ".join(GRPC_CODES),
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


def check_mirror(route: Fields, path: Path, report: Report) -> None:
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


def check_redirect(
    redirect: Fields | None, matches: list[Fields], path: Path, report: Report
) -> None:
    if redirect is None:
        return
    if redirect.get("uri") and redirect.get("prefixRewrite"):
        report.error((*path, "prefixRewrite"), "only one of uri and prefixRewrite may be set")
    if redirect.get("prefixRewrite") and any(
        "prefix" not in match["uri"] for match in matches if match.get("uri") is not None
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


def check_direct_response(answer: Fields | None, path: Path, report: Report) -> None:
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


def check_retries(retries: Fields | None, path: Path, report: Report) -> None:
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

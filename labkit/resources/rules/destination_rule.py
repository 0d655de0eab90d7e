"""What Istio's webhook checks of a DestinationRule, beyond its schema."""

from __future__ import annotations

import math
from typing import Any

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import fqdn_problem, ip_address
from labkit.resources.rules.locality import locality_setting, zone_aware_setting
from labkit.resources.rules.shared import (
    Fields,
    any_duration,
    block,
    client_tls,
    duration,
    export_to,
    host,
    items,
    labels,
    own_annotations,
    port,
    subset_name,
)

_POLICY = (
    "outlierDetection",
    "connectionPool",
    "loadBalancer",
    "tls",
    "portLevelSettings",
    "tunnel",
    "proxyProtocol",
    "retryBudget",
)
_PORT_POLICY = ("outlierDetection", "connectionPool", "loadBalancer", "tls")


def check_destination_rule(report: Report) -> None:
    """Adds what the webhook would say to the report. The structure must be right already."""
    own_annotations(report)
    spec = report.resource.spec
    host(spec.get("host") or "", ("spec", "host"), report)
    _policy(block(spec, "trafficPolicy"), ("spec", "trafficPolicy"), report)
    seen: set[str] = set()
    for index, subset in enumerate(items(spec, "subsets")):
        path: Path = ("spec", "subsets", index)
        name = subset.get("name") or ""
        if name in seen:
            report.error((*path, "name"), "two subsets of the same name", found=name)
        seen.add(name)
        subset_name(name, (*path, "name"), report)
        labels(subset.get("labels"), (*path, "labels"), report)
        _policy(block(subset, "trafficPolicy"), (*path, "trafficPolicy"), report.errors_only())
    selector = block(spec, "workloadSelector")
    export_to(spec, report, selects_workloads=selector is not None)
    if selector is not None and not selector.get("matchLabels"):
        report.warning(("spec", "workloadSelector"), "the selector has no labels")


def _policy(policy: Fields | None, path: Path, report: Report) -> None:
    if policy is None:
        return
    if not any(policy.get(name) not in (None, []) for name in _POLICY):
        report.error(
            path,
            "a traffic policy needs at least one field",
            found=policy,
            allowed=", ".join(_POLICY),
        )
        return
    if block(policy, "tunnel") is not None and block(policy, "proxyProtocol") is not None:
        report.error((*path, "tunnel"), "tunnel and proxyProtocol can't be set together")
        return
    _settings(policy, path, report)
    for index, setting in enumerate(items(policy, "portLevelSettings")):
        place = (*path, "portLevelSettings", index)
        if block(setting, "port") is None:
            report.error((*place, "port"), "a setting for a port must say which port")
        if any(block(setting, name) is not None for name in _PORT_POLICY):
            _settings(setting, place, report.errors_only())
        else:
            report.error(
                place,
                "a setting for a port needs at least one field",
                allowed=", ".join(_PORT_POLICY),
            )
    _tunnel(block(policy, "tunnel"), (*path, "tunnel"), report)
    any_duration(
        block(policy, "retryBudget") or {}, "budgetInterval", (*path, "retryBudget"), report
    )


def _settings(policy: Fields, path: Path, report: Report) -> None:
    """What a traffic policy and a setting for one port have in common."""
    outlier = block(policy, "outlierDetection")
    _outlier(outlier, (*path, "outlierDetection"), report)
    _pool(block(policy, "connectionPool"), (*path, "connectionPool"), report)
    _balancer(block(policy, "loadBalancer"), outlier, (*path, "loadBalancer"), report)
    client_tls(block(policy, "tls"), (*path, "tls"), report)


def _outlier(outlier: Fields | None, path: Path, report: Report) -> None:
    if outlier is None:
        return
    duration(outlier, "baseEjectionTime", path, report)
    duration(outlier, "interval", path, report)
    if outlier.get("consecutiveErrors"):
        report.warning(
            (*path, "consecutiveErrors"),
            "consecutiveErrors is deprecated",
            hint="use consecutive5xxErrors or consecutiveGatewayErrors",
        )
    if outlier.get("consecutiveLocalOriginFailures") and not outlier.get(
        "splitExternalLocalOriginErrors"
    ):
        report.error(
            (*path, "consecutiveLocalOriginFailures"),
            "counts only with splitExternalLocalOriginErrors: true",
            found=outlier["consecutiveLocalOriginFailures"],
            hint="set splitExternalLocalOriginErrors: true, or remove this field",
        )
    for name in ("maxEjectionPercent", "minHealthPercent"):
        value = outlier.get(name) or 0
        if not 0 <= value <= 100:
            report.error((*path, name), "not a percentage", found=value, allowed="0 to 100")


def _pool(pool: Fields | None, path: Path, report: Report) -> None:
    if pool is None:
        return
    http, tcp = block(pool, "http"), block(pool, "tcp")
    if http is None and tcp is None:
        report.error(path, "a connection pool needs at least one field", allowed="http, tcp")
    if http is not None:
        _not_negative(
            http,
            (
                "http1MaxPendingRequests",
                "http2MaxRequests",
                "maxRequestsPerConnection",
                "maxRetries",
                "maxConcurrentStreams",
            ),
            (*path, "http"),
            report,
        )
        duration(http, "idleTimeout", (*path, "http"), report)
        if http.get("h2UpgradePolicy") == "UPGRADE" and http.get("useClientProtocol"):
            report.error(
                (*path, "http", "useClientProtocol"), "can't be true with h2UpgradePolicy: UPGRADE"
            )
        keep_alive = block(http, "http2KeepAlive")
        if keep_alive is not None:
            for name in ("interval", "timeout"):
                place = (*path, "http", "http2KeepAlive")
                if keep_alive.get(name) is None:
                    report.error((*place, name), "the field is required and missing")
                duration(keep_alive, name, place, report)
    if tcp is not None:
        _not_negative(tcp, ("maxConnections",), (*path, "tcp"), report)
        duration(tcp, "connectTimeout", (*path, "tcp"), report)
        duration(tcp, "maxConnectionDuration", (*path, "tcp"), report)
        duration(tcp, "idleTimeout", (*path, "tcp"), report, zero=True)
        keep_alive = block(tcp, "tcpKeepalive")
        if keep_alive is not None:
            duration(keep_alive, "time", (*path, "tcp", "tcpKeepalive"), report)
            duration(keep_alive, "interval", (*path, "tcp", "tcpKeepalive"), report)


def _not_negative(
    fields: Fields, fields_named: tuple[str, ...], path: Path, report: Report
) -> None:
    for name in fields_named:
        value = fields.get(name) or 0
        if value < 0:
            report.error(
                (*path, name), "the number can't be negative", found=value, allowed="0 or more"
            )


def _balancer(balancer: Fields | None, outlier: Fields | None, path: Path, report: Report) -> None:
    if balancer is None:
        return
    hashing = block(balancer, "consistentHash")
    if hashing is not None:
        _hash(hashing, (*path, "consistentHash"), report)
    locality, zone_aware = (
        block(balancer, "localityLbSetting"),
        block(balancer, "zoneAwareLbSetting"),
    )
    if locality is not None and zone_aware is not None:
        report.error(
            (*path, "zoneAwareLbSetting"),
            "only one of localityLbSetting and zoneAwareLbSetting may be set",
        )
    locality_setting(locality, outlier, (*path, "localityLbSetting"), report)
    zone_aware_setting(zone_aware, outlier, (*path, "zoneAwareLbSetting"), report)
    warmup = block(balancer, "warmup")
    if warmup is not None:
        duration(warmup, "duration", (*path, "warmup"), report)
        if warmup.get("aggression") is not None and warmup["aggression"] <= 0:
            report.error(
                (*path, "warmup", "aggression"),
                "out of range",
                found=warmup["aggression"],
                allowed="more than 0",
            )


def _hash(hashing: Fields, path: Path, report: Report) -> None:
    cookie = block(hashing, "httpCookie")
    if cookie is not None:
        if not cookie.get("name"):
            report.error((*path, "httpCookie", "name"), "a cookie needs a name")
        any_duration(cookie, "ttl", (*path, "httpCookie"), report)
        seen: set[Any] = set()
        for index, attribute in enumerate(items(cookie, "attributes")):
            name = attribute.get("name") or ""
            if not name or name in seen:
                what = "two attributes of the same name" if name else "an attribute needs a name"
                report.error((*path, "httpCookie", "attributes", index, "name"), what, found=name)
            seen.add(name)
    ring_size = hashing.get("minimumRingSize") or 0
    if ring_size:
        report.warning(
            (*path, "minimumRingSize"),
            "minimumRingSize is deprecated here",
            hint="use ringHash.minimumRingSize",
        )
        if block(hashing, "ringHash") is not None or block(hashing, "maglev") is not None:
            report.error(
                (*path, "minimumRingSize"),
                "only one of minimumRingSize, ringHash and maglev may be set",
            )
    maglev = block(hashing, "maglev")
    if maglev is not None:
        size = maglev.get("tableSize") or 0
        if size >= 5000011 or not is_prime(size):
            report.error(
                (*path, "maglev", "tableSize"),
                "not a table size",
                found=size,
                allowed="a prime below 5000011",
            )


def is_prime(number: int) -> bool:
    """As Envoy has it: 1 counts as a prime.

    >>> is_prime(65537), is_prime(65536)
    (True, False)
    """
    if number < 4:
        return number > 0
    return number % 2 != 0 and all(
        number % factor for factor in range(3, math.isqrt(number) + 1, 2)
    )


def _tunnel(tunnel: Fields | None, path: Path, report: Report) -> None:
    if tunnel is None:
        return
    protocol = tunnel.get("protocol") or "CONNECT"
    if protocol not in ("CONNECT", "POST"):
        report.error(
            (*path, "protocol"), "not a known value", found=protocol, allowed="CONNECT, POST"
        )
    target = tunnel.get("targetHost") or ""
    problem = fqdn_problem(target)
    if problem and not ip_address(target):
        report.error(
            (*path, "targetHost"),
            f"not a host: {problem}",
            found=target,
            allowed="a host name or an address",
        )
    port(tunnel.get("targetPort"), (*path, "targetPort"), report)

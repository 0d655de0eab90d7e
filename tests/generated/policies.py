"""trafficPolicies of DestinationRules, drawn at random: every field that is translated."""

from __future__ import annotations

from typing import Any

from .draw import HEADERS, Draw


def policy(draw: Draw, ports: list[int], *, whole: bool = True) -> dict[str, Any]:
    """A trafficPolicy; that of a port (not `whole`) has fewer fields."""
    fields = {
        "connectionPool": lambda: pool(draw),
        "loadBalancer": lambda: balancer(draw),
        "outlierDetection": lambda: outlier(draw),
        "tls": lambda: {"mode": "DISABLE"},
    }
    if whole:
        fields["portLevelSettings"] = lambda: [
            {"port": {"number": number}, **policy(draw, ports, whole=False)}
            for number in draw.some(ports, 1, 2)
        ]
        fields["retryBudget"] = lambda: draw.block(
            {
                "percent": draw.share,
                "minRetryConcurrency": lambda: draw.choice((0, 1, 10)),
                "budgetInterval": draw.duration,
            },
            share=0.5,
        )
    found = draw.block(fields)
    if found.keys() == {"tls"} and draw.maybe(0.8):
        found["connectionPool"] = pool(draw)
    return found


def pool(draw: Draw) -> dict[str, Any]:
    return draw.block({"tcp": lambda: tcp_pool(draw), "http": lambda: http_pool(draw)}, share=0.5)


def tcp_pool(draw: Draw) -> dict[str, Any]:
    return draw.block(
        {
            "maxConnections": lambda: draw.choice((0, draw.number())),
            "connectTimeout": draw.duration,
            "idleTimeout": lambda: draw.choice(("0s", draw.duration())),
            "maxConnectionDuration": draw.duration,
            "tcpKeepalive": lambda: draw.block(
                {
                    "probes": lambda: draw.choice((0, 1, 9)),
                    "time": draw.duration,
                    "interval": draw.duration,
                },
                share=0.6,
            ),
        }
    )


def http_pool(draw: Draw) -> dict[str, Any]:
    names = (
        *("http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries"),
        "maxConcurrentStreams",
    )
    found = draw.block(
        {
            **dict.fromkeys(names, lambda: draw.choice((0, draw.number()))),
            "idleTimeout": draw.duration,
            "h2UpgradePolicy": lambda: draw.choice(("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE")),
            "useClientProtocol": lambda: draw.maybe(0.7),
            "http2KeepAlive": lambda: {"interval": draw.duration(), "timeout": draw.duration()},
        },
        share=0.25,
    )
    if found.get("h2UpgradePolicy") == "UPGRADE" and found.get("useClientProtocol"):
        del found["useClientProtocol"]
    return found


def outlier(draw: Draw) -> dict[str, Any]:
    found = draw.block(
        {
            "consecutive5xxErrors": lambda: draw.choice((0, 1, 5, 100)),
            "consecutiveGatewayErrors": lambda: draw.choice((0, 1, 5)),
            "consecutiveErrors": lambda: draw.choice((0, 7)),
            "splitExternalLocalOriginErrors": lambda: draw.maybe(0.6),
            "interval": draw.duration,
            "baseEjectionTime": draw.duration,
            "maxEjectionPercent": lambda: draw.choice((0, 10, 100)),
            "minHealthPercent": lambda: draw.choice((0, 1, 50, 100)),
            "outlierDetectionHttpErrorCodes": lambda: draw.some((500, 503, 429), 1, 2),
        }
    )
    if found.get("splitExternalLocalOriginErrors") and draw.maybe(0.5):
        found["consecutiveLocalOriginFailures"] = draw.choice((0, 3))
    return found


def balancer(draw: Draw) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw.maybe(0.4):
        found["consistentHash"] = consistent_hash(draw)
    else:
        found["simple"] = draw.choice(
            (
                *("UNSPECIFIED", "LEAST_CONN", "RANDOM", "ROUND_ROBIN", "LEAST_REQUEST"),
                "PASSTHROUGH",
            )
        )
    if draw.maybe(0.25):
        found["warmup"] = {
            "duration": draw.duration(),
            **draw.block(
                {
                    "minimumPercent": lambda: draw.choice((0, 1, 12.5, 100)),
                    "aggression": lambda: draw.choice((1, 1.5, 7.25)),
                }
            ),
        }
    elif draw.maybe(0.15):
        found["warmupDurationSecs"] = draw.duration()
    if draw.maybe(0.1):
        found["localityLbSetting"] = {"enabled": draw.maybe(0.5)}
    return found


def consistent_hash(draw: Draw) -> dict[str, Any]:
    found: dict[str, Any] = draw.choice(
        (
            lambda: {"httpHeaderName": draw.choice(HEADERS)},
            lambda: {"httpCookie": cookie(draw)},
            lambda: {"useSourceIp": draw.maybe(0.8)},
            lambda: {"httpQueryParameterName": draw.choice(("user", "q"))},
        )
    )()
    size = draw.randrange(4)
    if size == 0:
        found["minimumRingSize"] = draw.choice((0, 1, 1024, 4096))
    elif size == 1:
        found["ringHash"] = draw.choice(({}, {"minimumRingSize": 2048}, {"minimumRingSize": 0}))
    elif size == 2:
        found["maglev"] = {"tableSize": draw.choice((2, 5, 101, 65537))}
    return found


def cookie(draw: Draw) -> dict[str, Any]:
    found: dict[str, Any] = {"name": draw.choice(("user", "session"))}
    if draw.maybe(0.6):
        found["ttl"] = draw.choice(("0s", draw.duration()))
    if draw.maybe(0.4):
        found["path"] = draw.choice(("/", "/a"))
    if draw.maybe(0.3):
        found["attributes"] = [
            {"name": name, **({"value": "Strict"} if draw.maybe(0.6) else {})}
            for name in draw.some(("SameSite", "Secure", "HttpOnly"), 1, 2)
        ]
    return found

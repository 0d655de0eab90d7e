"""HTTP routes of VirtualServices, drawn at random: every field that is translated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labkit.resources.protocols import GRPC_CODES

from .draw import HEADERS, LABELS, PATHS, SECONDS, TEXTS, Draw

STATUS = (200, 201, 204, 302, 404, 418, 429, 500, 503, 599)
RETRY_ON = (
    *("5xx", "gateway-error", "reset", "connect-failure", "retriable-4xx", "refused-stream"),
    *("retriable-status-codes", "cancelled", "unavailable", "503", "429", "511", "418"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class Names:
    """What routes refer to: some of it is there, some is not."""

    destinations: list[str]
    subsets: list[str]
    ports: list[int]
    gateways: list[str]
    namespaces: list[str]
    delegates: list[dict[str, str]]


def http_routes(draw: Draw, names: Names, *, delegate: bool = False) -> list[dict[str, Any]]:
    """The `http` of a VirtualService; of one without hosts where it is a `delegate`."""
    found = [http_route(draw, names, delegate=delegate) for _ in range(draw.randint(1, 3))]
    if draw.maybe(0.5) and not found[-1].get("redirect"):
        found[-1].pop("match", None)
    return found


def http_route(draw: Draw, names: Names, *, delegate: bool = False) -> dict[str, Any]:
    route: dict[str, Any] = {}
    if draw.maybe(0.4):
        route["name"] = draw.choice(("first", "canary", "all", draw.name()))
    if draw.maybe(0.75):
        route["match"] = [match(draw, names) for _ in range(draw.randint(1, 2))]
    kind = draw.choice(("route",) * 7 + ("redirect", "directResponse", "delegate"))
    if kind == "delegate" and not delegate and names.delegates:
        route["delegate"] = draw.choice(names.delegates)
    elif kind == "redirect":
        route["redirect"] = redirect(draw, route.get("match") or [])
    elif kind == "directResponse":
        route["directResponse"] = direct_response(draw)
    else:
        kind = "route"
        route["route"] = destinations(draw, names)
    forwards = kind in ("route", "delegate")
    if forwards and draw.maybe(0.25):
        route["rewrite"] = rewrite(draw)
    if forwards and draw.maybe(0.25):
        route["fault"] = fault(draw)
    if draw.maybe(0.25):
        authority = "authority" not in route.get("rewrite", {})
        route["headers"] = draw.header_changes(authority=authority)
    if draw.maybe(0.2):
        route["corsPolicy"] = cors(draw)
    if draw.maybe(0.3):
        route["retries"] = retries(draw)
    if draw.maybe(0.3):
        route["timeout"] = draw.duration()
    route.update(mirror(draw, names))
    return route


def destinations(draw: Draw, names: Names) -> list[dict[str, Any]]:
    """One to three, with weights that do not add up to nothing."""
    count = draw.choice((1, 1, 1, 2, 2, 3))
    found = [{"destination": destination(draw, names)} for _ in range(count)]
    if count > 1 or draw.maybe(0.2):
        weights = [draw.choice((0, 1, 20, 50, 100, 300)) for _ in found]
        weights[0] = weights[0] or 10
        draw.shuffle(weights)
        for each, weight in zip(found, weights, strict=True):
            each["weight"] = weight
            if not weight and draw.maybe(0.5):
                del each["weight"]
    for each in found:
        if draw.maybe(0.15):
            each["headers"] = draw.header_changes()
    return found


def destination(draw: Draw, names: Names) -> dict[str, Any]:
    found: dict[str, Any] = {"host": draw.choice(names.destinations)}
    if draw.maybe(0.4):
        found["subset"] = draw.choice(names.subsets)
    if draw.maybe(0.5):
        found["port"] = {"number": draw.choice(names.ports)}
    return found


def match(draw: Draw, names: Names) -> dict[str, Any]:
    def texts(keys: tuple[str, ...], most: int = 2) -> dict[str, Any]:
        return {name: draw.text_match(TEXTS) for name in draw.some(keys, 1, most)}

    return draw.block(
        {
            "name": lambda: draw.choice(("m", draw.name())),
            "uri": lambda: draw.text_match(("", *PATHS)),
            "scheme": lambda: draw.text_match(("http", "https")),
            "method": lambda: draw.text_match(METHODS),
            "authority": lambda: draw.text_match(("test.example.com", "x")),
            "headers": lambda: texts((*HEADERS, ":path", ":method")),
            "withoutHeaders": lambda: (
                {draw.choice(HEADERS): {"regex": "*"}} if draw.maybe(0.2) else texts(HEADERS)
            ),
            "queryParams": lambda: texts(("user", "q", "X")),
            "ignoreUriCase": lambda: draw.maybe(0.7),
            "port": lambda: draw.choice(names.ports),
            "gateways": lambda: draw.some(names.gateways, 1, 2),
            "sourceLabels": lambda: dict(draw.choice(LABELS)),
            "sourceNamespace": lambda: draw.choice(names.namespaces),
            "statPrefix": draw.name,
        },
        share=0.16,
    )


def redirect(draw: Draw, matches: list[dict[str, Any]]) -> dict[str, Any]:
    found = draw.block(
        {
            "authority": lambda: draw.choice(("other.example.com", "other.example.com:8443")),
            "scheme": lambda: draw.choice(("http", "https")),
            "port": lambda: draw.choice((80, 443, 8080)),
            "derivePort": lambda: draw.choice(("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT")),
            "uri": lambda: draw.choice(("/b", "/b?c=d", "b")),
        }
    )
    prefixes = all("prefix" in each["uri"] for each in matches if "uri" in each)
    if "uri" not in found and prefixes and draw.maybe(0.3):
        found["prefixRewrite"] = "/c"
    if "port" in found and "derivePort" in found:
        del found["derivePort"]
    if draw.maybe(0.4):
        found["redirectCode"] = draw.choice((301, 302, 303, 307, 308))
    return found


def direct_response(draw: Draw) -> dict[str, Any]:
    found: dict[str, Any] = {"status": draw.choice(STATUS)}
    if draw.maybe(0.7):
        found["body"] = draw.choice(({"string": "no ä"}, {"string": ""}, {"bytes": "aGFsbG8="}))
    return found


def rewrite(draw: Draw) -> dict[str, Any]:
    found = draw.block(
        {
            "uri": lambda: draw.choice(("/", "/b", "b")),
            "uriRegexRewrite": lambda: {
                "match": draw.choice(("^/a/(.*)$", "[0-9]+")),
                "rewrite": draw.choice((r"/\1", "x")),
            },
            "authority": lambda: draw.choice(("other", "other.example.com")),
        }
    )
    if "uri" in found and "uriRegexRewrite" in found:
        del found["uri"]
    return found


def fault(draw: Draw) -> dict[str, Any]:
    def share() -> dict[str, Any]:
        return {"percentage": {"value": draw.share()}} if draw.maybe(0.8) else {}

    def delay() -> dict[str, Any]:
        old = {"percent": draw.choice((0, 7, 100))} if draw.maybe(0.2) else {}
        return {"fixedDelay": draw.duration(), **share(), **old}

    def abort() -> dict[str, Any]:
        kind: dict[str, Any] = draw.choice(
            ({"httpStatus": draw.choice(STATUS)}, {"grpcStatus": draw.choice(GRPC_CODES)})
        )
        return {**kind, **share()}

    return draw.block({"delay": delay, "abort": abort}, share=0.6)


def cors(draw: Draw) -> dict[str, Any]:
    origins = ("https://a.example.com", "https://", "*")
    patterns = ({"regex": "https://.*"}, {"exact": "https://a.example.com"}, {"prefix": "https://"})
    fields: dict[str, Callable[[], Any]] = {
        "allowOrigins": lambda: draw.some(patterns, 1, 2),
        "allowOrigin": lambda: draw.some(origins, 1, 2),
        "allowMethods": lambda: draw.some(METHODS, 1, 3),
        "allowHeaders": lambda: draw.some(HEADERS, 1, 2),
        "exposeHeaders": lambda: draw.some(HEADERS, 1, 2),
        "maxAge": lambda: draw.choice(SECONDS),
        "allowCredentials": lambda: draw.maybe(0.5),
        "unmatchedPreflights": lambda: draw.choice(("UNSPECIFIED", "FORWARD", "IGNORE")),
    }
    return draw.block(fields, share=0.4)


def retries(draw: Draw) -> dict[str, Any]:
    attempts = draw.choice((0, 1, 3, 10))
    found: dict[str, Any] = {"attempts": attempts}
    if attempts and draw.maybe(0.6):
        found["retryOn"] = ",".join(draw.some(RETRY_ON, 1, 3))
    if attempts and draw.maybe(0.4):
        found["perTryTimeout"] = draw.duration()
    if draw.maybe(0.3):
        found["retryIgnorePreviousHosts"] = draw.maybe(0.5)
    if attempts and draw.maybe(0.3):
        found["retryRemoteLocalities"] = draw.maybe(0.6)
    if draw.maybe(0.3):
        found["backoff"] = draw.duration()
    return found


def mirror(draw: Draw, names: Names) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if draw.maybe(0.12):
        found["mirror"] = destination(draw, names)
        if draw.maybe(0.5):
            found["mirrorPercentage"] = {"value": draw.share()}
        if draw.maybe(0.2):
            found[draw.choice(("mirrorPercent", "mirror_percent"))] = draw.choice((0, 7, 100))
    elif draw.maybe(0.08):
        found["mirrors"] = [
            {
                "destination": destination(draw, names),
                **({"percentage": {"value": draw.share()}} if draw.maybe(0.6) else {}),
            }
            for _ in range(draw.randint(1, 2))
        ]
    return found

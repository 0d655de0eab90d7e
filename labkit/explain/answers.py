"""What Envoy does with a request by the route that takes it: where it goes, and what is changed.

As `newUri`, `finalizePathHeader` and the fault and CORS filters of Envoy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from labkit.explain.conditions import text_fits
from labkit.explain.request import Seen, wire
from labkit.jsontypes import Json
from labkit.resources.regex.matcher import replaced
from labkit.translate.values import at

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"
_PER = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
REDIRECTS = {
    "FOUND": 302,
    "SEE_OTHER": 303,
    "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}
NO_ROUTE = 404
WITHOUT_BODY = (204, 304)


@dataclass(frozen=True)
class Outcome:
    """What becomes of a request.

    `kind` is "routed", "redirect", "direct response", "preflight" (answered by the CORS filter),
    "no route", "tcp" (not looked at as HTTP) or "no listener". `status` is Envoy's own answer, None
    where somebody behind it answers. `clusters` has the weight of each cluster that may be chosen;
    those where nobody is there to answer, so that Envoy says 503, are `unavailable`.
    `path` and `host` are what the application is sent; `aborts` and `delays` say how often (0 to 1)
    a fault comes before all of that.
    """

    kind: str
    status: int | None = None
    route: str = ""
    clusters: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    path: str = ""
    host: str = ""
    location: str = ""
    body: str | None = None
    abort: int | None = None
    aborts: float = 0.0
    delay: str = ""
    delays: float = 0.0
    unavailable: tuple[str, ...] = ()
    mirrors: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def outcome_of(route: Json, seen: Seen) -> Outcome:
    """The outcome of a request that a route takes, as far as the route says it: whether a cluster
    is there and has endpoints is not looked at.
    """
    share, status = _abort(route)
    waits, delay = _delay(route)
    name = str(route.get("name") or "")
    # the fault filter stands before all others
    found = Outcome("fault", status, name) if share == 1 else _without_faults(route, seen, name)
    return replace(found, abort=status, aborts=share, delay=delay, delays=waits)


def _without_faults(route: Json, seen: Seen, name: str) -> Outcome:
    if "route" in route and _is_answered_preflight(route, seen):
        return Outcome("preflight", 200, name)
    if "redirect" in route:
        status = REDIRECTS.get(route["redirect"].get("response_code"), 301)
        where = location(route, seen)
        return Outcome("redirect", status, name, location=where)
    if "direct_response" in route:
        answer = route["direct_response"]
        body = at(answer, "body", "inline_string")
        if answer["status"] in WITHOUT_BODY:
            body = None
        return Outcome("direct response", int(answer["status"]), name, body=body)
    action = route["route"]
    return Outcome(
        "routed",
        route=name,
        clusters=clusters_of(action),
        path=rewritten(route["match"], action, seen),
        host=str(action.get("host_rewrite_literal") or seen.headers[":authority"]),
        mirrors={
            policy["cluster"]: fraction(at(policy, "runtime_fraction", "default_value"))
            for policy in action.get("request_mirror_policies", ())
        },
    )


def clusters_of(action: Json) -> dict[str, int]:
    """Cluster → weight. One cluster alone has 100."""
    if "cluster" in action:
        return {action["cluster"]: 100}
    found: dict[str, int] = {}
    for entry in action["weighted_clusters"]["clusters"]:
        found[entry["name"]] = found.get(entry["name"], 0) + int(entry["weight"])
    return found


def rewritten(match: Json, action: Json, seen: Seen) -> str:
    """The path that is sent on, with its query."""
    bare, mark, query = seen.path.partition("?")
    if "regex_rewrite" in action:
        rewrite = action["regex_rewrite"]
        letters = bare.encode("latin-1").decode(errors="surrogateescape")
        new = replaced(rewrite["pattern"]["regex"], rewrite["substitution"], letters)
        return wire(new) + mark + query
    if action.get("prefix_rewrite"):
        return _with_prefix(match, action["prefix_rewrite"], bare) + mark + query
    return seen.path


def _with_prefix(match: Json, new: str, bare: str) -> str:
    """The path with what the match asks for replaced: a prefix, or else all of it."""
    kept = bare[len(wire(match["prefix"])) :] if "prefix" in match else ""
    return wire(new) + kept


def location(route: Json, seen: Seen) -> str:
    """The Location of a redirect."""
    redirect = route["redirect"]
    scheme = redirect.get("scheme_redirect") or seen.scheme
    port = f":{redirect['port_redirect']}" if redirect.get("port_redirect") else ""
    host = redirect.get("host_redirect") or _own_host(seen, scheme, bool(port))
    path = seen.path
    if redirect.get("prefix_rewrite"):
        bare, mark, query = path.partition("?")
        path = _with_prefix(route["match"], redirect["prefix_rewrite"], bare) + mark + query
    elif redirect.get("path_redirect"):
        path = wire(redirect["path_redirect"])
        if "?" not in path:
            path += "".join(seen.path.partition("?")[1:])
    return f"{scheme}://{host}{port}{'' if path.startswith('/') else '/'}{path}"


def _own_host(seen: Seen, scheme: str, new_port: bool) -> str:
    """The Host of the request, without its port where that is no longer right."""
    authority = seen.headers[":authority"]
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority
    before = seen.headers.get("x-forwarded-proto", "")
    usual = {"http": "80", "https": "443"}.get(before)
    return host if new_port or (scheme != before and port == usual) else authority


def to_https(seen: Seen) -> str:
    """The Location where a virtual host wants TLS (`httpsRedirect`)."""
    return f"https://{seen.headers[':authority']}{seen.path}"


def fraction(value: Json | None) -> float:
    """A FractionalPercent as a number from 0 to 1."""
    if value is None:
        return 1.0
    return min(1.0, int(value.get("numerator") or 0) / _PER[value.get("denominator") or "HUNDRED"])


def _abort(route: Json) -> tuple[float, int | None]:
    abort = at(route, "typed_per_filter_config", FAULT, "abort")
    if abort is None:
        return 0.0, None
    # without a percentage a fault never happens
    share = fraction(abort["percentage"]) if "percentage" in abort else 0.0
    # gRPC's own status comes in a trailer; to HTTP it is a 200
    return share, int(abort["http_status"]) if "http_status" in abort else 200


def _delay(route: Json) -> tuple[float, str]:
    delay = at(route, "typed_per_filter_config", FAULT, "delay")
    return (0.0, "") if delay is None else (fraction(delay["percentage"]), delay["fixed_delay"])


def _is_answered_preflight(route: Json, seen: Seen) -> bool:
    policy = at(route, "typed_per_filter_config", CORS)
    origin = seen.headers.get("origin")
    if policy is None or seen.headers[":method"] != "OPTIONS" or not origin:
        return False
    if not seen.headers.get("access-control-request-method"):
        return False
    origins = policy.get("allow_origin_string_match", ())
    if any(text_fits(each, text) for each in origins for text in ("*", origin)):
        return True
    return not policy["forward_not_matching_preflights"]

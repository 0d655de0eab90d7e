"""Rule sets and requests for them, drawn at random: requests that fit a rule, or nearly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.resources import Resource, load
from labkit.resources.istio import ROOT_NAMESPACE
from tests.generated.draw import HEADERS, PATHS, TEXTS, Draw
from tests.generated.routes import METHODS, Names, http_routes
from tests.generated.rulesets import World, policies, thing

MANIFESTS = Path(__file__).parents[2] / "manifests"
PLAIN = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "plain", "namespace": "hello-world"},
    "spec": {"selector": {"app": "hello-world"}, "ports": [{"port": 81, "targetPort": 8080}]},
}
"""A Service whose port does not say what it speaks: its listener is at its own address."""
BASE = [*load(MANIFESTS / "hello-world.yaml", MANIFESTS / "client.yaml"), *load(PLAIN)]
HOMES = ["hello-world", "hello-world", ROOT_NAMESPACE]
SERVICE = "hello-world.hello-world.svc.cluster.local"
HOSTS = ("test.example.com", "api.example.com", "a.b.example.com", "example.org", "hello-world")
EXAMPLES = {
    ".*": ("zz", "/z"),
    "^/a.*": ("/a", "/abc"),
    "/v[0-9]+/.*": ("/v2/x", "/v10/"),
    "a|b": ("a", "b"),
    "(?i)x": ("x", "X"),
    "[^/]+": ("seg", "a b"),
    "\\d{3}": ("123",),
    "*": ("1",),
}
"""Texts that the patterns of `tests.generated.draw` take."""


@dataclass(frozen=True)
class Asked:
    """A request: to which port of whom (None for the gateway), and with what."""

    source: str | None
    to: str
    port: int
    method: str
    host: str
    path: str
    headers: dict[str, str]

    @property
    def url(self) -> str:
        return f"http://{self.to}:{self.port}{self.path}"


def rules_of(number: int) -> list[Resource]:
    """A rule set: half of them anybody's, half of them dense, so that rules compete."""
    draw = Draw(number)
    if number % 2:
        world = World(["hello-world"], bodies("Service"), bodies("Deployment"))
        made = policies(draw, world, HOMES)
    else:
        made = dense(draw)
    for count, each in enumerate(made):
        each["spec"] = tamed(each["spec"])
        for name, route in enumerate(each["spec"].get("http") or ()):
            route["name"] = f"{count}-{name}"
            for index, match in enumerate(route.get("match") or ()):
                match["name"] = str(index)
    return load(made)


def bodies(kind: str) -> list[Any]:
    return [each.body for each in BASE if each.kind == kind]


def dense(draw: Draw) -> list[dict[str, Any]]:
    """Routes of one or two VirtualServices, all at one gateway that takes every host."""
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    if draw.maybe(0.05):
        server["tls"] = {"httpsRedirect": True}
    selector = {"istio": "ingressgateway"}
    made = [thing("Gateway", "hello-world", "gw", {"selector": selector, "servers": [server]})]
    names = Names(
        destinations=["hello-world", "hello-world", SERVICE, "plain", "missing"],
        subsets=["v1", "v2", "v2", "v9"],
        ports=[80, 80, 80, 81],
        gateways=["gw", "mesh"],
        namespaces=["hello-world", "elsewhere"],
        delegates=[{"name": "inner"}],
    )
    inner = {"http": http_routes(draw, names, delegate=True)}
    made.append(thing("VirtualService", "hello-world", "inner", inner))
    for number in range(draw.randint(1, 2)):
        wide = draw.choice(("test.example.com", "*.example.com"))
        hosts = draw.some((wide, "hello-world", "plain", "example.org"), 1, 2)
        http = [each for _ in range(draw.randint(1, 3)) for each in http_routes(draw, names)]
        for each in http:
            if "route" in each and draw.maybe(0.1):
                each["fault"] = {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}
        spec = {"hosts": hosts, "gateways": ["gw", "mesh"], "http": reachable(http)}
        made.append(thing("VirtualService", "hello-world", f"vs{number}", spec))
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    rule = {"host": "hello-world", "subsets": subsets}
    made.append(thing("DestinationRule", "hello-world", "rule", rule))
    return made


def reachable(http: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without routes behind one that takes everything, which Istio refuses."""
    for number, each in enumerate(http):
        if not each.get("match"):
            return http[: number + 1]
    return http


def tamed(value: Any) -> Any:
    """Without what makes an answer late, or another one by chance: long waits, full pools."""
    if isinstance(value, list):
        return [tamed(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: tamed(each) for name, each in value.items() if name not in LEFT_OUT}
    if found.get("fixedDelay"):
        found["fixedDelay"] = "2ms"
    if (
        found.keys() & {"httpStatus", "grpcStatus"}
        and found.get("percentage", {}).get("value", 0) > 40
    ):
        found["percentage"] = {"value": 100}
    for policy in (found.get("trafficPolicy"), *(found.get("portLevelSettings") or ())):
        if policy is not None and not policy.keys() - {"port"}:  # Istio wants a field at least
            policy["loadBalancer"] = {"simple": "RANDOM"}
    return found


LEFT_OUT = ("connectionPool", "outlierDetection", "timeout", "retries", "warmup", "retryBudget")


def requests_for(draw: Draw, rules: list[Resource], count: int) -> list[Asked]:
    """Requests of which many meet all conditions of some match, and many all but one."""
    known = [each for each in rules if each.kind == "VirtualService"]
    return [request(draw, known) for _ in range(count)]


def request(draw: Draw, known: list[Resource]) -> Asked:
    source = "client" if draw.maybe(0.35) else None
    port = 80 if source or draw.maybe(0.93) else 443
    to = "hello-world" if source else "gateway.test"
    if source and draw.maybe(0.3):
        to, port = "plain", 81
    hosts = list(HOSTS)
    match: dict[str, Any] = {}
    http = [route for each in known for route in each.spec.get("http") or ()]
    if known and draw.maybe(0.9):
        chosen = draw.choice(known)
        hosts = list(map(str, chosen.spec.get("hosts") or HOSTS))
        matches = [m for route in chosen.spec.get("http") or () for m in route.get("match") or ()]
        if matches:
            match = draw.choice(matches)
    host = draw.choice(hosts) if draw.maybe(0.9) else draw.choice(HOSTS)
    host = f"x.{host[2:]}" if host.startswith("*.") else "any.org" if host == "*" else host
    if "." not in host and host not in ("hello-world", "plain"):
        host = to if source else "hello-world"
    if draw.maybe(0.1):
        host = host.upper()
    if draw.maybe(0.15):
        host += draw.choice((":80", ":8080", ":443"))
    if draw.maybe(0.9) and "authority" in match:
        wanted = text_of(draw, match["authority"], "x")
        host = wanted if re.fullmatch(r"[\w.-]+", wanted) else host
    path = text_of(draw, match.get("uri"), draw.choice(PATHS))
    if "uri" in match and draw.maybe(0.15):
        path = path.swapcase()
    path = path if path.startswith("/") else f"/{path}"
    path = "".join(c if "!" <= c <= "~" and c not in "#" else "%20" for c in path)
    if draw.maybe(0.1):
        path += draw.choice(("/", "//x", "/../y", "/.", "/%2e%2E/z", "%41", "%2Fq", "/a/./b"))
    query = [
        f"{name}={text_of(draw, each, '1')}" for name, each in asked(draw, match, "queryParams")
    ]
    if draw.maybe(0.1):
        query.append(draw.choice(("user=a", "q", "X=", "user", "=1", "q=a=b")))
    if query:
        path += "?" + "&".join(query).replace(" ", "%20").replace('"', "%22").replace("ä", "%C3%A4")
    headers = {
        name.lower(): text_of(draw, each, "1") for name, each in asked(draw, match, "headers")
    }
    if draw.maybe(0.2):
        headers[draw.choice(HEADERS).lower()] = draw.choice(TEXTS)
    if draw.maybe(0.1):
        for name in match.get("withoutHeaders") or {}:
            headers[name.lower()] = text_of(draw, match["withoutHeaders"][name], "1")
    method = text_of(draw, match.get("method"), draw.choice(METHODS))
    method = method if method in METHODS else draw.choice(METHODS)
    if method == "OPTIONS" and draw.maybe(0.8) and http:
        headers["origin"] = draw.choice(("https://a.example.com", "https://b.org", "http://c.org"))
        headers["access-control-request-method"] = "GET"
    headers = {name: value for name, value in headers.items() if not name.startswith(":")}
    return Asked(source, to, port, method, host, path, headers)


def asked(draw: Draw, match: dict[str, Any], field: str) -> list[tuple[str, Any]]:
    """Names and conditions, sometimes without the last."""
    found = list((match.get(field) or {}).items())
    return found[:-1] if draw.maybe(0.12) else found


def text_of(draw: Draw, wanted: dict[str, str] | None, otherwise: str) -> str:
    """A text that a StringMatch takes, most of the time."""
    if not wanted or draw.maybe(0.08):
        return otherwise
    if "regex" in wanted:
        return draw.choice(EXAMPLES[wanted["regex"]])
    if "prefix" in wanted:
        return wanted["prefix"] + draw.choice(("", "", "x", "/y"))
    return wanted["exact"]

"""Why a request goes where it goes: the way through one proxy, with the lines that decide it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from labkit.errors import UnsupportedError
from labkit.explain.answers import NO_ROUTE, Outcome, outcome_of, to_https
from labkit.explain.clusters import UNAVAILABLE, ClusterSteps
from labkit.explain.conditions import failures, virtual_host
from labkit.explain.explanation import Explanation
from labkit.explain.misses import left_out, near_misses, place_of, title, vs_name
from labkit.explain.places import Place
from labkit.explain.proxies import Caller, Proxy, manager_of, speaks_tls, tcp_cluster_of
from labkit.explain.request import Request, Seen, request_of, seen_by
from labkit.explain.steps import NEAR_MISS, Step
from labkit.explain.strangers import strangers
from labkit.explain.words import result_of, route_parts
from labkit.jsontypes import Json
from labkit.resources.istio import TRAFFIC_PORTS
from labkit.resources.model import Key, Resource
from labkit.resources.regex.matcher import UnknownScript
from labkit.translate import Pod, Registry
from labkit.translate.clusters import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER
from labkit.translate.routes.http_routes import Route
from labkit.translate.rules.virtual_services import VirtualService


def explain(
    registry: Registry,
    request: str,
    *,
    headers: Mapping[str, str] | None = None,
    pod: Pod | None = None,
) -> Explanation:
    """What the ingress gateway, or the sidecar of `pod`, does with a request, and why.

    `request` is a URL, or a method and a URL. Raises TrafficError for what is no request, and
    UnsupportedError for a regular expression that asks for a script of Unicode.

    >>> explain(registry_of(load("manifests/")), "GET http://test.example.com/").outcome.kind
    'routed'
    """
    return explain_at(Proxy(registry, pod), request, headers)


def explain_at(proxy: Proxy, request: str, headers: Mapping[str, str] | None = None) -> Explanation:
    """What `explain` says, of a proxy that is asked more than once: it is translated only once."""
    asked = request_of(request, headers)
    try:
        return _Way(proxy, asked).explanation()
    except UnknownScript as error:
        raise UnsupportedError(
            "A regular expression on the way of this request can't be judged here",
            seen=str(error),
            try_next="send the request, and look at the column `route` of mesh.access_log()",
        ) from error


@dataclass
class _Way:
    """The way of one request through one proxy."""

    proxy: Proxy
    request: Request

    def __post_init__(self) -> None:
        self.registry = self.proxy.registry
        self.port = self.request.port
        self.places = self.proxy.places
        self.steps: list[Step] = []

    def explanation(self) -> Explanation:
        outcome = self.walk()
        return Explanation(
            request=str(self.request),
            proxy=self.proxy.name,
            outcome=outcome,
            result=result_of(outcome),
            steps=tuple(self.steps),
        )

    def walk(self) -> Outcome:
        """Takes the steps, and keeps them."""
        if not self.proxy.is_gateway and self.proxy.service_of(self.request.host) is None:
            text = f"no Service that {self.proxy.namespace} can call is called {self.request.host}"
            self.steps.append(Step("name", f"{text}: some other DNS has to know it"))
        listener = self.proxy.listener(self.request, self.port)
        if listener is None:
            return self.nobody_listens()
        if speaks_tls(listener):
            text = f"{listener['name']}: it speaks TLS, and a plain request is refused unread"
            self.steps.append(Step("listener", text, self.service_places()))
            return Outcome("no listener")
        manager = manager_of(listener)
        if manager is None:
            return self.as_tcp(listener)
        name = str(manager["rds"]["route_config_name"])
        self.steps.append(self.listener_step(listener, name))
        seen = seen_by(self.request, manager)
        if seen.path != self.request.path:
            text = f"{self.request.path} is read as {seen.path}, before any route is looked at"
            self.steps.append(Step("path", text))
        return self.by_routes(name, seen)

    # listeners

    def nobody_listens(self) -> Outcome:
        number = self.proxy.number(self.port)
        if self.proxy.is_gateway:
            text = f"none at port {self.port}: no Gateway that selects this proxy has such a server"
            servers = [
                Step("server", _server(each, server),
                     (self.places.of(each.key, ("spec", "servers", index)),))
                for each in self.registry.gateways
                for index, server in enumerate(each.spec.get("servers") or ())
            ]  # fmt: skip
            self.steps.append(Step("listener", text, parts=tuple(servers)))
            return Outcome("no listener")
        only = self.proxy.scope.registry_only
        cluster = BLACKHOLE_CLUSTER if only else PASSTHROUGH_CLUSTER
        text = (
            f"none at port {number}: no Service of the mesh has it, so the connection goes on to "
        )
        text += "nobody (REGISTRY_ONLY)" if only else "wherever it was meant to go (ALLOW_ANY)"
        self.steps.append(Step("listener", text))
        return Outcome("tcp", clusters={cluster: 100})

    def as_tcp(self, listener: Json) -> Outcome:
        cluster = tcp_cluster_of(listener)
        text = f"{listener['name']}: its port does not say that it is HTTP, so that no route counts"
        self.steps.append(Step("listener", text, self.service_places()))
        outcome = Outcome("tcp", clusters={cluster: 100})
        return self.to_clusters(outcome, None)

    def listener_step(self, listener: Json, name: str) -> Step:
        text = f"{listener['name']}, with the routes {name}"
        if self.proxy.is_gateway:
            if self.port != self.proxy.number(self.port):
                text += f" (port {self.port} of the gateway's Service)"
            elif self.port not in TRAFFIC_PORTS:
                text += f" (the gateway's Service has no port {self.port})"
            places = tuple(place for place, _ in self.proxy.servers(name))
        else:
            places = self.service_places()
        return Step("listener", text, places)

    def service_places(self) -> tuple[Place, ...]:
        """The port of the Service that the request's host names."""
        service = self.proxy.service_of(self.request.host)
        if service is None:
            return ()
        numbers = [port.number for port in service.ports]
        if self.port not in numbers:
            return ()
        return (self.places.of_service(service, ("spec", "ports", numbers.index(self.port))),)

    # routes

    def by_routes(self, name: str, seen: Seen) -> Outcome:
        config = self.proxy.route_config(name)
        found = virtual_host(config, seen) if config is not None else None
        if found is None or found[0]["name"].startswith("blackhole:"):
            text = f"none for {seen.host}"
            known = sorted(
                {d for h in (config or {}).get("virtual_hosts", ()) for d in h["domains"]}
            )
            if found is None and known:
                text += f"; there are {', '.join(known)}"
            self.steps.append(Step("virtual host", text, parts=self.strangers(name, seen, set())))
            return Outcome("no route", NO_ROUTE)
        host, domain = found
        routes: list[Json] = list(host.get("routes") or ())
        callers = self.callers(routes, name)
        self.steps.append(self.host_step(host, domain, routes, seen, name))
        if host.get("require_tls") == "ALL" and seen.headers["x-forwarded-proto"] != "https":
            place = tuple(place for place, _ in self.proxy.servers(name))
            self.steps.append(Step("redirect", "tls.httpsRedirect, before any route", place))
            return Outcome("redirect", 301, location=to_https(seen))
        chosen = next((n for n, r in enumerate(routes) if not failures(r["match"], seen)), None)
        tried = routes if chosen is None else routes[: chosen + 1]
        self.steps += near_misses(tried, seen, callers, self.places)
        if chosen is None:
            self.steps += self.left_behind(routes, callers)
            self.steps.append(Step("route", "none takes it"))
            return Outcome("no route", NO_ROUTE)
        return self.by_route(routes[chosen], seen, is_rest=host["name"] == "allow_any")

    def left_behind(self, routes: list[Json], callers: dict[str, Caller]) -> Iterator[Step]:
        """Near misses for the matches behind the last route of each VirtualService, of which this
        proxy was never told.
        """
        last: dict[str, Route] = {}
        for route in routes:
            if isinstance(route, Route):
                last[vs_name(route.vs)] = route
        for name, route in last.items():
            after = (route.http, -1 if route.match is None else route.match)
            yield from left_out(route.vs, callers[name], self.places, after)

    def callers(self, routes: list[Json], name: str) -> dict[str, Caller]:
        known = {vs_name(r.vs): r.vs for r in routes if isinstance(r, Route)}
        return {key: self.proxy.caller(vs, name, self.port) for key, vs in known.items()}

    def host_step(self, host: Json, domain: str, routes: list[Json], seen: Seen, name: str) -> Step:
        known = list({vs_name(r.vs): r.vs for r in routes if isinstance(r, Route)}.values())
        places = [self.hosts_place(vs, seen.host) for vs in known]
        if not known and not self.proxy.is_gateway:
            places = list(self.service_places())
        text = f"{host['name']}, by its domain {domain}"
        if host["name"] == "allow_any":
            text = f"allow_any: nothing that this proxy knows has the host {seen.host}"
        if host["name"] == "block_all":
            text = (
                f"block_all: nothing that this proxy knows has the host {seen.host} (REGISTRY_ONLY)"
            )
        parts = self.strangers(name, seen, {vs_name(vs) for vs in known})
        service = self.proxy.service_of(seen.host)
        left_out = None if service is None else self.proxy.left_out_by(service)
        if left_out is not None:
            parts = (*parts, Step(NEAR_MISS, left_out[0], (left_out[1],)))
        return Step("virtual host", text, tuple(places), parts)

    def hosts_place(self, vs: VirtualService, host: str) -> Place:
        """The entry of `spec.hosts` by which a VirtualService has a host."""
        best = 0
        for index, each in enumerate(vs.hosts):
            if host in (each.lower(), each.partition(".")[0]):
                best = index
                break
            if each.startswith("*") and host.endswith(each[1:].lower()):
                best = index
        key: Key = ("VirtualService", vs.namespace, vs.name)
        return self.places.of(key, ("spec", "hosts", best))

    def strangers(self, name: str, seen: Seen, known: set[str]) -> tuple[Step, ...]:
        return tuple(strangers(self.proxy, name, seen.host, self.port, known, self.places))

    def by_route(self, route: Json, seen: Seen, *, is_rest: bool) -> Outcome:
        outcome = outcome_of(route, seen)
        if is_rest and not self.proxy.passes_on:
            text = (
                "on a cluster it goes on to wherever it was meant to go; nothing leaves this mesh"
            )
            self.steps.append(Step("route", f"allow_any: {text}"))
            return Outcome("direct response", 502)
        if isinstance(route, Route):
            text, places = title(route), place_of(route, self.places)
        else:
            text, places = f"{route.get('name') or 'the only one'}: no VirtualService has a say", ()
        parts = route_parts(route, outcome, seen, self.places)
        self.steps.append(Step("route", text, places, parts))
        if outcome.kind != "routed":
            return outcome
        return self.to_clusters(outcome, route)

    def to_clusters(self, outcome: Outcome, route: Json | None) -> Outcome:
        """Adds the steps of the clusters; where none of them can answer, that is the outcome."""
        own = ClusterSteps(self.proxy, self.places)
        nobody = []
        for cluster in outcome.clusters:
            step, answers = own.step(cluster, outcome.clusters, route)
            self.steps.append(step)
            if not answers:
                nobody.append(cluster)
        for cluster, share in outcome.mirrors.items():
            self.steps.append(own.mirror(cluster, share))
        status = UNAVAILABLE if len(nobody) == len(outcome.clusters) else None
        return replace(outcome, status=status, unavailable=tuple(nobody))


def _server(gateway: Resource, server: Json) -> str:
    """A server of a Gateway in words."""
    bound = f", bound to {server['bind']} alone" if server.get("bind") else ""
    return f"{gateway.namespace}/{gateway.name}, port {server['port']['number']}{bound}"

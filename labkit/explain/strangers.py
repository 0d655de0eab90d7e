"""VirtualServices that have the host of a request, and still have no say in it."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.explain.misses import left_out, vs_name
from labkit.explain.places import Places
from labkit.explain.proxies import Caller, Proxy
from labkit.explain.steps import NEAR_MISS, Step
from labkit.resources.hosts import for_namespace, intersection, subset_of
from labkit.resources.istio import MESH
from labkit.translate.gateway import Server
from labkit.translate.routes.http_routes import unconcerned
from labkit.translate.rules.virtual_services import VirtualService


def strangers(
    proxy: Proxy, route_config: str, host: str, port: int, known: set[str], places: Places
) -> Iterator[Step]:
    """A near miss for each VirtualService that has `host`, is not among the `known` (by
    `namespace/name`) and yet could be meant, with what keeps it out.
    """
    servers = [] if not proxy.is_gateway else proxy.servers(route_config)
    own = {MESH} if not proxy.is_gateway else {server.gateway for _, server in servers}
    service = None if proxy.is_gateway else proxy.service_of(host)
    names = {host} if service is None else {host, service.host}
    for vs in proxy.registry.virtual_services:
        if vs_name(vs) in known or not any(_has(vs, name) for name in names):
            continue
        key = ("VirtualService", vs.namespace, vs.name)
        title = f"VirtualService {vs_name(vs)}"
        if not own & set(vs.gateways):
            here = ", ".join(sorted(own)) or "no Gateway"
            text = f"{title}: gateways: it is bound to {', '.join(vs.gateways)}, not to {here}"
            yield Step(NEAR_MISS, text, (places.of(key, ("spec", "gateways")),))
        elif not any(
            vs in proxy.registry.visible_virtual_services(proxy.namespace, g) for g in own
        ):
            text = f"{title}: exportTo: it is not for proxies in {proxy.namespace}"
            yield Step(NEAR_MISS, text, (places.of(key, ("spec", "exportTo")),))
        elif proxy.is_gateway and not any(_shares(vs, server) for _, server in servers):
            text = f"{title}: hosts: the Gateway's server has none of them"
            at_servers = [place for place, server in servers if server.gateway in vs.gateways]
            yield Step(NEAR_MISS, text, (places.of(key, ("spec", "hosts")), *at_servers))
        else:
            caller = proxy.caller(vs, route_config, port)
            if not _may_hold(vs, caller):
                yield from left_out(vs, caller, places)
            else:
                text = f"{title}: hosts: another one, which is older, has the host"
                yield Step(NEAR_MISS, text, (places.of(key, ("spec", "hosts")),))


def _may_hold(vs: VirtualService, caller: Caller) -> bool:
    """Whether any of its routes is for this proxy."""
    return any(
        not unconcerned(match, caller)
        for route in vs.http
        for match in route.get("match") or [None]
    )


def _has(vs: VirtualService, host: str) -> bool:
    return any(subset_of(host, each.lower()) for each in vs.hosts)


def _shares(vs: VirtualService, server: Server) -> bool:
    shared = intersection(for_namespace(server.hosts, vs.namespace), vs.hosts)
    return server.gateway in vs.gateways and bool(shared)

"""Mistakes between a VirtualService and the rest: gateways, hosts, ports and
subsets that it names.
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.resources.istio import MESH, full_host, gateway_key, service_host
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis, title
from labkit.resources.lint.gateways import covers, serves
from labkit.resources.lint.world import World
from labkit.resources.model import Path, Resource
from labkit.resources.rules.shared import Fields, block, items


def gateways(world: World) -> Iterator[Diagnosis]:
    """IST0101, IST0132 and LAB05: is it bound to a Gateway that lets its hosts in?"""
    for service in world.all("VirtualService"):
        names = items(service.spec, "gateways")
        hosts = [str(host) for host in items(service.spec, "hosts")]
        for index, name in enumerate(names):
            if name == MESH:
                continue
            path: Path = ("spec", "gateways", index)
            gateway = world.gateway(name, service.namespace)
            if gateway is None:
                yield _no_gateway(world, service, path, name)
                what = f"the Gateway {name} is not known, so it serves none of the hosts"
            elif any(serves(gateway, host, service.namespace) for host in hosts):
                continue
            else:
                what = f"{title(gateway)} serves none of the hosts {', '.join(hosts)}"
            yield diagnosis("IST0132", service, path, what, "name the same host in both objects")
        if not names or names == [MESH]:
            yield from _not_at_gateway(world, service, hosts)


def _no_gateway(world: World, service: Resource, path: Path, name: str) -> Diagnosis:
    namespace, short = gateway_key(name, service.namespace)
    other = next((g for g in world.all("Gateway") if g.name == short), None)
    if other is not None:
        fix = (
            f"write {other.namespace}/{other.name}: without a namespace it means one in "
            f"{service.namespace}"
        )
    else:
        there = ", ".join(g.name for g in world.all("Gateway") if g.namespace == namespace)
        fix = f"apply it, or name an existing one ({there or 'none is known here'})"
    what = f"there is no Gateway {short} in namespace {namespace}"
    return diagnosis("IST0101", service, path, what, fix, also="KIA1102")


def _not_at_gateway(world: World, service: Resource, hosts: list[str]) -> Iterator[Diagnosis]:
    """A host that is no Service's, which a Gateway serves."""
    for index, host in enumerate(hosts):
        if world.lookup(host, service.namespace).service is not None or "." not in host:
            continue
        found = next(
            (g for g in world.all("Gateway") if host != "*" and serves(g, host, service.namespace)),
            None,
        )
        if found is not None:
            same = found.namespace == service.namespace
            name = found.name if same else f"{found.namespace}/{found.name}"
            what = f"{host} is served by {title(found)}, but this VirtualService is not bound to it"
            yield diagnosis(
                "LAB05",
                service,
                ("spec", "hosts", index),
                what,
                f"add `gateways: [{name}]` to its spec",
            )


def destinations(world: World) -> Iterator[Diagnosis]:
    """IST0101 and IST0112: a host, a port or a subset that does not exist."""
    for service in world.all("VirtualService"):
        for path, target in _destinations(service):
            host = str(target.get("host") or "")
            found = world.lookup(host, service.namespace)
            if found.service is None:
                if found.judged:
                    fix = world.instead_of(found.host)
                    if found.elsewhere is not None:
                        fix = (
                            f"host: {service_host(found.elsewhere.name, found.elsewhere.namespace)}"
                        )
                    what = f"there is no Service {found.host}"
                    yield diagnosis("IST0101", service, (*path, "host"), what, fix, also="KIA1101")
                continue
            yield from _port(service, path, target, found.service)
            yield from _subset(world, service, path, target, found.host)


def _port(service: Resource, path: Path, target: Fields, to: Resource) -> Iterator[Diagnosis]:
    numbers = [port.get("port") for port in items(to.spec, "ports")]
    there = ", ".join(map(str, numbers))
    number = (block(target, "port") or {}).get("number")
    if number is None and len(numbers) > 1:
        what = f"{title(to)} has the ports {there}, and the route does not say which one"
        yield diagnosis(
            "IST0112", service, path, what, "add `port: {number: …}` to the destination"
        )
    elif number is not None and number not in numbers:
        what = f"{title(to)} has no port {number}"
        yield diagnosis(
            "IST0101", service, (*path, "port", "number"), what, f"number: {there}", also="KIA1101"
        )


def _subset(
    world: World, service: Resource, path: Path, target: Fields, host: str
) -> Iterator[Diagnosis]:
    name = target.get("subset")
    rules = [
        r
        for r in world.all("DestinationRule")
        if covers(full_host(str(r.spec.get("host")), r.namespace), host)
    ]
    if not name or not (rules or world.complete):
        return
    defined = [str(subset.get("name")) for rule in rules for subset in items(rule.spec, "subsets")]
    if name not in defined:
        what = f"no DestinationRule defines the subset {name} of {host}"
        there = f"those defined are {', '.join(defined)}" if defined else "none is defined"
        fix = f"define it, or name another one: {there}"
        yield diagnosis("IST0101", service, (*path, "subset"), what, fix, also="KIA1107")


def same_host(world: World) -> Iterator[Diagnosis]:
    """IST0109 inside the mesh, KIA1106 at a gateway: two VirtualServices for one host, of which
    some namespace sees both. Told of the younger one.
    """
    seen: dict[tuple[str, str], list[Resource]] = {}
    for service in world.all("VirtualService"):
        for name in items(service.spec, "gateways") or [MESH]:
            place = MESH if name == MESH else "/".join(gateway_key(name, service.namespace))
            for index, host in enumerate(items(service.spec, "hosts")):
                older = seen.setdefault((place, full_host(host, service.namespace)), [])
                others = [each for each in older if each is not service and _meet(each, service)]
                if service not in older:
                    older.append(service)
                if others:
                    code = "IST0109" if place == MESH else "KIA1106"
                    have = "has" if len(others) == 1 else "have"
                    what = f"{', '.join(map(title, others))} already {have} the host {host}"
                    path: Path = ("spec", "hosts", index)
                    yield diagnosis(
                        code,
                        service,
                        path,
                        what,
                        "put all routes of a host into one VirtualService",
                    )


def _meet(one: Resource, other: Resource) -> bool:
    """Whether some namespace sees both objects."""
    mine, theirs = _seen_in(one), _seen_in(other)
    return bool(mine and theirs and ("*" in mine or "*" in theirs or mine & theirs))


def _seen_in(resource: Resource) -> set[str]:
    """The namespaces that `exportTo` lets see an object; `*` for all, none for `~`."""
    said = {str(name) for name in items(resource.spec, "exportTo")} or {"*"}
    if "*" in said:
        return {"*"}
    return {resource.namespace if name == "." else name for name in said - {"~"}}


def _destinations(service: Resource) -> Iterator[tuple[Path, Fields]]:
    """Each destination of a VirtualService, mirrors too."""
    for section in ("http", "tls", "tcp"):
        for index, route in enumerate(items(service.spec, section)):
            path: Path = ("spec", section, index)
            for name in ("route", "mirrors"):
                for at, entry in enumerate(items(route, name)):
                    target = block(entry, "destination")
                    if target is not None:
                        yield (*path, name, at, "destination"), target
            mirror = block(route, "mirror")
            if mirror is not None:
                yield (*path, "mirror"), mirror

"""Mistakes in Gateways: no pod to serve them, ports that nobody can call, two for one host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.resources.istio import GATEWAY_LABELS, GATEWAY_PORTS
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis, title
from labkit.resources.lint.world import World
from labkit.resources.model import Path, Resource
from labkit.resources.rules.shared import block, items


def missing_workload(world: World) -> Iterator[Diagnosis]:
    """IST0101: no pod has the labels of the selector. Istio's own ingress gateway is taken to be
    there, unless the world is complete.
    """
    for gateway in world.all("Gateway"):
        selector = gateway.spec.get("selector") or {}
        ours = not world.complete and is_ingress(selector)
        judged = world.complete or world.pods
        if selector and judged and not ours and not any(pod.has(selector) for pod in world.pods):
            yield diagnosis(
                "IST0101",
                gateway,
                ("spec", "selector"),
                f"no pod has the labels {_text(selector)}",
                "select Istio's ingress gateway: istio: ingressgateway",
            )


def ports(world: World) -> Iterator[Diagnosis]:
    """IST0162 and LAB04: a port that the Service before the gateway does not have."""
    for gateway in world.all("Gateway"):
        known = _service_ports(world, gateway)
        for index, server in enumerate(items(gateway.spec, "servers")):
            number = (block(server, "port") or {}).get("number")
            if not known or number in known:
                continue
            path: Path = ("spec", "servers", index, "port", "number")
            if number in known.values():
                port = next(port for port, target in known.items() if target == number)
                what = (
                    f"{number} is the port of the gateway's pod; callers use port {port} of "
                    "its Service"
                )
                yield diagnosis("LAB04", gateway, path, what, f"number: {port}")
            else:
                what = f"the gateway's Service has no port {number}"
                there = ", ".join(map(str, known))
                yield diagnosis(
                    "IST0162",
                    gateway,
                    path,
                    what,
                    f"use one of its ports ({there}), or add one to it",
                )


def _service_ports(world: World, gateway: Resource) -> dict[int, int]:
    """Port → target port of the Services before a gateway's pods; Istio's defaults where they are
    not known.
    """
    selector = gateway.spec.get("selector") or {}
    pods = [pod for pod in world.pods if selector and pod.has(selector)]
    found: dict[int, int] = {}
    for service in world.all("Service"):
        wanted = service.spec.get("selector") or {}
        if wanted and any(pod.namespace == service.namespace and pod.has(wanted) for pod in pods):
            for port in items(service.spec, "ports"):
                target = port.get("targetPort", port.get("port"))
                found[port.get("port")] = target if isinstance(target, int) else port.get("port")
    return found or (dict(GATEWAY_PORTS) if is_ingress(selector) else {})


def is_ingress(selector: Mapping[str, str]) -> bool:
    """Whether a selector means the ingress gateway of Istio's installation."""
    return bool(selector) and all(GATEWAY_LABELS.get(key) == it for key, it in selector.items())


def same_host(world: World) -> Iterator[Diagnosis]:
    """IST0145: two Gateways with the same selector, port and host. Reported for the younger one."""
    seen: dict[tuple[str, int, str, str], Resource] = {}
    for gateway in world.all("Gateway"):
        selector = _text(gateway.spec.get("selector") or {})
        for index, server in enumerate(items(gateway.spec, "servers")):
            number = (block(server, "port") or {}).get("number") or 0
            for at, host in enumerate(items(server, "hosts")):
                name = host if host.startswith("./") else host.removeprefix("*/")
                name = (
                    name.replace("./", f"{gateway.namespace}/", 1)
                    if name.startswith("./")
                    else name
                )
                key = (selector, number, name, str(server.get("bind") or ""))
                first = seen.setdefault(key, gateway)
                if first is not gateway:
                    yield diagnosis(
                        "IST0145",
                        gateway,
                        ("spec", "servers", index, "hosts", at),
                        f"{title(first)} already has the host {name} at port {number}",
                        "use another host, or remove this Gateway and let its VirtualServices "
                        "name "
                        f"{first.namespace}/{first.name}",
                    )


def _text(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in sorted(labels.items()))


def serves(gateway: Resource, host: str, namespace: str) -> bool:
    """Whether a Gateway lets VirtualServices of `namespace` have a host.

    >>> serves(gateway, "test.example.com", "hello-world")
    True
    """
    for server in items(gateway.spec, "servers"):
        for entry in items(server, "hosts"):
            owner, slash, name = entry.partition("/")
            home = gateway.namespace if owner == "." else owner
            if slash and home not in ("*", namespace):
                continue
            if covers(name if slash else entry, host):
                return True
    return False


def covers(one: str, other: str) -> bool:
    """Whether one of two hosts, either of which may begin with `*`, stands for the other."""
    from labkit.resources.names import overlap

    return overlap(one.lower(), other.lower())

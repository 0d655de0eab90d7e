"""What this mesh does not do, refused by name before anything is translated.

Istio does much that needs certificates, TCP or a data plane of its own. An object that asks for it
gets an UnsupportedError that names the object, the field and the way to do it; nothing is dropped
in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.resources import kinds, protocols
from labkit.resources.model import Resource
from labkit.resources.rules.shared import block
from labkit.translate.values import at

ON_A_CLUSTER = 'do it on a cluster: labkit.open_mesh("cluster")'

# Field → why it is refused. Paths are those of the objects, without list positions.
POLICY = {
    "tls": "the mesh on this machine speaks plain text between proxies (`mode: DISABLE` alone is "
    "fine)",
    "tunnel": "tunnels carry TCP, and only HTTP is translated",
    "proxyProtocol": "the PROXY protocol is not spoken here",
    "loadBalancer.localityLbSetting": "all pods here are in one place",
    "loadBalancer.zoneAwareLbSetting": "all pods here are in one place",
}
# Values by which such a field asks for nothing.
HARMLESS: dict[str, list[Json]] = {
    "tls": [{"mode": "DISABLE"}],
    "loadBalancer.localityLbSetting": [{"enabled": False}, {"enabled": True}],
}
HTTP_ROUTE = {
    "fault.delay.exponentialDelay": "Istio itself does not support it",
    "fault.abort.http2Error": "Istio itself does not support it",
}


def check_supported(resources: Iterable[Resource]) -> None:
    """Raises UnsupportedError for the first thing that can't be translated.

    >>> check_supported(load("service-entry.yaml"))
    UnsupportedError: ServiceEntry hello-world/external is not supported here …
    """
    for resource in resources:
        if not is_translated(resource.kind):
            raise refusal(resource, "", f"objects of kind {resource.kind} are not translated")
        for path, why in unsupported_fields(resource):
            raise refusal(resource, path, why)


def is_translated(kind: str) -> bool:
    """Whether objects of a kind are translated, or are of a kind that proxies hear nothing of."""
    tells_proxies = kind in kinds.RUN_NAMES and kinds.of(kind).role in ("policy", "service")
    return kind in TRANSLATED if tells_proxies else kind in kinds.RUN_NAMES


def refusal(resource: Resource, path: str, why: str) -> UnsupportedError:
    """The error for a field (`path`, "" for the object itself)."""
    where = f", {path}," if path else ""
    return UnsupportedError(
        f"{resource.kind} {resource.namespace}/{resource.name}{where} is not supported here",
        seen=why,
        try_next=ON_A_CLUSTER,
    )


def unsupported_fields(resource: Resource) -> Iterator[tuple[str, str]]:
    """(path, why) for each field of an object that is refused."""
    if resource.kind in TRANSLATED:
        yield from TRANSLATED[resource.kind](resource)


def in_destination_rule(resource: Resource) -> Iterator[tuple[str, str]]:
    """What is refused in a DestinationRule."""
    yield from in_policy(resource.spec.get("trafficPolicy"), "spec.trafficPolicy")
    for number, subset in enumerate(resource.spec.get("subsets") or []):
        yield from in_policy(subset.get("trafficPolicy"), f"spec.subsets[{number}].trafficPolicy")


def in_policy(policy: Json | None, path: str) -> Iterator[tuple[str, str]]:
    """What is refused in a trafficPolicy, and in that of its ports."""
    if policy is None:
        return
    for field, why in POLICY.items():
        value = at(policy, *field.split("."))
        if value is not None and value not in HARMLESS.get(field, []):
            yield f"{path}.{field}", why
    for number, settings in enumerate(policy.get("portLevelSettings") or []):
        yield from in_policy(settings, f"{path}.portLevelSettings[{number}]")


def in_virtual_service(resource: Resource) -> Iterator[tuple[str, str]]:
    """What is refused in a VirtualService."""
    spec = resource.spec
    for field in ("tcp", "tls"):
        if spec.get(field):
            yield f"spec.{field}", "only HTTP routes are translated"
    for number, route in enumerate(spec.get("http") or []):
        for field, why in HTTP_ROUTE.items():
            if at(route, *field.split(".")) is not None:
                yield f"spec.http[{number}].{field}", why
        for position, match in enumerate(route.get("match") or []):
            for field in ("headers", "withoutHeaders"):
                for name in match.get(field) or {}:
                    if name.lower().startswith("@request."):
                        path = f"spec.http[{number}].match[{position}].{field}[{name}]"
                        yield path, "claims of a JWT need RequestAuthentication"


def in_gateway(resource: Resource) -> Iterator[tuple[str, str]]:
    """What is refused in a Gateway."""
    for number, server in enumerate(resource.spec.get("servers") or []):
        yield from in_server(server, f"spec.servers[{number}]")


def in_server(server: Json, path: str) -> Iterator[tuple[str, str]]:
    """What is refused in a server of a Gateway."""
    protocol = str(at(server, "port", "protocol") or "")
    if not protocols.is_http(protocols.parse(protocol)):
        yield f"{path}.port.protocol: {protocol}", "the gateway here serves HTTP, HTTP2 and GRPC"
    tls: dict[str, Any] = server.get("tls") or {}
    if set(tls) - {"httpsRedirect"}:
        yield f"{path}.tls", "the gateway here has no certificates (httpsRedirect alone is fine)"


def in_service(resource: Resource) -> Iterator[tuple[str, str]]:
    """What is refused in a Service."""
    spec = resource.spec
    if spec.get("type") == "ExternalName":
        yield "spec.type: ExternalName", "names outside the mesh are not looked up"
    if spec.get("internalTrafficPolicy") == "Local":
        yield "spec.internalTrafficPolicy: Local", "all pods here are on one node"
    if spec.get("trafficDistribution"):
        yield "spec.trafficDistribution", "all pods here are in one place"


CAPTURE = "traffic.sidecar.istio.io/"
"""Annotations of this domain say which of a pod's connections its sidecar gets to see."""
CAPTURES_ALL = {"includeOutboundIPRanges": "*", "includeInboundPorts": "*"}


def in_workload(resource: Resource) -> Iterator[tuple[str, str]]:
    """What is refused in a Deployment or a Pod."""
    deployed = resource.kind == "Deployment"
    pod = block(resource.spec, "template") if deployed else resource.body
    metadata = block(pod, "metadata")
    for name, value in (block(metadata, "annotations") or {}).items():
        if name.startswith(CAPTURE) and value not in (
            None,
            "",
            CAPTURES_ALL.get(name.removeprefix(CAPTURE)),
        ):
            path = "spec.template.metadata" if deployed else "metadata"
            yield f"{path}.annotations[{name}]", "each sidecar here gets all connections of its pod"


TRANSLATED = {
    "DestinationRule": in_destination_rule,
    "VirtualService": in_virtual_service,
    "Gateway": in_gateway,
    "Service": in_service,
    "Deployment": in_workload,
    "Pod": in_workload,
}
"""What looks for fields that are refused, of each kind that is translated. A kind that proxies hear
of and that has no entry here is refused as a whole.
"""

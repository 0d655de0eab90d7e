"""Nothing is dropped in silence: each field of Istio's schemas is held to istiod, refused by name,
or listed here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.resources.kinds import ISTIO_KINDS
from labkit.resources.model import Resource
from labkit.translate import check_supported, support

from .recorded import all_cases

# Fields that Istio's schema has and its control plane reads for TLS, TCP or another kind of gateway
# only.
UNREAD = {
    "Gateway spec.servers.defaultEndpoint": "istiod reads it nowhere",
    "Gateway spec.servers.port.targetPort": "deprecated; istiod reads it nowhere",
}

RULE: Json = {"kind": "DestinationRule", "metadata": {"name": "rule", "namespace": "hello-world"}}
VS: Json = {"kind": "VirtualService", "metadata": {"name": "vs", "namespace": "hello-world"}}
GATEWAY: Json = {"kind": "Gateway", "metadata": {"name": "gw", "namespace": "hello-world"}}
SERVICE: Json = {"kind": "Service", "metadata": {"name": "svc", "namespace": "hello-world"}}


def policy(**fields: Any) -> Json:
    return {**RULE, "spec": {"host": "hello-world", "trafficPolicy": fields}}


def route(**fields: Any) -> Json:
    return {**VS, "spec": {"hosts": ["a.example.com"], "http": [fields]}}


def server(protocol: str, **fields: Any) -> Json:
    port = {"number": 443, "name": "x", "protocol": protocol}
    return {**GATEWAY, "spec": {"servers": [{"port": port, "hosts": ["*"], **fields}]}}


REFUSED = [
    ({"kind": "ServiceEntry", "metadata": {"name": "x", "namespace": "a"}}, "ServiceEntry a/x"),
    ({"kind": "EnvoyFilter", "metadata": {"name": "x", "namespace": "a"}}, "EnvoyFilter a/x"),
    ({"kind": "Sidecar", "metadata": {"name": "x", "namespace": "a"}}, "Sidecar a/x"),
    (
        {"kind": "PeerAuthentication", "metadata": {"name": "x", "namespace": "a"}},
        "PeerAuthentication a/x",
    ),
    (policy(tls={"mode": "SIMPLE"}), "spec.trafficPolicy.tls"),
    (policy(tls={"mode": "ISTIO_MUTUAL"}), "spec.trafficPolicy.tls"),
    (policy(tunnel={"targetHost": "x", "targetPort": 1}), "spec.trafficPolicy.tunnel"),
    (policy(proxyProtocol={"version": "V2"}), "spec.trafficPolicy.proxyProtocol"),
    (
        policy(loadBalancer={"localityLbSetting": {"failoverPriority": ["a"]}}),
        "loadBalancer.localityLbSetting",
    ),
    (policy(loadBalancer={"zoneAwareLbSetting": {}}), "loadBalancer.zoneAwareLbSetting"),
    (
        policy(portLevelSettings=[{"port": {"number": 80}, "tls": {"mode": "MUTUAL"}}]),
        "portLevelSettings[0].tls",
    ),
    (
        {
            **RULE,
            "spec": {"host": "a", "subsets": [{"trafficPolicy": {"tls": {"mode": "SIMPLE"}}}]},
        },
        "spec.subsets[0]",
    ),
    ({**VS, "spec": {"hosts": ["a"], "tcp": [{"route": []}]}}, "spec.tcp"),
    ({**VS, "spec": {"hosts": ["a"], "tls": [{"route": []}]}}, "spec.tls"),
    (
        route(fault={"delay": {"exponentialDelay": "1s"}}),
        "spec.http[0].fault.delay.exponentialDelay",
    ),
    (route(fault={"abort": {"http2Error": "x"}}), "spec.http[0].fault.abort.http2Error"),
    (
        route(match=[{"headers": {"@request.auth.claims.sub": {"exact": "a"}}}]),
        "@request.auth.claims.sub",
    ),
    (server("HTTPS", tls={"mode": "SIMPLE"}), "spec.servers[0].port.protocol: HTTPS"),
    (server("TCP"), "spec.servers[0].port.protocol: TCP"),
    (server("HTTP", tls={"mode": "SIMPLE"}), "spec.servers[0].tls"),
    (
        {**SERVICE, "spec": {"type": "ExternalName", "externalName": "example.com"}},
        "spec.type: ExternalName",
    ),
    ({**SERVICE, "spec": {"internalTrafficPolicy": "Local"}}, "spec.internalTrafficPolicy"),
    ({**SERVICE, "spec": {"trafficDistribution": "PreferClose"}}, "spec.trafficDistribution"),
]


@pytest.mark.parametrize(("body", "named"), REFUSED, ids=[named for _, named in REFUSED])
def test_what_can_not_be_done_is_refused_by_name(body: Json, named: str) -> None:
    with pytest.raises(UnsupportedError) as refusal:
        check_supported([Resource(body)])
    assert named in refusal.value.message
    assert refusal.value.seen
    assert "cluster" in refusal.value.try_next


@pytest.mark.parametrize(
    "body",
    [
        policy(tls={"mode": "DISABLE"}),
        policy(loadBalancer={"localityLbSetting": {"enabled": False}}),
        server("HTTP", tls={"httpsRedirect": True}),
        server("GRPC"),
        {**SERVICE, "spec": {"internalTrafficPolicy": "Cluster"}},
    ],
)
def test_neighbours_of_what_is_refused_are_fine(body: Json) -> None:
    check_supported([Resource(body)])


def leaves(schema: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The fields of a schema, without those that only hold others; `*` for any key of a map."""
    if schema.get("properties"):
        for name, inner in schema["properties"].items():
            yield from leaves(inner, (*path, name))
    elif schema.get("type") == "array":
        yield from leaves(schema["items"], path)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from leaves(schema["additionalProperties"], (*path, "*"))
    else:
        yield path


def used(value: Any, schema: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The fields of a schema that a value has."""
    if isinstance(value, dict):
        for key, inner in value.items():
            known = schema.get("properties", {}).get(key)
            if known is not None:
                yield from used(inner, known, (*path, key))
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from used(inner, schema["additionalProperties"], (*path, "*"))
    elif isinstance(value, list):
        for inner in value:
            yield from used(inner, schema.get("items", {}), path)
    else:
        yield path


def folded(path: tuple[str, ...]) -> tuple[str, ...]:
    """A policy has the same fields for a service, a subset and a port: one recording of each is
    enough.
    """
    found = tuple(part for part in path if part != "portLevelSettings")
    return found[1:] if found[:2] == ("subsets", "trafficPolicy") else found


def example(schema: Json, path: tuple[str, ...]) -> Any:
    """A value that has just the field at `path`."""
    if schema.get("type") == "array":
        return [example(schema["items"], path)]
    if not path:
        return (schema.get("enum") or [True if schema.get("type") == "boolean" else "x"])[-1]
    key, rest = path[0], path[1:]
    inner = schema["additionalProperties"] if key == "*" else schema["properties"][key]
    return {"key" if key == "*" else key: example(inner, rest)}


def is_refused(kind: str, spec: Any) -> bool:
    body = copy.deepcopy({"kind": kind, "metadata": {"name": "x", "namespace": "a"}, "spec": spec})
    if kind == "Gateway":
        for one in body["spec"].get("servers", []):
            one.setdefault("port", {}).setdefault("protocol", "HTTP")
    try:
        check_supported([Resource(body)])
    except UnsupportedError:
        return True
    return False


def schema_of(kind: str) -> Json:
    text = resources.files("labkit.resources").joinpath("data", "istio-schemas.json").read_text()
    found: Json = json.loads(text)[kind]["schema"]
    return found


@pytest.mark.parametrize("kind", ISTIO_KINDS)
def test_every_field_of_the_schema_is_held_to_istiod_or_refused(kind: str) -> None:
    """A newer Istio's schema with a new field makes this fail until the field is recorded or
    refused.
    """
    schema = schema_of(kind)["properties"]["spec"]
    recorded: set[tuple[str, ...]] = set()
    for case in all_cases().values():
        for body in case.admitted:
            if body["kind"] == kind:
                recorded.update(map(folded, used(body.get("spec"), schema)))
    missing = []
    for path in dict.fromkeys(leaves(schema)):
        name = f"{kind} spec.{'.'.join(path)}"
        if (
            folded(path) not in recorded
            and name not in UNREAD
            and not is_refused(kind, example(schema, path))
        ):
            missing.append(name)
    assert missing == []


def test_a_kind_that_nothing_translates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in the table of kinds makes no translation: it would be ignored in silence."""
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"host": "a"},
    }
    check_supported([Resource(rule)])
    monkeypatch.delitem(support.TRANSLATED, "DestinationRule")
    with pytest.raises(UnsupportedError, match="kind DestinationRule are not translated"):
        check_supported([Resource(rule)])

"""The generator of rule sets: what it makes is valid, and nothing that is translated is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.resources import load
from labkit.resources.rules.schemas import Schema
from labkit.translate.support import check_supported

from .draw import Draw
from .maker import schema
from .oracle import smallest
from .rulesets import ruleset

SETS = 400
KINDS = ("VirtualService", "DestinationRule", "Gateway")
REFUSED = (
    *("VirtualService.tcp", "VirtualService.tls"),
    *("fault.abort.http2Error", "fault.delay.exponentialDelay"),
    *("trafficPolicy.proxyProtocol", "trafficPolicy.tunnel", "loadBalancer.zoneAwareLbSetting"),
    *("localityLbSetting.distribute", "localityLbSetting.failover"),
    *("trafficPolicy.tls.", "portLevelSettings.tls.", "servers.tls."),
)
"""Parts of what labkit refuses, by how their paths begin or go on."""
WITHOUT_EFFECT = {
    "Gateway.servers.defaultEndpoint": "only in a Sidecar",
    "Gateway.servers.port.targetPort": "the webhook refuses it",
}
ALSO_DRAWN = ("trafficPolicy.tls.mode", "portLevelSettings.tls.mode", "servers.tls.httpsRedirect")


def fields_of(known: Schema, part: Mapping[str, Any], path: str) -> Iterator[str]:
    """The path of each field that has no fields of its own; lists and maps count as their items."""
    part = known.resolve(part)
    more = part.get("additionalProperties")
    if part.get("type") == "array":
        yield from fields_of(known, part.get("items", {}), path)
    elif part.get("properties"):
        for name, inner in part["properties"].items():
            yield from fields_of(known, inner, f"{path}.{name}")
    elif isinstance(more, Mapping):
        yield from fields_of(known, more, path)
    else:
        yield path


def drawn(known: Schema, part: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    """The same for a value of that schema."""
    part = known.resolve(part)
    more = part.get("additionalProperties")
    if part.get("type") == "array":
        for each in value:
            yield from drawn(known, part.get("items", {}), each, path)
    elif part.get("properties"):
        for name, inner in value.items():
            yield from drawn(known, part["properties"][name], inner, f"{path}.{name}")
    elif isinstance(more, Mapping):
        for each in value.values():
            yield from drawn(known, more, each, path)
    else:
        yield path


def plain(path: str) -> str:
    """A field of a policy counts once, whether it is of the Service, a subset or a port."""
    return path.replace("subsets.trafficPolicy", "trafficPolicy").replace("portLevelSettings.", "")


def is_refused(path: str) -> bool:
    return not path.endswith(ALSO_DRAWN) and any(
        path.startswith(part) or f".{part}" in path for part in REFUSED
    )


def test_every_field_that_is_translated_is_drawn_and_every_set_is_valid() -> None:
    found: set[str] = set()
    for number in range(SETS):
        objects = load(ruleset(Draw(number)))  # raises where one would be refused
        check_supported(objects)
        for each in objects:
            if each.kind in KINDS:
                known = schema(each.kind)
                found.update(drawn(known, known.root["properties"]["spec"], each.spec, each.kind))
    wanted = set()
    for kind in KINDS:
        known = schema(kind)
        wanted.update(fields_of(known, known.root["properties"]["spec"], kind))
    missing = {plain(path) for path in wanted if not is_refused(path)} - set(map(plain, found))
    assert missing == set(WITHOUT_EFFECT)
    assert {path for path in found if is_refused(path)} == set()


def test_a_number_tells_a_set() -> None:
    assert ruleset(Draw(7)) == ruleset(Draw(7)) != ruleset(Draw(8))


def test_a_failing_set_is_made_small() -> None:
    def fails(objects: list[Any]) -> bool:
        return any(
            server.get("hosts")
            for each in objects
            for server in each.get("spec", {}).get("servers", [])
        )

    gateway = {
        "kind": "Gateway",
        "metadata": {"name": "a"},
        "spec": {"servers": [{"hosts": ["a", "b"], "port": {"number": 80}}, {"hosts": ["c"]}]},
    }
    other = {"kind": "Service", "spec": {"ports": [{"port": 80}]}}
    least = smallest([other, gateway, other], fails, 1000)
    assert least == [{**gateway, "spec": {"servers": [{"hosts": ["a"]}]}}]
    assert smallest([other, gateway], fails, 2) == [gateway]  # a try each

"""The generator of rule sets: what it makes is valid, and nothing that is translated is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from labkit.resources import load
from labkit.resources.rules.schemas import Schema
from labkit.translate.fates import fate_of
from labkit.translate.support import check_supported
from tests.translate.fates.worlds import Field, fields_of

from .draw import Draw
from .maker import schema
from .oracle import smallest
from .rulesets import ruleset

SETS = 400
KINDS = ("VirtualService", "DestinationRule", "Gateway")


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
    path = path.replace("[]", "").replace("{}", "")
    return path.replace("subsets.trafficPolicy", "trafficPolicy").replace("portLevelSettings.", "")


def test_every_field_that_is_translated_is_drawn_and_every_set_is_valid() -> None:
    found: set[str] = set()
    for number in range(SETS):
        objects = load(ruleset(Draw(number)))  # raises where one would be refused
        check_supported(objects)
        for each in objects:
            if each.kind in KINDS:
                known = schema(each.kind)
                found.update(drawn(known, known.root["properties"]["spec"], each.spec, each.kind))
    done = {
        plain(f"{kind}.{field.path.removeprefix('spec.')}")
        for kind in KINDS
        for field in fields_of(kind)
        if field.path.startswith("spec") and is_done(field)
    }
    assert done - set(map(plain, found)) == set()


def is_done(field: Field) -> bool:
    row = fate_of(field.kind, field.path)
    return row is not None and row.fate == "done"


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

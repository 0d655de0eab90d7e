"""The generators of rule sets: what they make is valid, and nothing translated is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from labkit.resources import load
from labkit.resources.rules.schemas import Schema
from labkit.translate.fates import fate_of
from labkit.translate.support import check_supported
from tests.translate.fates.worlds import Field, fields_of

from .draw import Draw
from .entries import entries
from .maker import schema
from .oracle import Object, smallest
from .rulesets import ruleset

SETS = 400
KINDS: dict[Callable[[Draw], list[Object]], tuple[str, ...]] = {
    ruleset: ("VirtualService", "DestinationRule", "Gateway"),
    entries: ("ServiceEntry", "WorkloadEntry", "Sidecar"),
}
"""Each generator, and the kinds of which it draws every field."""
EACH = pytest.mark.parametrize("made", KINDS, ids=lambda made: made.__name__)


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


@EACH
def test_every_field_that_is_translated_is_drawn_and_every_set_is_valid(made: Any) -> None:
    found: set[str] = set()
    for number in range(SETS):
        objects = load(made(Draw(number)))  # raises where one would be refused
        check_supported(objects)
        for each in objects:
            if each.kind in KINDS[made]:
                known = schema(each.kind)
                found.update(drawn(known, known.root["properties"]["spec"], each.spec, each.kind))
    done = {
        plain(f"{kind}.{field.path.removeprefix('spec.')}")
        for kind in KINDS[made]
        for field in fields_of(kind)
        if field.path.startswith("spec") and is_done(field)
    }
    assert done - set(map(plain, found)) == set()


def is_done(field: Field) -> bool:
    row = fate_of(field.kind, field.path)
    return row is not None and row.fate == "done"


@EACH
def test_a_number_tells_a_set(made: Any) -> None:
    assert made(Draw(7)) == made(Draw(7)) != made(Draw(8))


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

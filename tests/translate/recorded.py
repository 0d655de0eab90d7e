"""What real istiods made of many inputs: the records, read and written.

There are two sets under `data/`:

- `istiod/NAME.json`: one file a case, the whole configuration of three proxies;
- `further.json`: many more cases, packed: objects that all cases share are written once, and of
  each proxy only what differs from its configuration without the case's own objects.

A Service has the address that its cluster gave it, in `spec.clusterIP`. `record.py` makes
the second set from a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labkit.jsontypes import Json
from labkit.resources.model import Resource
from labkit.translate import Registry, gateway_config, registry_of, sidecar_config
from labkit.translate.model import ProxyConfig
from labkit.translate.normalise import normalised

DATA = Path(__file__).parent / "data"
FURTHER = DATA / "further.json"
PARTS = ("clusters", "endpoints", "routes", "listeners")


@dataclass(frozen=True)
class Case:
    """One input: all its objects, those that the API server refused, and what each
    proxy was given. Cases share their parts: change none in place.
    """

    name: str
    objects: list[Json]
    refused: list[Json]
    proxies: dict[str, Json]

    @property
    def admitted(self) -> list[Json]:
        """The objects that istiod came to see."""
        refused = {(r["kind"], r["name"]) for r in self.refused}
        return [o for o in self.objects if (o["kind"], o["metadata"]["name"]) not in refused]

    def registry(self) -> Registry:
        return registry_of([Resource(o) for o in self.admitted])


@cache
def first_cases() -> dict[str, Case]:
    cases = (json.loads(path.read_text()) for path in sorted((DATA / "istiod").glob("*.json")))
    return {c["name"]: Case(c["name"], c["objects"], c["refused"], c["proxies"]) for c in cases}


@cache
def further_cases() -> dict[str, Case]:
    packed = json.loads(FURTHER.read_text())
    return {name: unpacked(name, case, packed["bases"]) for name, case in packed["cases"].items()}


@cache
def all_cases() -> dict[str, Case]:
    return {**first_cases(), **further_cases()}


def unpacked(name: str, case: Json, bases: Json) -> Case:
    base = bases[case["base"]]
    proxies = {proxy: dict(parts) for proxy, parts in base["proxies"].items()}
    for entry in case["changes"]:
        for proxy in entry["proxies"]:
            whole = {**proxies[proxy][entry["part"]], **entry["to"]}
            proxies[proxy][entry["part"]] = {
                key: value for key, value in whole.items() if value is not None
            }
    return Case(name, base["objects"] + case["objects"], case["refused"], proxies)


def packed_case(record: Case, base_name: str, base: Json) -> Json:
    """The opposite of `unpacked`. A change has the new value of each key that differs, null for one
    that is gone.
    """
    entries: list[Json] = []
    for part in PARTS:
        for proxy, whole in record.proxies.items():
            before, after = base["proxies"][proxy][part], whole[part]
            changes = {
                key: after.get(key)
                for key in before.keys() | after.keys()
                if before.get(key) != after.get(key)
            }
            for entry in entries:
                if entry["part"] == part and entry["to"] == changes:
                    entry["proxies"].append(proxy)
                    break
            else:
                if changes:
                    entries.append({"part": part, "proxies": [proxy], "to": changes})
    own = record.objects[len(base["objects"]) :]
    return {"base": base_name, "objects": own, "refused": record.refused, "changes": entries}


def config_of(registry: Registry, proxy: str) -> ProxyConfig:
    """What the translator gives `gateway` or `sidecar:DEPLOYMENT`."""
    if proxy == "gateway":
        return gateway_config(registry)
    deployment = proxy.partition(":")[2]
    return sidecar_config(registry, next(p for p in registry.pods if p.name == f"{deployment}-1"))


def view_of(registry: Registry, proxy: str) -> Json:
    return normalised(config_of(registry, proxy), registry.pods)


def differences(expected: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Each place where two configurations differ, with both values."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key in sorted(expected.keys() | actual.keys()):
            if key not in actual:
                yield f"{path}/{key}: missing, istiod has {json.dumps(expected[key])[:200]}"
            elif key not in expected:
                yield f"{path}/{key}: istiod has none, found {json.dumps(actual[key])[:200]}"
            else:
                yield from differences(expected[key], actual[key], f"{path}/{key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, (one, other) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif expected != actual:
        yield f"{path}: istiod has {json.dumps(expected)[:200]}, found {json.dumps(actual)[:200]}"


def filled(view: Any, changes: Any = (), proxy: str = "") -> dict[str, Any]:
    """Each single value of a configuration by its path, without those that are empty, once the
    changes for a proxy are made. Each change names the proxies that it is for.
    """
    found = dict(leaves(view))
    for change in changes:
        if proxy in change["proxies"]:
            found.update(change["to"])
    return {path: value for path, value in found.items() if value not in (None, {}, [])}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key in value:
            yield from leaves(value[key], f"{path}/{key}")
    elif isinstance(value, list) and value:
        for number, each in enumerate(value):
            yield from leaves(each, f"{path}/{number}")
    else:
        yield path, value

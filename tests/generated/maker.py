"""Manifests of all sorts, made from labkit's schemas: right, nearly right, rubbish.

Each object follows its kind's schema. At every place the value may be wrong instead: another type,
a number of 400 or 5,000 digits, nesting without end, a misspelt name of a field. Names and hosts
come from a small set, so that objects refer to one another.

What is made depends on the state of a `random.Random` alone, so that a number tells an input.
(hypothesis, which made them first, took four times as long for an input as labkit does.)
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from random import Random
from typing import Any

import yaml

from labkit.resources import kinds
from labkit.resources.model import Resource
from labkit.resources.rules.schemas import Schema, schema_of

from .draw import Draw
from .rulesets import ruleset

VERSIONS = {row.kind: row.api_version for row in kinds.RUN}
KINDS = sorted(VERSIONS)
WORDS = [
    "hello-world",
    "hello-world.hello-world.svc.cluster.local",
    "test.example.com",
    "*",
    "*.example.com",
    "mesh",
    "gateway",
    "istio-system/gateway",
    "http",
    "HTTP",
    "TCP",
    "v1",
    "80",
    "5s",
    "1.5h",
    "--5s",
    "0ms",
    "100%",
    "/v2",
    "^/a(b|c)*$",
    "(((((a*)*)*)*)*)*",
    "a{1000}{1000}",
    "",
    " ",
    "\x00",
    "ß\u202e\U0001f600",
    "x" * 300,
    "<img src=x onerror=alert(1)>",
    "2026-01-31T12:00:00Z",
]
NUMBERS = [0, 1, 2, 80, 8080, 100, 500, 65535, 65536, -1, 2**31, 2**63, 2**64, 10**20]
DEEPEST = 7  # below this, objects are left empty: schemas go round in circles
MOST = 4  # fields of one object, beside those that must be there


def nested(depth: int, kind: type) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


# By functions: whoever gets one may keep it.
RUBBISH = {
    "nothing": lambda: None,
    "true": lambda: True,
    "false": lambda: False,
    "half": lambda: 0.5,
    "much": lambda: 1e308,
    "infinity": lambda: float("inf"),
    "no number": lambda: float("nan"),
    "400 digits": lambda: 10**400,
    "5000 digits": lambda: -(10**5000),
    "no list": list,
    "no mapping": dict,
    "list": lambda: [None, 1, "a", [], {}],
    "mapping": lambda: {"a": 1, "": None, "b": {"c": []}},
    "number for a name": lambda: {1: 2, None: 3},
    "deep list": lambda: nested(300, list),
    "deep mapping": lambda: nested(300, dict),
    "deeper": lambda: nested(5000, dict),
    "bytes": lambda: b"\xff\xfe",
    "set": lambda: {1, 2},
    "long": lambda: "a" * 100_000,
    "half a character": lambda: "\ud800",
}


def rubbish(rng: Random) -> Any:
    which = rng.randrange(3)
    if which == 2:
        return RUBBISH[rng.choice(sorted(RUBBISH))]()
    return rng.choice(NUMBERS if which else WORDS)


@functools.cache
def schema(kind: str) -> Schema:
    return schema_of(Resource({"apiVersion": VERSIONS[kind], "kind": kind}))


def misspelt(rng: Random, name: str) -> str:
    return rng.choice([name.upper(), name[1:], name + "s", name + " ", "_" + name, "x"])


def value(rng: Random, known: Schema, part: Mapping[str, Any], depth: int, wrong: int) -> Any:
    """A value for a part of a schema; of `wrong` in a thousand places the value is rubbish."""
    if rng.randrange(1000) < wrong:
        return rubbish(rng)
    part = known.resolve(part)
    if "enum" in part:
        return rng.choice(part["enum"])
    kind = part.get("type")
    if kind == "integer":
        return rng.choice(NUMBERS[:6] if rng.random() < 0.5 else NUMBERS)
    if kind == "number":
        return rng.choice([*NUMBERS, 0.1, 99.9, 100.0])
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "array":
        size = rng.randint(0, 2 if depth < DEEPEST else 0)
        return [value(rng, known, part.get("items", {}), depth + 1, wrong) for _ in range(size)]
    if kind == "object" or "properties" in part:
        return mapping(rng, known, part, depth, wrong)
    return rng.choice(WORDS)


def mapping(
    rng: Random, known: Schema, part: Mapping[str, Any], depth: int, wrong: int
) -> dict[Any, Any]:
    properties = part.get("properties", {})
    found: dict[Any, Any] = {}
    if properties and depth < DEEPEST:
        names = rng.sample(sorted(properties), min(rng.randint(0, MOST), len(properties)))
        for name in dict.fromkeys([*part.get("required", ()), *names]):
            written = misspelt(rng, name) if rng.randrange(1000) < wrong else name
            found[written] = value(rng, known, properties[name], depth + 1, wrong)
    more = part.get("additionalProperties")
    if isinstance(more, Mapping):
        for name in rng.sample(WORDS, rng.randint(0, 2)):
            found[name] = value(rng, known, more, depth + 1, wrong)
    return found


NAMES = ["hello-world", "gateway", "v1", "A_b", "x" * 300, "<img src=x onerror=alert(1)>"]


def manifest(rng: Random) -> dict[str, Any]:
    """One object."""
    kind = rng.choice(KINDS)
    wrong = rng.choice([0, 0, 0, 10, 50, 200])
    known = schema(kind)
    body: dict[str, Any] = {"apiVersion": VERSIONS[kind], "kind": kind}
    body["metadata"] = {
        "name": rng.choice(NAMES[:3] if rng.random() < 0.5 else NAMES),
        "namespace": "hello-world",
    }
    for name, part in known.root["properties"].items():
        if name in ("spec", "data", "binaryData", "status") and rng.randrange(10):
            body[name] = value(rng, known, part, 0, wrong)
        elif name == "metadata" and not rng.randrange(4):
            body[name] = body[name] | value(rng, known, {"$ref": "ObjectMeta"}, 3, 0)
    if rng.randrange(1000) < wrong:
        body[rng.choice(["apiVersion", "kind", "metadata", "spec"])] = rubbish(rng)
    return body


def manifests(rng: Random) -> list[Any]:
    """A few objects that may refer to one another; often two are the same but for their names."""
    found: list[Any] = [manifest(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.5:
        found.append(dict(found[0]))
    if not rng.randrange(20):
        found.append(rubbish(rng))
    return found


BROKEN = [
    "\t",
    "- ",
    ": ",
    "&a ",
    "*a ",
    "*b",
    "<<: *a\n",
    "!!binary x ",
    "!!int x ",
    "!!python/object:os.system ",
    "? ",
    "---\n",
    "...\n",
    "[",
    "{",
    '"',
    "'",
    "|\n",
    ">+9\n",
    "%YAML 9\n",
    "\x00",
    "\x85",
    "\u2028",
    "\ufeff",
    "\ud800",
    "9" * 400,
    "9" * 5000,
    "0x" + "f" * 5000,
    "1e999999",
    "0" * 9000 + "7",
    "[" * 250,
    "{a: " * 250,
    "- " * 250,
    "a: &a [x, x]\nb: &b [*a, *a]\n",
    "&a [*a]",
]


def damaged(rng: Random) -> list[Any]:
    """A valid rule set with something wrong put in at a few places, or with nothing wrong."""
    found: list[Any] = ruleset(Draw(rng.getrandbits(64)))
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        place: Any = found
        key: Any = rng.randrange(len(found))
        while isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.9:
            place = place[key]
            key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place, dict) and rng.random() < 0.2 and isinstance(key, str):
            place[misspelt(rng, key)] = place.pop(key)
        else:
            place[key] = rubbish(rng)
    return found


def text(rng: Random) -> str:
    """Manifests as YAML, with something put in, left out or written twice in a few places."""
    found = "---\n".join(dumped(each) for each in manifests(rng))[:20_000]
    for _ in range(rng.randint(0, 3)):
        place = rng.randint(0, len(found))
        end = min(len(found), place + rng.randint(0, 20))
        put = rng.choice([*BROKEN, found[place:end] * 2])
        found = found[:place] + put + found[end:]
    return found + "\n"


def dumped(body: Any) -> str:
    """As YAML; what YAML can't write is left as rubbish."""
    try:
        return yaml.safe_dump(body, allow_unicode=True, sort_keys=False)
    except (yaml.YAMLError, ValueError, RecursionError):
        return "kind: [" + "x, " * 50


def bomb(depth: int) -> str:
    """Aliases of aliases: nine to the power of `depth` values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(["apiVersion: v1", "kind: ConfigMap", *lines])

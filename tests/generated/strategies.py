"""Manifests of all sorts, made from labkit's schemas: right, nearly right, rubbish.

Each object follows its kind's schema. At every place the value may be wrong instead: another type,
a number of 400 or 5,000 digits, nesting without end, a misspelt name of a field. Names and hosts
come from a small set, so that objects refer to one another.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import yaml
from hypothesis import strategies as st

from labkit.resources import kinds
from labkit.resources.model import Resource
from labkit.resources.rules.schemas import Schema, schema_of

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


# By functions: an int of 5,000 digits can't be printed, and hypothesis prints what it draws from.
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


def rubbish() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(WORDS),
        st.sampled_from(NUMBERS),
        st.sampled_from(sorted(RUBBISH)).map(lambda name: RUBBISH[name]()),
    )


@functools.cache
def schema(kind: str) -> Schema:
    return schema_of(Resource({"apiVersion": VERSIONS[kind], "kind": kind}))


def misspelt(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name.upper(), name[1:], name + "s", name + " ", "_" + name, "x"])


@st.composite
def value(draw: st.DrawFn, known: Schema, part: Mapping[str, Any], depth: int, wrong: int) -> Any:
    """A value for a part of a schema; of `wrong` in a thousand places the value is rubbish."""
    if draw(st.integers(0, 999)) < wrong:
        return draw(rubbish())
    part = known.resolve(part)
    if "enum" in part:
        return draw(st.sampled_from(part["enum"]))
    kind = part.get("type")
    if kind == "integer":
        return draw(st.sampled_from(NUMBERS[:6] if draw(st.booleans()) else NUMBERS))
    if kind == "number":
        return draw(st.one_of(st.sampled_from(NUMBERS), st.sampled_from([0.1, 99.9, 100.0])))
    if kind == "boolean":
        return draw(st.booleans())
    if kind == "array":
        size = draw(st.integers(0, 2 if depth < DEEPEST else 0))
        return [draw(value(known, part.get("items", {}), depth + 1, wrong)) for _ in range(size)]
    if kind == "object" or "properties" in part:
        return draw(mapping(known, part, depth, wrong))
    return draw(st.sampled_from(WORDS))


@st.composite
def mapping(draw: st.DrawFn, known: Schema, part: Mapping[str, Any], depth: int, wrong: int) -> Any:
    properties = part.get("properties", {})
    found: dict[Any, Any] = {}
    if properties and depth < DEEPEST:
        names = draw(st.lists(st.sampled_from(sorted(properties)), max_size=MOST, unique=True))
        for name in dict.fromkeys([*part.get("required", ()), *names]):
            written = draw(misspelt(name)) if draw(st.integers(0, 999)) < wrong else name
            found[written] = draw(value(known, properties[name], depth + 1, wrong))
    more = part.get("additionalProperties")
    if isinstance(more, Mapping):
        for name in draw(st.lists(st.sampled_from(WORDS), max_size=2, unique=True)):
            found[name] = draw(value(known, more, depth + 1, wrong))
    return found


NAMES = ["hello-world", "gateway", "v1", "A_b", "x" * 300, "<img src=x onerror=alert(1)>"]


@st.composite
def manifest(draw: st.DrawFn) -> dict[str, Any]:
    """One object."""
    kind = draw(st.sampled_from(KINDS))
    wrong = draw(st.sampled_from([0, 0, 0, 10, 50, 200]))
    known = schema(kind)
    body = {"apiVersion": VERSIONS[kind], "kind": kind}
    body["metadata"] = {
        "name": draw(st.sampled_from(NAMES[:3] if draw(st.booleans()) else NAMES)),
        "namespace": "hello-world",
    }
    for name, part in known.root["properties"].items():
        if name in ("spec", "data", "binaryData", "status") and draw(st.integers(0, 9)):
            body[name] = draw(value(known, part, 0, wrong))
        elif name == "metadata" and not draw(st.integers(0, 3)):
            body[name] = body[name] | draw(value(known, {"$ref": "ObjectMeta"}, 3, 0))
    if draw(st.integers(0, 999)) < wrong:
        body[draw(st.sampled_from(["apiVersion", "kind", "metadata", "spec"]))] = draw(rubbish())
    return body


@st.composite
def manifests(draw: st.DrawFn) -> list[Any]:
    """A few objects that may refer to one another; often two are the same but for their names."""
    found: list[Any] = draw(st.lists(manifest(), min_size=1, max_size=3))
    if draw(st.booleans()):
        found.append(dict(found[0]))
    if not draw(st.integers(0, 19)):
        found.append(draw(rubbish()))
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


@st.composite
def text(draw: st.DrawFn) -> str:
    """Manifests as YAML, with something put in, left out or written twice in a few places."""
    found = "---\n".join(dumped(each) for each in draw(manifests()))[:20_000]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(found)))
        end = min(len(found), place + draw(st.integers(0, 20)))
        put = draw(st.sampled_from([*BROKEN, found[place:end] * 2]))
        found = found[:place] + put + found[end:]
    return found


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

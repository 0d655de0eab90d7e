"""Objects as text: `dump` writes YAML that kubectl reads back as the same object, `diff` shows what
changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from labkit.resources.model import Resource
from labkit.resources.yaml.scalars import resolve

_PLAIN = re.compile(r"[A-Za-z0-9_./*-]([A-Za-z0-9_ ./:=+*()-]*[A-Za-z0-9_./=+*()-])?")
_BARE_START = re.compile(r"[*-]")


class _Dumper(yaml.SafeDumper):
    """Block style in the order of the object, as people write manifests."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if (
        "\n" in value
        and not re.search(r"[ \t]\n|[^\n\t\x20-\x7e\xa0-\ud7ff]", value)
        and value[0] not in " \n"
    ):
        style = "|"
    elif not isinstance(resolve(value), str):
        style = '"'  # `yes`, `1e3` and the like: Go's yaml package would not read a string
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump(body: Mapping[str, Any]) -> str:
    """An object as YAML.

    >>> print(dump({"kind": "ConfigMap", "data": {"on": "yes"}}), end="")
    kind: ConfigMap
    data:
      "on": "yes"
    """
    written: str = yaml.dump(
        dict(body),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=10**6,
    )
    return written


def diff(old: Resource | str, new: Resource | str, *, context: int = 3) -> list[str]:
    """What changed from `old` to `new`, as the lines of a unified diff of the learner's own text.

    >>> diff("a: 1\\nb: 2\\n", "a: 1\\nb: 3\\n")
    ['--- before', '+++ after', '@@ -1,2 +1,2 @@', ' a: 1', '-b: 2', '+b: 3']
    """
    import difflib  # seldom needed, and slow to import

    before, after = _lines(old), _lines(new)
    names = (_name(old, "before"), _name(new, "after"))
    return list(difflib.unified_diff(before, after, *names, n=context, lineterm=""))


def _lines(value: Resource | str) -> list[str]:
    if isinstance(value, str):
        return value.splitlines()
    return (value.source.text if value.source else dump(value.body)).splitlines()


def _name(value: Resource | str, otherwise: str) -> str:
    if (
        isinstance(value, Resource)
        and value.source is not None
        and not value.source.name.startswith("<")
    ):
        return value.source.name
    return otherwise


def scalar(value: Any, quote: str = "") -> str:
    """One value on one line; a text keeps the quotes of the one it takes the place of.

    >>> scalar("RANDOM"), scalar("yes"), scalar("*"), scalar(5)
    ('RANDOM', '"yes"', '"*"', '5')
    """
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    text = str(value)
    if quote == "'" and "\n" not in text and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    plain = _PLAIN.fullmatch(text) and ": " not in text and not text.endswith(":")
    if (
        plain
        and not quote
        and not _BARE_START.match(text)
        and isinstance(resolve(text), str)
        and text != "="
    ):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


def flow(value: Any) -> str:
    """A value in flow style: `{simple: RANDOM}`.

    >>> flow({"a": [1, "x"]})
    '{a: [1, x]}'
    """
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{flow_key(key)}: {flow(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def flow_key(key: str) -> str:
    """The name of a field, in quotes where YAML needs them."""
    return scalar(str(key))


def block(value: Any, indent: int) -> str:
    """A mapping or a list in block style; every line but the first is indented by
    `indent` spaces.
    """
    if isinstance(value, (Mapping, list, tuple)) and value:
        lines = dump(value).splitlines() if isinstance(value, Mapping) else _list_lines(value)
        return ("\n" + " " * indent).join(lines)
    return flow(value)


def _list_lines(value: Any) -> list[str]:
    written: str = yaml.dump(
        list(value),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=10**6,
    )
    return written.splitlines()

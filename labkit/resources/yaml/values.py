"""Values from Python held to what JSON can say, and the limits that hold for a document's too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from labkit.errors import ParseError

MOST_VALUES = 200_000  # aliases of aliases can grow without end ("billion laughs")
# no object of Kubernetes is nested like this; the parser in C has no limit of its own
DEEPEST = 200


def plain_values(value: Any, name: str) -> Any:
    """A value from Python as a document's would be: JSON's types only. Raises ParseError where it
    holds something else, or more than a document may.
    """
    count = 0

    def copy(part: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        if count > MOST_VALUES:
            raise ParseError(f"{name}more than {MOST_VALUES} values in one object")
        if depth > DEEPEST:
            raise ParseError(f"{name}nested too deeply: more than {DEEPEST} levels")
        if isinstance(part, Mapping):
            return {key_text(key): copy(item, depth + 1) for key, item in part.items()}
        if isinstance(part, (list, tuple)):
            return [copy(item, depth + 1) for item in part]
        if isinstance(part, int) and not isinstance(part, bool):
            if not -(2**63) <= part < 2**64:
                if abs(part) >= 2**1023:
                    raise ParseError(f"{name}a number that is too large for JSON")
                return float(part)
        elif isinstance(part, float):
            if not math.isfinite(part):
                raise ParseError(f"{name}{part} is not a number that JSON knows")
        elif isinstance(part, str):
            return unicode(part)
        elif not isinstance(part, (bool, type(None))):
            raise ParseError(f"{name}a {type(part).__name__} is no value of JSON")
        return part

    def key_text(key: Any) -> str:
        if not isinstance(key, str):
            raise ParseError(f"{name}the name of a field is a {type(key).__name__}, not text")
        return unicode(key)

    def unicode(text: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ParseError(f"{name}a text has half a character, which UTF-8 can't write")
        return text

    return copy(value, 0)

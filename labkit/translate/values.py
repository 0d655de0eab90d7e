"""Small conversions from Istio's way of writing a value to Envoy's: durations, percentages, text
matches.
"""

from __future__ import annotations

import re
from typing import Any

from labkit.jsontypes import Json
from labkit.resources.durations import SECOND, parsed, protobuf_text
from labkit.resources.kinds import api_version


def at(value: Any, *path: str) -> Any:
    """The value found by following `path` through nested mappings; None where anything is missing.

    >>> at({"tcp": {"maxConnections": 2}}, "tcp", "maxConnections")
    2
    """
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def duration(text: str) -> str:
    """A manifest's duration as Envoy's messages have it. Raises ValueError for what is none.

    >>> duration("500ms"), duration("15m")
    ('0.500s', '900s')
    """
    return protobuf_text(parsed(text))


def whole_seconds(text: str) -> int:
    """A duration cut to whole seconds, for Envoy's fields that are plain numbers."""
    nanoseconds = parsed(text)
    return abs(nanoseconds) // SECOND * (1 if nanoseconds >= 0 else -1)


def made_of(kind: str, namespace: str, name: str) -> Json:
    """Which object a message was made of, for those who read a config_dump.

    >>> made_of("DestinationRule", "shop", "cart")["filter_metadata"]["istio"]["config"]
    '/apis/networking.istio.io/v1/namespaces/shop/destination-rule/cart'
    """
    words = re.sub(r"\B(?=[A-Z])", "-", kind).lower()
    path = f"/apis/{api_version(kind)}/namespaces/{namespace}/{words}/{name}"
    return {"filter_metadata": {"istio": {"config": path}}}


def million_percent(percentage: Json) -> Json:
    """`{value: 12.5}` as Envoy's fraction of a million, which keeps four decimals.

    >>> million_percent({"value": 12.5})
    {'numerator': 125000, 'denominator': 'MILLION'}
    """
    numerator = int(float(percentage.get("value") or 0) * 10000)
    fraction: Json = {"numerator": numerator} if numerator else {}
    return {**fraction, "denominator": "MILLION"}


def hundred_percent(percent: int) -> Json:
    """A whole percentage. Envoy's default denominator is 100, and defaults are not written."""
    return {"numerator": percent} if percent else {}


def double_percent(value: float) -> Json:
    """Envoy's Percent message: 0 is written as an empty one."""
    return {"value": value} if value else {}


def string_match(match: Json) -> Json | None:
    """A StringMatch (exact, prefix or regex) as Envoy's StringMatcher; None when it has none of
    them.

    >>> string_match({"regex": "a.*"})
    {'safe_regex': {'regex': 'a.*'}}
    """
    if match.get("exact") is not None:
        return {"exact": str(match["exact"])}
    if match.get("prefix") is not None:
        return {"prefix": str(match["prefix"])}
    if match.get("regex") is not None:
        return {"safe_regex": {"regex": str(match["regex"])}}
    return None


def is_presence(match: Any) -> bool:
    """True for `{}` and for the regex `*`, by which Istio means "the header is there"."""
    return not match or string_match(match) is None or match.get("regex") == "*"

"""Small conversions from Istio's way of writing a value to Envoy's: durations, percentages, text
matches.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from labkit.jsontypes import Json
from labkit.resources.kinds import api_version

UNITS = {
    "ns": Decimal("1e-9"),
    "us": Decimal("1e-6"),
    "µs": Decimal("1e-6"),
    "μs": Decimal("1e-6"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
}
DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")


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


def seconds_of(text: str) -> Decimal:
    """The length of a duration as Go and Kubernetes write it.

    >>> seconds_of("1h30m")
    Decimal('5400')
    """
    sign = -1 if text.startswith("-") else 1
    body = text.lstrip("+-")
    if body == "0":
        return Decimal(0)
    parts = DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"not a duration: {text!r}")
    return sign * sum((Decimal(number) * UNITS[unit] for number, unit in parts), Decimal(0))


def duration(text: str) -> str:
    """A duration as protocol buffers write it in JSON: seconds with 0, 3, 6 or 9 decimals.

    >>> duration("500ms"), duration("15m")
    ('0.500s', '900s')
    """
    nanoseconds = int(seconds_of(text) * 10**9)
    sign = "-" if nanoseconds < 0 else ""
    whole, rest = divmod(abs(nanoseconds), 10**9)
    if not rest:
        return f"{sign}{whole}s"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{whole}.{digits}s"


def whole_seconds(text: str) -> int:
    """A duration cut to whole seconds, for Envoy's fields that are plain numbers."""
    return int(seconds_of(text))


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

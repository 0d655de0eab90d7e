"""Amounts of resources as Kubernetes writes them: `100m`, `0.5`, `128Mi`."""

from __future__ import annotations

import re
from typing import Any

_QUANTITY = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>\d+)(?:\.(?P<part>\d*))?|\.(?P<only>\d+))(?P<unit>[KMGTPE]i|[numkMGTPE]?|[eE][+-]?\d+)"
)
_BINARY = "KMGTPE"
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

FORM = "such as 100m, 0.5, 128Mi"
WHOLE = 10**9
"""One unit: a CPU, or a byte."""


def amount(value: Any) -> int | None:
    """The amount in billionths, rounded up as Kubernetes does, or None where the value is none.

    >>> amount("100m") == WHOLE // 10, amount("1Ki") == 1024 * WHOLE, amount("64MB")
    (True, True, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return None
    digits = found["part"] or found["only"] or ""
    number, below, unit = int((found["whole"] or "") + digits), 10 ** len(digits), found["unit"]
    number *= WHOLE
    if unit.endswith("i"):
        number *= 1024 ** (_BINARY.index(unit[0]) + 1)
    else:
        exponent = _DECIMAL[unit] if unit in _DECIMAL else max(min(int(unit[1:]), 60), -60)
        number *= 10 ** max(exponent, 0)
        below *= 10 ** max(-exponent, 0)
    size: int = -(-number // below)
    return -size if found["sign"] == "-" else size

"""Amounts of resources as Kubernetes writes them: `100m`, `0.5`, `128Mi`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_QUANTITY = re.compile(r"(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+))(?P<unit>[KMGTPE]i|[numkMGTPE]?|[eE][+-]?\d+)")
_BINARY = "KMGTPE"
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

FORM = "such as 100m, 0.5, 128Mi"


def amount(value: Any) -> Fraction | None:
    """The amount, or None where the value is none.

    >>> amount("100m") * 10 == amount(1), amount("1Ki") == 1024, amount("64MB")
    (True, True, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    found = _QUANTITY.fullmatch(str(value))
    if found is None:
        return None
    number, unit = Fraction(found["number"].rstrip(".")), found["unit"]
    if unit.endswith("i"):
        return number * Fraction(1024) ** (_BINARY.index(unit[0]) + 1)
    if unit in _DECIMAL:
        return number * Fraction(10) ** _DECIMAL[unit]
    return number * Fraction(10) ** int(unit[1:])

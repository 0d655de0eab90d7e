"""What a scalar without quotes means: the rules of Go's yaml package, with which kubectl reads."""

from __future__ import annotations

import re

_BOOLEANS = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
}
_NULLS = {"", "~", "null", "Null", "NULL"}
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))"
)
NOT_FINITE = {f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")}
NOT_FINITE |= {".nan", ".NaN", ".NAN"}
_LONGEST_NUMBER = 1200  # 2**1023 in binary digits, with something to spare


def resolve(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar, by the rules of Go's yaml package.

    >>> resolve("yes"), resolve("0x10"), resolve("2.0"), resolve("1:30"), resolve("5m")
    (True, 16, 2, '1:30', '5m')
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text if text[0] == "." else text.replace("_", "")
    if len(plain) > _LONGEST_NUMBER:  # far beyond any float, so no number for Go either
        return text
    whole = _INTEGER.fullmatch(plain)
    if whole:
        sign = -1 if whole["sign"] == "-" else 1
        for name, base in (("hex", 16), ("bin", 2), ("oct", 8), ("dec", 10)):
            if whole[name] is not None:
                number = sign * int(whole[name], base)
                if -(2**63) <= number < 2**64:
                    return number
                break  # Go tries it once more, as a number with a point
    if _NUMBER.fullmatch(plain):
        value = float(plain)
        if value in (float("inf"), float("-inf")):
            return text
        # JSON has one kind of number: 2.0 goes to the API server as 2.
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return text

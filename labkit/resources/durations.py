"""Durations as Istio writes them: `1h30m`, `0.5s`, `100ms`."""

from __future__ import annotations

import re

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<unit>ns|us|µs|μs|ms|s|m|h)")
MILLISECOND = 10**6

EXAMPLES = "a number and a unit, such as 500ms, 10s, 5m, 1h30m (units: ns, us, ms, s, m, h)"


def nanoseconds(text: str) -> int | None:
    """The length of a duration, or None where the text is none. The rules are those of Go's
    time.ParseDuration.

    >>> nanoseconds("1h30m") == 90 * 60 * 10**9, nanoseconds("5"), nanoseconds("1d")
    (True, None, None)
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    if not rest:
        return None
    total, position = 0, 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            return None
        # Go cuts what is less than a nanosecond, part by part.
        whole, _, fraction = part["number"].partition(".")
        unit = _NANOSECONDS[part["unit"]]
        total += int(whole or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = part.end()
    if total > 2**63 - 1:
        return None
    return sign * total


def seconds(text: str) -> float:
    """A valid duration in seconds.

    >>> seconds("1m30s")
    90.0
    """
    found = nanoseconds(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration: {EXAMPLES}")
    return found / 10**9

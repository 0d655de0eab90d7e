"""Durations, in the two grammars that there are: read and written here alone.

Manifests have Go's (`1h30m`, `0.5s`, `100ms`, `-1s`): the API server and Istio read every field of
theirs by time.ParseDuration. Envoy's messages, such as a config_dump, have that of protocol
buffers: seconds, with nine decimals at most (`5400s`, `0.500s`).
"""

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
_PROTOBUF = re.compile(r"-?[0-9]+(?:\.[0-9]{1,9})?s")
MILLISECOND, SECOND = 10**6, 10**9

EXAMPLES = "a number and a unit, such as 500ms, 10s, 5m, 1h30m (units: ns, us, ms, s, m, h)"


def nanoseconds(text: str) -> int | None:
    """The length of a duration in Go's grammar, or None where the text is none. The rules are those
    of time.ParseDuration.

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


def parsed(text: str) -> int:
    """The nanoseconds of a duration in Go's grammar. Raises ValueError where the text is none."""
    found = nanoseconds(text)
    if found is None:
        raise ValueError(f"{text!r} is not a duration: {EXAMPLES}")
    return found


def seconds(text: str) -> float:
    """A valid duration of Go's grammar in seconds.

    >>> seconds("1m30s")
    90.0
    """
    return parsed(text) / SECOND


def go_text(seconds: float) -> str:
    """Seconds as Go writes a duration.

    >>> go_text(90.5), go_text(5), go_text(0.25)
    ('1m30.5s', '5s', '250ms')
    """
    if seconds < 1:
        return f"{seconds * 1000:.9g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:.9g}s"
    if minutes or hours:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def protobuf_text(nanoseconds: int) -> str:
    """A duration as protocol buffers write it: seconds with 0, 3, 6 or 9 decimals.

    >>> protobuf_text(parsed("500ms")), protobuf_text(parsed("15m"))
    ('0.500s', '900s')
    """
    sign = "-" if nanoseconds < 0 else ""
    whole, rest = divmod(abs(nanoseconds), SECOND)
    if not rest:
        return f"{sign}{whole}s"
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{sign}{whole}.{digits}s"


def protobuf_seconds(text: str) -> float:
    """The seconds of a duration as protocol buffers write it. Raises ValueError where the text is
    none, as `1m` and `500ms` are.

    >>> protobuf_seconds("2.500s")
    2.5
    """
    if not _PROTOBUF.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration of protocol buffers, such as 2.500s")
    return float(text[:-1])

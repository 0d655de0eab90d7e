"""Near misses: which of the known words a learner most likely meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 253  # characters, as of a host's name: what is longer is near to no word
_NEAR = 0.72
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+[a-z]*")


def closest(word: str, known: Iterable[str]) -> str:
    """The known word nearest to `word`, or "" when none is near. The order of the parts of a name
    does not count.

    >>> closest("consecutiveErrors5xx", ["consecutive5xxErrors", "consecutiveGatewayErrors", "interval"])
    'consecutive5xxErrors'
    """  # noqa: E501
    if len(word) > _LONGEST:
        return ""
    known = list(known)
    folded, parts = word.lower(), sorted(_parts(word))
    for candidate in known:
        if candidate.lower() == folded or sorted(_parts(candidate)) == parts:
            return candidate
    best, score = "", 0.0
    for candidate in known:
        least = max(score, _NEAR)
        plain = _ratio(folded, candidate.lower(), least)
        ordered = _ratio(" ".join(parts), " ".join(sorted(_parts(candidate))), least)
        # `port` for `ports`, `label` for `labels`, `timeouts` for `timeout`
        near = max(plain, ordered - 0.05)
        if near > score:
            best, score = candidate, near
    return best if score >= _NEAR else ""


def _ratio(one: str, other: str, least: float) -> float:
    """How much of two words is the same, from 0 to 1; 0 where that is less than `least`, which is
    found out at far less cost.
    """
    import difflib  # only wrong manifests need it

    if 2 * min(len(one), len(other)) < least * (len(one) + len(other)):
        return 0.0
    matcher = difflib.SequenceMatcher(None, one, other)
    return matcher.ratio() if matcher.quick_ratio() >= least else 0.0


def _parts(word: str) -> list[str]:
    """ "consecutive5xxErrors" -> ["consecutive", "5xx", "error"]"""
    return [_singular(part.lower()) for part in _PARTS.findall(word)]


def _singular(part: str) -> str:
    if len(part) > 3 and part.endswith("ies"):
        return part[:-3] + "y"
    return part[:-1] if len(part) > 2 and part.endswith("s") and not part.endswith("ss") else part

"""Near misses: which of the known words a learner most likely meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+[a-z]*")


def closest(word: str, known: Iterable[str]) -> str:
    """The known word nearest to `word`, or "" when none is near. The order of the parts of a name
    does not count.

    >>> closest("consecutiveErrors5xx", ["consecutive5xxErrors", "consecutiveGatewayErrors", "interval"])
    'consecutive5xxErrors'
    """  # noqa: E501
    import difflib  # only wrong manifests need it

    known = list(known)
    folded = word.lower()
    for candidate in known:
        if candidate.lower() == folded or sorted(_parts(candidate)) == sorted(_parts(word)):
            return candidate
    best, score = "", 0.0
    for candidate in known:
        plain = difflib.SequenceMatcher(None, folded, candidate.lower()).ratio()
        ordered = difflib.SequenceMatcher(
            None, " ".join(sorted(_parts(word))), " ".join(sorted(_parts(candidate)))
        ).ratio()
        # `port` for `ports`, `label` for `labels`, `timeouts` for `timeout`
        near = max(plain, ordered - 0.05)
        if near > score:
            best, score = candidate, near
    return best if score >= 0.72 else ""


def _parts(word: str) -> list[str]:
    """ "consecutive5xxErrors" -> ["consecutive", "5xx", "error"]"""
    return [_singular(part.lower()) for part in _PARTS.findall(word)]


def _singular(part: str) -> str:
    if len(part) > 3 and part.endswith("ies"):
        return part[:-3] + "y"
    return part[:-1] if len(part) > 2 and part.endswith("s") and not part.endswith("ss") else part

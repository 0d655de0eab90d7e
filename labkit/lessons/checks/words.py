"""Values as a sentence has them: without brackets and quotes, pods by their short names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.errors import shorten
from labkit.resources.podnames import short_names

MOST_SHOWN, MOST_VALUES = 400, 8


def in_words(value: Any) -> str:
    """A value as one would say it.

    >>> in_words({"2/2"}), in_words([503, 503]), in_words({}), in_words({"v1": 3})
    ('2/2', '503, 503', 'nothing', 'v1: 3')
    """
    if value is None or value is True or value is False:
        return {None: "nothing", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        names = short_names(in_words(key) for key in value)
        pairs = [f"{names[in_words(key)]}: {in_words(one)}" for key, one in value.items()]
        rest = f", … ({len(pairs)} in total)" if len(pairs) > MOST_VALUES else ""
        return shorten((", ".join(pairs[:MOST_VALUES]) or "nothing") + rest, MOST_SHOWN)
    if isinstance(value, str) and not value:
        return "nothing"
    if isinstance(value, (list, tuple, set, frozenset)):
        return listed(sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
    return shorten(str(value), MOST_SHOWN)


def listed(values: Iterable[Any]) -> str:
    """Several values: all of a few, of many the first and how many there are."""
    words = [in_words(value) for value in values]
    short = short_names(words)
    shown = [short[word] for word in words]
    if len(shown) > MOST_VALUES:
        first = ", ".join(shown[: MOST_VALUES - 1])
        return f"{first}, … ({len(shown)} in total)"
    return ", ".join(shown) or "nothing"


def and_so(parts: Sequence[str]) -> str:
    """Parts of a sentence, as a sentence: the first letter large, unless it begins with a name, and
    a full stop at the end.
    """
    text = "; ".join(part for part in parts if part)
    return f"{begun(text)}." if text else ""


def begun(text: str) -> str:
    """A text with a large first letter, unless it begins with a name."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text

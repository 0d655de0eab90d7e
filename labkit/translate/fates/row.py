"""What becomes of a field, as a row of a table.

A place is written as `spec.http[].match[].headers{}.exact`: `[]` is any item of a list, `{}` any
key of a map, and `[KEY]` that key alone, as in `metadata.annotations[istio.io/rev]`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

Fate = Literal["done", "refused", "no effect"]
"""Translated (or run) as on a cluster; refused, and the field is named; read by nobody here."""

ONE_PLACE = "all pods here are in one place"
EMPTY: tuple[Any, ...] = (None, "", [])
"""What Kubernetes and Istio take for a field that was not written."""


@dataclass(frozen=True)
class Row:
    """The fate of some fields of a kind.

    `fields` are those below `place` ("" is the place itself). A refused row says whether a value
    that is there `asks` for anything at all; one with `values` refuses these alone, and what
    becomes of the field otherwise is in another row. `when_run`: the mesh on this machine refuses
    it, which has to run the pod; the translation does not need it. `told`: that it has no effect is
    said where somebody writes it.
    """

    fate: Fate
    place: str
    fields: tuple[str, ...] = ("",)
    why: str = ""
    asks: Callable[[Any], bool] = lambda value: value not in EMPTY
    values: str = ""
    keys: Callable[[str], bool] | None = None
    when_run: bool = False
    told: bool = False

    @property
    def paths(self) -> Iterator[str]:
        """The fields in full; none for a row that is about some values of a field."""
        if not self.values:
            yield from (joined(self.place, field) for field in self.fields)

    def below(self, prefix: str) -> Row:
        """The same row of a block that is found at `prefix`."""
        return replace(self, place=joined(prefix, self.place))

    def speaks_of(self, value: Any, path: str) -> Iterator[str]:
        """The path of what this row is about in the value of its place, which was found at `path`;
        a text is told as well."""
        if self.keys is not None:
            if isinstance(value, dict):
                yield from (f"{path}[{key}]" for key in value if self.keys(str(key)))
        elif self.asks(value):
            yield f"{path}: {value}" if self.values and isinstance(value, (str, bool)) else path


def done(place: str, fields: str = "") -> Row:
    """Fields that are translated, or run, as on a cluster."""
    return Row("done", place, tuple(fields.split()) or ("",))


def no_effect(place: str, fields: str = "", *, why: str) -> Row:
    """Fields that change nothing here, and why."""
    return Row("no effect", place, tuple(fields.split()) or ("",), why)


def told(place: str, fields: str = "", *, why: str, unless: tuple[Any, ...] = ()) -> Row:
    """A field that changes nothing here, of which whoever writes it expects something: it is said
    when its object is applied or translated, unless its value asks for nothing."""
    harmless = (*EMPTY, *unless)
    return Row("no effect", place, (fields,), why, lambda value: value not in harmless, told=True)


def refused(
    place: str,
    fields: str = "",
    *,
    why: str,
    unless: tuple[Any, ...] = (),
    asks: Callable[[Any], bool] | None = None,
    when_run: bool = False,
) -> Row:
    """Fields that are refused: where the value of the place is not empty and not among `unless`, or
    where it `asks` for something."""
    harmless = (*EMPTY, *unless)
    asks = asks or (lambda value: value not in harmless)
    return Row("refused", place, tuple(fields.split()) or ("",), why, asks, when_run=when_run)


def refused_values(
    place: str, values: str, *, why: str, asks: Callable[[Any], bool], when_run: bool = False
) -> Row:
    """Some values of a field, in words, which are refused; the field has a row of its own too."""
    return Row("refused", place, (), why, asks, values, when_run=when_run)


def refused_keys(place: str, values: str, *, why: str, keys: Callable[[str], bool]) -> Row:
    """Some keys of a map, in words, which are refused; the map has a row of its own too."""
    return Row("refused", place, (), why, values=values, keys=keys)


def joined(prefix: str, rest: str) -> str:
    """Two parts of a path as one.

    >>> joined("spec.http[]", "timeout"), joined("metadata.labels", "[app]"), joined("spec", "")
    ('spec.http[].timeout', 'metadata.labels[app]', 'spec')
    """
    dot = "." if prefix and rest and not rest.startswith(("[", "{")) else ""
    return f"{prefix}{dot}{rest}"


@functools.cache
def segments(place: str) -> tuple[str, ...]:
    """The steps of a place; those that are no field keep their brackets.

    >>> segments("spec.ports[].name"), segments("metadata.labels[istio.io/rev]")
    (('spec', 'ports', '[]', 'name'), ('metadata', 'labels', '[istio.io/rev]'))
    """
    return tuple(re.findall(r"\[[^\]]*\]|\{\}|[^.\[\]{}]+", place))

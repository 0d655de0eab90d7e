"""Finds what rows speak of in an object: all rows at once, in one walk over what the object has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from labkit.translate.fates.row import Row, joined, segments


class Search:
    """Rows by the steps of their places, as a tree.

    >>> [path for path, row in Search(refusals).found({"spec": {"type": "ExternalName"}})]
    ['spec.type: ExternalName']
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.rows: list[Row] = []
        self.below: dict[str, Search] = {}
        for row in rows:
            self._add(row, segments(row.place))

    def _add(self, row: Row, steps: tuple[str, ...]) -> None:
        if steps:
            self.below.setdefault(steps[0], Search())._add(row, steps[1:])
        else:
            self.rows.append(row)

    def found(self, value: Any, path: str = "") -> Iterator[tuple[str, Row]]:
        """(path, row) of each value that a row speaks of, with list positions. The value may have
        any shape: what does not fit has nothing there."""
        for row in self.rows:
            for named in row.speaks_of(value, path):
                yield named, row
        if not self.below:
            return
        if isinstance(value, dict):
            for key, item in value.items():
                for step in (key, f"[{key}]", "{}"):
                    if step in self.below:
                        own = step if step == key else f"[{key}]"
                        yield from self.below[step].found(item, joined(path, own))
        elif isinstance(value, list) and "[]" in self.below:
            for number, item in enumerate(value):
                yield from self.below["[]"].found(item, f"{path}[{number}]")

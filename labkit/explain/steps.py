"""Steps on the way of a request, and how they look as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labkit.explain.places import Place

NEAR_MISS = "near miss"
"""The name of a step for what could have taken the request, and did not."""
INDENT = "  "


@dataclass(frozen=True)
class Step:
    """One thing on the way of a request: what it is (`listener`, `route`, …), what there is to say
    of it, where that is written, and what belongs to it.
    """

    name: str
    text: str
    places: tuple[Place, ...] = ()
    parts: tuple[Step, ...] = ()

    def lines(self, depth: int = 0) -> Iterator[str]:
        """The lines of this step and of its parts."""
        lead = INDENT * depth
        yield f"{lead}{self.name}: {self.text}" if self.text else f"{lead}{self.name}"
        for place in self.places:
            yield f"{lead}{INDENT}↳ {place}"
        for part in self.parts:
            yield from part.lines(depth + 1)

    def find(self, name: str) -> list[Step]:
        """All steps of a name, this one and those within it."""
        own = [self] if self.name == name else []
        return own + [found for part in self.parts for found in part.find(name)]

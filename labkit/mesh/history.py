"""What was changed in a mesh, and when: so that a plot of requests can say what happened in
between.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import overload
from weakref import WeakSet

from labkit.waiting import steady_time


@dataclass(frozen=True)
class Change:
    """Something that was applied, and since when every proxy holds it: what is
    sent later meets it.
    """

    at: float  # seconds since 1970
    what: str  # a few words, to stand beside a line in a plot


class History(Sequence[Change]):
    """Changes, the oldest first; a backend notes its own, and nothing is ever taken out.

    >>> history = History()
    >>> history.note(["service/shop unchanged", "destinationrule/shop created"])
    >>> history[-1].what
    'destinationrule/shop created'
    """

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self.bells: WeakSet[Event] = WeakSet()
        """Set at each change: for who draws it and would have to look again and again."""

    def note(self, lines: Sequence[str]) -> None:
        """Notes a change that the proxies hold as of now, told in kubectl's lines: the first that
        says anything new.
        """
        new = [line for line in lines if not line.endswith((" unchanged", " (unchanged)"))]
        what = new[0] if new else "nothing new"
        self._changes.append(
            Change(steady_time(), f"{what}, and {len(new) - 1} more" if len(new) > 1 else what)
        )
        for bell in list(self.bells):
            bell.set()

    def __len__(self) -> int:
        return len(self._changes)

    @overload
    def __getitem__(self, index: int) -> Change: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Change, ...]: ...

    def __getitem__(self, index: int | slice) -> Change | tuple[Change, ...]:
        return self._changes[index] if isinstance(index, int) else tuple(self._changes[index])

    def __repr__(self) -> str:
        lines = (
            f"{time.strftime('%H:%M:%S', time.localtime(c.at))}  {c.what}" for c in self._changes
        )
        return "\n".join(lines) or "Nothing was applied yet."

"""What the checks of a run looked at, written down for a comparison with another run: verdict by
verdict.

Switched on by LABKIT_RECORD, the path of a file that gets a JSON line a verdict. Only what has few
kinds is kept, as counts: who answered, in which version, with which status. Times are not: those of
two meshes rightly differ.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = "LABKIT_RECORD"
COLUMNS = ("pod", "version", "status", "flags")
SUFFIX = re.compile(r"-[a-z0-9]{5,10}-[a-z0-9]{5}$")


@dataclass(frozen=True)
class ColumnCounts:
    """One column of a result: how many of each kind. Pods go by their Deployment, since their own
    names are drawn.
    """

    column: str
    counts: dict[str, int]

    @property
    def n(self) -> int:
        """How many requests in total."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class RecordedVerdict:
    """One verdict, what it had seen, and the columns that the check looked at."""

    line: str
    seen: str = ""
    columns: tuple[ColumnCounts, ...] = field(default=())


pending: list[ColumnCounts] = []


def note_column(column: str, found: list[Any]) -> list[Any]:
    """Called for each column of requests that a check reads; gives it back as it is."""
    if column in COLUMNS and os.environ.get(VARIABLE):
        named = ("" if value is None else str(value) for value in found)
        counts = Counter(SUFFIX.sub("", name) if column == "pod" else name for name in named)
        pending.append(ColumnCounts(column, dict(sorted(counts.items()))))
    return found


def concluded(line: str, seen: str) -> None:
    """Called for each verdict: what was looked at since the last one belongs to it."""
    path = os.environ.get(VARIABLE)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(RecordedVerdict(line, seen, tuple(pending)))) + "\n")
    pending.clear()


def read(path: Path) -> list[RecordedVerdict]:
    """The verdicts of a run, in order."""
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [
        RecordedVerdict(
            one["line"], one["seen"], tuple(ColumnCounts(**each) for each in one["columns"])
        )
        for one in found
    ]

"""Two meshes, one result: the same lesson run on both, and its verdicts, counts and distributions
held together.

For each verdict, in order: the lines must be the same; of each column that the check looked at (who
answered, with which status), the shares must be, as far as chance allows. For each kind of value
Fisher's exact test says how often two runs of the same mesh differ so much; with Bonferroni's
correction for the kinds, a column differs when that is `ALPHA` or less. So a comparison of all
lessons, with some hundred columns, is wrong about meshes that agree once in some thousand times.
(The test takes requests for drawn one by one; where pods take turns, chance does even less.) A
column of few requests can't differ that clearly: the report says which, and there the verdict alone
tells.

Which pod a hash picks for a client depends on the pods' addresses. Where a check is about staying
at one pod, shares are therefore compared by rank and not by name: most of one with most of the
other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from labkit.lessons.checks.power import ALPHA
from labkit.lessons.checks.recording import ColumnCounts, RecordedVerdict
from labkit.lessons.notebook.run import Run

RIGHTLY = {
    "05": "Which pod a hash picks for a client depends on the pods' addresses, and those differ. "
    "So the plots may show other pods; shares are compared by rank.",
    "07": "Unless requests are held at the gate, how many of them a breaker refuses depends on "
    "how fast both sides are. So the plots of the noisy runs differ, and no check looks at "
    "their shares. What was held at the gate is exact, and the same.",
}
"""By a lesson's number: what differs between two right meshes, and why. The page says it above the
plots.
"""

BY_RANK = re.compile("same pod")
NOTHING = ColumnCounts("", {})


@dataclass(frozen=True)
class Gap:
    """One column on both meshes: the least likely difference of all kinds, and how often chance
    makes one like it.
    """

    column: str
    left: ColumnCounts
    right: ColumnCounts
    p_value: float
    kind: str = ""

    @property
    def agrees(self) -> bool:
        """Whether chance explains the difference."""
        return self.p_value > ALPHA

    @property
    def can_differ(self) -> bool:
        """Whether there are enough requests for a difference to be no chance."""
        together = math.comb(self.left.n + self.right.n, self.left.n)
        return not self.agrees or 2 * 2 / together <= ALPHA


@dataclass(frozen=True)
class Row:
    """One verdict on both meshes."""

    left: RecordedVerdict | None
    right: RecordedVerdict | None
    gaps: tuple[Gap, ...] = ()

    @property
    def same_line(self) -> bool:
        return (
            self.left is not None and self.right is not None and self.left.line == self.right.line
        )

    @property
    def agrees(self) -> bool:
        return self.same_line and all(gap.agrees for gap in self.gaps)

    @property
    def line(self) -> str:
        said = self.left or self.right
        return said.line if said else ""


@dataclass(frozen=True)
class Compared:
    """One lesson on both meshes."""

    left: Run
    right: Run
    rows: tuple[Row, ...]

    @property
    def agrees(self) -> bool:
        return (
            self.left.passed
            and self.right.passed
            and bool(self.rows)
            and all(row.agrees for row in self.rows)
        )

    @property
    def gaps(self) -> list[Gap]:
        return [gap for row in self.rows for gap in row.gaps]

    @property
    def rightly(self) -> str:
        """What differs in this lesson between two right meshes, and why; "" where nothing does."""
        return RIGHTLY.get(self.left.lesson[:2], "")

    def explain(self) -> list[str]:
        """What does not agree, a line each."""
        lines = [
            f"{run.lesson} fails: {run.failure.message}"
            for run in (self.left, self.right)
            if run.failure
        ]
        for row in self.rows:
            if not row.same_line:
                sides = [said.line if said else "nothing" for said in (row.left, row.right)]
                lines.append(f"{sides[0]}; then {sides[1]}")
            elif not row.agrees:
                lines += [f"{row.line}: {describe(gap)}" for gap in row.gaps if not gap.agrees]
        return lines or ([] if self.rows else ["no verdict was recorded"])


def compare(
    left: Run,
    right: Run,
    left_said: Sequence[RecordedVerdict],
    right_said: Sequence[RecordedVerdict],
) -> Compared:
    """Holds two runs of a lesson together.

    >>> compare(on_embedded, on_cluster, read(one), read(other)).agrees
    True
    """
    rows = tuple(row(one, other) for one, other in zip_longest(left_said, right_said))
    return Compared(left, right, rows)


def row(left: RecordedVerdict | None, right: RecordedVerdict | None) -> Row:
    if left is None or right is None or left.line != right.line:
        return Row(left, right)
    pairs = zip_longest(left.columns, right.columns)
    by_rank = BY_RANK.search(left.line) is not None
    gaps = tuple(gap(one or NOTHING, other or NOTHING, by_rank=by_rank) for one, other in pairs)
    return Row(left, right, gaps)


def gap(left: ColumnCounts, right: ColumnCounts, *, by_rank: bool = False) -> Gap:
    """How two columns differ; columns that are not the same, or of which only one is empty, differ
    for certain.

    >>> one = ColumnCounts("version", {"v1": 40})
    >>> gap(one, ColumnCounts("version", {"v1": 38, "v2": 2})).p_value
    0.49…
    """
    from scipy.stats import fisher_exact

    if left.column == right.column and not left.n and not right.n:
        return Gap(left.column, left, right, 1.0)
    if left.column != right.column or not left.n or not right.n:
        return Gap(left.column or right.column, left, right, 0.0)
    if by_rank and left.column in ("pod", "version"):
        left, right = ranked(left), ranked(right)
    kinds = sorted({*left.counts, *right.counts})
    chances = {}
    for kind in kinds:
        one, other = left.counts.get(kind, 0), right.counts.get(kind, 0)
        chances[kind] = float(fisher_exact([[one, left.n - one], [other, right.n - other]])[1])
    least = min(kinds, key=lambda kind: chances[kind])
    # of two kinds the second says the same
    tests = max(1, len(kinds) - 1 if len(kinds) == 2 else len(kinds))
    return Gap(left.column, left, right, min(1.0, chances[least] * tests), least)


def ranked(column: ColumnCounts) -> ColumnCounts:
    """
    >>> ranked(ColumnCounts("pod", {"hello-world-v1": 3, "hello-world-v2": 5})).counts
    {'number 1': 5, 'number 2': 3}
    """
    counts = sorted(column.counts.values(), reverse=True)
    return ColumnCounts(
        column.column, {f"number {at}": count for at, count in enumerate(counts, 1)}
    )


def describe(found: Gap) -> str:
    """One gap in words.

    >>> one, other = {"v1": 90, "v2": 10}, {"v1": 10, "v2": 90}
    >>> describe(gap(ColumnCounts("version", one), ColumnCounts("version", other)))
    'version: v1 90, v2 10; then v1 10, v2 90: by chance less than once in a million'
    """
    sides = "; then ".join(
        ", ".join(f"{kind or 'nobody'} {count}" for kind, count in side.counts.items()) or "nothing"
        for side in (found.left, found.right)
    )
    if not found.agrees:
        return f"{found.column}: {sides}: by chance less than once in a million"
    return f"{found.column}: {sides}" + ("" if found.can_differ else " (too few to differ clearly)")

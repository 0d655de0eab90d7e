"""`Compare`: two runs side by side, and whether they differ by more than chance explains."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd
import traitlets

from labkit.errors import LessonError
from labkit.lessons.checks.power import unlikely_difference, unlikely_rank
from labkit.ui.panels.base import action
from labkit.ui.panels.live import LivePanel
from labkit.ui.plots import charts as plots
from labkit.ui.plots.charts import column_of, frame_of

CHANCE = 1e-3
"""How often two runs of the same mesh are called different: at most one time in a thousand."""

COMPARE_BY = {"version": "Versions", "pod": "Pods", "status": "Status codes", "latency": "Latency"}


@dataclass(frozen=True)
class Comparison:
    """What a test says of two runs. `gap` is what was seen, `least` what chance alone reaches with
    the probability `chance`; both are shares, 0 to 1.
    """

    differ: bool
    claim: str
    gap: float
    least: float
    chance: float

    @property
    def words(self) -> str:
        """For a learner: what it says, how often that is wrong, and what it can't see."""
        rare = f"once in {1 / self.chance:,.0f} comparisons"
        if self.differ:
            return (
                f"They differ: {self.claim}. Two runs of the same mesh differ this much at "
                f"most {rare}."
            )
        return (
            f"No difference beyond chance: {self.claim}. A gap of "
            f"{100 * self.least:.0f} points or more "
            "would have counted; with more requests, a smaller one would."
        )


def compare(a: Any, b: Any, by: str = "version", *, chance: float = CHANCE) -> Comparison:
    """Tests whether two runs differ: in the shares of a pod, version or status, or in latency.

    Shares: the widest gap against Hoeffding's bound, shared out over all values (Bonferroni).
    Latency: in how many of all pairs of requests the one of `a` is faster, as Mann and Whitney
    count, against Hoeffding's bound. Both hold for any number of requests. The lessons' checks are
    the same tests at one in a million.

    >>> compare(before, after, by="version").differ
    True
    """
    left, right = frame_of(a), frame_of(b)
    if not len(left) or not len(right):
        raise LessonError(
            "There are no requests to compare", seen=f"{len(left)} and {len(right)} rows"
        )
    if by == "latency":
        return faster(left, right, chance)
    one, other = column_of(left, by), column_of(right, by)
    names = sorted({*one, *other})
    # of two values the second gap is the first one again
    tails = 2 * (1 if len(names) <= 2 else len(names))
    gaps = {name: float((other == name).mean() - (one == name).mean()) for name in names}
    widest = max(names, key=lambda name: abs(gaps[name]))
    least = unlikely_difference(len(left), len(right), chance / tails)
    if not gaps[widest]:
        return Comparison(False, f"each {by} has the same share in both", 0.0, least, chance)
    came, went = (100 * float((column == widest).mean()) for column in (one, other))
    claim = f"{widest} got {came:.0f} % of the first run and {went:.0f} % of the second"
    return Comparison(abs(gaps[widest]) >= least, claim, abs(gaps[widest]), least, chance)


def faster(left: pd.DataFrame, right: pd.DataFrame, chance: float) -> Comparison:
    """In how many of all pairs the first run's request is the faster one, ties counted half."""
    import numpy as np

    one, other = (np.sort(frame["latency_ms"].dropna().to_numpy(float)) for frame in (left, right))
    if not len(one) or not len(other):
        raise LessonError(
            "There are no times to compare", seen=f"{len(one)} and {len(other)} of them"
        )
    slower = len(other) - np.searchsorted(other, one, side="right")
    ties = np.searchsorted(other, one, side="right") - np.searchsorted(other, one, side="left")
    won = float((slower + ties / 2).sum()) / (len(one) * len(other))
    least = unlikely_rank(min(len(one), len(other)), chance / 2)
    medians = (
        f"p50 is {np.median(one):.2f} ms in the first run and {np.median(other):.2f} ms in the "
        "second"
    )
    return Comparison(abs(won - 0.5) >= least, medians, abs(won - 0.5), least, chance)


def side_by_side(
    a: Any, b: Any, by: str = "version", names: tuple[str, str] = ("first", "second")
) -> Any:
    """The plot: shares of both runs, or their latencies in two rows.

    >>> side_by_side(before, after, by="latency")
    """
    if by == "latency":
        both = pd.concat(
            [
                frame_of(run).assign(run=f"{n}: {name}")
                for n, (run, name) in enumerate(((a, names[0]), (b, names[1])), 1)
            ]
        )
        return plots.latency(both, by="run")
    return plots.compare(by=by, **{names[0]: a, names[1]: b})


class Compare(LivePanel):
    """Two runs side by side: results, frames, or runs of a TrafficPanel; with a test that says
    whether they differ in `by`: "version", "pod", "status" or "latency". Raises LessonError for
    another `by`, and for a run without requests.

    >>> Compare(before, after, names=("RANDOM", "LEAST_REQUEST"))
    >>> Compare(*panel.runs[-2:]).comparison.differ
    False
    """

    title = "Two runs side by side"
    scripts = ("live.js", "compare.js")
    styles = ("live.css",)

    by = traitlets.Unicode("version").tag(sync=True)
    choices = traitlets.Dict(COMPARE_BY).tag(sync=True)
    verdict = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self, a: Any, b: Any, *, by: str = "version", names: tuple[str, str] = ("first", "second")
    ) -> None:
        self.a, self.b, self.names = a, b, names
        self.comparison: Comparison | None = None
        super().__init__()
        self.choose(by)

    @action
    def choose(self, by: str) -> None:
        """What is compared: version, pod, status or latency."""
        if by not in COMPARE_BY:
            raise LessonError(
                f"Runs can't be compared by {by!r}", seen=f"there are: {', '.join(COMPARE_BY)}"
            )
        found = compare(self.a, self.b, by)
        self.by, self.comparison = by, found
        self.show(side_by_side(self.a, self.b, by, self.names))
        self.verdict = found.words

    def text(self) -> str:
        return f"{self.axes!r}\n{self.verdict}"

    def words(self) -> str:
        return f"<p>{html.escape(self.verdict)}</p>"

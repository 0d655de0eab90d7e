"""`Bins`: a run as the browser needs it to draw it, step by step, and only what is new.

A run of 20 minutes has a quarter of a million rows. The browser draws a few hundred steps of them,
so that is what it gets: how many requests of each version, pod, status and latency fell into each
step. A message says by how much each has grown since the last one, so it stays small however long
the run is. Counts can be added up: the browser makes wider steps of them where it shows more, and
percentiles too, since latencies are counted by size.

>>> bins = Bins()
>>> bins.take(stream.columns, len(stream), stream.marks)
>>> bins.news(end=3.0)["add"]["versions"]["v1"]      # step, how many more, step, how many more, …
[0, 2, 1, 3]
"""

from __future__ import annotations

import math
import secrets
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.ui.plots.charts import NOBODY, style_of, told
from labkit.ui.plots.style import PLAIN, PLAIN_2, themed
from labkit.ui.plots.svg import HATCHES
from labkit.ui.plots.timelines import Mark, latency_title, names_of, share_title

FINEST_S = 0.01
MOST_BINS = 2400
"""More steps than a screen has pixels for; then they become twice as wide."""
RATIO = 1.04
"""Latencies that are less than 4 % apart are counted as one: half of that is a pixel."""
COLUMNS = {"versions": "version", "pods": "pod", "status": "status"}
PLOTS = (*COLUMNS, "latency")

Counts = dict[str, dict[str, Counter[int]]]
"""By plot, by name, by step: how many requests."""


class Bins:
    """The requests of one run, counted step by step, and from one mark to the next."""

    def __init__(self, run: str = "") -> None:
        self.run = run or secrets.token_hex(4)
        self.start: float | None = None
        self.step = FINEST_S
        self.requests = 0
        self.counts: Counts = {plot: {} for plot in PLOTS}
        self.new: Counts = {plot: {} for plot in PLOTS}
        self.periods: list[dict[str, Counter[str]]] = [{plot: Counter() for plot in PLOTS}]
        self.marks: list[Mark] = []
        self.versions: dict[str, str] = {}
        self.number = 0
        self.whole = True
        """Whether the next message has all of it: for a view that has nothing yet."""

    # taking rows in

    def take(
        self, columns: Mapping[str, Sequence[Any]], count: int, marks: Iterable[Mark] = ()
    ) -> None:
        """Takes the rows up to `count` that it does not have yet."""
        first, count = self.requests, min(count, *(len(values) for values in columns.values()))
        ats = columns["at"][first:count]
        shown = list(marks)
        if self.start is None and not ats:
            self.begin_periods(shown)
            return
        if self.start is None:
            self.start = float(min(ats))
        start = self.start
        self.widen(max(ats, default=start) - start)
        # times since 1970 are exact to less than a microsecond: so much is rounded
        steps = [max(0, int((at - start + 1e-6) / self.step)) for at in ats]
        pods, versions = columns["pod"][first:count], columns["version"][first:count]
        self.versions.update(zip(map(name_of, pods), map(name_of, versions), strict=True))
        names = names_in(columns, first, count)
        for plot, values in names.items():
            for (name, step), n in Counter(zip(values, steps, strict=True)).items():
                if name:  # a request that got no answer has no latency
                    self.counts[plot].setdefault(name, Counter())[step] += n
                    self.new[plot].setdefault(name, Counter())[step] += n
        self.requests = max(first, count)
        if len(shown) != len(self.marks):  # some rows belong to the new mark already
            self.begin_periods(shown)
            ats, names = columns["at"][:count], names_in(columns, 0, count)
        self.share_out(ats, names)

    def begin_periods(self, marks: list[Mark]) -> None:
        self.marks = marks
        self.periods = [{plot: Counter() for plot in PLOTS} for _ in range(len(marks) + 1)]

    def share_out(self, ats: Sequence[float], names: Mapping[str, Sequence[str]]) -> None:
        """Counts rows from one mark to the next."""
        cuts = [mark.at for mark in self.marks]
        periods = [bisect_right(cuts, at) for at in ats]
        for plot, values in names.items():
            for (period, name), n in Counter(zip(periods, values, strict=True)).items():
                self.periods[period][plot][name] += n

    def widen(self, seconds: float) -> None:
        """Steps twice as wide, until they are few enough; all views then get all anew."""
        while seconds / self.step > MOST_BINS:
            self.step *= 2
            self.whole = True
            for plot, names in self.counts.items():
                for name, steps in names.items():
                    wider: Counter[int] = Counter()
                    for step, n in steps.items():
                        wider[step // 2] += n
                    self.counts[plot][name] = wider

    # giving them out

    def news(self, end: float) -> dict[str, Any]:
        """What a view does not have yet, as one message; `end` is now, in seconds since 1970."""
        start = self.start if self.start is not None else end
        given = self.counts if self.whole else self.new
        message = {
            "run": self.run,
            "number": self.number,
            "whole": self.whole,
            "step": self.step,
            "end": round(max(0.0, end - start), 3),
            "ratio": RATIO,
            "marks": [[max(0.0, round(mark.at - start, 3)), mark.what] for mark in self.marks],
            "rows": {plot: self.rows(plot) for plot in COLUMNS} | {"latency": PERCENTILES},
            "hatches": HATCHES if self.whole else {},
            "add": {
                plot: {
                    name: [part for pair in sorted(steps.items()) for part in pair]
                    for name, steps in names.items()
                }
                for plot, names in given.items()
            },
        }
        self.number += 1
        self.whole = False
        self.new = {plot: {} for plot in PLOTS}
        return message

    def rows(self, plot: str) -> list[list[str]]:
        """Each row of a plot, from above: its name, how it is told, its colour and its hatch."""
        names = names_of(self.counts[plot])
        looks = [style_of(name, COLUMNS[plot], self.versions) for name in names]
        return [
            [name, short, themed(look.colour), look.hatch]
            for name, short, look in zip(names, told(names), looks, strict=True)
        ]

    def title(self, plot: str) -> str:
        """The caption of a plot, as that of the picture."""
        if plot in COLUMNS:
            return share_title(self.requests, COLUMNS[plot], len(self.marks))
        return latency_title(self.requests)

    def table(self, plot: str, end: float) -> dict[str, Any]:
        """The table under the plot, as `timelines.between` and `latency_between` have it;
        percentiles are right to 2 %.
        """
        start = self.start if self.start is not None else end
        cuts = [start, *(mark.at for mark in self.marks), end]
        cuts = [max(0.0, cut - start) for cut in cuts]
        whats = ["the start", *(f"{n}: {mark.what}" for n, mark in enumerate(self.marks, 1))]
        names = names_of(self.counts[plot]) if plot in COLUMNS else []
        rows = []
        for number, (what, period) in enumerate(zip(whats, self.periods, strict=True)):
            count = sum(period["versions"].values())
            since = str(round(cuts[number], 2))
            if plot in COLUMNS:
                parts = [100 * period[plot][name] / max(1, count) for name in names]
                row = [since, str(round(cuts[number + 1], 2)), what, str(count)]
                rows.append([*row, *(str(round(part, 1)) for part in parts)])
            else:
                parts = [percentile(period["latency"], part) for part in (0.5, 0.9, 0.99)]
                rows.append(
                    [since, what, str(count), *("" if p != p else f"{p:.2f}" for p in parts)]
                )
        columns = ["from s", "to s", "since", "requests", *(f"{name} %" for name in names)]
        if plot not in COLUMNS:
            columns = ["from s", "since", "requests", "p50 ms", "p90 ms", "p99 ms"]
        return {"columns": columns, "rows": rows}


PERCENTILES = [["0.5", "p50", themed(PLAIN), ""], ["0.99", "p99", themed(PLAIN_2), "--"]]


def name_of(value: Any) -> str:
    """A pod or a version as plots tell it; "" where nobody answered."""
    return "" if value is None or value != value else str(value)


def names_in(columns: Mapping[str, Sequence[Any]], first: int, count: int) -> dict[str, list[str]]:
    """Of each row from `first` to `count`: its name in each plot."""
    named = {
        plot: [name_of(value) or NOBODY for value in columns[column][first:count]]
        for plot, column in COLUMNS.items()
        if plot != "status"
    }
    statuses = columns["status"][first:count]
    named["status"] = ["no answer" if int(s) == -1 else str(int(s)) for s in statuses]
    named["latency"] = [size_of(value) for value in columns["latency_ms"][first:count]]
    return named


def size_of(latency_ms: float | None) -> str:
    """The number of the size that a latency is counted under; "" where there is none.

    >>> size_of(5.0) == size_of(5.1), size_of(5.0) == size_of(5.3)
    (True, False)
    """
    if latency_ms is None or latency_ms != latency_ms:
        return ""
    return str(math.floor(math.log(max(latency_ms, 1e-3)) / math.log(RATIO)))


def percentile(sizes: Mapping[str, int], part: float) -> float:
    """The latency in ms below which this part of the requests is; NaN where there are none."""
    found = sorted((int(size), n) for size, n in sizes.items() if size)
    left = part * sum(n for _, n in found)
    for size, n in found:
        left -= n
        if left <= 0:
            return float(RATIO ** (size + 0.5))
    return math.nan

"""Plots over time, with a line wherever something was applied. Functions of rows that return axes,
as in `charts`.

    timelines.share(result, by="version", marks=mesh.history)  # each version's share of requests
    timelines.latency(result, marks=mesh.history)              # p50 and p99 at each moment
    timelines.between(result, marks=mesh.history)              # shares between the lines, a table

Marks are things with `at` (seconds since 1970) and `what`: a mesh's history, or what you make
yourself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import pandas as pd
from matplotlib.transforms import Affine2D

from labkit.ui.plots import charts as plots
from labkit.ui.plots.axes import ROW, new_axes
from labkit.ui.plots.charts import NOBODY, column_of, frame_of, style_of, told, version_of_pods
from labkit.ui.plots.style import GRID, INK, PAPER, PLAIN, PLAIN_2
from labkit.ui.plots.svg import LINE_HEIGHT

STEPS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
MOST_STEPS = 60
REQUESTS_A_STEP = 3
MOST_MARKS_TOLD = 3
RING = 17.0  # pixels: the number of a line, above the axes


class Mark(Protocol):
    """An instant worth a line: a Change of a mesh's history is one."""

    @property
    def at(self) -> float: ...

    @property
    def what(self) -> str: ...


def step_of(seconds: float, requests: int) -> float:
    """How wide one step is: some dozens of them, and fewer where each would have hardly any
    requests.

    >>> step_of(10, 2000), step_of(10, 30)
    (0.2, 1)
    """
    most = max(4, min(MOST_STEPS, requests // REQUESTS_A_STEP))
    return next((step for step in STEPS_S if seconds / step <= most), STEPS_S[-1])


def steps_of(seconds: pd.Series[float], step: float) -> pd.Series[int]:
    """In which step each request falls. Times since 1970 are exact to less than a microsecond: so
    much is rounded.
    """
    return (seconds / step + 1e-6).astype(int)


def marks_in(marks: Iterable[Mark], start: float, end: float) -> list[Mark]:
    return [mark for mark in marks if start <= mark.at <= end]


def between(
    source: Any, by: str = "version", marks: Iterable[Mark] = (), *, end: float | None = None
) -> pd.DataFrame:
    """From one mark to the next: how many requests, and which per cent of them each pod, version or
    status has.

    A request belongs to where it was sent. Columns: from s, to s, since, requests, and one a value.

    >>> timelines.between(result, marks=mesh.history)
    """
    frame = frame_of(source)
    values = column_of(frame, by)
    start, last = span(frame, end)
    shown = marks_in(marks, start, last)
    names = names_of(values)
    rows = []
    for since, until, what in periods(start, last, shown):
        mine = values[(frame["at"] >= since) & ((frame["at"] < until) | (until >= last))]
        row: dict[str, Any] = {
            "from s": round(since - start, 2),
            "to s": round(until - start, 2),
            "since": what,
        }
        row["requests"] = len(mine)
        row |= {
            f"{name} %": round(100 * float((mine == name).mean()), 1) if len(mine) else 0.0
            for name in names
        }
        rows.append(row)
    return pd.DataFrame(rows)


def share(
    source: Any, by: str = "version", marks: Iterable[Mark] = (), *, end: float | None = None
) -> Any:
    """A row for each pod, version or status: which part of the requests it got, at each moment.
    Full height: all.

    `end` (seconds since 1970) is where the picture ends, when it is to go on after the last
    request.

    >>> timelines.share(result, by="pod", marks=mesh.history)
    """
    frame = frame_of(source)
    values = column_of(frame, by)
    start, last = span(frame, end)
    shown = marks_in(marks, start, last)
    names = names_of(values)
    step = step_of(last - start, len(frame))
    axes = new_axes(between(frame, by, shown, end=last), height=1.5 * ROW * len(names))
    bins = steps_of(frame["at"] - start, step)
    totals = values.groupby(bins).size()
    versions = version_of_pods(frame)
    latest = frame["at"] >= (shown[-1].at if shown else start)
    for number, name in enumerate(names):
        at = len(names) - 1 - number
        parts = (values == name).groupby(bins).sum() / totals
        style = style_of(name, by, versions)
        # one shape for the whole row: a bar a step takes several times as long to draw
        steps = [float(parts.get(number, 0.0)) for number in range(int(bins.max()) + 1)]
        edges = [step * number for number in range(len(steps) + 1)]
        tops = [at + 0.86 * part for part in steps]
        axes.stairs(
            tops, edges, baseline=at, fill=True, color=style.colour, hatch=style.hatch, linewidth=0
        )
        axes.axhline(at, color=GRID, linewidth=1, zorder=0)
        count = int((values[latest] == name).sum())
        percent = 100 * count / max(1, int(latest.sum()))
        axes.note(f"{percent:.0f} %", 1, at + 0.4, beyond=True)
    axes.set_yticks(
        [len(names) - 1 - number + 0.4 for number in range(len(names))],
        told(names),
    )
    axes.set_ylim(0, max(1, len(names)))
    axes.set_title(share_title(len(frame), by, len(shown)), loc="left")
    finish(axes, start, last, shown)
    return axes


def share_title(requests: int, by: str, marks: int) -> str:
    since = "since the last line" if marks else "of all"
    return f"Share of {requests} requests by {by} (right: {since})"


def latency(source: Any, marks: Iterable[Mark] = (), *, end: float | None = None) -> Any:
    """How long requests took at each moment, in milliseconds: p50 and p99.

    >>> timelines.latency(result, marks=mesh.history)
    """
    frame = frame_of(source)
    start, last = span(frame, end)
    shown = marks_in(marks, start, last)
    step = step_of(last - start, len(frame))
    bins = steps_of(frame["at"] - start, step)
    groups = frame["latency_ms"].groupby(bins)
    rows = latency_between(frame, shown, end=last)
    axes = new_axes(rows, height=150)
    ends: list[float] = []
    top = 1.1 * float(groups.quantile(0.99).max() if len(frame) else 0.0) or 1.0
    for part, colour, style in ((0.99, PLAIN_2, "--"), (0.5, PLAIN, "-")):
        numbers = groups.quantile(part)
        places = [step * (float(number) + 0.5) for number in numbers.index]
        words = f"p{100 * part:.0f}"
        axes.plot(places, list(numbers), style, color=colour, linewidth=2, label=words)
        if len(numbers):
            # two words must not lie on each other
            line = top * LINE_HEIGHT / 150
            ends.append(min([float(numbers.iloc[-1]), *(end - line for end in ends)]))
            axes.note(words, 1, ends[-1], beyond=True)
    axes.set_ylim(0, top)
    axes.set_ylabel("milliseconds")
    axes.set_title(latency_title(len(frame)), loc="left")
    finish(axes, start, last, shown)
    return axes


def latency_title(requests: int) -> str:
    return f"Latency of {requests} requests over time (solid: p50, dashed: p99)"


def latency_between(
    source: Any, marks: Iterable[Mark] = (), *, end: float | None = None
) -> pd.DataFrame:
    """From one mark to the next: requests, and the median, 90th and 99th percentile of their
    latency in ms.
    """
    frame = frame_of(source)
    start, last = span(frame, end)
    rows = []
    for since, until, what in periods(start, last, marks_in(marks, start, last)):
        mine = frame["latency_ms"][
            (frame["at"] >= since) & ((frame["at"] < until) | (until >= last))
        ]
        row: dict[str, Any] = {
            "from s": round(since - start, 2),
            "since": what,
            "requests": len(mine),
        }
        for part in (50, 90, 99):
            row[f"p{part} ms"] = (
                round(float(mine.quantile(part / 100)), 2) if len(mine) else math.nan
            )
        rows.append(row)
    return pd.DataFrame(rows)


def histogram(source: Any, marks: Iterable[Mark] = (), *, most: int = 4) -> Any:
    """How long requests took, in a row of its own for each time between two marks: the last `most`
    of them.

    >>> timelines.histogram(result, marks=mesh.history)
    """
    frame = frame_of(source)
    start, end = span(frame)
    found = list(periods(start, end, marks_in(marks, start, end)))
    whens = pd.Series("", index=frame.index)
    for number, (since, until, _) in enumerate(found):
        if number >= len(found) - most:
            name = f"since line {number:>2}" if number else "before line 1"
            whens[(frame["at"] >= since) & ((frame["at"] < until) | (until >= end))] = name
    if len(found) == 1:
        return plots.latency(frame)
    shown = frame.assign(when=whens)[whens != ""]
    axes = plots.latency(shown, by="when")
    axes.set_title(
        f"Latency of {len(shown)} requests, between the lines of the plots over time", loc="left"
    )
    return axes


# how they are made


def span(frame: pd.DataFrame, end: float | None = None) -> tuple[float, float]:
    """From the first request to the last one, or to `end`; never nothing at all."""
    if not len(frame):
        return (end or 1.0) - 1.0, end or 1.0
    start, last = float(frame["at"].min()), float(frame["at"].max())
    return start, max(last, end or last, start + STEPS_S[0])


def periods(start: float, end: float, marks: Sequence[Mark]) -> list[tuple[float, float, str]]:
    cuts = [start, *(mark.at for mark in marks), end]
    whats = ["the start", *(f"{number}: {mark.what}" for number, mark in enumerate(marks, 1))]
    return [(cuts[number], cuts[number + 1], what) for number, what in enumerate(whats)]


def names_of(values: Iterable[str]) -> list[str]:
    return sorted(set(values), key=lambda name: (name == NOBODY, name))


def finish(
    axes: Any,
    start: float,
    end: float,
    marks: Sequence[Mark],
    since: str = "since the first request",
) -> None:
    """The time axis, a numbered line for each mark, and under the picture what the last of them
    were.
    """
    length = max(end - start, axes.dataLim.x1 if axes.patches else 0)
    axes.set_xlim(0, length)
    free = [-1.0]  # of each row of numbers over the axes: up to where it is taken
    for number, mark in enumerate(marks, 1):
        where = mark.at - start
        axes.axvline(where, color=INK, linestyle="--", linewidth=1.4, zorder=4)
        row = next((row for row, until in enumerate(free) if where >= until), len(free))
        free[row : row + 1] = [where + 1.5 * RING / axes.bbox.width * length]
        up = axes.get_xaxis_transform() + Affine2D().translate(0, RING * (row + 0.5))
        axes.plot(
            [where], [1], "o", color=INK, markersize=RING - 2, transform=up, clip_on=False, zorder=5
        )
        axes.note(str(number), where, 1, dx=0, ha="center", transform=up, color=PAPER)
    axes.above = RING * len(free) if marks else 0.0
    shown = list(enumerate(marks, 1))[-MOST_MARKS_TOLD:]
    lines = [f"{number}: {mark.what}, at {mark.at - start:.1f} s" for number, mark in shown]
    if len(marks) > MOST_MARKS_TOLD:
        left_out = len(marks) - MOST_MARKS_TOLD
        lines.insert(0, f"(line{'s 1 to ' if left_out > 1 else ' '}{left_out}: see the table)")
    axes.set_xlabel("\n".join([f"seconds {since}", *lines]))

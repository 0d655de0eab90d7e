"""`BreakerTimeline`: when pods were out of the pool and for how long, and when requests were
refused or tried again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import pandas as pd
import traitlets

from labkit.mesh import Mesh
from labkit.ui.panels.live import LivePanel, Ticker, cells_of, weakly
from labkit.ui.panels.meshwatch import MeshWatch
from labkit.ui.panels.samples import COUNTERS
from labkit.ui.panels.watching import WatchingPanel
from labkit.ui.plots.axes import ROW, new_axes
from labkit.ui.plots.charts import fitting, frame_of, told
from labkit.ui.plots.style import GRID, PAPER, STATES, Look, themed
from labkit.ui.plots.svg import HATCHES
from labkit.ui.plots.timelines import Mark, finish, marks_in, step_of
from labkit.waiting import steady_time

KINDS = (("refused", STATES["refused"]), ("retries", STATES["retried"]))
BUSY_S, CALM_S = 0.5, 2.0  # while nothing happens, only the axis grows: that is told more seldom
KEEP_S = 10.0  # and drawn here, for a notebook that is saved meanwhile, more seldom still
SINCE = "since the panel was made"


def timeline(
    ejections: Any,
    counts: pd.DataFrame | None = None,
    marks: Iterable[Mark] = (),
    *,
    start: float = 0.0,
    end_s: float | None = None,
) -> Any:
    """A bar for each ejection, labelled n × base time; under them how many requests were refused,
    or tried again.

    `ejections` has a row each: pod, from_s, to_s (nothing there: still out) and, where known, n and
    base_s; `counts` has at_s, refused, retries, growing. Marks are in seconds since 1970; `start`
    is where the picture's time begins.

    >>> breaker.timeline(watch.frame, watch.counted, mesh.history, start=watch.began)
    """
    frame = frame_of(ejections)
    counts = pd.DataFrame({"at_s": [], "refused": [], "retries": []}) if counts is None else counts
    last = end_s if end_s is not None else last_of(frame, counts) + 1.0
    shown = marks_in(marks, start, start + last)
    pods = sorted(set(frame["pod"]))
    rows: list[Any] = [*pods, *(kind for kind in KINDS if len(counts))]
    axes = new_axes(table(frame, counts, last), height=1.7 * ROW * len(rows))
    for pod, since, until, words in spans(frame, last):
        at = len(rows) - 1 - pods.index(pod)
        style = STATES["ejected"]
        axes.barh(
            at + 0.3,
            until - since,
            left=since,
            height=0.44,
            color=style.colour,
            hatch=style.hatch,
            edgecolor=PAPER,
            zorder=3,
        )
        start_of = " ".join(words.split(" ", 2)[:2])
        label = fitting((words, start_of), (until - since) / last)
        axes.note(label, (since + until) / 2, at + 0.54, dx=0, ha="center", va="bottom")
    for kind in (row for row in rows if not isinstance(row, str)):
        lane(axes, len(rows) - 1 - rows.index(kind), kind, counts, last)
    for at in range(len(rows)):
        axes.axhline(at, color=GRID, linewidth=1, zorder=0)
    labels = told(pods)
    labels += [f"{row[0]}\n({COUNTERS[row[0]][12:]})" for row in rows if not isinstance(row, str)]
    axes.set_yticks([len(rows) - 1 - number + 0.4 for number in range(len(rows))], labels)
    axes.set_ylim(0, max(1, len(rows)))
    axes.set_title(title(frame), loc="left")
    finish(axes, start, start + last, shown, SINCE)
    return axes


def title(frame: pd.DataFrame) -> str:
    return f"{len(frame)} ejection{'' if len(frame) == 1 else 's'} (bar: out of the pool)"


def chart(
    frame: pd.DataFrame, counts: pd.DataFrame, marks: Iterable[Mark], start: float, last: float
) -> dict[str, Any]:
    """The same for the browser, which draws it (static/breaker.js): a row a pod and a counter with
    its look; a bar's pod, from, until and words; of a counter how much it grew in each step.
    """
    pods = sorted(set(frame["pod"]))
    looks = [STATES["ejected"]] * len(pods) + [look for _, look in KINDS if len(counts)]
    names = [*pods, *(name for name, _ in KINDS if len(counts))]
    words = [*told(pods), *names[len(pods) :]]
    return {
        "end": round(last, 3),
        "axis": SINCE,
        "rows": [
            [name, short, themed(look.colour), look.hatch]
            for name, short, look in zip(names, words, looks, strict=True)
        ],
        "bars": [list(span) for span in spans(frame, last)],
        "step": step_of(last, 10**6),
        "grown": {name: grown(name, counts, last) for name in names[len(pods) :]},
        "marks": [[round(mark.at - start, 3), mark.what] for mark in marks],
        "hatches": HATCHES,
    }


def lane(axes: Any, at: int, kind: tuple[str, Look], counts: pd.DataFrame, last: float) -> None:
    """How much one counter grew in each step, and at the right how much in all."""
    name, style = kind
    step, steps = step_of(last, 10**6), grown(name, counts, last)
    highest = max([1.0, *steps])
    edges = [step * number for number in range(len(steps) + 1)]
    tops = [at + 0.8 * value / highest for value in steps]
    axes.stairs(
        tops, edges, baseline=at, fill=True, color=style.colour, hatch=style.hatch, linewidth=0
    )
    total = int(counts[name].iloc[-1])
    axes.note(str(total), 1, at + 0.4, beyond=True)


def grown(name: str, counts: pd.DataFrame, last: float) -> list[float]:
    """How much a counter grew in each step of `step_of`."""
    step = step_of(last, 10**6)
    growth = counts[name].diff().fillna(counts[name])
    sums = growth.groupby((counts["at_s"] / step + 1e-6).astype(int)).sum()
    return [float(sums.get(number, 0.0)) for number in range(int(last / step) + 1)]


def last_of(frame: pd.DataFrame, counts: pd.DataFrame) -> float:
    times = [*frame["from_s"].dropna(), *frame["to_s"].dropna(), *counts["at_s"]]
    return max((float(value) for value in times), default=0.0)


def spans(frame: pd.DataFrame, last: float) -> list[tuple[str, float, float, str]]:
    """Of each ejection: pod, from, until (or the end of the picture), and its length in words."""
    found = []
    for number, row in enumerate(frame.to_dict("records")):
        out = row["to_s"] != row["to_s"] or row["to_s"] is None
        until = last if out else float(row["to_s"])
        lasted = f"{until - float(row['from_s']):.1f} s"
        if "n" in row:
            lasted = f"{int(row['n'])} × {row['base_s']:g} s" + (
                ", still out" if out else f" ({lasted})"
            )
        found.append((str(frame["pod"].iloc[number]), float(row["from_s"]), until, lasted))
    return found


def table(frame: pd.DataFrame, counts: pd.DataFrame, last: float) -> pd.DataFrame:
    """The same in text: a row an ejection, and one for what was refused and for what was tried
    again.
    """
    rows: list[tuple[str, Any, Any, str]] = [
        (f"{pod} out of the pool", round(since, 2), round(until, 2), words)
        for pod, since, until, words in spans(frame, last)
    ]
    for name, _ in KINDS if len(counts) else ():
        grew = counts[counts[name].diff().fillna(counts[name]) > 0]["at_s"]
        first, final = (
            (round(float(grew.iloc[0]), 2), round(float(grew.iloc[-1]), 2))
            if len(grew)
            else ("", "")
        )
        rows.append(
            (f"{name} ({COUNTERS[name]})", first, final, f"{int(counts[name].iloc[-1])} requests")
        )
    return pd.DataFrame(rows, columns=["what", "from s", "until s", "how much"])


def counted(watch: MeshWatch, end: float) -> pd.DataFrame:
    """What a watch counted, on the picture's time: at_s, refused, retries; the last row is now."""
    rows = [(at - watch.began, refused, retries) for at, refused, retries in watch.counts]
    if rows:
        rows.append((end - watch.began, *rows[-1][1:]))
    return pd.DataFrame(rows, columns=["at_s", "refused", "retries"])


class BreakerTimeline(WatchingPanel, LivePanel):
    """Ejections as bars of n × baseEjectionTime, requests refused by a limit, and retries, while
    they happen. `source` is a mesh, then seen by `proxy`; or a frame with a row an ejection (pod,
    from_s, to_s in seconds), or what has one as `frame`. Anything else raises LessonError.

    It looks at the mesh five times a second while it is on the screen, so times are right to 0.2 s.
    Without a browser:

    >>> timeline = BreakerTimeline(mesh)
    >>> timeline.start()
    >>> mesh.curl(url, n=50)
    >>> timeline.stop()
    >>> timeline.frame                       # a row an ejection
    >>> BreakerTimeline(watched)             # of samples taken earlier; it only draws them
    """

    title = "Circuit breaker"
    scripts = ("uplot/uPlot.iife.min.js", "chart.js", "live.js", "watching.js", "breaker.js")
    styles = ("uplot/uPlot.min.css", "live.css", "chart.css")
    every_s = 0.2

    live = traitlets.Bool(True).tag(sync=True)
    """Whether there is a mesh to look at."""
    chart = traitlets.Dict().tag(sync=True)
    """What the view draws: see the function `chart`."""

    def __init__(self, source: Any, *, proxy: str = "gateway") -> None:
        self.rows: pd.DataFrame | None = None
        self.told_at, self.told, self.drawn_at = 0.0, (-1, -1, -1, -1), 0.0
        self.shown_until = self.kept_until = 0.0
        # a look takes milliseconds and a picture some hundred of them: looks must not wait for
        # pictures
        self.drawer = Ticker(weakly(self, "redraw"), every_s=BUSY_S)
        if isinstance(source, Mesh):
            super().__init__(source, proxy=proxy)
            self.watch.look()
        else:
            # there is nothing to look at, but `close` is the same for both
            self.ticker = Ticker(lambda: False)
            self.rows = frame_of(source)
            LivePanel.__init__(self, live=False)
        self.draw()

    @property
    def frame(self) -> pd.DataFrame:
        """A row an ejection: pod, from_s and to_s (seconds since the panel was made; no to_s: it is
        still out), n (which in a row it is) and base_s (baseEjectionTime).
        """
        return self.watch.frame if self.rows is None else self.rows

    @property
    def table(self) -> pd.DataFrame:
        """The same as a frame: a row an ejection and one for each counter; times in seconds."""
        found: pd.DataFrame = self.axes.as_table
        return found

    def looked(self) -> None:
        self.drawer.start()

    def redraw(self) -> bool:
        """Tells the view when something is new; while nothing is, only the axis grows, from time to
        time. What is kept for exports is drawn more seldom.
        """
        watch = self.watch
        out = sum(e.until is None for e in watch.ejections)
        state = (len(watch.ejections), out, len(watch.counts), len(watch.marks))
        due = time.monotonic() - self.told_at > (0 if out else CALM_S)
        if self.watching and (due or state != self.told):
            self.told = state
            self.tell()
        if self.watching and time.monotonic() - self.drawn_at > KEEP_S:
            self.draw()
        return self.watching

    def seen_so_far(self) -> tuple[pd.DataFrame, pd.DataFrame, list[Mark], float, float]:
        """Ejections, counts, marks, when the picture's time begins, and when this was seen."""
        if self.rows is not None:
            nothing = pd.DataFrame({"at_s": [], "refused": [], "retries": []})
            return self.rows, nothing, [], 0.0, last_of(self.rows, nothing) + 1.0
        watch = self.watch
        end = watch.last.at if watch.last is not None else steady_time()
        return watch.frame, counted(watch, end), list(watch.marks), watch.began, end

    def tell(self) -> None:
        """What the view draws, and the table under it."""
        self.told_at = time.monotonic()
        frame, counts, marks, start, end = self.seen_so_far()
        last = max(1.0, end - start)
        drawn, cells = (
            chart(frame, counts, marks, start, last),
            cells_of(table(frame, counts, last)),
        )
        with self.lock, self.hold_sync():
            if end >= self.shown_until:  # if not, another thread has shown a later look
                self.shown_until = end
                self.chart, self.caption, self.cells = drawn, title(frame), cells
                self.marks = len(marks)

    def draw(self) -> None:
        """The picture that is kept, and what the view draws: both of the same look."""
        self.drawn_at = time.monotonic()
        frame, counts, marks, start, end = self.seen_so_far()
        last = max(1.0, end - start)
        axes = timeline(frame, counts, marks, start=start, end_s=last)
        drawn = chart(frame, counts, marks, start, last)
        with self.lock, self.hold_sync():
            # if not, another thread has shown a later look, or has told the view of one
            if end >= self.kept_until:
                self.kept_until = end
                self.axes, self.picture = axes, axes.picture()
                if end >= self.shown_until:
                    self.shown_until = end
                    self.chart = drawn
                    self.show(axes, len(marks))

    def publish(self, *, update: bool) -> None:
        if self.watching:
            self.draw()
        super().publish(update=update)

    def close(self) -> None:
        self.drawer.stop()
        super().close()

    def text(self) -> str:
        return repr(self.axes)

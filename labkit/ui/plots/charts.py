"""Plots of what was measured. Each takes the rows of a result and returns axes; none of them
fetches anything.

    result = mesh.curl("http://test.example.com/", n=100)
    plots.share(result)                       # how many requests each pod answered
    plots.over_time(result)                   # who answered, request by request
    plots.codes(result)                       # which statuses came back
    plots.latency(result, by="pod")           # how long it took
    plots.compare(before=a, after=b)          # two or more results side by side
    plots.timeline(ejections)                 # when a pod was out of the pool

A frame has a row a request, with the columns status, pod, version and latency_ms (`result.frame`);
a result may be given in its place. Axes are matplotlib's own, with `as_table`, the frame that
stands under the picture; `plots.table(result, by="pod")` is the table alone. What is no frame, or
lacks a column, raises LessonError.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from labkit.errors import LessonError
from labkit.resources.podnames import short_names
from labkit.ui.plots.axes import ROW, new_axes
from labkit.ui.plots.style import INK, OTHER, PAPER, RUNS, STATES, Look, look
from labkit.ui.plots.svg import LETTER

NOBODY = "no pod"
PERCENTILES = (50, 90, 99)
BINS = 40
MANY = 60
"""From so many requests on a mark is a thin line: rings would cover each other."""
NARROW = 560.0
"""Pixels that the axes have at least in a window of 1280: so many letters fit into a bar."""


def frame_of(source: Any) -> pd.DataFrame:
    """The rows of a result, or the frame itself. Raises LessonError for anything else."""
    frame = getattr(source, "frame", source)
    if not isinstance(frame, pd.DataFrame):
        raise LessonError(
            f"A plot needs a frame or a result, not {type(source).__name__}",
            try_next="use result.frame",
        )
    return frame


def column_of(frame: pd.DataFrame, by: str) -> pd.Series[Any]:
    """One column with readable values: `no pod` where nothing answered. Raises LessonError for a
    column that is not there.
    """
    if by not in frame:
        raise LessonError(
            f"The frame has no column {by!r}",
            seen=f"its columns: {', '.join(map(str, frame.columns))}",
        )
    if by == "status":
        return frame[by].map(lambda status: "no answer" if status == -1 else str(int(status)))
    return frame[by].fillna("").astype(str).replace("", NOBODY)


def table(
    source: Any, by: str = "pod", expected: Iterable[str] | Mapping[str, float] | None = None
) -> pd.DataFrame:
    """How many rows have each value of `by`: a row a value, with the columns `by`, requests and
    "share %", sorted by the value.

    `expected` adds what should be there: names alone, or names with shares (0.8 for 80 %), which
    then are in "expected %". Raises LessonError where the frame has no column `by`.

    >>> plots.table(result, by="version", expected={"v1": 0.8, "v2": 0.2})
    """
    values = column_of(frame_of(source), by)
    counts = values.value_counts()
    wanted = (
        dict(expected) if isinstance(expected, Mapping) else dict.fromkeys(expected or (), math.nan)
    )
    names = sorted({*counts.index, *map(str, wanted)}, key=lambda name: (name == NOBODY, name))
    total = max(1, len(values))
    rows = pd.DataFrame({by: names, "requests": [int(counts.get(name, 0)) for name in names]})
    rows["share %"] = [round(100 * int(n) / total, 1) for n in rows["requests"]]
    if isinstance(expected, Mapping):
        rows["expected %"] = [round(100 * float(wanted.get(name, 0)), 1) for name in names]
    return rows


def share(
    source: Any, by: str = "pod", expected: Iterable[str] | Mapping[str, float] | None = None
) -> Any:
    """A bar for each pod, version or status: how many requests it has, and which part of all.
    Returns axes; `as_table` is that of `table`.

    Shares that were expected (0 to 1, by name) are drawn as a line across the bar. Raises
    LessonError where the frame has no column `by`.

    >>> plots.share(result, by="version", expected={"v1": 0.8, "v2": 0.2})
    """
    frame = frame_of(source)
    rows = table(frame, by, expected)
    axes = new_axes(rows, height=ROW * len(rows))
    versions = version_of_pods(frame)
    for at, (name, count, percent) in enumerate(
        zip(rows[by], rows["requests"], rows["share %"], strict=True)
    ):
        style = style_of(name, by, versions)
        axes.barh(at, count, color=style.colour, hatch=style.hatch, edgecolor=PAPER, height=0.7)
        where = len(frame) * float(rows["expected %"].iloc[at]) / 100 if "expected %" in rows else 0
        if "expected %" in rows:
            axes.plot([where, where], [at - 0.45, at + 0.45], color=INK, linewidth=2.5)
        axes.note(f"{count} ({percent:g} %)", max(count, where), at)
    axes.set_yticks(range(len(rows)), told(rows[by]))
    axes.invert_yaxis()
    percents = [float(v) for name in ("share %", "expected %") if name in rows for v in rows[name]]
    axes.set_xlim(0, max(1.0, 1.25 * len(frame) * max(percents, default=0.0) / 100))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("requests" + (" (line across a bar: expected)" if "expected %" in rows else ""))
    axes.set_title(f"{len(frame)} requests by {by}", loc="left")
    return axes


def codes(source: Any) -> Any:
    """A bar for each HTTP status; `no answer` is a connection that failed. Returns axes; their
    table has a row a status.

    >>> plots.codes(mesh.fortio(url, connections=4, requests=20))
    """
    axes = share(source, by="status")
    axes.set_title(f"Status codes of {len(frame_of(source))} requests", loc="left")
    return axes


def over_time(source: Any, by: str = "version") -> Any:
    """A mark for each request, in the order they were sent: which pod, version or status it got.
    Returns axes; their table has a row a request (numbered from 1).

    >>> plots.over_time(result, by="pod")
    """
    frame = frame_of(source)
    values = column_of(frame, by)
    rows = pd.DataFrame({"request": range(1, len(frame) + 1), by: list(values)})
    names = sorted(set(values), key=lambda name: (name == NOBODY, name))
    axes = new_axes(rows, height=ROW * len(names))
    versions = version_of_pods(frame)
    for at, name in enumerate(names):
        style = style_of(name, by, versions)
        numbers = [n for n, value in zip(rows["request"], values, strict=True) if value == name]
        marker, size = (style.marker, 9) if len(frame) <= MANY else ("|", 18)
        axes.plot(
            numbers,
            [at] * len(numbers),
            marker,
            color=style.colour,
            markersize=size,
            markeredgewidth=1.8,
            linestyle="none",
        )
    axes.set_yticks(range(len(names)), told(names))
    axes.set_ylim(max(1, len(names)) - 0.5, -0.5)
    axes.set_xlim(0, len(frame) + 1)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("request, in the order they were sent")
    axes.set_title(f"Which {by} each of {len(frame)} requests got", loc="left")
    return axes


def percentiles(source: Any, by: str | None = None) -> pd.DataFrame:
    """Latency in milliseconds: a frame with requests, "p50 ms", "p90 ms", "p99 ms" and "max ms".
    One row for all requests, or one for each value of `by`; none where there are no requests.

    >>> plots.percentiles(result, by="pod")
    """
    rows = []
    for name, values in groups(frame_of(source), by):
        numbers: dict[str, Any] = {by: name} if by else {}
        numbers["requests"] = len(values)
        numbers.update({f"p{p} ms": round(float(values.quantile(p / 100)), 2) for p in PERCENTILES})
        numbers["max ms"] = round(float(values.max()), 2)
        rows.append(numbers)
    return pd.DataFrame(rows)


def latency(source: Any, by: str | None = None) -> Any:
    """A histogram of the latency in milliseconds, with p50 and p99 as lines; one for each value of
    `by` where given, all on one scale. Returns axes; their table is that of `percentiles`.

    >>> plots.latency(result, by="version")
    """
    frame = frame_of(source)
    rows = percentiles(frame, by)
    parts = groups(frame, by)
    axes = new_axes(rows, height=max(3 * ROW, 1.6 * ROW * len(parts)))
    versions = version_of_pods(frame)
    longest = max((float(values.max()) for _, values in parts), default=1.0)
    bins = [longest * step / BINS for step in range(BINS + 1)]
    counts = [in_bins(values, longest) for _, values in parts]
    tallest = max((max(row) for row in counts), default=1)
    labels = []
    short = dict(zip((name for name, _ in parts), told(name for name, _ in parts), strict=True))
    for number, ((name, values), row) in enumerate(zip(parts, counts, strict=True)):
        at = len(parts) - 1 - number  # the first one on top
        style = style_of(name, by, versions) if by else OTHER
        # each value has a row of its own, all on one scale: histograms on top of each other hide
        # each other
        tops = [at + 0.8 * count / tallest for count in row]
        axes.stairs(
            tops, bins, baseline=at, fill=True, color=style.colour, hatch=style.hatch, linewidth=0
        )
        for share_of, line in ((0.5, "-"), (0.99, "--")):
            where = values.quantile(share_of)
            axes.plot([where, where], [at, at + 0.85], line, color=INK, linewidth=1.8)
        numbers = f"p50 {values.quantile(0.5):.3g} ms, p99 {values.quantile(0.99):.3g} ms"
        labels.append(f"{short[name]}\n{numbers}" if name else numbers.replace(", ", "\n"))
    axes.set_yticks([len(parts) - 1 - number + 0.4 for number in range(len(parts))], labels)
    axes.set_xlim(0, 1.02 * longest or 1.0)
    axes.set_ylim(0, max(1, len(parts)))
    axes.set_xlabel("milliseconds (line: p50, dashed: p99)")
    axes.set_title(f"Latency of {len(frame)} requests" + (f" by {by}" if by else ""), loc="left")
    return axes


def compare(*, by: str = "pod", **results: Any) -> Any:
    """Results side by side: for each pod, version or status its share in each of them, in %.
    Returns axes; their table has a row a value and a column a result. The names are the keywords'.
    Raises LessonError for fewer than two results.

    >>> plots.compare(RANDOM=first, LEAST_REQUEST=second, by="pod")
    """
    if len(results) < 2:
        raise LessonError(
            "compare needs two results or more", try_next="plots.compare(before=a, after=b)"
        )
    named = {
        name.replace("_", " ") if name.islower() else name: frame_of(one)
        for name, one in results.items()
    }
    names = sorted(
        {value for one in named.values() for value in column_of(one, by)},
        key=lambda v: (v == NOBODY, v),
    )
    rows = pd.DataFrame({by: names})
    for label, one in named.items():
        parts = table(one, by, names).set_index(by)["share %"]
        rows[f"{label} %"] = [float(parts[name]) for name in names]
    thick = 0.86 / len(named)
    axes = new_axes(rows, height=(20 * len(named) + 8) * len(names))
    for number, label in enumerate(named):
        style = RUNS[number % len(RUNS)]
        places = [at + (number - (len(named) - 1) / 2) * thick for at in range(len(names))]
        lengths = list(rows[f"{label} %"])
        axes.barh(
            places,
            lengths,
            thick * 0.9,
            color=style.colour,
            hatch=style.hatch,
            edgecolor=PAPER,
            label=label,
        )
        for y, length in zip(places, lengths, strict=True):
            axes.note(f"{length:.0f} %  {label}", length, y)
    axes.set_yticks(range(len(names)), told(names))
    axes.invert_yaxis()
    longest = max((len(label) for label in named), default=0) + 7
    highest = max([1.0, *(float(each) for label in named for each in rows[f"{label} %"])])
    axes.set_xlim(0, highest / max(0.3, 1 - LETTER * longest / NARROW))
    axes.set_xlabel("share of requests, %")
    axes.set_title(f"Share of requests by {by}", loc="left")
    return axes


def timeline(ejections: Any, *, end_s: float | None = None) -> Any:
    """When each pod was out of the pool, as axes. `ejections` is a frame, or has one as `frame`,
    with a row an ejection: pod, from_s, to_s, in seconds (no to_s: it is still out).

    `end_s` is where the picture ends; else a second after the last thing that happened. Raises
    LessonError for columns that are missing.

    >>> plots.timeline(pd.DataFrame({"pod": ["hello-world-v1-a"], "from_s": [1.0], "to_s": [3.5]}))
    """
    frame = frame_of(ejections)
    missing = {"pod", "from_s", "to_s"} - set(frame.columns)
    if missing:
        raise LessonError(
            "A timeline needs the columns pod, from_s and to_s; missing: "
            f"{', '.join(sorted(missing))}"
        )
    seconds = [float(v) for name in ("from_s", "to_s") for v in frame[name].dropna()]
    end = end_s if end_s is not None else max(seconds, default=0.0) + 1.0
    rows = frame[["pod", "from_s", "to_s"]].copy()
    rows["out for s"] = rows["to_s"].fillna(end) - rows["from_s"]
    pods = sorted(set(frame["pod"]))
    axes = new_axes(rows.round(2), height=1.4 * ROW * len(pods))
    for pod, start, stop in zip(
        frame["pod"], frame["from_s"], frame["to_s"].fillna(end), strict=True
    ):
        at = pods.index(pod)
        style = STATES["ejected"]
        axes.barh(
            at,
            stop - start,
            left=start,
            height=0.5,
            color=style.colour,
            hatch=style.hatch,
            edgecolor=PAPER,
        )
        words = fitting([f"{stop - start:.1f} s"], (stop - start) / end)
        axes.note(words, (start + stop) / 2, at - 0.27, dx=0, ha="center", va="bottom")
    axes.set_yticks(range(len(pods)), told(pods))
    axes.set_ylim(len(pods) - 0.6, -0.8)
    axes.set_xlim(0, end)
    axes.set_xlabel("seconds")
    axes.set_title(f"{len(frame)} ejections of {len(pods)} pods (bar: out of the pool)", loc="left")
    return axes


def groups(frame: pd.DataFrame, by: str | None) -> list[tuple[str, pd.Series[Any]]]:
    """The latencies of all rows, or of each value of `by`, by name."""
    if by is None:
        return [("", frame["latency_ms"].dropna())] if len(frame) else []
    return [
        (str(name), part.dropna())
        for name, part in frame["latency_ms"].groupby(column_of(frame, by))
    ]


def in_bins(values: Iterable[float], longest: float) -> list[int]:
    """How many of these are in each of BINS parts of 0 to `longest`, their upper ends included."""
    found = [0] * BINS
    for value in values:
        at = math.ceil(BINS * value / longest) - 1 if longest else 0
        found[min(max(0, at), BINS - 1)] += 1
    return found


def told(names: Iterable[str]) -> list[str]:
    """Names as they stand beside a picture."""
    names = list(map(str, names))
    short = short_names(names)
    return [short[name] for name in names]


def fitting(words: Iterable[str], part: float) -> str:
    """The first of these that has room over a bar of such a part of the axes, or nothing: the table
    has it.

    >>> fitting(["2 × 1.1 s (2.4 s)", "2 ×"], 0.1)
    '2 ×'
    """
    return next((text for text in words if len(text) * LETTER <= part * NARROW), "")


def version_of_pods(frame: pd.DataFrame) -> dict[str, str]:
    """Which version each pod of a frame is."""
    if "pod" not in frame or "version" not in frame:
        return {}
    return {
        str(pod): str(version) for pod, version in zip(frame["pod"], frame["version"], strict=True)
    }


def style_of(name: str, by: str, versions: Mapping[str, str]) -> Look:
    """How a value is drawn: a pod looks like its version."""
    if name == NOBODY:
        return look("")
    if by == "pod":
        return look(
            versions.get(name) or next((v for v in ("v1", "v2", "v3") if f"-{v}-" in name), name)
        )
    return look("-1" if name == "no answer" else name, by)

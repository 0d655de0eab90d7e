"""`Bins`: what the browser is told adds up to the rows, however it was cut, and its table is that
of the picture.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pandas as pd
import pytest

from labkit.mesh.history import Change
from labkit.ui.panels.bins import COLUMNS, MOST_BINS, RATIO, Bins, percentile
from labkit.ui.panels.live import cells_of
from labkit.ui.plots import timelines
from labkit.ui.plots.style import VERSIONS, themed

START = 1.7e9
OWN = (("v1", "6h9dx"), ("v1", "k7xf6"), ("v2", "zq2wv"))
PODS = {f"hello-world-{version}-75f85dfdc6-{own}": version for version, own in OWN}


def columns_of(count: int, per_second: float = 50.0, seed: int = 1) -> dict[str, list[Any]]:
    draw = random.Random(seed)
    pods = [draw.choice([*PODS, ""]) for _ in range(count)]
    statuses = [(200, 200, 404, 503) if pod else (503, -1) for pod in pods]
    return {
        "at": [START + n / per_second for n in range(count)],
        "status": [draw.choice(some) for some in statuses],
        "pod": pods,
        "version": [PODS.get(pod, "") for pod in pods],
        "latency_ms": [draw.expovariate(0.1) for _ in pods],
    }


class View:
    """What bins.js keeps: all messages so far, added up."""

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, Counter[int]]] = {}
        self.step = 0.0
        self.number = -1

    def hear(self, news: dict[str, Any]) -> None:
        if news["whole"]:
            self.counts = {}
        else:
            assert news["number"] == self.number + 1
        self.number, self.step = news["number"], news["step"]
        for plot, names in news["add"].items():
            mine = self.counts.setdefault(plot, {})
            for name, pairs in names.items():
                for step, n in zip(pairs[::2], pairs[1::2], strict=True):
                    mine.setdefault(name, Counter())[step] += n

    def totals(self, plot: str) -> dict[str, int]:
        return {name: sum(steps.values()) for name, steps in self.counts[plot].items()}


def test_a_view_that_hears_all_has_what_one_has_that_comes_late() -> None:
    columns = columns_of(4000)
    bins, view = Bins(), View()
    for count in (0, 1, 30, 31, 900, 2500, 4000):
        bins.take(columns, count)
        view.hear(bins.news(START + count / 50))
    late = View()
    bins.whole = True
    late.hear(bins.news(START + 80))
    assert view.counts == late.counts
    for plot, column in COLUMNS.items():
        found = dict(Counter(map(str, columns[column])))
        told = {"no pod": "", "no answer": "-1"}
        assert {told.get(n, n): count for n, count in view.totals(plot).items()} == found
    for name, steps in view.counts["versions"].items():
        version = "" if name == "no pod" else name
        own = [at for at, v in zip(columns["at"], columns["version"], strict=True) if v == version]
        assert steps == Counter(int((at - START + 1e-6) / view.step) for at in own)


def test_a_long_run_stays_small() -> None:
    columns = columns_of(240_000, 200)
    bins, view = Bins(), View()
    sizes = []
    for count in range(0, 240_001, 5000):
        bins.take(columns, count)
        news = bins.news(START + count / 200)
        if not news["whole"]:
            sizes.append(
                sum(len(pairs) for names in news["add"].values() for pairs in names.values())
            )
        view.hear(news)
    assert sum(view.totals("versions").values()) == 240_000
    assert max(max(steps) for steps in view.counts["status"].values()) <= MOST_BINS
    # of rows that are new, not of all
    assert sizes
    assert max(sizes) < 2 * 4 * 5000


@pytest.mark.parametrize("plot", [*COLUMNS, "latency"])
def test_its_table_is_the_pictures(plot: str) -> None:
    columns, frame = columns_of(600), pd.DataFrame(columns_of(600))
    marks = [Change(START + 3.33, "a rule"), Change(START + 7, "another")]
    bins = Bins()
    bins.take(columns, 100, marks[:0])
    bins.take(columns, 180, marks[:1])  # some of the rows were sent after it, others before
    bins.take(columns, 600, marks)
    table = bins.table(plot, START + 12)
    if plot in COLUMNS:
        assert table == cells_of(timelines.between(frame, COLUMNS[plot], marks, end=START + 12))
        return
    expected = cells_of(timelines.latency_between(frame, marks, end=START + 12))
    assert table["columns"] == expected["columns"]
    for row, other in zip(table["rows"], expected["rows"], strict=True):
        assert row[:3] == other[:3]
        assert list(map(float, row[3:])) == pytest.approx(list(map(float, other[3:])), rel=0.1)


def test_what_is_applied_before_the_first_answer_is_a_line_too() -> None:
    bins = Bins()
    columns = columns_of(10)
    bins.take(columns, 0, [Change(START - 0.01, "early")])
    assert bins.news(START)["marks"] == [[0.0, "early"]]
    bins.take(columns, 10, [Change(START - 0.01, "early")])
    assert bins.news(START + 1)["marks"] == [[0.0, "early"]]
    assert [row[2:4] for row in bins.table("versions", START + 1)["rows"]] == [
        ["the start", "0"],
        ["1: early", "10"],
    ]


def test_colours_come_from_their_one_home() -> None:
    bins = Bins()
    bins.take(columns_of(60), 60)
    rows = {name: row for name, *row in bins.rows("pods")}
    pod = next(iter(PODS))
    assert rows[pod] == ["v1-6h9dx", themed(VERSIONS["v1"].colour), VERSIONS["v1"].hatch]
    assert rows["no pod"][1] == themed(VERSIONS[""].colour)


def test_percentiles_are_right_to_half_a_size() -> None:
    draw = random.Random(2)
    latencies = sorted(draw.expovariate(0.1) for _ in range(1001))
    bins = Bins()
    columns = columns_of(1001)
    columns["latency_ms"] = latencies
    bins.take(columns, 1001)
    for part in (0.5, 0.9, 0.99):
        exact = latencies[round(part * 1000)]
        found = percentile(bins.periods[0]["latency"], part)
        assert found == pytest.approx(exact, rel=RATIO - 1)

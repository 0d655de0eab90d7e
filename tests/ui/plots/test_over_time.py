"""Plots over time: where the lines stand, and that picture and table say the same as the rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from labkit.mesh.history import Change
from labkit.resources.podnames import short_names
from labkit.ui.plots import timelines as over_time
from tests.ui.plots.test_plots import assert_whole

START = 1_700_000_000.0


def rows(versions: str, *, every_s: float = 0.1, status: int = 200) -> pd.DataFrame:
    """A request each tenth of a second; "11222" is who answered."""
    return pd.DataFrame(
        {
            "at": [START + every_s * number for number in range(len(versions))],
            "status": status,
            "pod": [f"hello-world-v{v}-75f85dfdc6-6h9dx" for v in versions],
            "version": [f"v{v}" for v in versions],
            "latency_ms": [1.0 + int(v) for v in versions],
        }
    )


ROWS = rows("1" * 20 + "2" * 20)
MARK = Change(START + 1.95, "virtualservice/hello-world-vs configured")


def test_between_the_lines_each_request_counts_once() -> None:
    table = over_time.between(ROWS, "version", [MARK])
    assert list(table["requests"]) == [20, 20]
    assert list(table["v1 %"]) == [100, 0]
    assert list(table["v2 %"]) == [0, 100]
    assert list(table["since"]) == ["the start", f"1: {MARK.what}"]
    assert list(table["from s"]) == [0, 1.95]


def test_a_line_after_the_last_request_is_in_the_table_as_in_the_picture() -> None:
    axes = over_time.share(ROWS, marks=[Change(START + 4.5, "later")], end=START + 5)
    assert lines_of(axes) == pytest.approx([4.5])
    assert list(axes.as_table["since"]) == ["the start", "1: later"]
    assert list(axes.as_table["requests"]) == [40, 0]


def lines_of(axes: Any) -> list[float]:
    return [
        float(line.get_xdata()[0])
        for line in axes.lines
        if line.get_linestyle() == "--" and line.get_zorder() == 4
    ]


@pytest.mark.parametrize("plot", [over_time.share, over_time.latency])
def test_a_line_stands_where_something_was_applied(plot: Any) -> None:
    axes = plot(
        ROWS, marks=[Change(START - 5, "before the run"), MARK, Change(START + 99, "after it")]
    )
    assert lines_of(axes) == pytest.approx([1.95])
    assert [text.get_text() for text in axes.texts if text.get_text().isdigit()] == ["1"]
    assert MARK.what in axes.get_xlabel()
    assert "before the run" not in axes.get_xlabel()


def test_the_height_of_a_row_is_the_share_at_that_moment() -> None:
    axes = over_time.share(rows("1112" * 10))
    heights = [patch.get_data() for patch in axes.patches]
    (v1, _, at_v1), (v2, _, at_v2) = heights
    assert (at_v1, at_v2) == (1, 0)
    # 40 requests in 4 s: steps of half a second, with five requests each
    assert list(v1[:4] - at_v1) == pytest.approx([0.86 * part for part in (0.8, 0.8, 0.8, 0.6)])
    assert list(v2[:4] - at_v2) == pytest.approx([0.86 * part for part in (0.2, 0.2, 0.2, 0.4)])
    assert axes.get_xlim()[1] >= 4.0  # the last step is whole, too


def test_the_per_cents_at_the_right_hold_since_the_last_line() -> None:
    told = [text.get_text().strip() for text in over_time.share(ROWS, marks=[MARK]).texts]
    assert told[:2] == ["0 %", "100 %"]
    assert "since the last line" in over_time.share(ROWS, marks=[MARK]).get_title(loc="left")
    assert [text.get_text().strip() for text in over_time.share(ROWS).texts] == ["50 %", "50 %"]


def test_latency_over_time_has_p50_and_p99_of_each_step() -> None:
    axes = over_time.latency(ROWS, [MARK])
    half = next(line for line in axes.lines if line.get_label() == "p50")
    assert list(half.get_ydata()) == [2.0] * 4 + [3.0] * 4
    assert list(axes.as_table["p50 ms"]) == [2.0, 3.0]


def test_a_histogram_has_a_row_for_each_time_between_two_lines() -> None:
    axes = over_time.histogram(ROWS, [MARK])
    assert [label.get_text().splitlines()[0] for label in axes.get_yticklabels()] == [
        "before line 1",
        "since line  1",
    ]
    assert list(axes.as_table["requests"]) == [20, 20]
    assert len(over_time.histogram(ROWS).get_yticklabels()) == 1


def test_of_many_lines_only_the_last_are_told_and_all_are_in_the_table() -> None:
    marks = [Change(START + 0.5 * number, f"change {number}") for number in range(1, 7)]
    axes = over_time.share(ROWS, marks=marks)
    assert "lines 1 to 3: see the table" in axes.get_xlabel()
    assert "change 6" in axes.get_xlabel()
    assert "change 2" not in axes.get_xlabel()
    assert len(axes.as_table) == 7


@pytest.mark.parametrize("plot", [over_time.share, over_time.latency, over_time.histogram])
def test_no_rows_make_an_empty_picture(plot: Any) -> None:
    assert "<svg" in plot(ROWS.iloc[:0]).picture()


def test_a_picture_of_a_long_run_has_some_dozens_of_steps() -> None:
    for seconds in (0.001, 0.5, 3, 61, 3599):
        assert seconds / over_time.step_of(seconds, 10_000) <= 60
    assert over_time.step_of(10, 12) == 5


def test_numbers_of_lines_that_are_close_stand_above_each_other() -> None:
    marks = [Change(START + 1.0 + 0.01 * number, f"change {number}") for number in range(3)]
    axes = over_time.share(ROWS, marks=[*marks, Change(START + 3, "later")])
    assert axes.above == 3 * over_time.RING
    assert_whole(axes)
    assert over_time.share(ROWS, marks=marks[:1]).above == over_time.RING


def test_p50_and_p99_are_named_where_their_lines_end() -> None:
    for frame in (ROWS, ROWS.assign(latency_ms=1.0)):
        axes = over_time.latency(frame)
        assert [text.get_text() for text in axes.texts] == ["p99", "p50"]
        assert_whole(axes)


POD = "{}-75f85dfdc6-{}"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([POD.format("hello-world-v1", "6h9dx")], ["v1-6h9dx"]),
        ([POD.format("hello-world-v1", "6h9dx"), "no pod"], ["v1-6h9dx", "no pod"]),
        ([POD.format("client", "6h9dx")], ["client-6h9dx"]),
        # two services: a version alone would not say whose
        (
            [POD.format("cart-v1", "6h9dx"), POD.format("shop-v1", "k7xf6")],
            ["cart-v1-6h9dx", "shop-v1-k7xf6"],
        ),
        # the same letters twice: the whole names
        (
            ["a-v1-75f85dfdc6-6h9dx", "a-v1-75f85dfdc7-6h9dx"],
            ["a-v1-75f85dfdc6-6h9dx", "a-v1-75f85dfdc7-6h9dx"],
        ),
        (["hello-world", "a-1"], ["hello-world", "a-1"]),
        (["x" * 50], ["x" * 41 + "…"]),
        (["x" * 50, "x" * 51], ["x" * 50, "x" * 51]),
    ],
)
def test_a_name_is_as_short_as_it_is_unambiguous(names: list[str], told: list[str]) -> None:
    assert list(short_names(names).values()) == told

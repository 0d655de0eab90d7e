"""Plots are functions of a frame: what they show, what they say in words, and that they leave
nothing behind.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib
import pandas as pd
import pytest

from labkit.errors import LessonError
from labkit.ui import plots
from labkit.ui.plots.axes import MARK
from labkit.ui.plots.charts import NOBODY

POD = "hello-world-{}-7d4b9c6f5-{}"


@pytest.fixture
def frame() -> pd.DataFrame:
    pods = [POD.format("v1", "aaaaa")] * 6 + [POD.format("v2", "bbbbb")] * 2 + [""] * 2
    return pd.DataFrame(
        {
            "pod": pods,
            "version": ["v1"] * 6 + ["v2"] * 2 + [""] * 2,
            "status": [200] * 8 + [503, -1],
            "latency_ms": [float(n) for n in range(1, 11)],
        }
    )


def all_plots(frame: pd.DataFrame) -> list[object]:
    ejections = pd.DataFrame({"pod": ["a", "b"], "from_s": [1.0, 2.0], "to_s": [2.5, None]})
    return [
        plots.share(frame),
        plots.share(frame, by="version", expected={"v1": 0.8, "v2": 0.2}),
        plots.over_time(frame),
        plots.codes(frame),
        plots.latency(frame),
        plots.latency(frame, by="pod"),
        plots.compare(before=frame, after=frame.head(3)),
        plots.timeline(ejections),
    ]


def test_the_table_counts_and_knows_what_was_expected(frame: pd.DataFrame) -> None:
    rows = plots.table(frame, by="version", expected={"v1": 0.8, "v3": 0.2})
    assert list(rows["version"]) == ["v1", "v2", "v3", NOBODY]
    assert list(rows["requests"]) == [6, 2, 0, 2]
    assert list(rows["share %"]) == [60.0, 20.0, 0.0, 20.0]
    assert list(rows["expected %"]) == [80.0, 0.0, 20.0, 0.0]


def test_a_pod_without_requests_is_shown_when_it_is_expected(frame: pd.DataFrame) -> None:
    idle = POD.format("v1", "ccccc")
    axes = plots.share(frame, expected=[idle])
    assert "v1-ccccc" in [label.get_text() for label in axes.get_yticklabels()]
    assert dict(zip(axes.as_table["pod"], axes.as_table["requests"], strict=True))[idle] == 0


def test_bars_are_as_long_as_the_counts(frame: pd.DataFrame) -> None:
    assert [bar.get_width() for bar in plots.share(frame, by="version").patches] == [6, 2, 2]
    assert [bar.get_width() for bar in plots.codes(frame).patches] == [8, 1, 1]
    assert list(plots.codes(frame).as_table["status"]) == ["200", "503", "no answer"]


def test_the_line_of_what_was_expected_is_inside_the_picture(frame: pd.DataFrame) -> None:
    axes = plots.share(frame, by="version", expected={"v1": 0.0, "v2": 1.0})
    assert axes.get_xlim()[1] > len(frame)


def test_over_time_keeps_the_order(frame: pd.DataFrame) -> None:
    axes = plots.over_time(frame)
    assert list(axes.as_table["version"]) == ["v1"] * 6 + ["v2"] * 2 + [NOBODY] * 2
    assert [list(line.get_xdata()) for line in axes.lines][1] == [7, 8]


def test_percentiles(frame: pd.DataFrame) -> None:
    (row,) = plots.percentiles(frame).to_dict("records")
    assert row == {"requests": 10, "p50 ms": 5.5, "p90 ms": 9.1, "p99 ms": 9.91, "max ms": 10.0}
    assert list(plots.percentiles(frame, by="version")["version"]) == ["no pod", "v1", "v2"]


def test_compare_shows_shares_of_each(frame: pd.DataFrame) -> None:
    rows = plots.compare(by="version", before=frame, LEAST_REQUEST=frame.head(6)).as_table
    assert list(rows.columns) == ["version", "before %", "LEAST_REQUEST %"]
    assert list(rows["LEAST_REQUEST %"]) == [100.0, 0.0, 0.0]
    with pytest.raises(LessonError, match="two results or more"):
        plots.compare(before=frame)


def test_timeline_of_a_pod_that_is_still_out() -> None:
    frame = pd.DataFrame({"pod": ["a", "a"], "from_s": [1.0, 5.0], "to_s": [2.5, None]})
    assert list(plots.timeline(frame, end_s=8).as_table["out for s"]) == [1.5, 3.0]
    with pytest.raises(LessonError, match="missing: to_s"):
        plots.timeline(frame.drop(columns="to_s"))


def test_a_result_may_be_given_for_its_frame(frame: pd.DataFrame) -> None:
    class Result:
        def __init__(self) -> None:
            self.frame = frame

    assert plots.table(Result()).equals(plots.table(frame))
    with pytest.raises(LessonError, match="needs a frame or a result, not str"):
        plots.share("hello")
    with pytest.raises(LessonError, match="no column 'colour'"):
        plots.share(frame, by="colour")


def test_every_plot_shows_itself_and_the_same_as_a_table(frame: pd.DataFrame) -> None:
    for axes in all_plots(frame):
        page = axes._repr_html_()
        assert f'class="{MARK}"' in page
        assert f'aria-label="{axes.get_title(loc="left")}"' in page
        assert "<table" in page
        assert str(axes.as_table.iloc[0, 0]) in repr(axes)


def test_pictures_need_neither_pyplot_nor_fonts_nor_pixels(frame: pd.DataFrame) -> None:
    """Each of these costs tenths of a second in every run of a lesson."""
    sizes = matplotlib.rcParams["font.size"]
    all_plots(frame)
    assert matplotlib.rcParams["font.size"] == sizes
    code = (
        "import sys, pandas as pd; from labkit.ui import plots; "
        "plots.share(pd.DataFrame({'pod': ['a']}))._repr_html_(); "
        "print([m for m in sys.modules if 'pyplot' in m or 'backend_agg' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_is_cut_off_and_no_words_lie_on_others(frame: pd.DataFrame) -> None:
    for axes in all_plots(frame):
        assert_whole(axes)


SVG = "{http://www.w3.org/2000/svg}"
NARROW, LETTER, HIGH = 700.0, 8.4, 16.0  # pixels; a window of 1280 leaves a picture some 760


def assert_whole(axes: Any) -> None:
    """Every word of a plot lies inside of its picture, and on no other word, also where the page is
    narrow. Letters are taken to be as wide as the widest fonts have them.
    """
    page = axes.picture()
    top, right, _, left = (
        float(side)
        for side in re.search(r"padding:(\S+)px (\S+)px (\S+)px (\S+)px", page).groups()  # type: ignore[union-attr]
    )
    wide = NARROW - left - right
    assert wide > 200, axes.get_title(loc="left")
    svg = ET.fromstring(re.search("<svg.*</svg>", page).group())  # type: ignore[union-attr]
    boxes = [box for text in svg.iter(f"{SVG}text") for box in boxes_of(text, wide)]
    for words, x0, x1, y0, _ in boxes:
        assert -left - 1 <= x0, words
        assert x1 <= wide + right + 1, words
        assert y0 >= -top - 1, words
    for one, other in itertools.combinations(boxes, 2):
        apart = one[2] <= other[1] or other[2] <= one[1] or one[4] <= other[3] or other[4] <= one[3]
        assert apart, (one, other)


def boxes_of(text: ET.Element, wide: float) -> list[tuple[str, float, float, float, float]]:
    """Of each line of a text: its words, left, right, top, bottom in pixels; none of a text that is
    turned.
    """
    if "transform" in text.attrib:
        return []
    found, y = [], float(text.attrib["y"])
    for line in (text, *text.iter(f"{SVG}tspan")):
        words = line.text or ""
        place = line.attrib["x"]
        x = float(place.rstrip("%")) * (wide / 100 if place.endswith("%") else 1.0)
        x += float(line.attrib.get("dx", 0))
        y += float(line.attrib.get("dy", 0))
        length = LETTER * len(words)
        x -= {"start": 0.0, "middle": length / 2, "end": length}[text.attrib["text-anchor"]]
        found.append((words, x, x + length, y - HIGH + 4, y + 3))
    return found


def test_a_picture_takes_its_colours_and_its_font_from_the_page(frame: pd.DataFrame) -> None:
    for axes in all_plots(frame):
        page = axes.picture()
        assert "var(--plot-" in page
        assert "font-family" not in page
        assert (
            set(re.findall(r"(?<!,)#[0-9a-f]{6}\b", page)) == set()
        )  # but as what a name falls back to


def test_a_picture_that_nobody_trusts_leaves_no_loose_words(frame: pd.DataFrame) -> None:
    """JupyterLab takes <svg> and <style> out and leaves the words inside, where they are."""
    page = plots.share(frame)._repr_html_()
    assert re.search(r'<div class="labkit-picture"[^>]* hidden="hidden">', page)
    assert "labkit-unseen" in page


def test_no_rows_make_an_empty_plot_not_an_error(frame: pd.DataFrame) -> None:
    none = frame.head(0)
    for axes in (plots.share(none), plots.over_time(none), plots.codes(none), plots.latency(none)):
        assert "<svg" in axes.picture()

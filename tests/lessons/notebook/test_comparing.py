"""Two runs held together: what agrees, what differs, and what rightly differs."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from labkit.lessons import CheckFailed
from labkit.lessons.checks import check, recording
from labkit.lessons.checks.power import ALPHA, band
from labkit.lessons.checks.recording import ColumnCounts, RecordedVerdict, read
from labkit.lessons.notebook.compare_report import write_comparison
from labkit.lessons.notebook.comparison import Compared, compare, describe, gap
from labkit.lessons.notebook.run import Failure, Run
from labkit.traffic import Result
from labkit.traffic.result import COLUMNS

PLOT = '<div class="labkit-plot"><img alt="{}" src="data:image/png;base64,AAAA"></div>'


def run(
    lesson: str = "03_load_balancing", *, failure: Failure | None = None, plot: str = ""
) -> Run:
    notebook = nbformat.v4.new_notebook()
    if plot:
        output = nbformat.v4.new_output("display_data", {"text/html": PLOT.format(plot)})
        notebook.cells = [
            nbformat.v4.new_markdown_cell("## Shares"),
            nbformat.v4.new_code_cell("", outputs=[output]),
        ]
    return Run(lesson, "A lesson", 1.0, failure, notebook)


def said(line: str = "PASS  a", *looked: ColumnCounts) -> RecordedVerdict:
    return RecordedVerdict(line, "", looked)


def versions(v1: int, v2: int) -> ColumnCounts:
    return ColumnCounts("version", {"v1": v1, "v2": v2})


def on_two(
    left: list[RecordedVerdict], right: list[RecordedVerdict], lesson: str = "03_load_balancing"
) -> Compared:
    return compare(run(lesson), run(lesson), left, right)


def test_what_is_the_same_agrees() -> None:
    found = on_two(
        [said("PASS  a", versions(50, 50)), said("PASS  b")],
        [said("PASS  a", versions(55, 45)), said("PASS  b")],
    )
    assert found.agrees
    assert found.explain() == []
    assert len(found.gaps) == 1


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ([said("PASS  a")], [said("PASS  b")], "PASS  a; then PASS  b"),
        ([said("PASS  a")], [], "PASS  a; then nothing"),
        ([], [said("PASS  a")], "nothing; then PASS  a"),
        (
            [said("PASS  a", versions(90, 10))],
            [said("PASS  a", versions(10, 90))],
            "by chance less than once in a million",
        ),
        (
            [said("PASS  a", versions(9, 1))],
            [said("PASS  a")],
            "version: v1 9, v2 1; then nothing: by chance less",
        ),
        (
            [said("PASS  a", ColumnCounts("pod", {"x": 9}))],
            [said("PASS  a", versions(9, 0))],
            "pod: x 9; then v1 9, v2 0",
        ),
        ([], [], "no verdict was recorded"),
    ],
)
def test_what_differs_is_said(
    left: list[RecordedVerdict], right: list[RecordedVerdict], words: str
) -> None:
    found = on_two(left, right)
    assert not found.agrees
    assert words in "\n".join(found.explain())


def test_a_lesson_that_fails_on_one_mesh_does_not_agree() -> None:
    failure = Failure(3, "1 / 0", "ZeroDivisionError")
    found = compare(run(), run(failure=failure), [said()], [said()])
    assert not found.agrees
    assert found.explain() == ["03_load_balancing fails: ZeroDivisionError"]


def test_a_breaker_that_refuses_otherwise_is_a_disagreement() -> None:
    """What lesson 7's checks look at was held at the gate, and so is exact."""
    left = [said("PASS  a", ColumnCounts("flags", {"": 20, "UO": 80}))]
    right = [said("PASS  a", ColumnCounts("flags", {"": 80, "UO": 20}))]
    assert not on_two(left, right, "07_connection_pools").agrees


def test_two_empty_columns_agree_and_one_alone_does_not() -> None:
    nothing = ColumnCounts("status", {})
    assert on_two([said("PASS  a", nothing)], [said("PASS  a", nothing)]).agrees
    assert not gap(nothing, ColumnCounts("status", {"200": 1})).agrees
    assert not gap(nothing, ColumnCounts("version", {})).agrees
    assert (
        describe(gap(nothing, nothing))
        == "status: nothing; then nothing (too few to differ clearly)"
    )


def test_staying_at_one_pod_is_compared_by_rank() -> None:
    """Which one it is the hash decides, from addresses that differ; that all go to one is what
    counts.
    """
    one, other = (
        ColumnCounts("pod", {"hello-world-v1": 60}),
        ColumnCounts("pod", {"hello-world-v2": 60}),
    )
    line = "PASS  all requests went to the same pod"
    assert on_two([said(line, one)], [said(line, other)]).agrees
    assert not on_two([said("PASS  a", one)], [said("PASS  a", other)]).agrees
    spread = ColumnCounts("pod", {"hello-world-v1": 30, "hello-world-v2": 30})
    assert not on_two([said(line, one)], [said(line, spread)]).agrees


def test_how_often_it_is_wrong() -> None:
    """The p value keeps its promise: of runs from one distribution at most a twentieth has 0.05 or
    less.
    """
    draw = random.Random(20_261_122)

    def sample(n: int) -> ColumnCounts:
        return ColumnCounts(
            "version", dict(Counter(draw.choices(["v1", "v2", "v3"], [5, 3, 2], k=n)))
        )

    runs = 600
    found = [gap(sample(200), sample(150)).p_value for _ in range(runs)]
    assert sum(p <= 0.05 for p in found) in band(runs, 0.05, side="high")
    assert all(p > ALPHA for p in found)


def test_how_small_a_difference_it_finds() -> None:
    """A tenth of the requests at another version is found with 300 requests on each side, and ten
    say nothing.
    """
    assert not gap(versions(300, 0), versions(270, 30)).agrees
    few = gap(versions(10, 0), versions(0, 10))
    assert few.agrees
    assert not few.can_differ
    assert gap(versions(300, 0), versions(300, 0)).can_differ


def test_told() -> None:
    words = describe(gap(versions(90, 10), versions(10, 90)))
    assert (
        words == "version: v1 90, v2 10; then v1 10, v2 90: by chance less than once in a million"
    )
    assert (
        describe(gap(versions(50, 50), versions(45, 55)))
        == "version: v1 50, v2 50; then v1 45, v2 55"
    )
    assert describe(gap(versions(1, 0), versions(0, 1))).endswith("(too few to differ clearly)")


def test_checks_write_down_what_they_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.jsonl"
    pods = ["hello-world-v1-74f44f9645-45v65", "hello-world-v1-74f44f9645-kx7ds"] * 20
    columns: dict[str, list[Any]] = {name: [""] * 40 for name in COLUMNS}
    result = Result({**columns, "status": [200] * 40, "pod": pods, "version": ["v1"] * 40})
    check.all_ok(result)
    monkeypatch.setenv(recording.VARIABLE, str(path))
    check.only(result, version="v1")
    check.equal(1, 1, "one is one")
    with pytest.raises(CheckFailed):
        check.only(result, version="v2")
    first, second, third = read(path)
    assert first.line.startswith("PASS")
    assert ColumnCounts("version", {"v1": 40}) in first.columns
    assert second.columns == ()
    assert third.line.startswith("FAIL")
    recording.note_column("pod", list(result.column("pod")))
    recording.note_column("latency_ms", [1.0])
    assert recording.pending == [ColumnCounts("pod", {"hello-world-v1": 40})]
    recording.pending.clear()
    assert read(tmp_path / "nothing") == []


def test_the_page_has_both_plots_side_by_side_and_the_rate(tmp_path: Path) -> None:
    left, right = run(plot="on the left"), run(plot="on the right")
    wide = [said("PASS  <a>", versions(90, 10))], [said("PASS  <a>", versions(10, 90))]
    page = write_comparison(
        [compare(left, right, *wide)], tmp_path, ("embedded", "cluster")
    ).read_text("utf-8")
    assert page.index('alt="on the left"') < page.index('alt="on the right"')
    assert "<figcaption>embedded" in page
    assert "✘ differ" in page
    assert "by chance less than once in a million" in page
    assert "1e-06" in page
    assert "PASS  &lt;a&gt;" in page
    assert "<script" not in page
    assert "Expected differences" not in page


def test_the_page_says_what_rightly_differs(tmp_path: Path) -> None:
    left, right = run("07_connection_pools", plot="left"), run("07_connection_pools", plot="right")
    page = write_comparison(
        [compare(left, right, [said()], [said()])], tmp_path, ("a", "b")
    ).read_text("utf-8")
    assert "how many of them a breaker refuses depends on how fast both sides are" in page


def test_a_frame_of_endpoints_is_not_written_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Lessons look at it again and again until a pod is ejected: how often says nothing about the
    mesh.
    """
    monkeypatch.setenv(recording.VARIABLE, str(tmp_path / "record.jsonl"))
    recording.pending.clear()
    check.none_ejected(
        pd.DataFrame({"cluster": ["a"], "subset": [""], "pod": ["x"], "health": ["healthy"]})
    )
    (said,) = read(tmp_path / "record.jsonl")
    assert said.columns == ()

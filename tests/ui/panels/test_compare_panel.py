"""Compare: two runs of one mesh are hardly ever called different, two that differ are; and the
words say how sure.
"""

from __future__ import annotations

import random
from collections import Counter

import pandas as pd
import pytest

from labkit.errors import LessonError
from labkit.ui import Compare
from labkit.ui.panels.compare import CHANCE, compare, side_by_side


def run(v2: int, n: int = 200, *, latency_ms: float = 1.0, status: int = 200) -> pd.DataFrame:
    """n requests, `v2` of them from v2."""
    versions = ["v2"] * v2 + ["v1"] * (n - v2)
    return pd.DataFrame(
        {
            "at": [1e9 + number / 100 for number in range(n)],
            "status": status,
            "pod": [f"hello-world-{version}-x" for version in versions],
            "version": versions,
            "latency_ms": [latency_ms + number / n for number in range(n)],
        }
    )


@pytest.mark.parametrize("by", ["version", "pod"])
def test_shares_that_differ(by: str) -> None:
    found = compare(run(40), run(100), by)
    assert found.differ
    assert found.gap == pytest.approx(0.3)
    assert "20 % of the first run and 50 % of the second" in found.claim or "80 %" in found.claim
    assert "at most once in 1,000 comparisons" in found.words


def test_a_gap_that_chance_explains_is_not_called_a_difference() -> None:
    found = compare(run(40), run(60))
    assert not found.differ
    assert "No difference beyond chance" in found.words
    assert f"A gap of {100 * found.least:.0f} points" in found.words


def test_the_border_is_where_the_words_say() -> None:
    least = compare(run(0), run(0, 200)).least
    below, above = int(200 * least), int(200 * least) + 1
    assert not compare(run(0), run(below)).differ
    assert compare(run(0), run(above)).differ


def test_statuses_and_no_difference_at_all() -> None:
    assert compare(run(40), run(40, status=503), "status").differ
    found = compare(run(40), run(40), "status")
    assert (found.differ, found.gap) == (False, 0.0)
    assert "each status has the same share" in found.words


def test_latency_is_compared_by_pairs() -> None:
    assert compare(run(40), run(40, latency_ms=3.0), "latency").differ
    found = compare(run(40), run(40), "latency")
    assert not found.differ
    assert found.gap == pytest.approx(0, abs=1e-9)
    assert compare(run(40), run(40, latency_ms=1.05), "latency").differ is False


def test_one_slow_request_decides_nothing() -> None:
    slow = run(40)
    slow.loc[0, "latency_ms"] = 60_000.0
    assert not compare(run(40), slow, "latency").differ


def test_two_runs_of_one_mesh_are_hardly_ever_called_different() -> None:
    # a bound that was one in twenty would be passed some hundred times here; of one in a thousand
    # 14 are the most that 3000 pairs show with a chance above one in a million, and Hoeffding's
    # bound is wider still
    rng = random.Random()
    counts = [sum(rng.random() < 0.3 for _ in range(100)) for _ in range(6000)]
    frames = {count: run(count, 100) for count in set(counts)}
    pairs = Counter(zip(counts[::2], counts[1::2], strict=True))
    called = sum(n for (a, b), n in pairs.items() if compare(frames[a], frames[b]).differ)
    assert called <= 14
    assert CHANCE == 1e-3


def test_several_pods_share_the_chance() -> None:
    pods = pd.DataFrame({"pod": [f"p{number % 5}" for number in range(200)]})
    assert compare(pods, pods, "pod").least > compare(run(40), run(40)).least


def test_without_requests_there_is_nothing_to_compare() -> None:
    with pytest.raises(LessonError, match="no requests"):
        compare(run(1), run(1).iloc[:0])


def test_the_panel_says_the_same_as_the_function() -> None:
    panel = Compare(run(40), run(100), names=("before", "after"))
    assert panel.verdict == compare(run(40), run(100)).words
    assert panel.cells["columns"] == ["version", "before %", "after %"]
    assert panel.cells["rows"] == [["v1", "80.0", "50.0"], ["v2", "20.0", "50.0"]]
    first = panel.picture
    panel.hear(None, {"do": "choose", "args": ["latency"]})
    assert panel.picture != first
    assert panel.by == "latency"
    assert "No difference" in panel.verdict
    panel.hear(None, {"do": "choose", "args": ["colour"]})
    assert "can't be compared by 'colour'" in panel.error["message"]
    assert panel.by == "latency"


def test_an_export_has_plot_and_verdict() -> None:
    panel = Compare(run(40), run(100))
    assert "They differ" in panel.page()
    assert "<svg" in panel.page()
    assert "They differ" in panel.text()


def test_latencies_stand_in_two_rows() -> None:
    axes = side_by_side(run(40), run(40, latency_ms=3.0), "latency", ("b", "a"))
    assert [label.get_text().splitlines()[0] for label in axes.get_yticklabels()] == [
        "1: b",
        "2: a",
    ]

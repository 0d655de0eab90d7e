"""BreakerTimeline: its bars are Envoy's ejections, its counts the proxy's own, and the picture says
the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pandas as pd
import pytest

import labkit
from labkit.mesh import Mesh
from labkit.mesh.history import Change
from labkit.ui import BreakerTimeline
from labkit.ui.panels import breaker
from labkit.ui.panels.meshwatch import MeshWatch
from labkit.ui.panels.samples import OutlierSettings
from labkit.ui.plots.style import STATES, themed
from labkit.waiting import wait_until
from tests.mesh.conftest import CLUSTER, GATEWAY, HELLO, ROUTE, URL, rule
from tests.ui.panels.test_mesh_view import Told, seen
from tests.ui.plots.test_plots import assert_whole

pytestmark = pytest.mark.embedded

BASE_S, INTERVAL_S = 1.1, 0.4
QUICK = (
    f"{{outlierDetection: {{consecutive5xxErrors: 2, interval: {INTERVAL_S}s, baseEjectionTime: "
    f"{BASE_S}s, "
    "maxEjectionPercent: 100}, connectionPool: {tcp: {maxConnections: 1}, http: "
    "{http1MaxPendingRequests: 1}}}"
)
FRAME = pd.DataFrame(
    {"pod": ["a-1", "b-1", "a-1"], "from_s": [1.0, 2.0, 4.0], "to_s": [2.5, 3.0, None]}
)


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        yield mesh


def test_bars_are_the_ejections_and_counts_the_gateways(mesh: Mesh) -> None:
    panel = BreakerTimeline(mesh)
    looks = looks_of(panel)
    panel.start()
    mesh.apply(rule(QUICK))
    bad = mesh.pods("hello-world-v2")[0].name
    before = mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER)
    mesh.control(bad, fail_share=1.0)
    try:

        def back_twice() -> bool:
            if panel.frame["to_s"].notna().sum() >= 2:
                return True
            mesh.fortio(URL, connections=4, requests=20)
            return False

        wait_until(back_twice, 40, "two whole ejections", longest_s=0.2)
    finally:
        mesh.control(bad, reset=True)
    panel.look()
    panel.stop()
    frame = panel.frame
    assert set(frame["pod"]) == {bad}
    assert set(frame["base_s"]) == {BASE_S}
    # Envoy takes a pod back at its first sweep after n × base. Our looks come late on a busy
    # machine: each end of a bar may be off by the longest pause between two, and from about a third
    # of a second on n itself is not sure.
    blur_s = max(after - before for before, after in pairwise(looks))
    for row in frame.dropna().to_dict("records"):
        least = row["n"] if blur_s < (BASE_S - INTERVAL_S) / 2 else 1
        assert row["to_s"] - row["from_s"] >= least * BASE_S - blur_s
    assert (
        panel.watch.counts[-1][1]
        == mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER) - before
    )
    table = panel.table
    assert list(table["what"][: len(frame)]) == [f"{bad} out of the pool"] * len(frame)
    assert table["how much"].iloc[len(frame)] == f"{panel.watch.counts[-1][1]} requests"
    assert panel.marks == 1
    assert len([patch for patch in panel.axes.patches if patch.get_hatch() == "\\"]) == len(frame)
    panel.close()


def looks_of(panel: BreakerTimeline) -> list[float]:
    """When the panel looks, from now on."""
    looks: list[float] = []
    see = panel.watch.see

    def counted(found):  # type: ignore[no-untyped-def]
        looks.append(found.at)
        return see(found)

    panel.watch.see = counted  # type: ignore[method-assign]
    return looks


def test_looks_do_not_wait_for_pictures(mesh: Mesh) -> None:
    panel = BreakerTimeline(mesh)
    looks = looks_of(panel)
    held = panel.show
    stopped: list[int] = []

    def slow(axes, marks=0):  # type: ignore[no-untyped-def]
        began = len(looks)
        wait_until(lambda: len(looks) >= began + 3, 20, "three looks while a picture is made")
        stopped.append(len(looks) - began)
        held(axes, marks)

    panel.show = slow  # type: ignore[method-assign]
    panel.start()
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    wait_until(lambda: bool(stopped), 30, "a picture")
    panel.show = held  # type: ignore[method-assign]
    panel.stop()
    assert stopped[0] >= 3
    panel.close()


def test_a_look_that_is_drawn_late_does_not_hide_a_later_one(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = BreakerTimeline(mesh)
    held, go, timeline = threading.Event(), threading.Event(), breaker.timeline

    def late(*args: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            held.set()
            assert go.wait(20)
        return timeline(*args, **options)

    monkeypatch.setattr(breaker, "timeline", late)
    drawing = threading.Thread(target=panel.draw)
    drawing.start()
    assert held.wait(20)
    mesh.apply(rule("{loadBalancer: {simple: LEAST_REQUEST}}"))
    panel.look()
    shown, picture, axes = panel.chart, panel.picture, panel.axes
    assert [what for _, what in shown["marks"]] == [mesh.history[-1].what]
    go.set()
    drawing.join(20)
    assert (panel.chart, panel.picture) == (shown, picture)
    assert panel.axes is axes
    panel.close()


def test_the_view_is_told_what_the_picture_shows() -> None:
    panel = BreakerTimeline(FRAME)
    assert [row[:2] for row in panel.chart["rows"]] == [["a-1", "a-1"], ["b-1", "b-1"]]
    bars = [["a-1", 1.0, 2.5], ["b-1", 2.0, 3.0], ["a-1", 4.0, 5.0]]
    assert [bar[:3] for bar in panel.chart["bars"]] == bars
    counts = pd.DataFrame(
        {"at_s": [0.0, 1.0, 3.0, 6.0], "refused": [0, 4, 6, 6], "retries": [0, 0, 1, 1]}
    )
    told = breaker.chart(FRAME, counts, [Change(101.5, "a rule")], 100.0, 6.0)
    sums = {name: sum(steps) for name, steps in told["grown"].items()}
    assert sums == {"refused": 6, "retries": 1}
    assert told["marks"] == [[1.5, "a rule"]]
    assert {row[2] for row in told["rows"]} == {
        themed(STATES[state].colour) for state in ("ejected", "refused", "retried")
    }
    panel.close()


def test_a_timeline_of_samples_that_were_taken_earlier() -> None:
    panel = BreakerTimeline(FRAME)
    assert not panel.live
    assert "<svg" in panel.picture
    assert list(panel.table["until s"]) == [2.5, 3.0, 5.0]
    assert "a-1 out of the pool" in panel.text()
    assert "<svg" in panel.page()
    panel.close()


def test_bars_stand_where_the_pod_was_out() -> None:
    axes = breaker.timeline(FRAME, marks=[Change(101.5, "a rule")], start=100.0, end_s=6.0)
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]
    assert bars == [(1.0, 2.5), (2.0, 3.0), (4.0, 6.0)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a-1", "b-1"]
    assert [float(line.get_xdata()[0]) for line in axes.lines if line.get_zorder() == 4] == [1.5]


def test_counts_grow_where_requests_were_refused() -> None:
    counts = pd.DataFrame(
        {"at_s": [0.0, 1.0, 3.0, 6.0], "refused": [0, 4, 6, 6], "retries": [0, 0, 1, 1]}
    )
    axes = breaker.timeline(FRAME, counts, end_s=6.0)
    rows = axes.as_table.set_index("what")
    assert rows.loc["refused (upstream_rq_pending_overflow)"].to_list() == [1.0, 3.0, "6 requests"]
    assert rows.loc["retries (upstream_rq_retry)"].to_list() == [3.0, 3.0, "1 requests"]
    told = [text.get_text().strip() for text in axes.texts]
    assert told[-2:] == ["6", "1"]


def test_no_ejection_is_a_picture_too() -> None:
    axes = breaker.timeline(FRAME.iloc[:0])
    assert "<svg" in axes.picture()
    assert "0 ejections" in axes.get_title(loc="left")


def test_how_often_it_was_ejected_is_told_by_how_long_it_was_out() -> None:
    watch = MeshWatch(Told("2s", "1s"), began=0.0)  # type: ignore[arg-type]
    looks = [0.0, 0.2, *(round(0.2 * number, 1) for number in range(2, 60))]
    out_from, out_until = 1.0, 5.4  # 2 × 2 s and a little: it was ejected before anybody looked
    for at in looks:
        watch.see(seen(at, *(["a-1"] if out_from <= at < out_until else [])))
    (found,) = watch.ejections
    assert (found.n, found.since, found.until) == (2, 1.0, 5.4)
    blurred = replace(found, outlier=OutlierSettings(2.0, 1.9), n=1)
    assert watch.measured(blurred, 0.2).n == 1


def test_labels_of_neighbours_do_not_run_into_each_other() -> None:
    frame = pd.DataFrame(
        {
            "pod": ["a"] * 3,
            "from_s": [1.0, 2.4, 4.9],
            "to_s": [2.4, 4.9, None],
            "n": [1, 2, 3],
            "base_s": [1.1] * 3,
        }
    )
    axes = breaker.timeline(frame, end_s=5.0)
    assert [text.get_text() for text in axes.texts] == [
        "1 × 1.1 s (1.4 s)",
        "2 × 1.1 s (2.5 s)",
        "",
    ]
    assert_whole(axes)
    assert axes.as_table["how much"].str.startswith("3 × 1.1 s, still out").any()

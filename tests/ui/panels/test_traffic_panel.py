"""TrafficPanel without a browser: every button is a method, and what it shows is what the mesh
counted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import labkit
from labkit.errors import LabkitError, LessonError
from labkit.mesh import Mesh
from labkit.ui import TrafficPanel
from labkit.ui.panels.live import LEAST_REST, Ticker
from labkit.ui.plots import timelines as over_time
from labkit.waiting import wait_until
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, URL, rule

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        yield mesh


@pytest.fixture
def panel(mesh: Mesh) -> Iterator[TrafficPanel]:
    panel = TrafficPanel(mesh, URL)
    yield panel
    if panel.running:
        panel.stop()
    panel.ticker.stop(wait=True)
    panel.close()


def rows_of(panel: TrafficPanel) -> list[list[str]]:
    return panel.counted["rows"]  # type: ignore[no-any-return]


def test_a_run_shows_its_numbers_beside_the_gateways(panel: TrafficPanel) -> None:
    panel.run(kind="fortio", requests=40)
    assert panel.result.codes == {200: 40}
    assert rows_of(panel) == [["200", "40", "40", "upstream_rq_200"]]
    assert panel.verdict == "The same as the gateway counted."
    assert panel.status.startswith("Done: 40 requests")
    assert (panel.running, panel.progress) == (False, 1.0)
    assert "<svg" in panel.picture
    assert panel.caption.startswith("Share of 40 requests by version")


def test_each_plot_can_be_chosen_after_the_run(panel: TrafficPanel) -> None:
    panel.run(requests=8)
    pictures = set()
    for name in panel.plots:
        panel.choose(plot=name)
        pictures.add(panel.picture)
    assert len(pictures) == len(panel.plots)
    panel.choose(plot="pods")
    shares = panel.cells["rows"][0][4:]
    counts = [round(8 * float(share) / 100) for share in shares]
    assert sorted(counts) == sorted(panel.result.pods.values())


def test_a_stream_draws_a_line_at_each_apply_while_it_runs(mesh: Mesh, panel: TrafficPanel) -> None:
    panel.start(kind="stream", rate=60)
    wait_until(lambda: bool(panel.picture) and panel.caption != "", 20, "the first picture")
    assert panel.marks == 0
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    wait_until(lambda: panel.marks == 1, 20, "the line")
    assert panel.running
    assert "1: destinationrule/hello-world-dr created" in [row[2] for row in panel.cells["rows"]]
    panel.stop()
    assert not panel.running
    assert panel.last.state == "cancelled"
    assert panel.verdict == "The same as the gateway counted."
    assert len(panel.frame) == len(panel.result)
    assert int(rows_of(panel)[0][1]) == len(panel.frame)


def test_a_picture_that_comes_late_does_not_hide_the_end(
    panel: TrafficPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go, share = threading.Event(), threading.Event(), over_time.share

    def late(*args: Any, end: float | None = None) -> Any:
        if end is not None and not held.is_set():
            held.set()
            assert go.wait(20)
        return share(*args, end=end)

    monkeypatch.setattr(over_time, "share", late)
    panel.start(kind="stream", rate=60)
    assert held.wait(20)  # the ticker draws a run that is on
    panel.stop()
    assert panel.verdict == "The same as the gateway counted."
    go.set()
    assert panel.ticker.thread is not None
    panel.ticker.thread.join(20)
    assert panel.status.startswith("Stopped")
    assert panel.verdict == "The same as the gateway counted."


def test_the_line_shows_at_once_and_not_at_the_next_turn(mesh: Mesh, panel: TrafficPanel) -> None:
    panel.ticker.every_s = 3600
    panel.start(kind="stream", rate=20)
    wait_until(lambda: bool(panel.caption), 20, "the first picture")
    mesh.apply(rule("{loadBalancer: {simple: ROUND_ROBIN}}"))
    wait_until(lambda: panel.marks == 1, 20, "the line, long before the next turn")


def test_the_command_follows_the_settings(panel: TrafficPanel) -> None:
    panel.choose("kind", "fortio")
    panel.choose("connections", "2")
    panel.choose("requests", "10")
    assert panel.command == f"fortio load -c 2 -qps 0 -n 10 {URL}"
    panel.choose("seconds", "5")
    assert panel.command == f"fortio load -c 2 -qps 0 -t 5s {URL}"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("requests", "", "requests must be a number"),
        ("requests", "0", "requests must be 1 or more"),
        ("rate", "1e9", "at most 500 requests per second"),
        ("plot", "pie", "There is no plot 'pie'"),
        ("colour", "red", "no setting 'colour'"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_the_panel(
    panel: TrafficPanel, name: str, value: str, words: str
) -> None:
    if name == "rate":
        panel.choose(kind="stream")
    panel.hear(None, {"do": "choose", "args": [name, value]})
    assert words in panel.error["message"]
    panel.hear(None, {"do": "choose", "args": ["requests", "5"]})
    panel.hear(None, {"do": "choose", "args": ["rate", "5"]})
    assert panel.error == {}


def test_a_wrong_number_is_not_sent(panel: TrafficPanel) -> None:
    with pytest.raises(LabkitError):
        panel.choose(connections=0)
    with pytest.raises(LabkitError):
        panel.start()
    assert not panel.running


def test_two_runs_at_once_are_refused(panel: TrafficPanel) -> None:
    panel.start(kind="stream", rate=20)
    with pytest.raises(LessonError, match="already"):
        panel.start()
    with pytest.raises(LessonError, match="no end"):
        TrafficPanel.run(panel, kind="stream")


def test_a_cell_that_runs_again_ends_the_stream_of_the_panel_before(
    mesh: Mesh, panel: TrafficPanel
) -> None:
    panel.start(kind="stream", rate=20)
    again = TrafficPanel(mesh, URL)
    wait_until(lambda: not panel.running, 20, "the first stream to end")
    again.close()


def test_before_the_first_run_it_says_what_to_do(panel: TrafficPanel) -> None:
    for look in (lambda: panel.result, lambda: panel.frame):
        with pytest.raises(LessonError) as caught:
            look()
        assert "panel." in caught.value.try_next
    assert "Nothing has been sent yet." in panel.page()


def test_an_export_shows_the_last_state_without_buttons(panel: TrafficPanel) -> None:
    panel.run(requests=6)
    page, text = panel.page(), panel.text()
    assert "<button" not in page
    assert "<svg" in page
    for words in (
        "for i in $(seq 6)",
        "Done: 6 requests",
        "upstream_rq_200",
        "The same as the gateway counted.",
    ):
        assert words in page
    assert "Done: 6 requests" in text
    assert "v1 %" in text


def test_a_mesh_that_is_closed_meanwhile_is_told_with_a_way_back() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        panel = TrafficPanel(mesh, URL, kind="stream", rate=60)
        panel.start()
        wait_until(lambda: len(panel.last) >= 5, 20, "some requests")
    wait_until(lambda: not panel.running, 20, "the panel to notice")
    assert "closed" in panel.error["message"]
    assert "open_mesh" in panel.error["try_next"]
    assert panel.error["back"] == {"label": "Start again", "do": "start"}
    assert panel.status.startswith("Failed")
    panel.hear(None, {"do": "start"})
    assert "closed" in panel.error["message"]
    panel.close()


def test_the_kernel_is_not_needed_to_draw(panel: TrafficPanel) -> None:
    drawn_by: set[int] = set()
    tell = panel.tell

    def seen(*told: Any) -> None:
        drawn_by.add(threading.get_ident())
        tell(*told)

    panel.tell = seen  # type: ignore[method-assign]
    panel.start(kind="stream", rate=20)
    wait_until(lambda: len(drawn_by) > 0, 20, "a picture")
    assert threading.get_ident() not in drawn_by


def test_a_slow_look_makes_the_next_one_come_later() -> None:
    times: list[float] = []

    def look() -> bool:
        times.append(time.monotonic())
        threading.Event().wait(0.2)
        times.append(time.monotonic())
        return len(times) < 4

    ticker = Ticker(look, every_s=0.01)
    ticker.start()
    assert ticker.thread is not None
    ticker.thread.join()
    assert times[2] - times[1] >= LEAST_REST * (times[1] - times[0]) * 0.99

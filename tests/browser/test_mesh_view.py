"""MeshView, BreakerTimeline and Compare in JupyterLab: what Envoy does is seen a moment later,
while one looks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.notebook import Notebook, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

URL = "http://test.example.com/"
MESH = """import json
import labkit
from labkit.lessons import manifest
from labkit.ui import BreakerTimeline, Compare, MeshView
url = "http://test.example.com/"
rule = '''
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  trafficPolicy:
    outlierDetection:
      consecutive5xxErrors: 2
      interval: 300ms
      baseEjectionTime: 30s
      maxEjectionPercent: 100
'''
mesh = labkit.open_mesh()
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))
bad = mesh.pods("hello-world-v2")[0].name"""
PANELS = {
    "view": "panel = MeshView(mesh)\npanel",
    "breaker": "panel = BreakerTimeline(mesh)\npanel",
    # v2 has a third of 240 requests; a difference of 18 points is called one (fewer: once in 10^7;
    # of 80 one in three)
    "compare": "a = mesh.curl(url, n=240)\nmesh.scale('hello-world-v2', 0)\nb = mesh.curl(url, "
    "n=240)\n"
    "panel = Compare(a, b, names=('three pods', 'without v2'))\npanel",
}


@pytest.fixture
def book(
    browser: Any, lab: str, course: Path, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    kind = request.param
    with written(
        browser, lab, course, f"mesh-{kind}-{request.node.originalname[5:30]}", [MESH, PANELS[kind]]
    ) as book:
        book.run_all()
        book.panel.wait_for(timeout=30_000)
        yield book


def state(book: Notebook, pod: str, wanted: str) -> None:
    book.page.wait_for_function(
        "([pod, state]) => document.querySelector(`[data-pod='${pod}']`)?.dataset.state === state",
        arg=[pod, wanted],
        timeout=30_000,
    )


def table(book: Notebook) -> list[dict[str, str]]:
    details = book.panel.locator("details").first
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    details.locator("tbody tr").first.wait_for(timeout=30_000)  # it is filled when it is open
    names = details.locator("thead th").all_inner_texts()
    rows = details.locator("tbody tr").all()
    return [dict(zip(names, row.locator("td").all_inner_texts(), strict=True)) for row in rows]


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_what_envoy_does_is_in_the_picture(book: Notebook) -> None:
    panel, page = book.panel, book.page
    panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    bad = book.ask("print(bad)")
    counted = "print(json.dumps(mesh.endpoints().groupby('pod')['requests'].sum().to_dict()))"
    book.ask("mesh.curl(url, n=40)")
    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-pod] text')].reduce("
        "(sum, node) => sum + Number((/^(\\d+) requests/.exec(node.textContent) || [0, 0])[1]), "
        "0) === 40",
        timeout=30_000,
    )
    rows = {row["pod"]: int(row["total requests"]) for row in table(book)}
    assert rows == json.loads(book.ask(counted))
    assert sum(rows.values()) == 40
    book.panel.locator("details").first.locator("summary").click()
    book.ask("mesh.apply(rule); mesh.control(bad, fail_share=1.0); mesh.curl(url, n=60)")
    state(book, bad, "ejected")
    words = page.evaluate("pod => document.querySelector(`[data-pod='${pod}']`).textContent", bad)
    assert "s left" in words
    assert panel.locator(f"[data-pod='{bad}'] line").count() == 2
    book.ask("mesh.scale('hello-world-v1', 3)")
    page.wait_for_function(
        "() => document.querySelectorAll('[data-pod]').length === 4", timeout=30_000
    )
    book.ask("mesh.curl(url, n=40)")
    page.wait_for_function(
        "() => document.querySelectorAll('[data-pod][data-state=ready]').length === 3"
    )
    assert book.violations() == []
    assert book.cut_off() == []
    book.show()
    book.picture("meshview-ejected")
    book.portrait("panel-mesh")
    book.ask("mesh.close()")
    panel.get_by_role("status").get_by_text("The mesh has been closed").wait_for(timeout=30_000)
    assert page.locator(".labkit-panel [data-pod]").count() == 4
    # and what the notebook keeps, for an export, is this last state
    page.wait_for_function(
        """() => {
          const model = window.jupyterapp.shell.currentWidget.content.model;
          return JSON.stringify(model.toJSON()).includes('<figcaption>The mesh has been closed');
        }""",
        timeout=30_000,
    )
    panel.get_by_role("status").get_by_text("The mesh has been closed").wait_for(timeout=30_000)
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_errors_are_on_their_line_and_the_picture_says_when(book: Notebook) -> None:
    panel = book.panel
    panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    bad = book.ask("mesh.control(bad, fail_share=1.0); mesh.curl(url, n=60); print(bad)")
    line = panel.locator(f"[data-part='way {bad}']")
    line.get_by_text("100 % errors").wait_for(timeout=30_000)
    assert "100 % errors" in line.get_attribute("aria-label")
    assert panel.locator(".labkit-mesh").get_by_text("100 % errors").count() == 1
    assert panel.locator(".labkit-mesh").get_by_text("now", exact=True).count() == 1
    panel.get_by_role("button", name="Stop watching").click()
    panel.get_by_text("Not watching").wait_for(timeout=30_000)
    at = (
        panel.locator(".labkit-mesh text")
        .filter(has_text=re.compile(r"^at \d"))
        .first.text_content()
    )
    assert at.startswith("at ")
    assert len(at) == len("at 14:02:03")
    rows = {row["pod"]: row["errors %"] for row in table(book)}
    assert rows[bad] == "100.0"
    for theme in ("Light", "Dark"):
        book.is_read("meshview-errors", theme)
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_a_click_or_enter_opens_the_yaml_and_what_envoy_has(book: Notebook) -> None:
    panel, page = book.panel, book.page
    panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    bad = book.ask("mesh.apply(rule); print(bad)")
    panel.locator(f"[data-part='pod {bad}'] rect").click()
    shown = panel.locator(".labkit-concern")
    shown.get_by_role("heading", name=bad).wait_for(timeout=30_000)
    assert shown.locator("summary").all_inner_texts() == [
        "Service hello-world",
        "Deployment hello-world-v2",
        "DestinationRule hello-world-dr",
        "VirtualService hello-world-vs",
    ]
    envoy = shown.get_by_role("region", name="What Envoy has of it", exact=True)
    assert "consecutive_5xx: 2" in envoy.inner_text()
    for theme in ("Light", "Dark", "Dark High Contrast"):
        book.is_read("meshview-opened", theme)
    # Tab reaches one part, arrow keys the others; the focus stays while the picture is renewed
    cells = page.locator(".jp-Cell").count()
    panel.locator("[data-part][tabindex='0']").focus()
    here = "() => document.activeElement.dataset?.part"
    assert page.evaluate(here) == f"pod {bad}"
    page.keyboard.press("ArrowUp")
    other = page.evaluate(here)
    assert other not in (None, f"pod {bad}")
    page.keyboard.press("x")  # in JupyterLab's command mode it cuts the cell
    book.ask("mesh.curl(url, n=40)")
    page.wait_for_function(
        "() => /^[1-9]/.test(document.querySelector('[data-pod] text:last-child').textContent)",
        timeout=30_000,
    )
    assert page.evaluate(here) == other
    page.keyboard.press("Enter")
    page.wait_for_function(
        "part => document.querySelector('[data-part][aria-expanded=true]')?.dataset.part === part",
        arg=other,
        timeout=30_000,
    )
    assert page.locator(".jp-Cell").count() == cells
    shown.get_by_role("button", name="Close").click()
    page.wait_for_function("() => document.querySelector('.labkit-concern').hidden", timeout=30_000)
    assert page.evaluate(here) == other
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_a_thin_line_is_easy_to_click(book: Notebook) -> None:
    bad = book.ask("print(bad)")
    way = book.panel.locator(f"[data-part='way {bad}']")
    way.wait_for(state="attached", timeout=30_000)
    book.show()
    x, y = way.evaluate(
        """node => {
          const line = node.querySelector('path.labkit-hit');
          const at = line.getPointAtLength(line.getTotalLength() / 2);
          const place = at.matrixTransform(line.getScreenCTM());
          return [place.x, place.y + 6];
        }"""
    )
    book.page.mouse.click(x, y)
    told = book.panel.locator(".labkit-concern")
    told.get_by_role("heading", name=f"From the gateway to {bad}").wait_for(timeout=30_000)
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_it_is_stopped_by_keyboard_and_by_leaving(book: Notebook) -> None:
    panel, page = book.panel, book.page
    button = panel.get_by_role("button", name="Stop watching")
    button.wait_for(timeout=30_000)
    button.focus()
    page.keyboard.press("Enter")
    panel.get_by_text("Not watching").wait_for(timeout=30_000)
    assert book.ask("print(panel.ticker.running, panel.watching)") == "False False"
    page.keyboard.press("Enter")
    panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_a_lost_kernel_is_said_and_nothing_is_promised_that_was_not_typed(book: Notebook) -> None:
    book.restart_kernel()
    lost = book.panel.get_by_role("alert").filter(has_text="The kernel was restarted or stopped")
    lost.wait_for(timeout=15_000)
    assert "kept" not in lost.inner_text()


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_a_panel_that_was_closed_does_not_speak_of_the_kernel(book: Notebook) -> None:
    book.panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    book.page.evaluate("() => { window.lost = document.querySelector('.labkit-lost'); }")
    book.ask("panel.close()")
    book.page.wait_for_function("() => window.lost.textContent", timeout=15_000)
    assert book.page.evaluate("() => window.lost.textContent").startswith("This panel was closed.")
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_a_cell_that_is_run_again_closes_the_panel_of_its_last_run(book: Notebook) -> None:
    book.panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    book.ask("old = panel")
    book.run_all()
    assert (
        book.ask("print(old is panel, old.comm is None, old.ticker.running)") == "False True False"
    )
    book.panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    assert book.complaints == []


@pytest.mark.parametrize("book", ["view"], indirect=True)
def test_a_cell_whose_output_is_gone_looks_no_more(book: Notebook) -> None:
    book.panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    book.ask("old = panel")
    book.menu("Edit", "Clear Outputs of All Cells")
    book.page.wait_for_function("() => !document.querySelector('.labkit-panel')", timeout=30_000)
    asked = (
        "from labkit.waiting import wait_until; wait_until(lambda: not old.watching, 20, "
        "'the end'); print('over')"
    )
    assert book.ask(asked) == "over"
    assert book.complaints == []


@pytest.mark.parametrize("book", ["breaker"], indirect=True)
def test_an_ejection_is_a_bar_while_it_lasts(book: Notebook) -> None:
    panel, page = book.panel, book.page
    panel.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    bad = book.ask("print(bad)")
    quick = "rule.replace('30s', '1100ms')"
    book.ask(f"mesh.apply({quick}); mesh.control(bad, fail_share=1.0)")
    back = "panel.frame['to_s'].notna().sum() >= 2 or bool(mesh.curl(url, n=15)) and False"
    assert (
        book.ask(f"mesh.wait_for(lambda: {back}, 'two ejections', timeout_s=40); print('ok')")
        == "ok"
    )
    book.ask("mesh.control(bad, reset=True)")
    page.wait_for_function(
        "() => /^[2-9]\\d* ejections/"
        ".test(document.querySelector('.labkit-plot figcaption').textContent)",
        timeout=30_000,
    )
    book.panel.get_by_role("button", name="Stop watching").click()
    panel.get_by_text("Not watching").wait_for(timeout=30_000)
    rows = [row for row in table(book) if row["what"].startswith(bad)]
    assert len(rows) == int(book.ask("print(len(panel.frame))"))
    assert all("× 1.1 s" in row["how much"] for row in rows)
    assert panel.locator("figure").get_attribute("data-marks") == "1"
    chart = panel.locator(".labkit-chart")
    assert chart.get_attribute("data-rows") == f"{bad} refused retries"
    chart.focus()
    page.keyboard.press("Home")
    said = "document.querySelector('.labkit-chart-said').textContent"
    page.wait_for_function(f"() => {said}.includes('in the pool')")
    for _ in range(200):
        page.keyboard.press("ArrowRight")
        if "out: 1 × 1.1 s" in page.evaluate(f"() => {said}"):
            break
    else:
        raise AssertionError("no step says that the pod was out")
    assert book.violations() == []
    assert book.cut_off() == []
    book.show()
    book.picture("breaker-timeline")
    book.portrait("panel-breaker")
    assert book.complaints == []


@pytest.mark.parametrize("book", ["compare"], indirect=True)
def test_two_runs_are_compared_by_what_is_chosen(book: Notebook) -> None:
    panel, page = book.panel, book.page
    panel.get_by_text("They differ").wait_for(timeout=30_000)
    rows = {row["version"]: row for row in table(book)}
    counts = json.loads(book.ask("print(json.dumps([a.versions, b.versions]))"))
    for name, column in (("three pods", 0), ("without v2", 1)):
        shown = {version: float(row[f"{name} %"]) for version, row in rows.items()}
        assert shown == pytest.approx(
            {v: 100 * counts[column].get(v, 0) / 240 for v in shown}, abs=0.06
        )
    assert book.violations() == []
    assert book.cut_off() == []
    book.show()
    book.picture("compare-versions")
    book.portrait("panel-compare")
    panel.get_by_label("Compare by").focus()
    page.keyboard.type("Status")
    panel.get_by_text("No difference beyond chance").wait_for(timeout=30_000)
    assert book.complaints == []

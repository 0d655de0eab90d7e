"""TrafficPanel as a person uses it: choose, start, apply meanwhile, read the numbers, stop; by
mouse and keyboard.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.notebook import Notebook, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

URL = "http://test.example.com/"
MESH = """import labkit
from labkit.lessons import manifest
from labkit.ui import TrafficPanel
mesh = labkit.open_mesh()
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))"""
PANEL = f'panel = TrafficPanel(mesh, "{URL}")\npanel'
RULE = "mesh.apply(manifest('03_load_balancing/random.yaml'))"
COUNTED = "print(mesh.counter('upstream_rq_total'))"


@pytest.fixture
def book(
    browser: Any, lab: str, course: Path, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    name = "traffic-" + request.node.name.removeprefix("test_")[:40]
    with written(browser, lab, course, name, [MESH, PANEL]) as book:
        book.run_all()
        book.panel.get_by_role("button", name="Start").wait_for(timeout=30_000)
        yield book


def done(book: Notebook, words: str) -> None:
    """Waits for the end of the run; its status begins with `words` then (that of an earlier run
    with others).
    """
    book.page.wait_for_function(
        "words => document.querySelector('.labkit-panel "
        ".labkit-status').textContent.startsWith(words)",
        arg=words,
        timeout=60_000,
    )


def numbers(book: Notebook) -> list[list[str]]:
    """The table of the requests beside the proxy's counters."""
    rows = book.panel.locator(".labkit-counted tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in rows]


def in_the_picture(book: Notebook) -> list[list[str]]:
    """The table under the picture."""
    details = book.panel.locator("figure details")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    details.locator("tbody tr").first.wait_for(timeout=15_000)  # it is filled when it is open
    return [row.locator("td").all_inner_texts() for row in details.locator("tbody tr").all()]


def columns(book: Notebook) -> list[str]:
    return list(book.panel.locator("figure details thead th").all_inner_texts())


PAINTED = """() => {
  const canvas = document.querySelector('.labkit-plot canvas');
  if (!canvas?.offsetParent)
    return document.querySelector('.labkit-picture svg')?.getBoundingClientRect().width > 100;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size > 4;
}"""


def painted(book: Notebook) -> None:
    """Waits until the picture is really there: the chart, or what the kernel has drawn."""
    book.page.wait_for_function(PAINTED, timeout=30_000)


def goes_on(book: Notebook, seconds: float) -> None:
    """Waits until the chart has so much of a stream."""
    book.page.wait_for_function(
        "s => document.querySelector('.labkit-chart')?.dataset.span?.split(' ')[1] > s",
        arg=seconds,
        timeout=30_000,
    )


def test_a_load_from_the_form_to_the_plot(book: Notebook) -> None:
    panel = book.panel
    before = int(book.ask(COUNTED))
    panel.get_by_label("Fortio, a load").check()
    panel.get_by_label("requests (-n)").fill("60")
    panel.get_by_label("connections (-c)").fill("2")
    panel.get_by_label("Plot", exact=True).focus()
    panel.get_by_text(f"fortio load -c 2 -qps 0 -n 60 {URL}").wait_for(timeout=15_000)
    panel.get_by_role("button", name="Start").click()
    done(book, "Done: 60 requests")
    assert int(book.ask(COUNTED)) - before == 60
    assert numbers(book) == [["200", "60", "60", "upstream_rq_200"]]
    panel.get_by_text("The same as the gateway counted.").wait_for()
    painted(book)
    (row,) = in_the_picture(book)
    shares = dict(zip(columns(book)[4:], map(float, row[4:]), strict=True))
    counts = json.loads(book.ask("import json; print(json.dumps(panel.result.versions))"))
    assert shares == pytest.approx(
        {f"{name} %": 100 * n / 60 for name, n in counts.items()}, abs=0.06
    )
    assert (
        panel.locator("figure .labkit-chart")
        .get_attribute("aria-label")
        .startswith("Share of 60 requests by version")
    )
    assert book.violations() == []
    assert book.cut_off() == []
    book.show()
    book.picture("traffic-load")
    assert book.complaints == []


def test_a_stream_shows_what_is_applied_meanwhile(book: Notebook) -> None:
    panel = book.panel
    panel.get_by_label("a steady stream, until stopped").check()
    panel.get_by_label("stream rate").fill("40")
    panel.get_by_role("button", name="Start").click()
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot')?.dataset.marks === '0'", timeout=30_000
    )
    goes_on(book, 3)
    book.ask(RULE)
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot').dataset.marks === '1'", timeout=30_000
    )
    goes_on(book, 6)
    assert panel.locator("progress").get_attribute("value") is None  # nobody knows its end
    book.ask("mesh.control('hello-world-v2', fail_share=0.5)")
    book.ask("mesh.scale('hello-world-v1', 3)")
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot').dataset.marks === '2'", timeout=30_000
    )
    goes_on(book, 9)
    panel.get_by_label("Plot", exact=True).select_option("Status codes over time")
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot figcaption').textContent.includes('by status')",
        timeout=30_000,
    )
    panel.get_by_role("button", name="Stop").click()
    done(book, "Stopped")
    codes = json.loads(book.ask("import json; print(json.dumps(panel.result.codes))"))
    assert {row[0]: int(row[1]) for row in numbers(book)} == codes
    assert all(row[1] == row[2] for row in numbers(book))
    panel.get_by_text("The same as the gateway counted.").wait_for()
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot').dataset.marks === '2'"
    )
    rows = in_the_picture(book)
    assert [row[2] for row in rows] == [
        "the start",
        "1: destinationrule/hello-world-dr created",
        "2: hello-world-v1 scaled to 3",
    ]
    assert sum(int(row[3]) for row in rows) == sum(codes.values())
    painted(book)
    book.panel.locator("figure details summary").click()
    for plot in (
        "Pods over time",
        "Latency over time",
        "Latency histogram",
        "Versions over time",
    ):
        panel.get_by_label("Plot", exact=True).select_option(plot)
        alt = {
            "Pods": "by pod",
            "Versions": "by version",
            "Latency over": "over time",
            "Latency histogram": "between",
        }
        alt = next(words for name, words in alt.items() if plot.startswith(name))
        book.page.wait_for_function(
            "alt => document.querySelector('.labkit-plot figcaption').textContent.includes(alt)",
            arg=alt,
            timeout=30_000,
        )
        painted(book)
        book.show()
        book.picture(f"traffic-{plot.split(',')[0].lower().replace(' ', '-')}")
        assert book.cut_off() == []
    book.portrait("panel-traffic")
    assert book.violations() == []
    assert book.complaints == []


def test_everything_by_keyboard(book: Notebook) -> None:
    panel, page = book.panel, book.page
    panel.get_by_label("curl, one after the other").focus()
    page.keyboard.press("Tab")
    field = panel.get_by_label("requests (-n)")
    assert field.evaluate("node => node === document.activeElement")
    page.keyboard.press("Control+a")
    page.keyboard.type("9")
    page.keyboard.press("Tab")
    panel.get_by_text("for i in $(seq 9)").wait_for(timeout=15_000)
    assert panel.get_by_role("button", name="Start").evaluate(
        "node => node === document.activeElement"
    )
    page.keyboard.press("Enter")
    done(book, "Done: 9 requests")
    panel.get_by_label("curl, one after the other").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    panel.get_by_label("stream rate").wait_for(timeout=15_000)
    assert panel.get_by_label("a steady stream, until stopped").is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-panel').dataset.running === 'true'"
    )
    assert panel.get_by_role("button", name="Stop").evaluate(
        "node => node === document.activeElement"
    )
    page.keyboard.press("Space")
    done(book, "Stopped")
    assert book.complaints == []


def test_a_wrong_number_and_a_closed_mesh_are_told(book: Notebook) -> None:
    panel = book.panel
    panel.get_by_label("requests (-n)").fill("0")
    panel.get_by_role("button", name="Start").focus()
    panel.get_by_role("alert").get_by_text("requests must be 1 or more").wait_for(timeout=15_000)
    assert book.violations() == []
    book.show()
    book.picture("traffic-wrong-number")
    panel.get_by_label("requests (-n)").fill("5")
    panel.get_by_label("a steady stream, until stopped").check()
    panel.get_by_role("button", name="Start").click()
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot')?.dataset.marks === '0'", timeout=30_000
    )
    book.ask("mesh.close()")
    panel.get_by_role("alert").get_by_text("This mesh has been closed").wait_for(timeout=30_000)
    done(book, "Failed")
    book.show()
    book.picture("traffic-closed")
    assert book.violations() == []
    panel.get_by_role("button", name="Start again").click()
    panel.get_by_role("alert").get_by_text("This mesh has been closed").wait_for(timeout=30_000)
    assert book.complaints == []

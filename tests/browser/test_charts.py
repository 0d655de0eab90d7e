"""Plots that the browser draws: values under the cursor, a legend to click, zoom by mouse and
keyboard, the theme's colours, and the picture that is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from labkit.ui.plots.style import BLUE, THEMED
from tests.browser.notebook import Notebook, written
from tests.browser.test_traffic import MESH, PANEL, RULE, done, painted

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

STREAM = "panel.start(kind='stream', rate=60)"
SHADES = """() => {
  const canvas = document.querySelector('.labkit-chart canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const found = new Set();
  for (let at = 0; at < pixels.length; at += 4)
    if (pixels[at + 3] === 255) found.add(`${pixels[at]} ${pixels[at + 1]} ${pixels[at + 2]}`);
  return [...found];
}"""


@pytest.fixture
def book(
    browser: Any, lab: str, course: Path, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    name = "chart-" + request.node.name.removeprefix("test_")[:40]
    with written(browser, lab, course, name, [MESH, PANEL]) as book:
        book.run_all()
        book.ask(STREAM)
        book.page.wait_for_function(
            "() => document.querySelector('.labkit-chart')?.dataset.rows === 'v1 v2'",
            timeout=30_000,
        )
        yield book


def stop(book: Notebook) -> None:
    book.panel.get_by_role("button", name="Stop").click()
    done(book, "Stopped")


def span(book: Notebook) -> tuple[float, float]:
    """From where to where time goes in the chart."""
    words = book.panel.locator(".labkit-chart").get_attribute("data-span").split()
    return float(words[0]), float(words[1])


def spans(book: Notebook, told: str) -> None:
    """Waits until what is shown is as `told` says: JavaScript of `from` and `until`."""
    book.page.wait_for_function(
        f"""() => {{
          const words = document.querySelector('.labkit-chart').dataset.span.split(' ');
          const [from, until] = words.map(Number);
          return {told};
        }}""",
        timeout=15_000,
    )


def rgb(colour: str) -> str:
    return " ".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def test_values_legend_and_zoom_by_mouse(book: Notebook) -> None:
    panel, page = book.panel, book.page
    book.ask(RULE)
    page.wait_for_function("() => document.querySelector('.labkit-plot').dataset.marks === '1'")
    stop(book)
    painted(book)
    over = panel.locator(".labkit-chart .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    end = span(book)[1]

    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    keys = panel.locator(".labkit-keys button")
    page.wait_for_function(
        "() => document.querySelector('.labkit-when').textContent.startsWith('at ')"
    )
    words = keys.all_inner_texts()
    shares = [int(text.split(" %")[0].split()[-1]) for text in words]
    assert sum(shares) in (99, 100, 101)
    totals = {text.rstrip(")").rsplit(" ", 1)[1] for text in words}
    assert len(totals) == 1
    assert all(" of " in text for text in words)

    keys.nth(0).click()
    page.wait_for_function("() => document.querySelector('.labkit-chart').dataset.rows === 'v2'")
    assert keys.nth(0).get_attribute("aria-pressed") == "false"
    assert rgb(BLUE) not in page.evaluate(SHADES)
    keys.nth(0).click()
    page.wait_for_function("() => document.querySelector('.labkit-chart').dataset.rows === 'v1 v2'")
    page.wait_for_function(f"() => ({SHADES})().includes('{rgb(BLUE)}')")

    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    height = box["y"] + 20
    page.mouse.move(box["x"] + 0.25 * box["width"], height)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], height, steps=4)
    page.mouse.up()
    spans(book, "from > 0")
    assert span(book) == pytest.approx((0.25 * end, 0.75 * end), abs=0.03 * end)
    assert panel.get_by_role("button", name="Show all").is_visible()
    page.mouse.dblclick(box["x"] + 0.5 * box["width"], height)
    spans(book, "from === 0")
    assert span(book)[1] == pytest.approx(end)
    assert not panel.get_by_role("button", name="Show all").is_visible()
    assert book.violations() == []
    assert book.complaints == []


def test_the_same_by_keyboard(book: Notebook) -> None:
    panel, page = book.panel, book.page
    stop(book)
    chart = panel.locator(".labkit-chart")
    end = span(book)[1]
    chart.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    said = panel.locator(".labkit-chart-said")
    page.wait_for_function("() => document.querySelector('.labkit-chart-said').textContent")
    assert said.inner_text().startswith("at ")
    assert "v1 " in said.inner_text()
    before = said.inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('.labkit-chart-said').textContent !== before", arg=before
    )
    page.keyboard.press("+")
    spans(book, f"until - from < {0.6 * end}")
    page.keyboard.press("+")
    spans(book, f"until - from < {0.3 * end}")
    page.keyboard.press("-")
    spans(book, f"until - from > {0.4 * end}")
    page.keyboard.press("0")
    spans(book, f"from === 0 && until > {0.99 * end}")
    # and none of the keys was a command of JupyterLab's
    assert chart.evaluate("node => node === document.activeElement")
    page.keyboard.press("Tab")
    assert (
        panel.locator(".labkit-keys button")
        .nth(0)
        .evaluate("node => node === document.activeElement")
    )
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('.labkit-chart').dataset.rows === 'v2'")
    assert book.complaints == []


def test_a_zoom_stays_while_time_goes_on(book: Notebook) -> None:
    book.panel.locator(".labkit-chart").focus()
    spans(book, "until > 2")
    book.page.keyboard.press("+")
    spans(book, "from > 0")
    zoomed = span(book)

    book.ask(RULE)
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-plot').dataset.marks === '1'"
    )
    assert span(book) == zoomed

    book.page.keyboard.press("0")
    spans(book, f"from === 0 && until > {zoomed[1]}")


def test_the_colours_are_the_themes_also_after_a_change(book: Notebook) -> None:
    stop(book)
    dark = THEMED[BLUE][1]
    assert rgb(BLUE) in book.page.evaluate(SHADES)
    for theme, colour, other in (
        ("Dark", dark, BLUE),
        ("Light", BLUE, dark),
        ("Dark High Contrast", dark, BLUE),
        ("Light", BLUE, dark),
    ):
        book.theme(theme)
        book.page.wait_for_function(f"() => ({SHADES})().includes('{rgb(colour)}')", timeout=30_000)
        assert rgb(other) not in book.page.evaluate(SHADES)
        book.show()
        book.picture(f"chart-{theme.lower().replace(' ', '-')}")
        assert book.violations() == []
    assert book.complaints == []


def test_the_end_of_a_run_is_kept_once(book: Notebook) -> None:
    book.page.evaluate(
        """() => {
          window.renewed = 0;
          new MutationObserver(all => all.forEach(one => one.removedNodes.forEach(node => {
            if (node.querySelector?.('.labkit-panel')) window.renewed += 1;
          }))).observe(document.body, {subtree: true, childList: true});
        }"""
    )
    book.page.locator(".jp-Cell").first.click()
    book.ask("panel.stop()")
    done(book, "Stopped")
    book.page.wait_for_function("() => window.renewed > 0", timeout=15_000)
    # a view that is made anew is no reason to keep it again: that went on and on
    for number in range(20):
        book.ask(f"print({number})")
    assert book.page.evaluate("() => window.renewed") <= 2


def test_what_is_kept_is_the_picture_of_the_last_state(
    browser: Any, lab: str, course: Path, book: Notebook
) -> None:
    stop(book)
    count = json.loads(book.ask("print(len(panel.result))"))
    book.page.locator(".jp-Cell").first.click()
    title = f"Share of {count} requests by version"
    book.page.wait_for_function(
        """title => JSON.stringify(
          window.jupyterapp.shell.currentWidget.content.model.toJSON().cells[1].outputs
        ).includes(`<figcaption>${title}`)""",
        arg=title,
        timeout=30_000,
    )
    book.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    path = course / "notebooks" / f"{book.name}.ipynb"
    kept = nbformat.read(path, as_version=4)
    (output,) = kept.cells[1].outputs
    assert title in output.data["text/html"]
    assert "<svg" in output.data["text/html"]
    # opened anew without its kernel: the picture, drawn by the one who drew it last
    book.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    book.open()
    book.page.wait_for_function(
        """() => {
          const picture = document.querySelector('.labkit-plot .labkit-picture svg');
          return picture?.getBoundingClientRect().width > 100;
        }""",
        timeout=30_000,
    )

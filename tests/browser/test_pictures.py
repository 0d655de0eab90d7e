"""Pictures in a page of JupyterLab: they take its width, font and colours, also after a change of
theme; nothing is cut or lies on something else; a notebook that nobody trusts shows no loose words.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest

from labkit.ui.plots.style import THEMED
from tests.browser.notebook import SIZE, Notebook, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

DATA = """import random
import pandas as pd
from labkit.mesh.history import Change
from labkit.ui import plots
from labkit.ui.panels import breaker
from labkit.ui.plots import timelines
random.seed(1)
pods = [f"hello-world-{v}-75f85dfdc6-{own}" for v, own in (("v1", "6h9dx"), ("v1", "k7xf6"), ("v2", "zq2wv"))]
drawn = [random.choice(pods) for _ in range(200)]
status = [random.choice((200, 200, 404, 500, 503, -1)) for _ in drawn]
frame = pd.DataFrame({"at": [1e9 + n / 20 for n in range(200)], "pod": drawn, "version": [pod[12:14] for pod in drawn],
  "status": status, "latency_ms": [random.expovariate(0.1) + 40 * (pod == pods[2]) for pod in drawn]})
out = pd.DataFrame({"pod": [pods[0], pods[0], pods[2]], "from_s": [1, 4, 2], "to_s": [2.2, 6.4, None], "n": [1, 2, 1],
  "base_s": [1.1, 1.1, 3.0]})
marks = [Change(1e9 + 2, "virtualservice/hello-world-vs configured"), Change(1e9 + 2.1, "deployment/hello-world-v2 scaled to 3")]"""  # noqa: E501
PLOTS = [
    "plots.over_time(frame.head(40), by='pod')",
    "plots.over_time(frame, by='status')",
    "plots.share(frame, by='pod', expected=dict.fromkeys(pods, 1 / 3))",
    "plots.codes(frame)",
    "plots.latency(frame, by='pod')",
    "plots.compare(RANDOM=frame, LEAST_REQUEST=frame.head(90), by='pod')",
    "timelines.share(frame, marks=marks)",
    "timelines.latency(frame, marks=marks)",
    "breaker.timeline(out, marks=marks, start=1e9)",
]

SEEN = """() => [...document.querySelectorAll('.jp-OutputArea figure.labkit-plot')].map(figure => {
  const svg = figure.querySelector('svg');
  const texts = [...svg.querySelectorAll('text')].filter(text => !text.getAttribute('transform'));
  const area = figure.getBoundingClientRect();
  const box = node => { const r = node.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const lines = texts.flatMap(text => text.querySelector('tspan') ? [] : [text]);
  const boxes = lines.map(text => [text.textContent, ...box(text)]);
  const onOther = boxes.flatMap((a, i) => boxes.slice(i + 1).filter(b =>
    a[1] < b[3] - 1 && b[1] < a[3] - 1 && a[2] + 3 < b[4] - 3 && b[2] + 3 < a[4] - 3).map(b => `${a[0]} | ${b[0]}`));
  const cut = boxes.filter(b => b[1] < area.left - 1 || b[3] > area.right + 1).map(b => `${b} in ${area.left} ${area.right}`);
  const words = getComputedStyle(texts[0]);
  const page = getComputedStyle(figure.closest('.jp-RenderedHTMLCommon'));
  return {
    title: figure.querySelector('figcaption').textContent, onOther, cut,
    part: area.width / figure.closest('.jp-OutputArea-output').getBoundingClientRect().width,
    font: [words.fontFamily, words.fontSize], pageFont: [page.fontFamily, page.fontSize],
    ink: words.fill, ground: getComputedStyle(figure).backgroundColor,
    pageInk: page.color,
    fills: [...svg.querySelectorAll('rect, path, g')].map(node => getComputedStyle(node).fill),
    unseen: getComputedStyle(figure.querySelector('.labkit-unseen')).display,
  };
})"""  # noqa: E501


@pytest.fixture(scope="module")
def book(browser: Any, lab: str, course: Path) -> Iterator[Notebook]:
    with written(browser, lab, course, "pictures", [DATA, *PLOTS]) as book:
        book.run_all()
        yield book


ORDER = {"Light": (0, 1), "Dark": (1, 0)}


def data_colours() -> list[tuple[str, tuple[str, str]]]:
    return [
        (name, (light, dark))
        for light, (name, dark) in THEMED.items()
        if name not in ("ink", "paper")
    ]


def rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[at : at + 2], 16) for at in (1, 3, 5)))


def seen(book: Notebook, width: int, theme: str) -> list[dict[str, Any]]:
    """The pictures in a window of this width and in this theme; nothing is run anew."""
    book.page.set_viewport_size({"width": width, "height": 1080})
    book.theme(theme)
    for index in range(len(PLOTS) + 1):  # what is far from the window is not in the page
        book.page.evaluate(
            "i => window.jupyterapp.shell.currentWidget.content.scrollToItem(i, 'center')", index
        )
        book.page.wait_for_function(
            "i => window.jupyterapp.shell.currentWidget.content.widgets[i].node.isConnected",
            arg=index,
            timeout=30_000,
        )
    found: list[dict[str, Any]] = book.page.evaluate(SEEN)
    return found


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_pictures_belong_to_the_page(book: Notebook, width: int, theme: str) -> None:
    pictures = seen(book, width, theme)
    assert pictures
    for one in pictures:
        assert one["cut"] == [], one["title"]
        assert one["onOther"] == [], one["title"]
        assert one["part"] > 0.97, one["title"]
        assert one["font"] == one["pageFont"]
        assert one["unseen"] == "none"
    shown = {fill for one in pictures for fill in one["fills"]}
    # ink and paper are the theme's own
    mine, others = ({rgb(pair[at]) for name, pair in data_colours()} for at in ORDER[theme])
    assert shown & mine
    assert not shown & (others - mine)
    book.picture(f"pictures-{width}-{theme.lower()}")
    assert book.violations("figure.labkit-plot") == []
    assert book.complaints == []
    book.page.set_viewport_size(SIZE)


def test_a_notebook_that_nobody_trusts_shows_the_table_and_no_loose_words(
    browser: Any, lab: str, course: Path, book: Notebook
) -> None:
    path = course / "notebooks" / "untrusted.ipynb"
    pictures = nbformat.read(course / "notebooks" / "pictures.ipynb", as_version=4)
    fresh = nbformat.v4.new_notebook(cells=pictures.cells[:1], metadata=pictures.metadata)
    page = book.ask("print(plots.codes(frame)._repr_html_())")
    output = nbformat.v4.new_output(
        "execute_result", {"text/html": page, "text/plain": "a picture"}, execution_count=1
    )
    fresh.cells.append(nbformat.v4.new_code_cell("plots.codes(frame)", outputs=[output]))
    nbformat.write(fresh, path)
    with Notebook(browser, lab, path) as other:
        area = other.page.locator(".jp-OutputArea-output").first
        area.get_by_text("Run this cell to see its picture here.").wait_for(timeout=30_000)
        assert area.locator("svg").count() == 0
        words = area.inner_text().splitlines()
        assert [word for word in words if word.strip()] == [
            "Status codes of 200 requests",
            "Run this cell to see its picture here. The table says the same.",
            "The same as a table",
        ]
        other.picture("pictures-untrusted")
        assert other.complaints == []

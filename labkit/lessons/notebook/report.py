"""What a run of lessons leaves for people and for CI: one page with every plot and verdict, and a
JUnit file.

The page is one file with its pictures in it; each lesson has a page of its own beside it with all
of its cells, made by nbconvert. No script, nothing from the network: it opens from a mail, and
prints.
"""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.lessons.notebook.run import Run, plain, texts
from labkit.lessons.notebook.sources import CHECKED, section, tags_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

PLOT = 'class="labkit-plot"'
HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """A section of a lesson on the page: its heading, and the plots and verdicts
    under it as HTML.
    """

    heading: str
    items: tuple[str, ...]


def write_report(runs: Sequence[Run], folder: Path, title: str) -> Path:
    """Writes index.html, a page a lesson and junit.xml to `folder`; returns the first.

    >>> write_report(run_lessons(lessons()), Path("build/tour"), "A tour of the course")
    """
    folder.mkdir(parents=True, exist_ok=True)
    for run in runs:
        page(folder / f"{run.lesson}.html", "lesson.html", run=run, body=whole_lesson(run.notebook))
    index = folder / "index.html"
    shown = [
        (run, markdown(section(run.notebook, "objectives")), parts(run.notebook)) for run in runs
    ]
    page(
        index,
        "report.html",
        title=title,
        shown=shown,
        runs=runs,
        seconds=sum(run.seconds for run in runs),
    )
    junit(runs, folder / "junit.xml")
    return index


def parts(notebook: NotebookNode) -> list[Part]:
    """The sections of a lesson that have a plot or a verdict, in order."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found += [(heading, []) for heading in HEADING.findall(cell.source)]
        else:
            found[-1][1].extend(items(cell))
    return [Part(heading, tuple(inside)) for heading, inside in found if inside]


def items(cell: Any) -> list[str]:
    """The plots of a cell and, of a check, its verdicts."""
    result = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        page_text = data.get("text/html", "")
        if PLOT in page_text:
            result.append(page_text)
        elif "image/png" in data:
            result.append(
                f'<img alt="plot" src="data:image/png;base64,{data["image/png"].strip()}">'
            )
        elif CHECKED in tags_of(cell):
            text = plain(output.get("text", "") or data.get("text/plain", ""))
            result.append(page_text or f"<pre>{html.escape(text)}</pre>")
    return result


def whole_lesson(notebook: NotebookNode) -> str:
    """All cells of a lesson as HTML, without a page around them."""
    from nbconvert import HTMLExporter

    body, _ = HTMLExporter(template_name="basic").from_notebook_node(notebook)  # type: ignore[no-untyped-call]
    return str(body)


def markdown(text: str) -> str:
    """Text of a notebook's cell as HTML."""
    from nbconvert.filters import markdown2html

    return str(markdown2html(text))


def page(path: Path, template: str, **values: Any) -> None:
    """Fills in one of the templates beside this module."""
    path.write_text(environment().get_template(template).render(**values), encoding="utf-8")


@cache
def environment() -> Any:
    """Where the templates are. What is not marked as HTML is escaped."""
    from jinja2 import DictLoader, Environment
    from pygments.formatters import HtmlFormatter

    here = files("labkit.lessons.notebook")
    names = ("base.html", "report.html", "lesson.html", "compare.html")
    loader = DictLoader({name: (here / name).read_text(encoding="utf-8") for name in names})
    result = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    result.globals["code_style"] = HtmlFormatter(style="default").get_style_defs(".highlight")
    return result


def junit(runs: Sequence[Run], path: Path) -> None:
    """The runs as JUnit XML, a case a lesson, as CI servers read it."""
    failed = sum(not run.passed for run in runs)
    suite = ET.Element(
        "testsuite", name="lessons", tests=str(len(runs)), failures=str(failed), errors="0"
    )
    suite.set("time", f"{sum(run.seconds for run in runs):.3f}")
    for run in runs:
        case = ET.SubElement(
            suite, "testcase", classname="lessons", name=run.lesson, time=f"{run.seconds:.3f}"
        )
        if run.failure:
            what = f"cell {run.failure.cell}: {run.failure.message}"
            node = ET.SubElement(case, "failure", message=xml_text(what.splitlines()[0]))
            node.text = xml_text(
                f"{run.failure.source}\n\n{run.failure.traceback or run.failure.message}"
            )
        lines = [
            line for cell in run.notebook.cells if CHECKED in tags_of(cell) for line in texts(cell)
        ]
        ET.SubElement(case, "system-out").text = xml_text("\n".join(lines))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def xml_text(text: str) -> str:
    """Without the control characters that XML 1.0 can't hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)

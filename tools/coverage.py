"""Which lesson covers what of the syllabus, and whether it is measured there or only told.

A cell says what it covers by a tag, `covers-Y5`. It counts as covered when that cell can fail: it
calls a check or asserts. The ids and one line on each are in syllabus.json: C commands, Y
manifests, K claims.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from labkit.errors import LessonError
from labkit.lessons.notebook.sources import Lesson, lessons, read_source, tags_of

PREFIX = "covers-"
CHECKERS = ("check", "task")
"""Names whose calls are checks: check.split(…), task("03-1").check(…)."""


@dataclass(frozen=True)
class Place:
    """A cell that covers something: its lesson, its number (from 0), and whether it can fail."""

    lesson: str
    cell: int
    checks: bool

    def __str__(self) -> str:
        return f"{self.lesson} cell {self.cell}" + ("" if self.checks else " (told, not checked)")


@dataclass(frozen=True)
class Row:
    """One thing to cover, and where it is."""

    id: str
    text: str
    places: tuple[Place, ...]

    @property
    def state(self) -> str:
        """ "checked", "told" (no cell of it can fail) or "missing"."""
        if any(place.checks for place in self.places):
            return "checked"
        return "told" if self.places else "missing"


@cache
def syllabus() -> dict[str, str]:
    """Every id with one line on it, in order."""
    text = (files("tools") / "syllabus.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def coverage(chosen: Sequence[Lesson] | None = None) -> list[Row]:
    """A row for each id of the syllabus. Raises LessonError for a tag that names no id.

    >>> [row.id for row in coverage() if row.state == "missing"]
    """
    found: dict[str, list[Place]] = {name: [] for name in syllabus()}
    for lesson in lessons() if chosen is None else chosen:
        for number, cell in enumerate(read_source(lesson.source).cells):
            for tag in tags_of(cell):
                if not tag.startswith(PREFIX):
                    continue
                name = tag.removeprefix(PREFIX)
                if name not in found:
                    raise LessonError(
                        f"Lesson {lesson.name}, cell {number} covers {name!r}, which is not in "
                        "the syllabus",
                        seen=f"there: {', '.join(found)}",
                        try_next="put the tag right",
                    )
                checks = cell.cell_type == "code" and can_fail(cell.source)
                found[name].append(Place(lesson.name, number, checks))
    return [Row(name, text, tuple(found[name])) for name, text in syllabus().items()]


def can_fail(source: str) -> bool:
    """Whether the code of a cell has an assertion or calls a check.

    >>> can_fail("check.split(result, {'v1': 80, 'v2': 20})"), can_fail("mesh.curl(url)")
    (True, False)
    """
    # A line for IPython alone (%time, !ls) is no Python, and no check either.
    lines = [
        "pass" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()
    ]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call) and root_name(node.func) in CHECKERS:
            return True
    return False


def root_name(node: ast.expr) -> str:
    """`check` of `check.split`."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def summary(rows: Iterable[Row]) -> str:
    """`35 to cover: 30 checked, 2 told, 3 missing`."""
    states = [row.state for row in rows]
    parts = ", ".join(f"{states.count(state)} {state}" for state in ("checked", "told", "missing"))
    return f"{len(states)} to cover: {parts}"


def as_text(rows: Sequence[Row]) -> str:
    """A table for a terminal."""
    lines = [f"{row.id:<4} {row.state:<8} {row.text}" for row in rows]
    for at, row in reversed(list(enumerate(rows))):
        lines[at + 1 : at + 1] = [f"{'':13} - {place}" for place in row.places]
    return "\n".join([*lines, "", summary(rows)])


def as_markdown(rows: Sequence[Row]) -> str:
    """A table for a page of docs/."""
    lines = ["| id | what | where |", "|---|---|---|"]
    for row in rows:
        names = sorted(
            {place.lesson for place in row.places if place.checks or row.state == "told"}
        )
        where = ", ".join(f"[{name}](../notebooks/{name}.ipynb)" for name in names) or "-"
        told = " (told)" if row.state == "told" else ""
        lines.append(f"| {row.id} | {row.text.replace('|', '/')} | {where}{told} |")
    return "\n".join(lines)


PAGE = """# What is covered

This page is generated by `make docs`; a test fails when it is stale.

The course grew out of one article, [{title}]({link}) by {author}.
Each of its commands (C), manifests (Y) and claims (K) is run and checked in some lesson, or
corrected there.

"""
ARTICLE = {
    "title": "Exploring the basics of Istio traffic management",
    "link": "https://medium.com/@arivermar/exploring-the-basics-of-istio-traffic-management-cee13f0817c2",
    "author": "@arivermar",
}


def page() -> str:
    """docs/coverage.md."""
    return PAGE.format(**ARTICLE) + as_markdown(coverage()).strip() + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Prints the table; with --strict, 1 when something is missing or never checked."""
    parser = argparse.ArgumentParser(prog="python -m tools.coverage", description=__doc__)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit with 1 when something is missing or never checked",
    )
    parser.add_argument("--markdown", action="store_true", help="as a table in Markdown")
    args = parser.parse_args(words)
    rows = coverage()
    print(as_markdown(rows) if args.markdown else as_text(rows))
    complete = all(row.state == "checked" for row in rows)
    return 0 if complete or not args.strict else 1


if __name__ == "__main__":
    sys.exit(main())

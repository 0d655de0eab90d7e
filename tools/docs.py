"""Brings all that is generated up to date: `python -m tools.docs`, or `make docs`.

The table of lessons in README.md, six pages of docs/, and the application's text in the manifests
that carry it. With `--check` it writes nothing, names what is stale and exits with 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labkit.app.__main__ import sources, with_app
from labkit.lessons.notebook.sources import lessons, read_source, tags_of, title_of
from tools import agreement, checks_table, coverage, fields_table, traps_table, trust_table

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]


def readme(text: str) -> str:
    """README.md with its table of lessons made anew, and all else as it was."""
    return between(text, "lessons", lessons_table())


def lessons_table() -> str:
    """A row for each lesson: its number, its title with a link, and about how long it takes."""
    rows = ["| | lesson | minutes |", "|---|---|---|"]
    for lesson in lessons():
        source = read_source(lesson.source)
        title = title_of(source).split("·")[-1].strip()
        link = f"[{title}](notebooks/{lesson.name}.ipynb)"
        rows.append(f"| {lesson.name[:2]} | {link} | {minutes(source)} |")
    return "\n".join(rows)


WORDS_A_MINUTE, MINUTES_A_CELL, MINUTES_AN_EXERCISE = 150, 0.5, 5
"""By these a lesson's minutes are estimated, not measured: for reading in a foreign language, for
running a cell and looking at what came, for trying an answer with a hint or two."""


def minutes(source: NotebookNode) -> int:
    """About how long a lesson takes, to five minutes."""
    solutions = sum("solution" in tags_of(cell) for cell in source.cells)
    words = sum(len(cell.source.split()) for cell in source.cells if cell.cell_type == "markdown")
    cells = sum(cell.cell_type == "code" for cell in source.cells) - solutions
    found = words / WORDS_A_MINUTE + MINUTES_A_CELL * cells + MINUTES_AN_EXERCISE * solutions
    return 5 * round(float(found) / 5)


def between(text: str, mark: str, new: str) -> str:
    """`text` with `new` between the comments <!-- mark --> and <!-- /mark -->. Raises ValueError
    where the two are not there, once each.

    >>> between("a <!-- x -->old<!-- /x --> b", "x", "new")
    'a <!-- x -->\\nnew\\n<!-- /x --> b'
    """
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise ValueError(f"{start} and {end} must stand there once each")
    before, _, rest = text.partition(start)
    return f"{before}{start}\n{new}\n{end}{rest.partition(end)[2]}"


def manifest(text: str) -> str:
    """A manifest with the application of today in its ConfigMap."""
    return with_app(text, sources())


GENERATED: dict[str, Callable[[str], str]] = {
    "README.md": readme,
    "docs/agreement.md": lambda _: agreement.page(),
    "docs/coverage.md": lambda _: coverage.page(),
    "docs/checks.md": lambda _: checks_table.table(),
    "docs/fields.md": lambda _: fields_table.table(),
    "docs/traps.md": lambda _: traps_table.table(),
    "docs/trust.md": lambda _: trust_table.table(),
    "manifests/hello-world.yaml": manifest,
    "manifests/12_capstone/shop.yaml": manifest,
}
"""Each file, and what makes its text of the text that it has."""


def stale(names: Sequence[str] = tuple(GENERATED)) -> dict[str, str]:
    """The files that are not up to date, each with the text that it should have."""
    found = {}
    for name in names:
        text = (ROOT / name).read_text(encoding="utf-8")
        new = GENERATED[name](text)
        if new != text:
            found[name] = new
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Writes what is stale; with --check, says so and returns 1."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if stale")
    args = parser.parse_args(words)
    try:
        found = stale()
    except ValueError as error:  # what it is to be made of is not right
        print(error, file=sys.stderr)
        return 1
    for name, text in found.items():
        if not args.check:
            (ROOT / name).write_text(text, encoding="utf-8")
        print(f"{name}: {'STALE: make docs' if args.check else 'written'}")
    if not found:
        print("all that is generated is up to date")
    return 1 if found and args.check else 0


if __name__ == "__main__":
    sys.exit(main())

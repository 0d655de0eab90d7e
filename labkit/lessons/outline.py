"""A lesson as a program: its cells, the sections that they stand in, and what each cell makes and
uses.

Read from the notebook itself, so that what a learner has set in its first cell counts. The names
that a statement makes and uses are what Python's own symbol table says of them (`symtable`).
"""

from __future__ import annotations

import ast
import json
import re
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from labkit.errors import LessonError
from labkit.lessons.files import course_folder

HEADING = re.compile(r"^##? +(.+?)\s*$", re.M)
BLOCKS = (ast.For, ast.If, ast.Try, ast.While, ast.With)
FENCED = re.compile(r"^```.*?^```", re.M | re.S)


@dataclass(frozen=True)
class Cell:
    """A cell of code: its text and tags, and the headings that stand before it, the last of which
    is its section.
    """

    id: str
    text: str
    tags: frozenset[str]
    section: str

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """Its statements; none where it is no Python, as a cell that a learner is still writing."""
        try:
            return tuple(Statement(self, node) for node in ast.parse(self.text).body)
        except SyntaxError:
            return ()


@dataclass(frozen=True)
class Statement:
    """A statement of a cell."""

    cell: Cell
    node: ast.stmt

    @cached_property
    def makes(self) -> frozenset[str]:
        """The variables, functions and modules that it gives a name."""
        return frozenset(s.get_name() for s in self._table.get_symbols() if is_made(s))

    @cached_property
    def uses(self) -> frozenset[str]:
        """The names of the notebook that it reads, in the functions that it writes down as well.

        A loop or a block that both makes a name and reads it reads its own.
        """
        read = frozenset(
            symbol.get_name()
            for table in tables(self._table)
            for symbol in table.get_symbols()
            if symbol.is_referenced() and (table is self._table or symbol.is_global())
        )
        return read - self.makes if isinstance(self.node, BLOCKS) else read

    @cached_property
    def uses_at_once(self) -> frozenset[str]:
        """Of a function: what is read where it is written down, as its arguments' defaults."""
        return frozenset(s.get_name() for s in self._table.get_symbols() if s.is_referenced())

    @cached_property
    def _table(self) -> symtable.SymbolTable:
        return symtable.symtable(ast.unparse(self.node), "<cell>", "exec")


def is_made(symbol: symtable.Symbol) -> bool:
    return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from tables(child)


@dataclass(frozen=True)
class Outline:
    """A lesson ("03"): its cells of code in order, and its sections that have any."""

    lesson: str
    cells: tuple[Cell, ...]

    @cached_property
    def sections(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(cell.section for cell in self.cells))

    def starts(self, section: str) -> int:
        """The number of the first cell of a section. Raises LessonError with those there are."""
        wanted = plain(str(section))
        fits = [s for s in self.sections if plain(s) == wanted] or [
            s for s in self.sections if wanted and wanted in plain(s)
        ]
        if len(fits) != 1:
            many = "More than one section" if fits else "No section"
            raise LessonError(
                f"{many} of lesson {int(self.lesson)} is called {section!r}",
                seen=f"its sections: {', '.join(map(repr, fits or self.sections))}",
                try_next=f"catch_up({(fits or self.sections)[-1]!r})",
            )
        return next(i for i, cell in enumerate(self.cells) if cell.section == fits[0])

    def maker(self, name: str, before: int | None = None) -> Cell | None:
        """The last cell before this one (or the first of all) that makes a variable."""
        found = [
            (number, cell)
            for number, cell in enumerate(self.cells)
            if any(name in statement.makes for statement in cell.statements)
        ]
        earlier = [cell for number, cell in found if before is not None and number < before]
        return earlier[-1] if earlier else found[0][1] if found else None

    def number_of(self, text: str) -> int | None:
        """Which cell has this text, None where none has."""
        numbers = [i for i, cell in enumerate(self.cells) if cell.text.strip() == text.strip()]
        return numbers[0] if numbers else None


def plain(heading: str) -> str:
    """A heading without the marks and capitals that one may leave out."""
    return re.sub(r"[\W_]+", " ", heading).strip().casefold()


def outline(lesson: str, notebook: Path | None = None) -> Outline:
    """The outline of a lesson, of the course's notebook unless another one is named.

    >>> outline("03").sections
    ('Objectives', 'RANDOM', …)
    """
    path = notebook or the_notebook(lesson)
    cells: list[Cell] = []
    section = ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            headings = HEADING.findall(FENCED.sub("", text))
            section = headings[-1] if headings else section
        elif cell["cell_type"] == "code":
            tags: Mapping[str, list[str]] = cell.get("metadata", {})
            cells.append(Cell(str(cell.get("id")), text, frozenset(tags.get("tags", [])), section))
    return Outline(lesson, tuple(cells))


def the_notebook(lesson: str) -> Path:
    """The notebook of a lesson. Raises LessonError where there is none."""
    folder = course_folder() / "notebooks"
    found = sorted(folder.glob(f"{lesson}_*.ipynb")) if str(lesson).isdigit() else []
    if not found:
        there = sorted(path.stem for path in folder.glob("[0-9]*.ipynb"))
        raise LessonError(
            f"There is no lesson {lesson!r}",
            seen=f"there: {', '.join(there) or 'none'}",
            try_next='the first two digits of one of them, as "03"',
        )
    return found[0]

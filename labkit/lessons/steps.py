"""Which statements of a lesson lead to a section: what has to run again, and nothing that only
measures.

These do: the cells that begin a lesson, imports and functions, whatever changes the mesh, and what
gives a value to a name that a later cell reads. So no second list of set-ups has to be kept in step
with the lessons.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping

from labkit.lessons.outline import Cell, Outline, Statement

CHANGES = frozenset(("apply", "control", "delete", "label", "reset", "restart", "runtime", "scale"))
TRAPS = frozenset(("break_it", "fix", "prepare"))
"""The methods that leave a mesh in another state: its own, and those of a trap."""
JUDGES = frozenset(("check", "finish_lesson", "predict", "reveal", "walk"))
"""What a statement begins with that is there to judge, whatever it does on the way."""
BUILTINS = frozenset(dir(builtins))


def leading_to(there: Outline, start: int) -> list[Statement]:
    """The statements that run before the cell with the number `start`.

    Found backwards, so that a name counts from where it is read up to where it was made.
    """
    functions = functions_of(there)
    changing = {name for name, node in functions.items() if changes(node.node, frozenset())}
    wanted = read_from(there, start, functions)
    kept = []
    for statement in backwards(cell for cell in there.cells[:start] if not is_answer(cell)):
        if is_set_up(statement, changing) or statement.makes & wanted:
            kept.append(statement)
            wanted = (wanted - statement.makes) | uses_of(statement, functions)
    return kept[::-1]


def missing_at(there: Outline, start: int) -> set[str]:
    """Names that the cells from `start` on read and that nothing before them makes: none, in a
    sound lesson.
    """
    functions = functions_of(there)
    wanted = read_from(there, start, functions)
    for statement in reversed(leading_to(there, start)):
        wanted = (wanted - statement.makes) | uses_of(statement, functions)
    return wanted - BUILTINS


def read_from(there: Outline, start: int, functions: Mapping[str, Statement]) -> set[str]:
    """The names that the cells from one on read before they make them."""
    wanted: set[str] = set()
    for statement in backwards(there.cells[start:]):
        wanted = (wanted - statement.makes) | uses_of(statement, functions)
    return wanted


def backwards(cells: Iterable[Cell]) -> Iterator[Statement]:
    for cell in reversed(list(cells)):
        yield from reversed(cell.statements)


def functions_of(there: Outline) -> dict[str, Statement]:
    return {
        statement.node.name: statement
        for cell in there.cells
        for statement in cell.statements
        if isinstance(statement.node, ast.FunctionDef)
    }


def uses_of(statement: Statement, functions: Mapping[str, Statement]) -> set[str]:
    """What a statement reads, and the lesson's functions that it names: the body of a function is
    read when it is called, not where it is written down.
    """
    if isinstance(statement.node, ast.FunctionDef):
        return set(statement.uses_at_once)
    found: set[str] = set()
    todo = set(statement.uses)
    while todo:
        name = todo.pop()
        found.add(name)
        if name in functions:
            todo |= functions[name].uses - found
    return found


def is_answer(cell: Cell) -> bool:
    """Whether a cell holds a learner's answer: it may be half done, and no later section rests on
    it.
    """
    return "exercise" in cell.tags and "check" not in cell.tags


def is_set_up(statement: Statement, changing: Iterable[str]) -> bool:
    """Whether a statement is there for what it does, whoever reads what it makes."""
    node = statement.node
    if begins_lesson(statement.cell) or isinstance(
        node, (ast.Import, ast.ImportFrom, ast.FunctionDef)
    ):
        return True
    if isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and root(node.value) in JUDGES):
        return False
    return changes(node, changing)


def begins_lesson(cell: Cell) -> bool:
    """Whether it is the cell of the parameters, or the one that opens the mesh."""
    return "parameters" in cell.tags or any(
        isinstance(s.node, ast.Expr) and root(s.node.value) == "start_lesson"
        for s in cell.statements
    )


def changes(node: ast.AST, changing: Iterable[str]) -> bool:
    """Whether anything in it changes a mesh, or names a function that does."""
    names = frozenset(changing)
    return any(
        (isinstance(part, ast.Attribute) and part.attr in CHANGES | TRAPS)
        or (isinstance(part, ast.Name) and part.id in names)
        for part in ast.walk(node)
    )


def root(node: ast.AST) -> str:
    """The name that an expression begins with: `check` in `check.that(…)`."""
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""

"""What commands read from standard input, and the tables that they print: drawn by rich on a
terminal, plain text for a pipe or a file.
"""

from __future__ import annotations

import sys

from labkit.mesh.table import Table
from labkit.resources.yaml.loading import LARGEST, as_text


def read_stdin(name: str = "stdin") -> str:
    """All of standard input as text. Raises ParseError where it is no UTF-8, or too much."""
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is None:  # somebody has put a text there
        return sys.stdin.read()
    return as_text(buffer.read(LARGEST + 1), name)


def show(table: Table) -> None:
    """Prints a table to the standard output.

    rich is imported on a terminal only: a script that reads the output waits for nothing, and sees
    the columns that it always saw.
    """
    if not sys.stdout.isatty():
        print(table)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        drawn.add_column(column, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(Text(cell) for cell in row))  # a cell is no markup
    Console().print(drawn)

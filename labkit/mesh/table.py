"""Tables as kubectl prints them."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """Rows under kubectl's column names; prints as text, shows as HTML in a notebook.

    >>> mesh.get("pods")
    NAME                              READY   STATUS    RESTARTS   AGE
    hello-world-v1-75f85dfdc6-6h9dx   2/2     Running   0          12s
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __repr__(self) -> str:
        if not self.rows:
            return "No resources found."
        widths = [
            max(len(row[i]) for row in (self.columns, *self.rows)) for i in range(len(self.columns))
        ]
        lines = (
            "   ".join(c.ljust(w) for c, w in zip(row, widths, strict=True))
            for row in (self.columns, *self.rows)
        )
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        if not self.rows:
            return "<p>No resources found.</p>"
        head = "".join(
            f'<th scope="col" style="text-align:left">{html.escape(c)}</th>' for c in self.columns
        )
        body = "".join(
            "<tr>"
            + "".join(f'<td style="text-align:left">{html.escape(c)}</td>' for c in row)
            + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, str]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    @property
    def frame(self) -> pd.DataFrame:
        """The same as a pandas frame, column names in lower case."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=[c.lower() for c in self.columns])


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table of anything: each cell becomes text."""
    return Table(tuple(columns), tuple(tuple(str(c) for c in row) for row in rows))


def age(since: float, now: float | None = None) -> str:
    """A time span as kubectl writes it.

    >>> age(0, now=75), age(0, now=7400)
    ('75s', '123m')
    """
    seconds = max(0, int((time.time() if now is None else now) - since))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 3 * 3600:
        return f"{seconds // 60}m"
    return f"{seconds // 3600}h"

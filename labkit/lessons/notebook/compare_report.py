"""The page that shows two meshes side by side: verdicts, shares, and each plot beside its twin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from labkit.lessons.checks.power import ALPHA
from labkit.lessons.notebook.comparison import Compared, describe
from labkit.lessons.notebook.report import PLOT, Part, page, parts

Twins = tuple[str, list[str], list[str]]


def write_comparison(compared: Sequence[Compared], folder: Path, names: tuple[str, str]) -> Path:
    """Writes index.html to `folder` and returns its path.

    >>> write_comparison(compared, Path("build/compare"), ("embedded", "cluster"))
    """
    folder.mkdir(parents=True, exist_ok=True)
    index = folder / "index.html"
    gaps = sum(len(one.gaps) for one in compared)
    page(
        index,
        "compare.html",
        title="Two meshes, one result",
        names=names,
        compared=compared,
        shown=[(one, list(twins(one))) for one in compared],
        gaps=gaps,
        telling=sum(gap.can_differ for one in compared for gap in one.gaps),
        alpha=f"{ALPHA:.0e}",
        total_alarm=f"{gaps * ALPHA:.0e}",
        describe=describe,
    )
    return index


def twins(one: Compared) -> Iterator[Twins]:
    """The sections of a lesson that have plots, with those of both runs."""
    left, right = (
        [part for part in parts(run.notebook) if any(map(is_plot, part.items))]
        for run in (one.left, one.right)
    )
    nothing = Part("", ())
    for one_side, other_side in zip_longest(left, right, fillvalue=nothing):
        heading = one_side.heading or other_side.heading
        yield heading, [*filter(is_plot, one_side.items)], [*filter(is_plot, other_side.items)]


def is_plot(item: str) -> bool:
    return PLOT in item or item.startswith("<img")

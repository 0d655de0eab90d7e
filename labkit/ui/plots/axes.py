"""Axes that show themselves in a notebook: a picture, and under it the same as a table of text.

They are matplotlib's own axes on a figure of their own. pyplot is not used: it keeps every figure
of the process alive, shows some of them twice, and looks for a screen. Nor is one of matplotlib's
canvases: labkit.ui.plots.svg says why.
"""

from __future__ import annotations

import html
import threading
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from labkit.ui.plots.style import css
from labkit.ui.plots.svg import Drawing, number

if TYPE_CHECKING:
    import pandas as pd

WIDTH = 880.0
"""Pixels, for which matplotlib chooses how many ticks there are; it is shown as wide as a page."""
ROW = 34.0
"""Pixels a row of a picture gets: a bar, or a line of marks."""
DPI = 72  # so that matplotlib's points are pixels
MARK = "labkit-plot"
"""The class of a plot's HTML, by which a report finds it."""
UNSEEN = "Run this cell to see its picture here. The table says the same."

DRAWING = threading.RLock()
"""For one thread at a time: matplotlib promises nothing for several."""


class Note(Text):
    """Words beside a place of the axes, `dx` pixels to the right of it."""

    def __init__(self, *args: Any, dx: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.dx = dx


class PlotAxes(Axes):
    """matplotlib axes with `.as_table`, the table that says the same as the picture."""

    as_table: pd.DataFrame
    above = 0.0
    """Pixels over the axes, for marks that stand there."""

    def __repr__(self) -> str:
        return f"{self.get_title(loc='left')}\n{self.as_table.to_string(index=False)}"

    def note(
        self,
        words: str,
        x: float,
        y: float,
        *,
        dx: float = 6.0,
        beyond: bool = False,
        **options: Any,
    ) -> None:
        """Words beside a point, `dx` pixels to the right of it; `beyond`: `x` is a part of the
        axes' width, and 1 their right edge.
        """
        transform = self.get_yaxis_transform() if beyond else self.transData
        options = {"va": "center", "transform": transform, **options}
        self.add_artist(Note(x, y, words, dx=dx, clip_on=False, **options))

    def picture(self) -> str:
        """The picture as HTML, in an element for which `style.css` is made, and under it what is
        written at the horizontal axis.
        """
        with DRAWING:
            drawing = Drawing(self)
            top, right, bottom, left = drawing.margins
            image = drawing.svg(self.get_title(loc="left"))
        first, *told = self.get_xlabel().split("\n")
        below = f'<p class="labkit-axis">{html.escape(first)}</p>' if first else ""
        below += "".join(f'<p class="labkit-told">{html.escape(line)}</p>' for line in told)
        room = " ".join(f"{number(side)}px" for side in (top, right, 0, left))
        return (
            f'<div class="labkit-picture" style="padding:{room}" hidden="hidden">{image}'
            f'<div style="padding-top:{number(bottom)}px">{below}</div></div>'
        )

    def _repr_html_(self) -> str:
        # JupyterLab takes <svg> and <style> out of a notebook that nobody here has run, and leaves
        # the words: so the picture is hidden unless the style is there. It takes out an attribute
        # without a value, too.
        title = html.escape(self.get_title(loc="left"))
        table = self.as_table.to_html(index=False, border=0)
        return (
            f'<figure class="{MARK}" style="margin:0"><style>{css()}</style>'
            f"<figcaption>{title}</figcaption>{self.picture()}"
            f'<p class="labkit-unseen">{UNSEEN}</p><details><summary>The same as a '
            f"table</summary>{table}</details></figure>"
        )


def new_axes(as_table: pd.DataFrame, *, height: float = 240.0) -> Any:
    """Empty axes, `height` pixels high without what is written around them, with the table that is
    to go under the picture.

    Typed as Any because matplotlib's own types lag behind it.
    """
    figure = Figure(figsize=(WIDTH / DPI, max(height, 2 * ROW) / DPI), dpi=DPI)
    axes: Any = PlotAxes(figure, (0.0, 0.0, 1.0, 1.0))
    figure.add_axes(axes)
    axes.as_table = as_table
    return axes

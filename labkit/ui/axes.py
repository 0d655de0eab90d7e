"""Axes that show themselves in a notebook: a picture, and under it the same as a table of text.

They are matplotlib's own axes on a figure of their own. pyplot is not used: it keeps every figure of the process alive
and shows some of them twice.
"""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    import pandas as pd

SIZE = (8.0, 3.6)  # inches; 880 x 396 pixels: fits beside a file list in a window of 1280 x 800
DPI = 110
MARK = "labkit-plot"
"""The class of a plot's HTML, by which a report finds it."""

STYLE: Any = {
    "font.size": 13,
    "axes.titlesize": 14,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 1.0,
}


class PlotAxes(Axes):
    """matplotlib axes with `.as_table`, the table that says the same as the picture."""

    as_table: pd.DataFrame

    def __repr__(self) -> str:
        return f"{self.get_title(loc='left')}\n{self.as_table.to_string(index=False)}"

    def png(self) -> bytes:
        """The picture."""
        stream = io.BytesIO()
        figure: Any = self.get_figure()
        with rc_context(STYLE):
            figure.savefig(stream, format="png")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.png()).decode()
        title = html.escape(self.get_title(loc="left"), quote=True)
        table = self.as_table.to_html(index=False, border=0)
        return (
            f'<figure class="{MARK}" style="margin:0"><img alt="{title}" src="data:image/png;base64,{picture}" '
            f'style="max-width:100%"><details><summary>The same as a table</summary>{table}</details></figure>'
        )


styled = rc_context(STYLE)
"""Decorates what draws: texts take their size from the style in force when they are made."""


def new_axes(as_table: pd.DataFrame, *, height: float = SIZE[1]) -> Any:
    """Empty axes of the course's size and style, with the table that is to go under the picture.

    Typed as Any because matplotlib's own types lag behind it.
    """
    figure = Figure(figsize=(SIZE[0], height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot(axes_class=PlotAxes)
    axes.as_table = as_table
    return axes

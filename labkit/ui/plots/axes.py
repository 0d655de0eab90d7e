"""Axes that show themselves in a notebook: a picture, and under it the same as a table of text.

They are matplotlib's own axes on a figure of their own. pyplot is not used: it keeps every figure
of the process alive and shows some of them twice.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

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
    "text.parse_math": False,  # a name with two dollars in it is a name
}

DRAWING = threading.RLock()


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The course's style, for one thread at a time: matplotlib keeps one style for the whole
    process.
    """
    with DRAWING, rc_context(STYLE):
        yield


class PlotAxes(Axes):
    """matplotlib axes with `.as_table`, the table that says the same as the picture."""

    as_table: pd.DataFrame

    def __repr__(self) -> str:
        return f"{self.get_title(loc='left')}\n{self.as_table.to_string(index=False)}"

    def png(self, *, quick: bool = False) -> bytes:
        """The picture; a `quick` one takes half of the time to make and twice the room."""
        stream = io.BytesIO()
        figure: Any = self.get_figure()
        with style():
            if quick:  # savefig draws everything twice: once to see how large it is
                figure.canvas.draw()
                canvas = figure.canvas
                picture = Image.frombuffer(
                    "RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1
                )
                picture.save(stream, format="png", compress_level=1)
            else:
                figure.savefig(stream, format="png")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self.png()).decode()
        title = html.escape(self.get_title(loc="left"), quote=True)
        table = self.as_table.to_html(index=False, border=0)
        return (
            f'<figure class="{MARK}" style="margin:0"><img alt="{title}" '
            f'src="data:image/png;base64,{picture}" '
            'style="max-width:100%"><details><summary>The same as a '
            f"table</summary>{table}</details></figure>"
        )


styled = style()
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

"""Draws matplotlib's axes as SVG that belongs to the page it stands in.

Across, places are per cents, so the picture takes the width that there is; downwards they are
pixels; words are text of the page, in its font and size; and colours are CSS properties that
JupyterLab's theme sets. matplotlib's own SVG backend has one width, and scales words with it.

>>> Drawing(axes).svg("Share of 40 requests by version")
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Sequence
from typing import Any

from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.path import Path
from matplotlib.spines import Spine
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Affine2D

from labkit.ui.plots.style import INK, LINE, PAPER, themed

LETTER, LINE_HEIGHT = 8.4, 18.0  # pixels of the page's font at 14 px; wide, so that nothing is cut
GAP = 8.0  # between an axis and its words
TICK = 4.0
HATCHES = {
    "/": "M0 8L8 0M-1 1L1 -1M7 9L9 7",
    "\\": "M0 0L8 8M-1 7L1 9M7 -1L9 1",
    "x": "M0 8L8 0M0 0L8 8",
    "+": "M4 0V8M0 4H8",
    "-": "M0 4H8",
    "|": "M4 0V8",
    ".": "M1.5 2h1M5.5 6h1",
}
COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
ANCHORS = {"left": "start", "center": "middle", "right": "end"}


class Drawing(RendererBase):
    """One picture. The axes fill their figure: what stands outside of it, words and ticks, has
    `margins` (top, right, bottom, left; pixels).
    """

    def __init__(self, axes: Any) -> None:
        super().__init__()
        self.axes = axes
        self.width, self.height = (float(side) for side in axes.get_figure().bbox.size)
        self.key = f"p{secrets.token_hex(3)}"  # ids are unique in the page
        self.parts: list[str] = []
        self.defined: dict[str, str] = {}
        self.whole = False
        axes.get_xlim()  # the limits follow from the data now, if they were not set
        self.draw()

    # what it is asked for

    @property
    def margins(self) -> tuple[float, float, float, float]:
        left = max((widest(label) for _, label in self.ticks(self.axes.yaxis)), default=0.0)
        left += GAP + TICK + (LINE_HEIGHT + GAP if self.axes.get_ylabel() else 0.0)
        beyond = [text.dx + widest(text.get_text()) for text in self.outside()]
        return (
            10.0 + float(getattr(self.axes, "above", 0.0)),
            max([14.0, *(each + 4.0 for each in beyond)]),
            TICK + LINE_HEIGHT + 6.0,
            left,
        )

    def svg(self, label: str) -> str:
        """The whole, as an element `svg`; `label` is what is read out in its place."""
        defs = "".join(self.defined.values())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="100%" '
            f'height="{self.height:.0f}" aria-label="{html.escape(label, quote=True)}">'
            f"{f'<defs>{defs}</defs>' if defs else ''}{''.join(self.parts)}</svg>"
        )

    # matplotlib's interface

    def points_to_pixels(self, points: Any) -> Any:
        return points  # 72 dots an inch: a point is a pixel

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def get_text_width_height_descent(self, s: str, *_: Any) -> tuple[float, float, float]:
        return widest(s), LINE_HEIGHT, 4.0

    def flipy(self) -> bool:
        return False

    def draw_path(self, gc: Any, path: Any, transform: Any, rgbFace: Any = None) -> None:
        path = path.transformed(transform)
        points = path.vertices
        paint = self.paint(gc, rgbFace)
        if rectangle := as_rectangle(path):
            x0, y0, x1, y1 = rectangle
            self.parts.append(
                f'<rect x="{self.across(x0)}%" y="{self.down(y1)}" '
                f'width="{number(100 * (x1 - x0) / self.width)}%" height="{number(y1 - y0)}"'
                f"{paint}/>"
            )
        elif len(points) == 2:
            (x0, y0), (x1, y1) = points
            self.parts.append(
                f'<line x1="{self.across(x0)}%" y1="{self.down(y0)}" x2="{self.across(x1)}%" '
                f'y2="{self.down(y1)}"{paint}/>'
            )
        elif len(points):
            self.stretched(gc, path, paint)

    def stretched(self, gc: Any, path: Any, paint: str) -> None:
        """A shape that is as wide as the axes; the width of its lines stays."""
        height = number(self.height)
        clip = "hidden" if gc.get_clip_rectangle() is not None else "visible"
        drawn = commands(
            path, lambda x, y: f"{number(1000 * x / self.width)} {number(self.height - y)}"
        )
        self.parts.append(
            f'<svg width="100%" height="{height}" viewBox="0 0 1000 {height}" '
            f'preserveAspectRatio="none" style="overflow:{clip}">'
            f'<path vector-effect="non-scaling-stroke" d="{drawn}"{paint}/></svg>'
        )

    def draw_markers(
        self,
        gc: Any,
        marker_path: Any,
        marker_trans: Any,
        path: Any,
        trans: Any,
        rgbFace: Any = None,
    ) -> None:
        if self.whole:  # a single area comes as a mark at one place
            (place,) = path.transformed(trans).vertices
            self.draw_path(gc, marker_path, marker_trans + Affine2D().translate(*place), rgbFace)
            return
        shape = commands(
            marker_path.transformed(marker_trans), lambda x, y: f"{number(x)} {number(-y)}"
        )
        name = f"{self.key}-{len(self.defined)}"
        self.defined[name] = f'<path id="{name}" d="{shape}"/>'
        points = path.transformed(trans).vertices
        by_row: dict[str, list[str]] = {}
        for x, y in points:
            by_row.setdefault(self.down(y), []).append(
                f'<use href="#{name}" x="{self.across(x)}%"/>'
            )
        paint = self.paint(gc, rgbFace)
        for y, uses in by_row.items():
            self.parts.append(f'<g transform="translate(0 {y})"{paint}>{"".join(uses)}</g>')

    # how it is made

    def draw(self) -> None:
        axes = self.axes
        words = set(axes.texts)
        for artist in sorted(axes.get_children(), key=lambda one: one.get_zorder()):
            if artist in words or not artist.get_visible() or artist is axes.patch:
                continue
            if not isinstance(artist, (Axis, Spine, Text)):
                self.whole = isinstance(artist, PolyCollection)
                artist.draw(self)
        self.frame()
        for text in axes.texts:
            if text.get_visible() and text.get_text().strip():
                self.words(text)

    def frame(self) -> None:
        """The axes' two lines, ticks, and what is written at them."""
        axes, bottom = self.axes, self.height
        line = f'style="stroke:{themed(LINE)}"'
        self.parts.append(
            f'<line x1="0" y1="{number(bottom)}" x2="100%" y2="{number(bottom)}" {line}/>'
            f'<line x1="0" y1="0" x2="0" y2="{number(bottom)}" {line}/>'
        )
        for x, label in self.ticks(axes.xaxis):
            self.parts.append(
                f'<line x1="{self.across(x)}%" y1="{number(bottom)}" x2="{self.across(x)}%" '
                f'y2="{number(bottom + TICK)}" {line}/>'
            )
            self.write(f'x="{self.across(x)}%"', bottom + TICK + 17, [label], "middle")
        left = 0.0
        for y, label in self.ticks(axes.yaxis):
            lines = label.split("\n")
            left = max(left, widest(label))
            first = self.height - y + 4 - LINE_HEIGHT * (len(lines) - 1) / 2
            self.write(f'x="-{GAP:.0f}"', first, lines, "end")
        if axes.get_ylabel():
            turn = f'transform="translate({-left - 2 * GAP - 2:.0f} {bottom / 2:.0f}) rotate(-90)"'
            self.write(turn, 0, [axes.get_ylabel()], "middle")

    def ticks(self, axis: Any) -> list[tuple[float, str]]:
        """Where the ticks in view stand, in pixels from the left or from below, and their words."""
        low, high = sorted(axis.get_view_interval())
        slack = 1e-6 * (high - low)
        places = list(axis.get_majorticklocs())
        labels = axis.get_major_formatter().format_ticks(places)
        which = 0 if axis is self.axes.xaxis else 1
        points = self.axes.transData.transform([(place, place) for place in places] or [(0, 0)])
        return [
            (float(point[which]), str(label))
            for place, point, label in zip(places, points, labels, strict=False)
            if low - slack <= place <= high + slack
        ]

    def outside(self) -> list[Any]:
        """The words that stand at the right of the axes."""
        return [
            text
            for text in self.axes.texts
            if hasattr(text, "dx") and text.get_text() and self.place(text)[0] >= self.width - 1
        ]

    def place(self, text: Any) -> tuple[float, float]:
        if isinstance(text, Annotation):
            text.update_positions(self)
        x, y = text.get_transform().transform(text.get_unitless_position())
        return float(x), float(y)

    def words(self, text: Any) -> None:
        x, y = self.place(text)
        lines = text.get_text().split("\n")
        dx = getattr(text, "dx", 0.0)
        rows = LINE_HEIGHT * (len(lines) - 1)
        middle = self.height - y + 5 - rows / 2
        first = {"top": self.height - y + 15, "bottom": self.height - y - 4 - rows}.get(
            text.get_verticalalignment(), middle
        )
        colour = to_hex(text.get_color())
        at = f'x="{self.across(x)}%"' + (f' dx="{number(dx)}"' if dx else "")
        style = "" if colour in ("#000000", INK) else f' style="fill:{themed(colour)}"'
        self.write(at + style, first, lines, ANCHORS[text.get_horizontalalignment()])

    def write(self, where: str, y: float, lines: Sequence[str], anchor: str) -> None:
        inside = "".join(
            html.escape(line)
            if not row
            else f'<tspan {where} dy="{LINE_HEIGHT:.0f}">{html.escape(line)}</tspan>'
            for row, line in enumerate(lines)
        )
        self.parts.append(f'<text {where} y="{number(y)}" text-anchor="{anchor}">{inside}</text>')

    def across(self, x: float) -> str:
        return number(100 * x / self.width)

    def down(self, y: float) -> str:
        return number(self.height - y)

    def paint(self, gc: Any, face: Any) -> str:
        """Fill and stroke as attributes of an element."""
        fill = "none"
        opacity = ""
        if face is not None and (len(face) < 4 or face[3] > 0):
            colour = to_hex(face)
            fill = themed(colour)
            part = gc.get_alpha() if gc.get_alpha() is not None else 1.0
            opacity = f";fill-opacity:{number(part)}" if part < 1 else ""
            if gc.get_hatch():
                fill = f"url(#{self.hatched(gc.get_hatch()[0], fill)})"
        stroke = ""
        width = gc.get_linewidth()
        if width > 0:
            stroke = f";stroke:{themed(to_hex(gc.get_rgb()))};stroke-width:{number(width)}"
            _, dashes = gc.get_dashes()
            if dashes is not None:
                stroke += ";stroke-dasharray:" + ",".join(number(dash) for dash in dashes)
        return f' style="fill:{fill}{opacity}{stroke}"'

    def hatched(self, hatch: str, fill: str) -> str:
        """The id of a pattern: the colour with thin lines of paper in it."""
        key = f"{hatch} {fill}"
        if key not in self.defined:
            name = f"{self.key}-{len(self.defined)}"
            lines = HATCHES.get(hatch, "")
            self.defined[key] = (
                f'<pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse">'
                f'<rect width="8" height="8" style="fill:{fill}"/>'
                f'<path d="{lines}" style="fill:none;stroke:{themed(PAPER)};stroke-opacity:.8"/>'
                "</pattern>"
            )
        found = self.defined[key]
        return found[found.index('id="') + 4 :].split('"', 1)[0]


def widest(text: str) -> float:
    """How wide the widest line of a text is in the page's font, at the most."""
    return LETTER * max((len(line) for line in text.split("\n")), default=0)


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def as_rectangle(path: Any) -> tuple[float, float, float, float] | None:
    """Left, bottom, right and top of a path that is an upright rectangle."""
    points = path.vertices
    codes = path.codes
    if len(points) != 5 or codes is None or codes[-1] != Path.CLOSEPOLY:
        return None
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[:4]
    upright = (abs(ay - by), abs(bx - cx), abs(cy - dy), abs(dx - ax))
    if max(upright) > 1e-6:
        return None
    return min(ax, bx), min(ay, cy), max(ax, bx), max(ay, cy)


def commands(path: Any, at: Any) -> str:
    """A path in SVG's words; `at` writes one point."""
    found = []
    for points, code in path.iter_segments(simplify=False):
        if code == Path.CLOSEPOLY:
            found.append("Z")
        else:
            pairs = zip(points[::2], points[1::2], strict=True)
            found.append(COMMANDS[code] + " ".join(at(float(x), float(y)) for x, y in pairs))
    return "".join(found)

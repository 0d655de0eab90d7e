"""The small picture in a verdict's why: what was counted, and which counts pass, as bars."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A row of the small picture: what was counted, and between which counts it passes (None: it
    is not judged by itself).
    """

    name: str
    count: float
    of: float
    low: float | None = None
    high: float | None = None

    @property
    def passes(self) -> bool:
        return (self.low is None or self.count >= self.low) and (
            self.high is None or self.count <= self.high
        )

    @property
    def told(self) -> str:
        """The same in words: `700 (70 %), right: 736 to 859`."""
        part = f" ({percent(self.count / self.of)})" if self.of and self.of != 1 else ""
        return f"{self.count:g}{part}" + (f", right: {self.bounds}" if self.bounds else "")

    @property
    def bounds(self) -> str:
        if self.low is None and self.high is None:
            return ""
        if self.low is None:
            return f"at most {self.high:g}" if self.high else "none"
        if self.high is None:
            return f"{self.low:g} or more"
        return f"{self.low:g}" + (f" to {self.high:g}" if self.low != self.high else "")


RIGHT, WRONG = "#3b82b0", "#d9601a"
"""Bars inside and outside of what passes: 3 : 1 and more on white and on black."""


def picture(bars: Sequence[Bar]) -> str:
    """Bars as a small table in HTML; a frame in each shows which lengths pass."""
    longest = max([1e-9, *(bar.count for bar in bars), *(bar.high or 0.0 for bar in bars)])
    shown = []
    for bar in bars:
        frame = ""
        if bar.bounds:
            low = 100 * (bar.low or 0.0) / longest
            high = 100 * (longest if bar.high is None else bar.high) / longest
            edges = f"0 {2 * (bar.high is not None)}px 0 {2 * (bar.low is not None)}px"
            frame = (
                f'<span style="position:absolute;left:{low:.1f}%;'
                f"width:{max(0.0, high - low):.1f}%;top:0;bottom:0;box-sizing:border-box;"
                f'border:solid currentColor;border-width:{edges};min-width:4px"></span>'
            )
        colour, wrong = (RIGHT, "") if bar.passes else (WRONG, "✘ ")
        shown.append(
            "<tr><th scope='row' style='text-align:left;font-weight:normal'>"
            f"{html.escape(bar.name)}</th><td style='width:14em'>"
            '<span style="display:block;position:relative;height:1em" aria-hidden="true">'
            f'<span style="position:absolute;left:0;top:.15em;bottom:.15em;background:{colour};'
            f'width:{100 * max(0.0, bar.count) / longest:.1f}%"></span>{frame}</span></td>'
            f"<td style='text-align:left;padding:0 1em'>{wrong}{html.escape(bar.told)}</td></tr>"
        )
    return f"<table>{''.join(shown)}</table>" if shown else ""


def percent(share: float) -> str:
    """`80 %`, `0.5 %`, `33.3 %`: no more decimals than say something; no zeros and no ones that are
    not quite.

    >>> percent(0.8), percent(1 / 3), percent(0.9999)
    ('80 %', '33.3 %', '99.99 %')
    """
    value = 100 * share
    for digits in range(1, 6):
        text = f"{value:.{digits}f}"
        if 0 < float(text) < 100 or share in (0, 1):
            break
    return f"{text.rstrip('0').rstrip('.')} %"

"""Colours, hatches and markers: a version or a status looks the same in every plot of the course.

The colours are Okabe and Ito's (Color Universal Design, 2008), chosen so that people with any of
the common kinds of colour blindness tell them apart; a hatch or marker says the same again for a
projector or a print in grey.
"""

from __future__ import annotations

from dataclasses import dataclass

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE, BLACK, GREY = "#0072B2", "#D55E00", "#CC79A7", "#000000", "#999999"


@dataclass(frozen=True)
class Look:
    """How one version or status is drawn."""

    colour: str
    hatch: str
    marker: str


VERSIONS = {
    "v1": Look(BLUE, "", "o"),
    "v2": Look(VERMILLION, "//", "^"),
    "v3": Look(GREEN, "..", "s"),
    "": Look(GREY, "xx", "x"),  # no pod answered: the proxy did, or nobody
}
STATUSES = {
    "200": Look(SKY, "", "o"),
    "404": Look(YELLOW, "..", "s"),
    "429": Look(PURPLE, "++", "D"),
    "500": Look(VERMILLION, "xx", "v"),
    "503": Look(ORANGE, "//", "^"),
    "504": Look(PURPLE, "\\\\", "<"),
    "-1": Look(BLACK, "", "x"),  # no answer: the connection failed
}
OTHERS = (
    Look(PURPLE, "++", "D"),
    Look(YELLOW, "--", "v"),
    Look(SKY, "||", "<"),
    Look(ORANGE, "oo", ">"),
)
BY_CLASS = {"1": "200", "2": "200", "3": "200", "4": "404", "5": "500"}


def look(value: object, by: str = "version") -> Look:
    """How to draw a value of a column: a version, a status, or anything else.

    >>> look("v2").colour
    '#D55E00'
    """
    text = "" if value is None or value != value else str(value)
    if by == "status":
        return STATUSES.get(text) or STATUSES[BY_CLASS.get(text[:1], "-1")]
    if text in VERSIONS:
        return VERSIONS[text]
    return OTHERS[sum(text.encode()) % len(OTHERS)]

"""Colours, hatches and markers: a version, a state or a run looks the same in every picture of the
course, and no two of them look alike.

Each colour is a light one and a dark one, for JupyterLab's light and dark themes. They are chosen
so that within a palette people with any of the common kinds of colour blindness tell them apart,
and that each has a contrast of 3 : 1 to the page (tests/ui/plots/test_style.py measures both). A
hatch or a marker says the same again for a projector or a print in grey.

A picture names colours by their light value, which matplotlib knows; the browser gets the name of a
CSS property instead (`THEMED`), so that a change of theme needs no new picture.
"""

from __future__ import annotations

from dataclasses import dataclass

# what is no data
INK, PAPER, LINE, GRID = "#1b1f24", "#ffffff", "#868e99", "#d5dae1"
PLAIN, PLAIN_2 = "#4d6a85", "#7d5ba6"
"""Where nothing is compared: one row of latencies, p50; and p99 beside it."""
FIELD_BAD, FIELD_GOOD = "#f3d9cb", "#cfe3f1"
"""Areas under a curve, on which words stand."""

# versions
BLUE, ORANGE, INDIGO, GREY = "#0072b2", "#c75300", "#4a2d8f", "#767676"
# states
HEALTHY, REFUSED, EJECTED, ERROR = "#008f6b", "#8f7a00", "#b0307f", "#8b1a1a"
RETRIED, CLIENT, SILENCE = "#2f6e86", "#6b3fa0", "#20252b"
# runs
RUN_1, RUN_2, RUN_3, RUN_4 = "#8593a3", "#3e4c5c", "#6f7f3f", "#7a5c46"

THEMED = {
    INK: ("ink", "#e6e8eb"),
    PAPER: ("paper", "#111111"),
    LINE: ("line", "#868e99"),
    GRID: ("grid", "#3a424c"),
    PLAIN: ("plain", "#8fb4d6"),
    PLAIN_2: ("plain-2", "#c3a3ea"),
    FIELD_BAD: ("field-bad", "#4a2a1c"),
    FIELD_GOOD: ("field-good", "#17324a"),
    BLUE: ("v1", "#56b4e9"),
    ORANGE: ("v2", "#ff9e4a"),
    INDIGO: ("v3", "#e6daff"),
    GREY: ("nobody", "#8a8a8a"),
    HEALTHY: ("healthy", "#2fc49a"),
    REFUSED: ("refused", "#f0e442"),
    EJECTED: ("ejected", "#f28ac8"),
    ERROR: ("error", "#e8473b"),
    RETRIED: ("retried", "#8fd0e8"),
    CLIENT: ("client-error", "#b98cff"),
    SILENCE: ("no-answer", "#f4f6f8"),
    RUN_1: ("run-1", "#66717f"),
    RUN_2: ("run-2", "#b8c4d2"),
    RUN_3: ("run-3", "#b9d13f"),
    RUN_4: ("run-4", "#d9b79a"),
}
"""By light colour: the name of its CSS property, and the colour in a dark theme."""


@dataclass(frozen=True)
class Look:
    """How one version, state or run is drawn."""

    colour: str
    hatch: str
    marker: str


VERSIONS = {
    "v1": Look(BLUE, "", "o"),
    "v2": Look(ORANGE, "/", "^"),
    "v3": Look(INDIGO, ".", "s"),
    "": Look(GREY, "x", "x"),  # no pod answered: the proxy did, or nobody
}
STATES = {
    "healthy": Look(HEALTHY, "", "o"),
    "refused": Look(REFUSED, "/", "^"),
    "ejected": Look(EJECTED, "\\", "<"),
    "error": Look(ERROR, "x", "v"),
    "retried": Look(RETRIED, ".", "D"),
    "client error": Look(CLIENT, "-", "s"),
    "no answer": Look(SILENCE, "+", "x"),
}
RUNS = (
    Look(RUN_1, "", "o"),
    Look(RUN_2, "/", "^"),
    Look(RUN_3, "x", "s"),
    Look(RUN_4, ".", "D"),
)
"""Results that stand side by side, first to last."""
OTHER = Look(PLAIN, "", "o")
"""Anything else: its row has a name, and more than one look would seem to say something."""

STATE_OF_STATUS = {"429": "refused", "503": "refused", "-1": "no answer"}
STATE_OF_CLASS = {"1": "healthy", "2": "healthy", "3": "healthy", "4": "client error", "5": "error"}


def look(value: object, by: str = "version") -> Look:
    """How to draw a value of a column: a version, a status, or anything else.

    >>> look("v2").colour
    '#c75300'
    """
    text = "" if value is None or value != value else str(value)
    if by == "status":
        state = STATE_OF_STATUS.get(text) or STATE_OF_CLASS.get(text[:1], "no answer")
        return STATES[state]
    return VERSIONS.get(text, OTHER)


def themed(colour: str) -> str:
    """A colour as CSS: by its name where the theme has one for it.

    >>> themed("#0072b2"), themed("#123456")
    ('var(--plot-v1,#0072b2)', '#123456')
    """
    found = THEMED.get(colour.lower())
    return f"var(--plot-{found[0]},{colour.lower()})" if found else colour


def css() -> str:
    """What a page needs once for its pictures: the colours of both themes, and the page's font.

    The light look is that of every page without JupyterLab's theme: of exports, and of print.
    """
    light = "".join(f"--plot-{name}:{colour};" for colour, (name, _) in THEMED.items())
    dark = "".join(f"--plot-{name}:{colour};" for name, colour in THEMED.values())
    page = (
        "--plot-paper:var(--jp-layout-color0,var(--vscode-editor-background,#ffffff));"
        "--plot-ink:var(--jp-content-font-color1,var(--vscode-editor-foreground,#1b1f24));"
    )
    return (
        f":is(.labkit-plot,.labkit-mesh){{{light}{page}background:var(--plot-paper);color:var(--plot-ink);"
        "font-family:var(--jp-content-font-family,system-ui,sans-serif);"
        "font-size:var(--jp-content-font-size1,14px);line-height:1.35;max-width:100rem}"
        "@media screen{:is([data-jp-theme-light=false],.vscode-dark) :is(.labkit-plot,.labkit-mesh)"
        f"{{{dark}{page}}}}}"
        ".labkit-panel :is(.labkit-plot,.labkit-mesh){background:none;"
        "--plot-paper:var(--labkit-back);--plot-ink:var(--labkit-text)}"
        ".labkit-plot figcaption{font-weight:600;text-align:left}"
        ".labkit-plot .labkit-picture{display:block!important;box-sizing:border-box}"
        ".labkit-plot .labkit-picture svg{display:block;overflow:visible;max-width:none}"
        ".labkit-plot .labkit-picture svg text{fill:var(--plot-ink);font:inherit}"
        ".labkit-plot .labkit-axis{margin:0;text-align:center}"
        ".labkit-plot .labkit-told{margin:0;text-align:left}"
        ".labkit-plot .labkit-unseen{display:none}"
    )

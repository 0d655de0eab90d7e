"""The colours of the course: as the colour-blind see them, on a light and on a dark page."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from colorspacious import cspace_convert

from labkit.ui.panels.base import static
from labkit.ui.plots.style import OTHER, RUNS, STATES, THEMED, VERSIONS, css, look, themed

# colorspacious has the matrices of G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A
# Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE Transactions on
# Visualization and Computer Graphics 15(6), 2009; severity 100 is a sense that is missing
# altogether.
SIGHTS = {
    "normal sight": None,
    "protanopia": "protanomaly",
    "deuteranopia": "deuteranomaly",
    "tritanopia": "tritanomaly",
}
JUST_NOTICEABLE = 2.3  # a CIE 1976 difference that half of the people see (Mahy et al., 1994)
FACTOR = 5


def seen(colour: str, sight: str) -> np.ndarray:
    """CIE L*a*b* of a colour written as #rrggbb, as it is seen."""
    rgb = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    if kind := SIGHTS[sight]:
        rgb = np.clip(
            cspace_convert(rgb, {"name": "sRGB1+CVD", "cvd_type": kind, "severity": 100}, "sRGB1"),
            0,
            1,
        )
    return np.asarray(cspace_convert(rgb, "sRGB1", "CIELab"))


def difference(one: str, other: str, sight: str) -> float:
    """The CIE 1976 difference of two colours, seen with `sight`."""
    return float(np.linalg.norm(seen(one, sight) - seen(other, sight)))


def over(colour: str, ground: str, part: float) -> str:
    """A colour that lets the ground through, as a browser mixes it: `part` of it is the colour's
    own.
    """
    mixed = [
        round(part * int(colour[at : at + 2], 16) + (1 - part) * int(ground[at : at + 2], 16))
        for at in (1, 3, 5)
    ]
    return "#" + "".join(f"{each:02x}" for each in mixed)


def test_the_measure_itself() -> None:
    assert difference("#000000", "#ffffff", "normal sight") == pytest.approx(100, abs=0.1)
    # red and green that are told apart by hue alone are close to each other in deuteranopia, and
    # only there
    assert difference("#a05a00", "#6a7a00", "deuteranopia") < 10
    assert difference("#a05a00", "#6a7a00", "normal sight") > 30


PALETTES = {"versions": VERSIONS, "states": STATES, "runs": dict(enumerate(RUNS))}
THEMES = {"light": "#ffffff", "dark": "#111111"}


def in_theme(colour: str, theme: str) -> str:
    return colour if theme == "light" else THEMED[colour][1]


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_of_contrast_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("palette", PALETTES)
def test_what_stands_side_by_side_can_be_told_apart(sight: str, palette: str, theme: str) -> None:
    looks = PALETTES[palette]
    apart = {
        (a, b): difference(
            in_theme(looks[a].colour, theme), in_theme(looks[b].colour, theme), sight
        )
        for a, b in itertools.combinations(looks, 2)
    }
    closest = min(apart, key=lambda pair: apart[pair])
    assert apart[closest] >= FACTOR * JUST_NOTICEABLE, (
        f"{sight}: {closest} differ by {apart[closest]:.1f}"
    )


def test_a_colour_has_one_meaning() -> None:
    looks = [look for palette in PALETTES.values() for look in palette.values()]
    for theme in THEMES:
        colours = {in_theme(look.colour, theme) for look in looks}
        assert len(colours) == len(looks), theme


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_words_stand_out_from_the_page(theme: str) -> None:
    """WCAG 2.1: 3 : 1 for graphical objects, 4.5 : 1 for words."""
    ground = THEMES[theme]
    names = {name: in_theme(colour, theme) for colour, (name, _) in THEMED.items()}
    fields = {name: names.pop(name) for name in ("field-bad", "field-good", "grid", "paper")}
    for name, colour in names.items():
        assert contrast(colour, ground) >= 3, name
    for name in ("field-bad", "field-good"):
        assert contrast(names["ink"], fields[name]) >= 4.5, name
    assert contrast(names["ink"], ground) >= 4.5


def test_what_is_drawn_and_what_the_theme_sets_have_the_same_names() -> None:
    page = css()
    for colour, (name, dark) in THEMED.items():
        assert themed(colour) == f"var(--plot-{name},{colour})"
        assert f"--plot-{name}:{colour};" in page
        assert f"--plot-{name}:{dark};" in page


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_new_and_old_lines_of_a_panel_can_be_told_apart(sight: str, ground: str) -> None:
    """Light and dark themes; the marks + and - say the same again."""
    found = dict(
        re.findall(r"\.labkit-(plus|minus) \{\s*background: (rgba\([^)]*\))", static("policy.css"))
    )
    shown = {}
    for name, colour in found.items():
        *rgb, part = (float(number) for number in re.findall(r"[\d.]+", colour))
        shown[name] = over("#" + "".join(f"{int(each):02x}" for each in rgb), ground, part)
    assert difference(shown["plus"], shown["minus"], sight) >= FACTOR * JUST_NOTICEABLE


@pytest.mark.parametrize("group", [VERSIONS.values(), STATES.values(), RUNS])
def test_no_look_rests_on_colour_alone(group: list[object]) -> None:
    looks = list(group)
    assert len({one.hatch + one.colour for one in looks}) == len(looks)
    assert len({one.marker for one in looks}) == len(looks)


def test_a_value_always_looks_the_same() -> None:
    assert look("v1") is VERSIONS["v1"]
    assert look("503", "status") is STATES["refused"]
    assert look("502", "status") is STATES["error"]
    assert look(float("nan")) is VERSIONS[""]
    assert look("blue") is look("moved") is OTHER

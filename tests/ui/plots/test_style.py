"""The colours of the course, as people with colour blindness see them."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from colorspacious import cspace_convert

from labkit.ui.panels.base import static
from labkit.ui.plots.charts import SIDES
from labkit.ui.plots.style import OTHERS, STATUSES, VERSIONS, look

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


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("group", ["versions", "statuses", "sides"])
def test_what_stands_side_by_side_can_be_told_apart(sight: str, group: str) -> None:
    looks = {
        "versions": VERSIONS,
        "statuses": {name: STATUSES[name] for name in ("200", "404", "500", "503", "-1")},
        "sides": dict(enumerate(SIDES)),
    }[group]
    apart = {
        (a, b): difference(looks[a].colour, looks[b].colour, sight)
        for a, b in itertools.combinations(looks, 2)
    }
    closest = min(apart, key=lambda pair: apart[pair])
    assert apart[closest] >= FACTOR * JUST_NOTICEABLE, (
        f"{sight}: {closest} differ by {apart[closest]:.1f}"
    )


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


@pytest.mark.parametrize("group", [VERSIONS.values(), STATUSES.values(), SIDES, OTHERS])
def test_no_look_rests_on_colour_alone(group: list[object]) -> None:
    looks = list(group)
    assert len({one.hatch + one.colour for one in looks}) == len(looks)
    assert len({one.marker for one in looks}) == len(looks)


def test_a_value_always_looks_the_same() -> None:
    assert look("v1") is VERSIONS["v1"]
    assert look("503", "status") is STATUSES["503"]
    assert look("502", "status") is STATUSES["500"]
    assert look(float("nan")) is VERSIONS[""]
    assert look("blue") == look("blue")

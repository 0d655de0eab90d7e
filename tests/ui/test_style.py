"""The colours of the course, as people with colour blindness see them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from labkit.ui.plots import SIDES
from labkit.ui.style import OTHERS, STATUSES, VERSIONS, look

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE Transactions on Visualization and Computer Graphics 15(6), 2009: the matrices of severity 1.0,
# for linear RGB.
MACHADO = {
    "normal sight": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
JUST_NOTICEABLE = 2.3  # a CIE 1976 difference that half of the people see (Mahy et al., 1994)
FACTOR = 5


def linear(colour: str) -> np.ndarray:
    """Linear RGB of a colour written as #rrggbb (sRGB, IEC 61966-2-1)."""
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white point D65."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: str, other: str, sight: np.ndarray) -> float:
    """The CIE 1976 difference of two colours, seen with `sight`."""
    return float(np.linalg.norm(lab(sight @ linear(one)) - lab(sight @ linear(other))))


def test_the_measure_itself() -> None:
    assert difference("#000000", "#ffffff", np.eye(3)) == pytest.approx(100, abs=0.1)
    # red and green that are told apart by hue alone are close to each other in deuteranopia, and only there
    assert difference("#a05a00", "#6a7a00", MACHADO["deuteranopia"]) < 10
    assert difference("#a05a00", "#6a7a00", np.eye(3)) > 30


@pytest.mark.parametrize("sight", MACHADO)
@pytest.mark.parametrize("group", ["versions", "statuses", "sides"])
def test_what_stands_side_by_side_can_be_told_apart(sight: str, group: str) -> None:
    looks = {
        "versions": VERSIONS,
        "statuses": {name: STATUSES[name] for name in ("200", "404", "500", "503", "-1")},
        "sides": dict(enumerate(SIDES)),
    }[group]
    seen = {
        (a, b): difference(looks[a].colour, looks[b].colour, MACHADO[sight])
        for a, b in itertools.combinations(looks, 2)
    }
    closest = min(seen, key=lambda pair: seen[pair])
    assert seen[closest] >= FACTOR * JUST_NOTICEABLE, f"{sight}: {closest} differ by {seen[closest]:.1f}"


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

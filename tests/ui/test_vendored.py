"""What others wrote and the package ships: it is byte for byte what its version says, with its
licence, and it asks for nothing from outside.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from labkit.ui import BreakerTimeline, TrafficPanel

FOLDER = Path(str(files("labkit.ui") / "static" / "uplot"))
DOCS = Path(__file__).parents[2] / "CONTRIBUTING.md"


def test_the_chart_library_is_the_one_that_is_recorded() -> None:
    sums = dict(line.split()[::-1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {"LICENSE", "uPlot.iife.min.js", "uPlot.min.css"}
    assert set(sums) == {file.name for file in FOLDER.iterdir()} - {"SHA256SUMS", "VERSION"}
    for name, expected in sums.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == expected, name


def test_its_version_is_said_everywhere_alike() -> None:
    name, version = (FOLDER / "VERSION").read_text().split()
    assert f"{name}@{version}" in DOCS.read_text("utf-8")
    assert f"(v{version})" in (FOLDER / "uPlot.iife.min.js").read_text("utf-8")[:200]
    assert "MIT License" in (FOLDER / "LICENSE").read_text("utf-8")


def test_it_is_small_and_loads_nothing() -> None:
    code = (FOLDER / "uPlot.iife.min.js").read_text("utf-8")
    assert len(code) < 60_000
    assert not re.search(r"\b(fetch|XMLHttpRequest|import|eval|Function)\s*\(", code)
    assert "@import" not in (FOLDER / "uPlot.min.css").read_text("utf-8")


def test_the_panels_that_use_it_have_it_with_them() -> None:
    for panel in (TrafficPanel, BreakerTimeline):
        assert "var uPlot=function" in panel._esm
        assert ".u-select" in panel._css

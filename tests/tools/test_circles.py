"""No module imports itself by way of others, and the tool that says so would see it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools.circles import PACKAGE, circles, circles_of


def test_there_is_no_circle_in_the_package() -> None:
    assert list(circles_of(PACKAGE)) == []


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty package `circling` on the import path."""
    folder = tmp_path / "circling"
    for name in ("", "one", "two"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def found(package: Path) -> list[tuple[str, ...]]:
    try:
        return list(circles_of(package.name))
    finally:
        sys.modules.pop(package.name, None)


def test_a_circle_of_types_and_functions_is_one(package: Path) -> None:
    (package / "a.py").write_text("import circling.b")
    (package / "b.py").write_text("def f():\n    from circling.c import x\n")
    (package / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from circling.a import y\n"
    )
    assert found(package) == [("circling.a", "circling.b", "circling.c", "circling.a")]


def test_two_folders_that_lean_on_each_other_are_one_though_no_module_is(package: Path) -> None:
    (package / "one" / "low.py").touch()
    (package / "one" / "high.py").write_text("import circling.two.middle")
    (package / "two" / "middle.py").write_text("import circling.one.low")
    assert found(package) == [("circling.one", "circling.two", "circling.one")]


def test_a_package_that_its_own_module_imports_from_is_one(package: Path) -> None:
    (package / "one" / "__init__.py").write_text("from circling.one.low import x")
    (package / "one" / "low.py").write_text("from circling.one import y")
    assert found(package) == [("circling.one", "circling.one.low", "circling.one")]


def test_what_only_leads_to_a_circle_is_not_on_it() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == [("b", "c", "b")]
    assert list(circles({"a": {"b", "c"}, "b": {"c"}, "c": set()})) == []

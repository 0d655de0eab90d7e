"""Translation is made of values alone: it knows no file, no folder, no process and no clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from labkit import translate

ALLOWED = {
    *("__future__", "collections", "dataclasses", "decimal", "functools", "http", "ipaddress"),
    *("itertools", "re", "typing"),
    *("labkit.errors", "labkit.jsontypes", "labkit.resources", "labkit.translate"),
}


def imported(source: str) -> Iterator[str]:
    """The modules that a source imports: of labkit the room, of all others the package."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        for name in names:
            parts = name.split(".")
            yield ".".join(parts[:2]) if parts[0] == "labkit" else parts[0]


def test_it_imports_nothing_that_touches_the_world() -> None:
    files = sorted(Path(translate.__file__).parent.rglob("*.py"))
    assert len(files) > 10
    found = {name for file in files for name in imported(file.read_text(encoding="utf-8"))}
    assert found - ALLOWED == set()
    calls = {
        node.func.id
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not calls & {"open", "exec", "eval", "__import__", "print", "input"}


def test_the_check_sees_what_it_looks_for() -> None:
    assert set(imported("import os.path\nfrom labkit.envoy.xds import File")) == {
        "os",
        "labkit.envoy",
    }

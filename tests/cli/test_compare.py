"""`labkit compare`: what it prints and with which status it ends, on a small course that has no
mesh.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.cli import main

pytestmark = pytest.mark.notebook


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_a_lesson_that_is_the_same_twice(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run("compare", "1", "--backends", "embedded", "embedded", "--out", str(course / "out")) == 0
    )
    said = capsys.readouterr().out
    assert "they agree" in said
    assert "1 lesson, 0 differ" in said
    written = {path.name for path in (course / "out").iterdir()}
    assert written == {"index.html", "01_good.1.embedded.ipynb", "01_good.2.embedded.ipynb"}


def test_a_lesson_that_fails(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run("compare", "2", "--backends", "embedded", "embedded", "--out", str(course / "out")) == 1
    )
    said = capsys.readouterr().out
    assert "they differ" in said
    assert "02_bad fails: CheckFailed" in said
    assert "1 lesson, 1 differ: 02_bad" in said

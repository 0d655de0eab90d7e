"""`labkit verify`: nbval compares the verdict line and nothing else, and
notices when it differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.cli.verify import command
from labkit.lessons.notebook.run import run_notebook, write
from labkit.lessons.notebook.sources import lessons, read_source, tidy

pytestmark = pytest.mark.notebook


@pytest.fixture
def stored(course: Path) -> Path:
    """The notebook of the good lesson as `labkit build` would store it."""
    lesson = lessons("1")[0]
    run = run_notebook(
        lesson.name, read_source(lesson.source), lesson.notebook.parent, strict=False
    )
    write(tidy(run.notebook), lesson.notebook)
    return lesson.notebook


def verify() -> int:
    with pytest.raises(SystemExit) as ended:
        main(["verify", "1"])
    return int(ended.value.code or 0)


def test_the_same_verdict_passes_whatever_its_why(stored: Path) -> None:
    assert "labkit-why" not in stored.read_text()
    assert verify() == 0


def test_another_verdict_fails(stored: Path) -> None:
    text = stored.read_text()
    changed = text.replace("PASS  the seed is small", "PASS  the seed is big")
    assert changed != text
    stored.write_text(changed)
    assert verify() == 1


def test_a_check_that_fails_now_is_noticed(stored: Path) -> None:
    stored.write_text(stored.read_text().replace("seed < 10", "seed < 0"))
    assert verify() == 1


def test_nothing_built_is_an_error(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify() == 1
    assert "labkit build" in capsys.readouterr().err


def test_nbval_is_strict_and_has_a_limit_on_each_cell() -> None:
    words = command([Path("a.ipynb")], Path("rules"), 1, None)
    assert words[0] == sys.executable
    assert "--nbval" in words
    assert "--nbval-lax" not in words
    assert words[words.index("--nbval-cell-timeout") + 1] == "60"

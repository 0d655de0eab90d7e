"""`labkit run`: what it prints and with which status it ends."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.cli.run import parameters

pytestmark = pytest.mark.notebook


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_a_lesson_that_passes(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "1", "--seed", "3", "--report", str(course / "out")) == 0
    said = capsys.readouterr().out
    assert "✔ 01_good" in said
    assert "1 lesson, 0 failed" in said
    assert {path.name for path in (course / "out").iterdir()} >= {
        "index.html",
        "junit.xml",
        "01_good.ipynb",
    }


def test_a_lesson_that_fails_shows_its_cell_and_the_others_run(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "--jobs", "2") == 1
    said = capsys.readouterr().out
    assert "✔ 01_good" in said
    assert "✘ 02_bad" in said
    assert "cell 4: CheckFailed" in said
    assert "| check.that(seed > 10" in said
    assert "2 lessons, 1 failed: 02_bad" in said


def test_parameters_that_no_lesson_has(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "1", "-p", "speed=3") == 1
    assert "no parameter 'speed'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-1e-3", -0.001),
        ("--3", "--3"),
        ("small", "small"),
        ("", ""),
    ],
)
def test_numbers_are_numbers(text: str, value: object) -> None:
    given = argparse.Namespace(backend=None, scale=None, seed=None, parameter=[f"x={text}"])
    found = parameters(given)["x"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["speed", "=3"])
def test_a_parameter_without_a_value_is_refused(
    course: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "1", "-p", text) == 1
    assert "A parameter needs a name and a value" in capsys.readouterr().err


def test_a_lesson_that_is_not_there(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "9") == 1
    assert "01_good, 02_bad" in capsys.readouterr().err


def test_lessons_on_a_cluster_run_one_at_a_time(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("run", "--backend", "cluster", "--jobs", "2") == 1
    assert "On a cluster lessons run one at a time" in capsys.readouterr().err


def test_a_word_that_is_not_known_shows_the_commands_own_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "01", "--out", "here"])
    said = capsys.readouterr().err
    assert said.startswith("usage: labkit run")
    assert "unrecognized arguments: --out" in said

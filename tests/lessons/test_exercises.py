"""Exercises never shout at a learner, always do in CI, and remember how far one came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from labkit import lessons
from labkit.errors import LessonError, NotFound
from labkit.lessons import CheckFailed, Exercise, course_map, finish_lesson, progress
from labkit.lessons.checks import check


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("LABKIT_STRICT", raising=False)
    return tmp_path / "progress.json"


def exercise(judge: Any = None, id: str = "03-1") -> Exercise:
    def all_ok(statuses: list[int]) -> Any:
        return check.all_ok(pd.DataFrame({"status": statuses}))

    return Exercise(
        id,
        "Make every request succeed.",
        judge or all_ok,
        hints=("one", "two", "three"),
        solution="weight: 50",
    )


def test_a_wrong_answer_is_not_yet_and_does_not_raise() -> None:
    verdict = exercise().check([200, 503])
    assert verdict.line == "NOT YET  exercise 03-1"
    assert not verdict
    assert "503: 1" in verdict.explain()
    assert ".hint()" in verdict.explain()
    assert "○" in verdict._repr_html_()


def test_a_right_answer_passes_and_is_remembered() -> None:
    task = exercise()
    assert not task.done
    assert task.check([200, 200]).line == "PASS  exercise 03-1"
    assert exercise().done
    task.check([503])
    assert task.done  # trying other answers afterwards takes nothing away
    assert progress.entry("exercises", "03-1")["attempts"] == 2


def test_exercises_go_on_where_progress_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no folder").write_text("")
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "no folder" / "progress.json"))
    task = exercise()
    assert repr(task.hint()) == "Hint 1 of 3: one"
    assert repr(task.hint()) == "Hint 2 of 3: two"
    assert task.check([200, 200]).line == "PASS  exercise 03-1"
    assert task.done
    assert capsys.readouterr().err.count("can't be saved") == 1


@pytest.mark.parametrize("nothing", [None, ...])
def test_no_answer_is_not_yet(nothing: Any) -> None:
    assert "no answer yet" in exercise().check(nothing).explain()


def raising(error: Exception) -> Any:
    def judge(_: Any) -> bool:
        raise error

    return judge


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotFound("There is no pod"), "There is no pod"),
        (KeyError("spec"), "can't be judged: KeyError"),
    ],
)
def test_what_breaks_the_judge_is_shown_in_words(error: Exception, words: str) -> None:
    assert words in exercise(raising(error)).check({}).explain()


def test_in_ci_an_unsolved_exercise_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_STRICT", "1")
    with pytest.raises(CheckFailed, match="exercise 03-1"):
        exercise().check([503])
    with pytest.raises(KeyError):
        exercise(raising(KeyError("spec"))).check({})
    assert exercise().check([200])


def test_a_judge_may_say_true_or_false() -> None:
    task = exercise(lambda answer: answer == 7)
    assert task.check(7).passed
    assert task.check(8).line == "NOT YET  exercise 03-1"


def test_the_ladder_has_three_hints_and_then_the_solution() -> None:
    # a new object each time, as after a restart of the kernel
    said = [repr(exercise().hint()) for _ in range(5)]
    assert said[:3] == ["Hint 1 of 3: one", "Hint 2 of 3: two", "Hint 3 of 3: three"]
    assert said[3:] == ["Solution:\nweight: 50"] * 2
    assert exercise().rung(1).text == "one"


def test_an_exercise_is_complete_or_refused() -> None:
    with pytest.raises(LessonError, match="needs 3 hints"):
        Exercise("03-1", "Do it", lambda _: True, hints=("one",), solution="x")
    with pytest.raises(LessonError, match="no solution"):
        Exercise("03-1", "Do it", lambda _: True, hints=("one", "two", "three"), solution=" ")
    with pytest.raises(LessonError, match="begins with its lesson"):
        exercise(id="slow-pod")


def test_an_exercise_may_begin_with_a_mesh_of_its_own() -> None:
    made: list[object] = []
    own = Exercise("03-3", "Mend it", lambda _: True, ("a", "b", "c"), "x", made.append)
    assert own.prepare("a mesh") is own, "a notebook shows it"
    assert made == ["a mesh"]
    with pytest.raises(LessonError, match="takes the mesh as it is"):
        exercise().prepare("a mesh")


def notebook(folder: Path, name: str, title: str, *ids: str) -> None:
    code = "".join(f'task = Exercise(\n    "{id}",\n    "Do it"\n)\n' for id in ids)
    cells = [
        {"cell_type": "markdown", "source": [f"# {title}\n", "\n", "text"]},
        {"cell_type": "code", "source": [code]},
    ]
    (folder / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))


def test_the_course_map(tmp_path: Path) -> None:
    notebook(tmp_path, "01_installation", "01 · Installation")
    notebook(tmp_path, "02_first_microservice", "Lesson 2: First microservice", "02-1")
    notebook(tmp_path, "03_load_balancing", "Load balancing", "03-1", "03-2")
    notebook(tmp_path, "04_gateway", "Gateway & <host>")
    finish_lesson("01")
    exercise(id="02-1").check([200])
    exercise(id="03-1").check([200])
    exercise(id="04-1")  # made, but not touched
    course = course_map(tmp_path)
    assert repr(course).splitlines() == [
        "✔ 01  Installation        done",
        "✔ 02  First microservice  done, 1 of 1 exercise",
        "◐ 03  Load balancing      started, 1 of 2 exercises",
        "○ 04  Gateway & <host>    not started",
    ]
    assert list(course.frame.solved) == [0, 1, 1, 0]
    assert course.next is not None
    assert course.next.number == "03"
    shown = course._repr_html_()
    assert "2 of 4 lessons done" in shown
    assert "Gateway &amp; &lt;host&gt;" in shown


def test_a_file_that_is_no_notebook_is_named(tmp_path: Path) -> None:
    (tmp_path / "01_broken.ipynb").write_text("{}")
    with pytest.raises(LessonError, match="01_broken"):
        course_map(tmp_path)


def test_the_public_names_are_all_there() -> None:
    assert sorted(lessons.__all__) == sorted(lessons._HOMES)
    for name in lessons.__all__:
        assert getattr(lessons, name) is not None
    assert dir(lessons) == sorted(lessons.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        lessons.nonsense  # noqa: B018


@pytest.mark.parametrize("near", ["3-1", "03-01", "03_1", "3.1", "03-1 "])
def test_an_id_that_is_nearly_one_says_which(near: str) -> None:
    with pytest.raises(LessonError, match=r'no exercise(?s:.*)next: task\("03-1"\)'):
        lessons.task(near)
    with pytest.raises(LessonError, match=r"there: 03-1, 03-2, 03-3\n"):
        lessons.task("03-9")
    with pytest.raises(LessonError, match=r"none of that lesson\n  next: task"):
        lessons.task("31-1")
    with pytest.raises(LessonError, match=r"none of that lesson\n  next: task"):
        lessons.task(31)  # type: ignore[arg-type]

"""The notebooks as they are stored: their form, and that they are what their sources make."""

from __future__ import annotations

import json
import re

import pytest

from labkit.lessons.notebook.build import in_step
from labkit.lessons.files import course_folder
from labkit.lessons.notebook.sources import (
    CHECKED,
    YOUR_TURN,
    Lesson,
    learner_copy,
    lessons,
    problems,
    read_source,
    tags_of,
    tidy,
)
from labkit.lessons.content.tasks import tasks_of

LESSONS = lessons()


def test_there_are_lessons() -> None:
    assert [one.name[:2] for one in LESSONS] == [f"{n:02}" for n in range(1, len(LESSONS) + 1)]
    assert len(LESSONS) >= 3
    stored = {path.stem for path in (course_folder() / "notebooks").glob("*.ipynb")}
    assert stored == {one.name for one in LESSONS}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.name)
class TestEachLesson:
    def test_source_has_the_form_of_a_lesson(self, lesson: Lesson) -> None:
        assert list(problems(read_source(lesson.source))) == []

    def test_notebook_is_in_step_with_its_source(self, lesson: Lesson) -> None:
        assert in_step(lesson), "labkit build"

    def test_notebook_has_the_form_of_a_lesson(self, lesson: Lesson) -> None:
        import nbformat

        notebook = nbformat.read(lesson.notebook, as_version=4)
        nbformat.validate(notebook)
        assert list(problems(notebook)) == []
        for cell in notebook.cells:
            if CHECKED in tags_of(cell):
                assert cell.outputs, "a check has no stored verdict: labkit build"
                assert cell.execution_count is not None

    def test_stored_verdicts_are_lines_without_numbers_of_a_run(self, lesson: Lesson) -> None:
        for cell in json.loads(lesson.notebook.read_text())["cells"]:
            for output in cell.get("outputs", []):
                assert "labkit-why" not in json.dumps(output)
                (line,) = "".join(output["data"]["text/plain"]).splitlines()
                assert re.match(r"(PASS|NOT YET)  \S", line)

    def test_notebook_is_small_and_names_no_machine(self, lesson: Lesson) -> None:
        text = lesson.notebook.read_text()
        assert len(text) < 100_000
        assert not re.search(r"/home/|/root/|/tmp/|/Users/|127\.0\.0\.1:\d", text)

    def test_no_answer_is_in_the_learners_copy(self, lesson: Lesson) -> None:
        copy = lesson.notebook.read_text()
        answers = [cell.source for cell in read_source(lesson.source).cells if "solution" in tags_of(cell)]
        assert answers, "a lesson has an exercise with a solution"
        for answer in answers:
            assert json.dumps(answer)[1:-1] not in copy

    def test_solution_of_the_hints_is_the_one_that_is_run(self, lesson: Lesson) -> None:
        cells = read_source(lesson.source).cells
        run = [cell.source for cell in cells if "solution" in tags_of(cell)]
        asked = [id for cell in cells for id in re.findall(r'task\("([^"]+)"\)\.check', cell.source)]
        assert asked
        assert [tasks_of(id[:2])[id].solution for id in asked] == run


def test_building_twice_gives_the_same() -> None:
    source = LESSONS[0].source
    one, two = (learner_copy(read_source(source)) for _ in range(2))
    assert one == two
    ids = [cell["id"] for cell in one.cells]
    assert len(set(ids)) == len(ids)


def test_solutions_are_left_out_and_all_else_is_kept() -> None:
    source = read_source(LESSONS[0].source)
    copy = learner_copy(source)
    changed = [(a, b) for a, b in zip(source.cells, copy.cells, strict=True) if a.source != b.source]
    assert len(changed) == sum("solution" in tags_of(cell) for cell in source.cells) > 0
    for before, after in changed:
        assert "solution" in tags_of(before)
        assert after.source == YOUR_TURN.rstrip()
        assert "solution" not in tags_of(after)


def test_tidy_keeps_outputs_of_checks_alone() -> None:
    import nbformat

    def cell(*tags: str) -> object:
        data = {"text/plain": "PASS  it", "text/html": 'x<details class="labkit-why" open>\n42 '
            'ms</details>y'}
        output = nbformat.v4.new_output("execute_result", data, execution_count=3)
        return nbformat.v4.new_code_cell("1", outputs=[output], execution_count=3, metadata={"tags": list(tags)})

    notebook = nbformat.v4.new_notebook(cells=[cell(CHECKED), cell("other")], metadata={"papermill": {"seconds": 3}})
    checked, other = tidy(notebook).cells
    assert checked.outputs[0].data["text/html"] == "xy"
    assert checked.execution_count == 3
    assert other.outputs == []
    assert "papermill" not in notebook.metadata


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("## Recap", "## End"), "no text under a heading with 'recap'"),
        (lambda text: text.replace('tags=["parameters", ', "tags=["), "not tagged 'parameters'"),
        (lambda text: text.replace("seed = 1", "sed = 1"), "does not set 'seed'"),
        (lambda text: text.replace('"nbval-ignore-output"]\nmesh.close()', '"x"]\nmesh.close()'), "exactly one of the"),
        (lambda text: text.replace("mesh.close()", "\n".join(["pass"] * 11)), "12 lines of code, "
            "more than 10"),
        (lambda text: text[: len(text) // 3], "cells, not 20 to 35"),
        (lambda text: text.replace('"check", "nbval-check-output"', '"nbval-ignore-output"'), "no cell tagged 'check'"),
    ],
)
def test_each_rule_of_form_can_fail(change: object, said: str, tmp_path: object) -> None:
    text = LESSONS[1].source.read_text()
    changed = change(text)  # type: ignore[operator]
    assert changed != text
    path = tmp_path / "02_x.py"  # type: ignore[operator]
    path.write_text(changed)
    assert any(said in problem for problem in problems(read_source(path)))


def test_a_changed_source_is_out_of_step(tmp_path: object) -> None:
    path = tmp_path / "01_x.py"  # type: ignore[operator]
    path.write_text(LESSONS[0].source.read_text().replace("A microservice", "One microservice").replace("pod", "pot"))
    assert not in_step(Lesson("01_x", path, LESSONS[0].notebook))
    assert not in_step(Lesson("01_x", path, path.with_suffix(".ipynb")))

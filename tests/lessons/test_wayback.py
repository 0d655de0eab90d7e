"""A way back: what leads to each section of each lesson, and what a missing name says."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LessonError
from labkit.lessons import catch_up, wayback
from labkit.lessons.files import course_folder
from labkit.lessons.outline import Outline, outline
from labkit.lessons.steps import leading_to, missing_at
from labkit.mesh import Mesh

LESSONS = [path.name[:2] for path in sorted((course_folder() / "notebooks").glob("[0-9]*.ipynb"))]

CELLS = [
    ("markdown", "# 3 · A lesson\n\n## Objectives\n", ()),
    ("code", 'backend = "embedded"\nscale = "small"', ("parameters",)),
    ("code", "start_lesson('03')\nmesh = open_mesh(backend)\nurl = 'u'", ()),
    ("markdown", "text\n\n## RANDOM\n\n```text\n# no heading\n```", ()),
    ("code", "low = 1\nmesh.apply('random')\ndrawn = mesh.curl(url)\nprint(drawn)", ()),
    ("code", "check.that(drawn, mesh.apply('of a check'))", ("check",)),
    ("markdown", "## LEAST_REQUEST and more", ()),
    ("code", "def weigh(n, least=low):\n    mesh.apply(n + base)", ()),
    ("code", "base = slow()\nroll_out(weigh)\nwith gate() as held:\n    seen = held.x", ()),
    ("code", "mesh.apply('of a learner', wrong(", ("exercise",)),
    ("markdown", "## Recap", ()),
    ("code", "mesh.control('x')\ntask('03-1').check(mesh)", ("exercise", "check")),
    ("code", "print(seen)", ()),
]


@pytest.fixture
def there(tmp_path: Path) -> Outline:
    return outline("03", written(tmp_path / "03_load_balancing.ipynb"))


def written(path: Path) -> Path:
    cells = [
        {
            "cell_type": kind,
            "id": f"c{i}",
            "source": text.splitlines(keepends=True),
            "metadata": {"tags": tags},
        }
        for i, (kind, text, tags) in enumerate(CELLS)
    ]
    path.write_text(json.dumps({"cells": cells}))
    return path


def steps(there: Outline, section: str) -> list[str]:
    return [
        ast.unparse(step.node).splitlines()[0] for step in leading_to(there, there.starts(section))
    ]


def test_what_leads_to_a_section(there: Outline) -> None:
    assert there.sections == ("Objectives", "RANDOM", "LEAST_REQUEST and more", "Recap")
    opened = [
        "backend = 'embedded'",
        "scale = 'small'",
        "start_lesson('03')",
        "mesh = open_mesh(backend)",
        "url = 'u'",
    ]
    assert steps(there, "objectives") == []
    # what is drawn is not read again
    assert steps(there, "least request") == [*opened, "low = 1", "mesh.apply('random')"]
    assert steps(there, "RANDOM") == opened
    # what a function reads, what is handed to one that changes the mesh, what a block makes
    assert steps(there, "Recap") == [
        *opened,
        "low = 1",
        "mesh.apply('random')",
        "def weigh(n, least=low):",
        "base = slow()",
        "roll_out(weigh)",
        "with gate() as held:",
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [("r", "More than one section"), ("ejection", "No section"), ("", "No section")],
)
def test_a_section_that_is_not_there(there: Outline, asked: str, said: str) -> None:
    with pytest.raises(LessonError, match=f"{said} of lesson 3 .*\n.*RANDOM"):
        there.starts(asked)


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_is_missing_at_any_section(lesson: str) -> None:
    course = outline(lesson)
    assert len(course.sections) > 3
    lacking = {s: missing_at(course, course.starts(s)) for s in course.sections}
    assert not {section: names for section, names in lacking.items() if names}
    for cell in course.cells:
        assert cell.statements or not cell.text.strip() or cell.text.startswith("# Your turn"), cell


class FakeMesh:
    def __init__(self) -> None:
        self.did: list[str] = []

    def apply(self, what: str) -> None:
        if what == "refused":
            raise LessonError("It is refused", seen="line 3")
        self.did.append(what)

    def close(self) -> None:
        self.did.append("closed")


def test_it_runs_in_the_notebook_and_says_so(
    there: Outline, capsys: pytest.CaptureFixture[str]
) -> None:
    before = FakeMesh()
    names: dict[str, Any] = {
        "mesh": before,
        "open_mesh": lambda backend: chosen(backend),
        "start_lesson": str,
        "backend": "cluster",
        "scale": "big",
    }
    opened = FakeMesh()

    def chosen(backend: str) -> FakeMesh:
        assert backend == "cluster", "what was chosen in this kernel stays"
        return opened

    done = wayback.bring(there, there.starts("LEAST_REQUEST"), names)
    assert before.did == ["closed"]
    assert opened.did == ["random"]
    assert repr(done).startswith("Lesson 3 is where 'LEAST_REQUEST and more' begins")
    assert repr(done).endswith("Variables: low, mesh, url")
    assert capsys.readouterr().out == ""


def test_a_step_that_fails_is_named(there: Outline) -> None:
    broken = Outline(
        "03",
        tuple(
            type(c)(c.id, c.text.replace("'random'", "'refused'"), c.tags, c.section)
            for c in there.cells
        ),
    )
    names: dict[str, Any] = {"open_mesh": lambda _: FakeMesh(), "start_lesson": str}
    with pytest.raises(
        LessonError, match=r"'RANDOM' failed(?s:.*)mesh.apply.'refused'(?s:.*)line 3"
    ):
        wayback.bring(broken, broken.starts("LEAST"), names)


class TestWhichLesson:
    @pytest.fixture(autouse=True)
    def nothing_begun(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(wayback.SESSION, raising=False)
        monkeypatch.setattr(wayback, "_begun", "")

    def test_the_notebook_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(wayback.SESSION, str(written(tmp_path / "03_my-copy.ipynb")))
        found = wayback.this_lesson()
        assert found is not None
        assert found.sections[1] == "RANDOM"
        with pytest.raises(LessonError, match=r"which section(?s:.*)'RANDOM'(?s:.*)catch_up"):
            catch_up()

    def test_nobody_says(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        with pytest.raises(LessonError, match="which lesson"):
            catch_up("RANDOM")
        monkeypatch.setenv(wayback.SESSION, str(tmp_path / "Untitled.ipynb"))
        with pytest.raises(LessonError, match="which lesson"):
            catch_up("RANDOM")
        with pytest.raises(LessonError, match="no lesson '31'"):
            catch_up("RANDOM", lesson="31")

    def test_the_calling_cell_says(self, there: Outline, monkeypatch: pytest.MonkeyPatch) -> None:
        class Shell:
            def get_parent(self) -> dict[str, Any]:
                return {"metadata": {"cellId": "c8"}}

        monkeypatch.setattr(wayback, "shell", Shell)
        assert wayback.calling_section(there) == "LEAST_REQUEST and more"
        monkeypatch.setattr(wayback, "shell", lambda: None)
        assert wayback.calling_section(there) == ""


class TestAMissingName:
    @pytest.fixture
    def run(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Any:
        from IPython.core.interactiveshell import InteractiveShell

        monkeypatch.setenv(wayback.SESSION, str(written(tmp_path / "03_load_balancing.ipynb")))
        shell = InteractiveShell(user_ns={"Mesh": FakeMesh})
        shell.history_manager.enabled = False
        monkeypatch.setattr(wayback, "shell", lambda: shell)
        wayback.explain_missing_names()

        def run(text: str) -> str:
            shell.run_cell(text, store_history=True)
            return capsys.readouterr().out

        yield run
        shell.history_manager.end_session()

    def test_says_which_cell_to_run(self, run: Any) -> None:
        said = run(CELLS[4][1])
        assert said.splitlines() == [
            "NameError: 'mesh' has no value yet: a cell above was not run in this kernel",
            "  seen: it comes from the cell under 'Objectives' that has the line",
            "        mesh = open_mesh(backend)",
            "  next: run that cell first; or, after a restart of the kernel, in a new cell:",
            "        from labkit.lessons import catch_up; catch_up('RANDOM')",
        ]

    def test_says_it_of_a_function_and_of_a_new_cell(self, run: Any) -> None:
        said = run("print(drawn)")
        assert "the cell under 'RANDOM'" in said
        assert said.endswith("  next: run that cell first\n"), "where a new cell stands is unknown"
        run("mesh = Mesh()\ndef weigh(n):\n    mesh.apply(n + base)")
        said = run("weigh(1)")
        assert "'base' has no value yet" in said
        assert "base = slow()" in said

    @pytest.mark.parametrize("other", ["nonsense", "import json\njson.loads(nonsense)", "1 / 0"])
    def test_leaves_other_errors_as_they_are(self, run: Any, other: str) -> None:
        said = run(other)
        assert "Traceback" in said
        assert "has no value yet" not in said

    def test_leaves_a_librarys_errors_as_they_are(self, run: Any) -> None:
        run("exec('def inner(): return mesh', namespace := {})")
        said = run("namespace['inner']()")
        assert "Traceback" in said
        assert "has no value yet" not in said

    def test_an_outline_that_can_not_be_read_hides_nothing(self, run: Any) -> None:
        Path(os.environ[wayback.SESSION]).write_text("{")
        assert "name 'mesh' is not defined" in run("mesh")


@pytest.mark.embedded
def test_a_lesson_in_the_middle() -> None:
    """With a real mesh: its rule, and the run that a later section still compares with."""
    fifth = outline("05")
    names: dict[str, Any] = {}
    wayback.bring(fifth, fifth.starts("rule without effect"), names)
    mesh: Mesh = names["mesh"]
    try:
        rule = mesh.resource("DestinationRule", "hello-world-dr")
        assert rule.spec["trafficPolicy"]["loadBalancer"] == {"simple": "RANDOM"}
        assert names["user"] == {"x-forwarded-for": "10.1.0.7"}
        assert set(names["lost"].codes) == {200}
        assert "two_rules" not in names
    finally:
        mesh.close()


@pytest.mark.embedded
@pytest.mark.skipif(not os.environ.get("LABKIT_LONG"), reason="minutes; LABKIT_LONG=1 asks for it")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lesson", LESSONS)
def test_each_section_can_be_reached(lesson: str) -> None:
    """And the cells of that section run from there."""
    course = outline(lesson)
    for section in course.sections[1:-1]:
        names: dict[str, Any] = {}
        done = wayback.bring(course, course.starts(section), names)
        print(lesson, section, f"{done.seconds:.1f} s")
        try:
            for cell in course.cells[course.starts(section) :]:
                if cell.section == section:
                    exec(compile(cell.text, f"<{section}>", "exec"), names)
        finally:
            names["mesh"].close()

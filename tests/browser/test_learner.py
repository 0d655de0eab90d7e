"""A learner who runs cells alone, backwards, after a restart, and answers anything: each state ends
in a sentence that says what to do, never in Python's own words.

Real kernels and meshes; no browser, but as long as the suites of the browser.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.lessons.content.tasks import tasks_of
from labkit.lessons.notebook.sources import lessons
from labkit.lessons.outline import outline
from tests.notebooks.learner import Learner, alone, backwards, code_cells, learner, notebook_of

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

LESSONS = [lesson.name[:2] for lesson in lessons()]
EACH = pytest.mark.parametrize("lesson", LESSONS)

ANSWERS = ("", "...", "None", "''", "3", "[]", "{}", "object()", "print", "b'x'", "'kind: Nope'")
"""What somebody may give a check instead of an answer: nothing, and the wrong type of thing."""
KNOWN = {"02": {"urlopen("}, "06": {"mesh.stats("}, "11": {"assert not mesh.lint()"}}
"""Cells that end in Python's words where the mesh is open and the cells between were not run: they
call Python's own library, or assert without one. Shorter is better.
"""
REFUSED = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec: {host: hello-world, trafficPolicy: {loadBalancer: {simple: RANDM}}}
"""
NAMES = (
    'task("{short}-1")',
    'task("{lesson}-01")',
    'task("{lesson}_1")',
    'task("{short}.1")',
    'task("{lesson}-99")',
    'task("{lesson}")',
    "task({short})",
    "task(None)",
    'task("99-1")',
    'manifest("randm.yaml")',
    'manifest("03_load_balancing/randm.yaml")',
    "manifest(3)",
    'catch_up("nonsense")',
    "catch_up(99)",
    'catch_up("x", lesson=3)',
    'catch_up("x", lesson="three")',
)
"""Near misses of names, with the lesson's number."""


@EACH
def test_cells_alone_and_backwards(lesson: str, tmp_path: Path) -> None:
    notebook = notebook_of(lesson)
    cells = code_cells(notebook)
    with learner(notebook, tmp_path) as kernel:
        assert not alone(kernel, cells)
        assert not backwards(kernel, cells)


@EACH
def test_a_mesh_that_is_open_and_cells_backwards(lesson: str, tmp_path: Path) -> None:
    """The two cells that begin the lesson, and then the others from the last but one on."""
    notebook = notebook_of(lesson)
    first, second, *others, _ = code_cells(notebook)
    with learner(notebook, tmp_path) as kernel:
        for cell in (first, second):
            assert not kernel.run(cell).error
        replies = [(cell, kernel.run(cell)) for cell in reversed(others)]
    bare = {cell: reply.error for cell, reply in replies if reply.bare}
    known = KNOWN.get(lesson, set())
    assert not [(cell, said) for cell, said in bare.items() if not any(k in cell for k in known)]
    assert not [k for k in known if not any(k in cell for cell in bare)], "mended: take it out"


@EACH
def test_a_restart_in_the_middle_and_the_rest_unsolved(lesson: str, tmp_path: Path) -> None:
    """The rest runs; then come answers that are none, and names that are nearly right."""
    notebook = notebook_of(lesson)
    course = outline(lesson, notebook)
    middle = course.sections[len(course.sections) // 2]
    cells = code_cells(notebook)
    with learner(notebook, tmp_path) as kernel:
        for cell in cells[:2]:
            assert not kernel.run(cell).error
        kernel.restart()
        said = kernel.run(f"from labkit.lessons import catch_up; catch_up({middle!r})")
        assert f"is where {middle!r} begins" in said.text, said
        for cell in cells[course.starts(middle) : -1]:
            assert not (reply := kernel.run(cell)).error, f"{cell}\n{reply.error}"
        assert not odd_answers(kernel, lesson)
        refused = kernel.run(f"mesh.apply({REFUSED!r})")
        assert "did you mean `RANDOM`?" in refused.error
        assert not refused.bare
        names = {name.format(lesson=lesson, short=int(lesson)) for name in NAMES}
        names.discard(f'task("{lesson}-1")')  # from lesson 10 on that is its name
        kernel.run("from labkit.lessons import catch_up, manifest, task")
        replies = {name: kernel.run(name) for name in names}
        assert not {name: said for name, said in replies.items() if not said.advised}
        assert not [name for name, said in replies.items() if not said.error]
        assert not kernel.run(cells[-1]).error
        closed = kernel.run('mesh.curl("http://test.example.com/")')
        assert closed.error
        assert closed.advised


def odd_answers(kernel: Learner, lesson: str) -> dict[str, str]:
    """What was said badly of answers that are none."""
    badly = {}
    for id in tasks_of(lesson):
        for answer in ANSWERS:
            text = f"task({id!r}).check({answer})"
            reply = kernel.run(f"from labkit.lessons import task\n{text}")
            if reply.error or not reply.text.startswith("NOT YET  "):
                badly[text] = reply.error or reply.text
    return badly

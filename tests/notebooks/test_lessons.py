"""The lessons themselves, on real Envoys: by papermill with their solutions, and by nbval as they
are stored.
"""

from __future__ import annotations

import pytest

from labkit.cli import main
from labkit.lessons.notebook.sources import Lesson, lessons
from labkit.lessons.notebook.run import run_lesson

pytestmark = [pytest.mark.notebook, pytest.mark.embedded]


@pytest.mark.parametrize("lesson", lessons(), ids=lambda one: one.name)
def test_lesson_runs_with_its_solutions(lesson: Lesson) -> None:
    run = run_lesson(lesson, {"backend": "embedded", "scale": "small"})
    assert run.passed, run.failure
    assert run.verdicts
    assert all(line.startswith("PASS  ") for line in run.verdicts)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(3), ids="part{}".format)
def test_stored_verdicts_are_those_of_a_new_run(part: int) -> None:
    """In three parts, so that several workers can share them."""
    names = [lesson.name for lesson in lessons()][part::3]
    assert names
    with pytest.raises(SystemExit) as ended:
        main(["verify", *names])
    assert ended.value.code == 0

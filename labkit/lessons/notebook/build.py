"""Makes the notebook a learner opens: without the answers, and with the verdict lines that nbval
compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.errors import LessonError
from labkit.lessons.notebook.run import run_notebook, write
from labkit.lessons.notebook.sources import (
    Lesson,
    learner_copy,
    problems,
    read_source,
    tags_of,
    tidy,
    with_stable_ids,
)

if TYPE_CHECKING:
    from nbformat import NotebookNode


def build(lesson: Lesson) -> bool:
    """Makes the notebook of one lesson and says whether that changed anything.

    The copy without answers is run, so its verdicts are those of someone who has not begun with the
    exercises.

    >>> build(lessons("3")[0])
    False
    """
    fresh = learner_copy(read_source(lesson.source))
    found = list(problems(fresh))
    if found:
        raise LessonError(f"The source of {lesson.name} has the wrong form", seen="; ".join(found))
    run = run_notebook(lesson.name, fresh, lesson.notebook.parent, strict=False)
    if run.failure:
        raise LessonError(
            f"{lesson.name} stopped in cell {run.failure.cell}",
            seen=f"{run.failure.source}\n{run.failure.message}",
        )
    before = lesson.notebook.read_bytes() if lesson.notebook.exists() else b""
    write(with_stable_ids(tidy(run.notebook)), lesson.notebook)
    return lesson.notebook.read_bytes() != before


def in_step(lesson: Lesson) -> bool:
    """Whether the notebook has the cells of its source: the same text, tags and ids, answers left
    out.
    """
    import nbformat

    if not lesson.notebook.exists():
        return False
    stored = nbformat.read(lesson.notebook, as_version=4)  # type: ignore[no-untyped-call]
    return face(stored) == face(learner_copy(read_source(lesson.source)))


def face(notebook: NotebookNode) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """What a learner sees of the cells before running any."""
    return [
        (cell.cell_type, cell["id"], cell.source, tuple(tags_of(cell))) for cell in notebook.cells
    ]

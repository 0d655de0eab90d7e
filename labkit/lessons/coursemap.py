"""The course map: every lesson, how far the learner has come in it, and what is left to solve."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LessonError
from labkit.lessons import progress
from labkit.lessons.files import course_folder

if TYPE_CHECKING:
    import pandas as pd

DONE, STARTED, OPEN = "done", "started", "not started"
SIGNS = {DONE: "✔", STARTED: "◐", OPEN: "○"}

EXERCISE_ID = re.compile(r"""\b(?:Exercise|task)\(\s*(?:id=)?["'](\d\d-[^"']+)["']""")


@dataclass(frozen=True)
class LessonProgress:
    """One lesson on the map: how far the learner is in it. `state` is DONE, STARTED or OPEN;
    `solved` and `exercises` are ids of exercises.
    """

    number: str
    title: str
    notebook: str
    state: str
    solved: tuple[str, ...]
    exercises: tuple[str, ...]


@dataclass(frozen=True)
class CourseMap:
    """The lessons in order. Shows as a table; `frame` is the same for pandas.

    >>> course_map()
    ✔ 01  Installation                done
    ◐ 02  The first microservice      started, 1 of 2 exercises
    """

    lessons: tuple[LessonProgress, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """Columns lesson, title, state, solved, exercises (counts) and notebook (the name of its
        file).
        """
        import pandas as pd

        rows = [
            (
                lesson.number,
                lesson.title,
                lesson.state,
                len(lesson.solved),
                len(lesson.exercises),
                lesson.notebook,
            )
            for lesson in self.lessons
        ]
        return pd.DataFrame(
            rows, columns=["lesson", "title", "state", "solved", "exercises", "notebook"]
        )

    @property
    def next(self) -> LessonProgress | None:
        """The first lesson that is not done."""
        return next((lesson for lesson in self.lessons if lesson.state != DONE), None)

    def __repr__(self) -> str:
        width = max((len(lesson.title) for lesson in self.lessons), default=0)
        return "\n".join(
            f"{SIGNS[lesson.state]} {lesson.number}  {lesson.title:<{width}}  {_state_text(lesson)}"
            for lesson in self.lessons
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr><td><span "
            f"aria-hidden='true'>{SIGNS[lesson.state]}</span></td><td>{lesson.number}</td>"
            "<td style='text-align:left'><a "
            f"href='{html.escape(lesson.notebook)}'>{html.escape(lesson.title)}</a></td>"
            f"<td style='text-align:left'>{_state_text(lesson)}</td></tr>"
            for lesson in self.lessons
        )
        done = sum(lesson.state == DONE for lesson in self.lessons)
        return (
            f"<table><caption>{done} of {len(self.lessons)} lessons done</caption>"
            "<thead><tr><th></th><th>lesson</th><th style='text-align:left'>title</th>"
            f"<th style='text-align:left'>state</th></tr></thead><tbody>{rows}</tbody></table>"
        )


def course_map(folder: Path | None = None) -> CourseMap:
    """The map of the notebooks in a folder (the course's, unless given), with the learner's
    progress.

    A lesson is done when its last cell says so (`finish_lesson`) or all of its exercises are
    solved.
    """
    notebooks = folder or course_folder() / "notebooks"
    kept = progress.load()
    return CourseMap(
        tuple(_progress_in(path, kept) for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")))
    )


def _progress_in(path: Path, kept: progress.State) -> LessonProgress:
    title, exercises = _read_notebook(path)
    number = path.name[:2]
    entries: dict[str, Any] = kept["exercises"]
    solved = tuple(id for id in exercises if entries.get(id, {}).get("state") == "done")
    touched = [
        id
        for id, entry in entries.items()
        if id.startswith(f"{number}-") and set(entry) - {"state"}
    ]
    state = kept["lessons"].get(number, {}).get("state", OPEN)
    if state != DONE:
        if exercises and len(solved) == len(exercises):
            state = DONE
        elif touched or state == STARTED:
            state = STARTED
        else:
            state = OPEN
    return LessonProgress(
        number, title or path.stem[3:].replace("_", " "), path.name, state, solved, exercises
    )


def _read_notebook(path: Path) -> tuple[str, tuple[str, ...]]:
    """The first heading, and the ids of the exercises. Plain JSON: nbformat takes
    a while to load.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise LessonError(
            f"{path.name} is not a notebook", seen=str(error), try_next="labkit build"
        ) from error
    lines = [line for kind, text in sources if kind == "markdown" for line in text.splitlines()]
    title = next((line[2:].strip() for line in lines if line.startswith("# ")), "")
    # "03 · Load balancing" and "Lesson 3: Load balancing" both have the number already
    title = re.sub(r"^(?:lesson\s+)?\d+\s*[.:·–—-]*\s*", "", title, flags=re.IGNORECASE)
    ids = [id for kind, text in sources if kind == "code" for id in EXERCISE_ID.findall(text)]
    return title, tuple(dict.fromkeys(ids))


def _state_text(lesson: LessonProgress) -> str:
    if not lesson.exercises:
        return lesson.state
    return (
        f"{lesson.state}, {len(lesson.solved)} of {len(lesson.exercises)} "
        f"exercise{'s' if len(lesson.exercises) > 1 else ''}"
    )

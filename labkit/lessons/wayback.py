"""A way back into a lesson: after a restart of the kernel, and where a cell was left out.

    catch_up("LEAST_REQUEST")     # mesh, manifests and variables as they are where that begins

A name that is missing is explained by the lesson itself: which cell makes it, and how to catch up.
IPython calls that for each NameError of a cell, once a lesson was begun; `labkit lab` arranges it
for a new kernel as well.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import sys
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from labkit.errors import LabkitError, LessonError
from labkit.lessons import progress
from labkit.lessons.outline import Cell, Outline, Statement, outline
from labkit.lessons.steps import leading_to

SESSION = "JPY_SESSION_NAME"
"""Where Jupyter's server tells a kernel which notebook it runs."""
_begun = ""
"""The lesson that was begun last in this process."""


@dataclass(frozen=True)
class CaughtUp:
    """What `catch_up` did."""

    lesson: str
    section: str
    names: tuple[str, ...]
    seconds: float

    def __repr__(self) -> str:
        return (
            f"Lesson {int(self.lesson)} is where {self.section!r} begins (this took "
            f"{self.seconds:.1f} s). Go on with the cells of that section.\n"
            f"Variables: {', '.join(self.names)}"
        )


def start_lesson(lesson: str) -> None:
    """Notes that a lesson was begun: one that is done stays done. From now on a name that is
    missing is explained.

    >>> start_lesson("03")
    """
    global _begun
    progress.start_lesson(lesson)
    _begun = str(lesson).zfill(2)
    explain_missing_names()


def catch_up(section: str = "", *, lesson: str = "") -> CaughtUp:
    """Brings the mesh, its manifests and the lesson's variables to where a section begins: after a
    restart of the kernel, or to begin that section anew.

    `section` is a heading, or a part of one; without it, the section of the cell that calls this.
    The lesson is that of the notebook. A mesh that is open is closed, and opened anew. Raises
    LessonError for a section that is not there, and for a step that fails.

    >>> catch_up("LEAST_REQUEST")
    Lesson 3 is where 'LEAST_REQUEST' begins (this took 1.9 s). Go on with …
    """
    there = this_lesson(lesson)
    if there is None:
        raise LessonError(
            "Can't tell which lesson to catch up with",
            seen="neither the notebook's name nor start_lesson(…) said",
            try_next='catch_up("…", lesson="03")',
        )
    section = section or calling_section(there)
    if not section:
        raise LessonError(
            f"Catch up to which section of lesson {int(there.lesson)}?",
            seen=f"its sections: {', '.join(map(repr, there.sections))}",
            try_next=f"catch_up({there.sections[-2]!r})",
        )
    return bring(there, there.starts(section), variables())


def bring(there: Outline, start: int, names: MutableMapping[str, Any]) -> CaughtUp:
    """Runs what leads to the cell with the number `start`, with these variables."""
    began = time.monotonic()
    if (mesh := names.get("mesh")) is not None:
        mesh.close()
    made: set[str] = set()
    for step in leading_to(there, start):
        if "parameters" in step.cell.tags and step.makes <= names.keys():
            continue  # chosen in this kernel already, and perhaps otherwise
        run(there, step, names)
        made |= step.makes
    shown = sorted(name for name in made & names.keys() if is_value(names[name]))
    return CaughtUp(
        there.lesson, there.cells[start].section, tuple(shown), time.monotonic() - began
    )


def is_value(thing: Any) -> bool:
    """Whether it is worth naming: no module and no function."""
    return not isinstance(thing, ModuleType) and not callable(thing)


def run(there: Outline, step: Statement, names: MutableMapping[str, Any]) -> None:
    """Runs one statement; what it prints was read when the cell ran first."""
    code = compile(ast.Module([step.node], []), f"<lesson {there.lesson}>", "exec")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, names)  # type: ignore[arg-type]
    except Exception as error:
        raise LessonError(
            f"Can't catch up: a step in {step.cell.section!r} failed",
            seen=f"{ast.unparse(step.node)}\n{type(error).__name__}: {error}",
            try_next="choose Kernel > Restart Kernel, and run the cells from the top",
        ) from error


# what Jupyter tells


def shell() -> Any:
    """The IPython that runs this, None where there is none."""
    running = sys.modules.get("IPython")  # where nobody has imported it, it does not run
    return running.get_ipython() if running is not None else None


def variables() -> dict[str, Any]:
    """The variables of the notebook."""
    import __main__

    found: dict[str, Any] = shell().user_ns if shell() else vars(__main__)
    return found


def this_lesson(lesson: str = "") -> Outline | None:
    """The lesson named, or that of the notebook, or the one begun last; None where nothing tells.

    A copy of a notebook under a name that begins with its number is as good as the notebook.
    """
    session = Path(os.environ.get(SESSION, ""))
    number = re.match(r"\d\d(?=_)", session.name)
    if number and session.is_file() and lesson in ("", number[0]):
        return outline(number[0], session)
    return outline(lesson or _begun) if lesson or _begun else None


def calling_section(there: Outline) -> str:
    """The section of the cell that runs, where the notebook was saved with it; "" where unknown."""
    parent: dict[str, Any] = getattr(shell(), "get_parent", dict)()
    asked = parent.get("metadata", {}).get("cellId")
    return next((cell.section for cell in there.cells if asked and cell.id == asked), "")


# names that are missing


def explain_missing_names() -> None:
    """Has IPython explain a NameError by the lesson; without IPython nothing is done."""
    if (ipython := shell()) is not None:
        ipython.set_custom_exc((NameError,), on_name_error)


def on_name_error(
    ipython: Any,
    kind: type[NameError],
    error: NameError,
    trace: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    """Shows a NameError of a notebook's own cell in words, where the lesson makes that name, and
    any other one as IPython does.
    """
    words = ""
    if trace is not None and of_notebook(trace, ipython.user_ns):
        # an explanation that can't be given must not hide the error itself
        with contextlib.suppress(LabkitError, OSError, ValueError, KeyError):
            there = this_lesson()
            cell = ipython.user_ns["In"][-1]
            words = missing(there, error.name or "", cell) if there else ""
    if words:
        error._render_traceback_ = lambda: words.splitlines()  # type: ignore[attr-defined]
    ipython.showtraceback((kind, error, trace), tb_offset=tb_offset)


def of_notebook(trace: TracebackType, names: dict[str, Any]) -> bool:
    """Whether an error arose in a cell, or in a function that a cell wrote down."""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals is names


def missing(there: Outline, name: str, text: str) -> str:
    """What to do about a name that a cell with this text needs; "" where the lesson never makes
    it.
    """
    here = there.number_of(text)
    maker = there.maker(name, here)
    if maker is None:
        return ""
    lines = [
        f"NameError: {name!r} has no value yet: a cell above was not run in this kernel",
        f"  seen: it comes from the cell under {maker.section!r} that has the line",
        f"        {line_of(maker, name)}",
        "  next: run that cell first",
    ]
    if here is not None and there.cells[here].section != there.sections[0]:
        lines[-1] += "; or, after a restart of the kernel, in a new cell:"
        back = f"catch_up({there.cells[here].section!r})"
        lines.append(f"        from labkit.lessons import catch_up; {back}")
    return "\n".join(lines)


def line_of(cell: Cell, name: str) -> str:
    """The line of a cell that makes a name."""
    node = next(s.node for s in cell.statements if name in s.makes)
    return cell.text.splitlines()[node.lineno - 1].strip()

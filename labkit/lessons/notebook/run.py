"""Runs lessons from top to bottom, each in a kernel of its own, and says how each went.

papermill puts the parameters in and runs the cells; what it only warns of, an unknown parameter, is
an error here. A lesson that fails does not stop the others: its `Run` says which cell failed and
what it said.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from labkit.errors import LessonError
from labkit.lessons.checks import recording
from labkit.lessons.notebook.sources import CHECKED, Lesson, read_source, tags_of, title_of

if TYPE_CHECKING:
    from nbformat import NotebookNode

CELL_TIMEOUT_S = 60
GRACE_S = 8.0
"""So long a kernel that was interrupted may take to close its mesh; then it is ended."""
SLOWER = {"cluster": 3}
"""By backend: a cluster starts pods in seconds where the embedded mesh starts
processes in tenths.
"""
T = TypeVar("T")
WITHOUT_DEBUGGER = (
    "import sys; sys.path[:] = filter(None, sys.path); sys.modules['debugpy'] = None; "
    "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
)
"""What starts a kernel that nobody debugs: loading the debugger takes a fifth of its start."""
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """The cell that failed: its number (from 0), its code, and what it said."""

    cell: int
    source: str
    message: str
    traceback: str = field(default="", repr=False)


@dataclass(frozen=True)
class Run:
    """How one lesson went."""

    lesson: str
    title: str
    seconds: float
    failure: Failure | None
    notebook: NotebookNode = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether every cell ran."""
        return self.failure is None

    @property
    def verdicts(self) -> list[str]:
        """The verdict lines of its checks, in order."""
        return [
            line for cell in self.notebook.cells if CHECKED in tags_of(cell) for line in texts(cell)
        ]


@dataclass(frozen=True)
class CellDone:
    """Progress: a cell of a lesson is done."""

    lesson: str
    cell: int
    cells: int


OnCell = Callable[[CellDone], None]


class Cancellation:
    """How to end lessons that are under way in other threads, when somebody presses Ctrl-C.

    Kernels are in sessions of their own, so that the terminal's Ctrl-C does not reach them.
    """

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.kernels: list[Any] = []  # their managers, as they start

    def signal(self, how: signal.Signals) -> None:
        """Interrupts the cells that run, or ends the kernels; no further cell begins."""
        self.asked.set()
        for kernel in self.kernels:
            process = getattr(kernel.provisioner, "process", None)
            if process is not None:
                # it ended meanwhile; Windows has no interrupt
                with contextlib.suppress(OSError, ValueError):
                    process.send_signal(how)


def run_lesson(
    lesson: Lesson | Path,
    parameters: Mapping[str, Any] | None = None,
    out: Path | None = None,
    *,
    on_cell: OnCell | None = None,
    strict: bool = True,
    record: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Run:
    """Runs one lesson with its solutions, or any notebook given by its path, and writes it executed
    to `out`.

    With `strict` a check that fails stops the lesson. Unknown parameters raise LessonError.

    >>> run_lesson(lessons("3")[0], {"seed": 7}, Path("build/03.ipynb")).verdicts
    """
    import nbformat

    name = lesson.name if isinstance(lesson, Lesson) else lesson.stem
    path = lesson.source if isinstance(lesson, Lesson) else lesson
    notebook = read_source(path) if path.suffix == ".py" else nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    reject_unknown(notebook, parameters or {}, name)
    folder = path.parent.parent if path.parent.name == "source" else path.parent
    run = run_notebook(
        name,
        notebook,
        folder,
        parameters,
        on_cell=on_cell,
        strict=strict,
        record=record,
        cancellation=cancellation,
    )
    if out:
        write(run.notebook, out)
    return run


def run_notebook(
    name: str,
    notebook: NotebookNode,
    folder: Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    on_cell: OnCell | None = None,
    strict: bool = True,
    record: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Run:
    """Runs the cells of a notebook in a new kernel that works in `folder`.

    Without `strict` it is run as by someone who has just begun: an open exercise says NOT YET.
    Either way nobody's progress or files are read or written. What its checks looked at goes to the
    file `record` (see recording.py).
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    notebook = papermill.execute_notebook(notebook, None, dict(parameters or {}), prepare_only=True)
    reached: list[Any] = []

    def started(cell: Any, cell_index: int, **_: Any) -> None:
        if cancellation is not None and cancellation.asked.is_set():
            raise KeyboardInterrupt
        reached.append(cell)
        if on_cell:
            on_cell(CellDone(name, cell_index + 1, len(notebook.cells)))

    failure = None
    began = time.monotonic()
    scratch = tempfile.TemporaryDirectory(prefix="labkit-run-")
    variables = {
        "LABKIT_STRICT": "1" if strict else "",
        recording.VARIABLE: str(record.resolve()) if record else "",
        "LABKIT_PROGRESS": "" if strict else str(Path(scratch.name) / "progress.json"),
        "LABKIT_MINE": str(Path(scratch.name) / "mine"),
    }
    try:
        # The kernel's folder goes in `resources`, not in papermill's `cwd`: that one moves the
        # whole process, and another lesson may be running in it.
        notebook = with_own_loop(
            papermill.execute_notebook,
            notebook,
            None,
            progress_bar=False,
            request_save_on_cell_execute=False,
            # a page without scripts shows what a panel says as HTML instead
            store_widget_state=False,
            execution_timeout=CELL_TIMEOUT_S
            * SLOWER.get(str((parameters or {}).get("backend")), 1),
            resources={"metadata": {"path": str(folder)}},
            on_cell_start=started,
            # kernels speak to us by messages, not on the terminal
            extra_arguments=["--log-level=CRITICAL"],
            kernel_manager_class=kernel_with(variables, cancellation),
        )
    except papermill.PapermillExecutionError as error:
        trace = plain("\n".join(error.traceback))
        failure = Failure(error.cell_index, error.source, f"{error.ename}: {error.evalue}", trace)
    except (CellTimeoutError, DeadKernelError, RuntimeError) as error:
        source = reached[-1].source if reached else ""
        failure = Failure(max(0, len(reached) - 1), source, f"{type(error).__name__}: {error}")
    finally:
        scratch.cleanup()
    if failure:  # papermill raises instead of returning, so what ran is put back by hand
        notebook.cells[: len(reached)] = reached
    return Run(name, title_of(notebook), time.monotonic() - began, failure, notebook)


def run_lessons(
    chosen: Sequence[Lesson],
    parameters: Mapping[str, Any] | None = None,
    out: Path | None = None,
    *,
    jobs: int = 1,
    on_cell: OnCell | None = None,
    on_done: Callable[[Run], None] | None = None,
) -> list[Run]:
    """Runs lessons, `jobs` at a time, and returns their runs in the order of `chosen`."""
    if not chosen:
        raise LessonError("There is no lesson to run", try_next="labkit build")

    cancellation = Cancellation()

    def one(lesson: Lesson) -> Run:
        notebook = out / f"{lesson.name}.ipynb" if out else None
        run = run_lesson(lesson, parameters, notebook, on_cell=on_cell, cancellation=cancellation)
        if on_done and not cancellation.asked.is_set():
            on_done(run)
        return run

    for lesson in chosen:  # before the first starts, so that a typing error costs no time
        reject_unknown(read_source(lesson.source), dict(parameters or {}), lesson.name)
    # In a thread also where one runs at a time: in this one Ctrl-C would break off the loop that
    # talks to the kernel.
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        runs = [pool.submit(one, lesson) for lesson in chosen]
        try:
            return [run.result() for run in runs]
        except BaseException:  # Ctrl-C, say: those that have not started shall not start any more
            pool.shutdown(wait=False, cancel_futures=True)
            try:
                cancellation.signal(signal.SIGINT)  # so that a lesson closes its mesh
                wait([run for run in runs if not run.cancelled()], GRACE_S)
            finally:
                cancellation.signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
            raise


def reject_unknown(notebook: NotebookNode, parameters: Mapping[str, Any], name: str) -> None:
    """Raises LessonError for a parameter that the lesson's parameters cell does not set."""
    import papermill

    known = sorted(papermill.inspect_notebook(notebook))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise LessonError(
            f"Lesson {name} has no parameter {', '.join(map(repr, unknown))}",
            seen=f"its parameters: {', '.join(known) or 'none'}",
            try_next="use one of those",
        )


def with_own_loop(act: Callable[..., T], *args: Any, **options: Any) -> T:
    """Calls `act` and closes the event loop that Jupyter's libraries make for it and leave open."""
    from jupyter_core.utils import ensure_event_loop

    def inside() -> T:
        try:
            return act(*args, **options)
        finally:
            ensure_event_loop().close()
            asyncio.set_event_loop(None)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # They keep the loop in a context variable, so in an empty context they make a new one.
        return contextvars.Context().run(inside)
    return act(*args, **options)  # called from a notebook, whose loop is not ours to close


def kernel_with(variables: Mapping[str, str], cancellation: Cancellation | None = None) -> type:
    """A kernel manager whose kernels have these environment variables; the process itself keeps its
    own.
    """
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        async def _async_start_kernel(self, **options: Any) -> None:
            options["env"] = {**os.environ, **options.get("env", {}), **variables}
            await super()._async_start_kernel(**options)
            if cancellation is not None:
                cancellation.kernels.append(self)

        start_kernel = _async_start_kernel

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            words: list[str] = super().format_kernel_cmd(extra_arguments)
            if "ipykernel_launcher" in words:
                at = words.index("ipykernel_launcher")
                words[at - 1 : at + 1] = ["-c", WITHOUT_DEBUGGER]
            return words

    return Manager


def texts(cell: Any) -> list[str]:
    """The plain-text outputs of a cell, a line each."""
    found = []
    for output in cell.get("outputs", []):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        found += [line for line in plain(text).splitlines() if line.strip()]
    return found


def plain(text: str) -> str:
    """Without the codes that colour a terminal."""
    return COLOUR_CODES.sub("", text)


def write(notebook: NotebookNode, path: Path) -> None:
    """Writes a notebook, with its folders."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    path.write_text(text + "\n", encoding="utf-8")

"""A learner's kernel: cells run one at a time, as JupyterLab would run them, and what they said."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.lessons.files import course_folder
from labkit.lessons.notebook.run import COLOUR_CODES, WITHOUT_DEBUGGER

STARTUP = (
    Path(__file__).parents[2].joinpath("labkit/cli/jupyter/startup.py").read_text(encoding="utf-8")
)
CELL_S = 60


@dataclass(frozen=True)
class Reply:
    """What one cell said: all its text, and its error as a learner reads it ("" where it ran)."""

    text: str
    error: str = ""

    @property
    def bare(self) -> bool:
        """Whether it ended in Python's words: a traceback, where a sentence should be."""
        return "Traceback (most recent call last)" in self.error

    @property
    def advised(self) -> bool:
        """Whether it ran, or says what to do."""
        return not self.error or (not self.bare and "\n  next: " in self.error)


class Learner:
    """One kernel that `labkit lab` would have started for a notebook."""

    def __init__(self, notebook: Path, scratch: Path) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager()
        self._manager.kernel_spec.argv[1:3] = ["-c", WITHOUT_DEBUGGER]
        self._start = {
            "cwd": str(notebook.parent),
            "env": {
                **os.environ,
                "JPY_SESSION_NAME": str(notebook),
                "LABKIT_STRICT": "",
                "LABKIT_PROGRESS": str(scratch / "progress.json"),
                "LABKIT_MINE": str(scratch / "mine"),
            },
        }
        self._manager.start_kernel(**self._start)
        self._connect()

    def _connect(self) -> None:
        self._client: Any = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=CELL_S)
        assert not self.run(STARTUP).error

    def run(self, text: str) -> Reply:
        """Runs one cell."""
        asked = self._client.execute(text)
        said, error = [], ""
        until = time.monotonic() + CELL_S
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=until - time.monotonic())
            except queue.Empty:
                raise TimeoutError(f"no end after {CELL_S} s: {text}") from None
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                said.append(content["text"])
            elif kind in ("execute_result", "display_data"):
                said.append(content["data"].get("text/plain", ""))
            elif kind == "error":
                error = COLOUR_CODES.sub("", "\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return Reply("\n".join(said), error)

    def forget(self) -> None:
        """As a new kernel, with no variable; what was imported stays in memory."""
        assert not self.run("get_ipython().reset(new_session=False)").error

    def restart(self) -> None:
        """Kernel > Restart Kernel."""
        self._client.stop_channels()
        self._manager.restart_kernel(**self._start)
        self._connect()

    def close(self) -> None:
        """Ends the kernel, and its mesh with it."""
        self.run("globals().get('mesh') and mesh.close()")
        self._client.stop_channels()
        self._manager.shutdown_kernel()


@contextlib.contextmanager
def learner(notebook: Path, scratch: Path) -> Iterator[Learner]:
    one = Learner(notebook, scratch)
    try:
        yield one
    finally:
        one.close()


def code_cells(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def notebook_of(lesson: str) -> Path:
    return next(course_folder().joinpath("notebooks").glob(f"{lesson}_*.ipynb")).resolve()


def alone(kernel: Learner, cells: list[str]) -> list[str]:
    """Each cell as the first one of a kernel: what was said without advice."""
    said = []
    for cell in cells:
        kernel.forget()
        reply = kernel.run(cell)
        if not reply.advised:
            said.append(f"{cell}\n{reply.error}")
    return said


def backwards(kernel: Learner, cells: list[str]) -> list[str]:
    """The cells from the last to the first, in one kernel: what was said without advice."""
    kernel.forget()
    replies = [(cell, kernel.run(cell)) for cell in reversed(cells)]
    return [f"{cell}\n{reply.error}" for cell, reply in replies if not reply.advised]

"""A learner's progress: one JSON file that survives kernels, crashes and two notebooks at once.

Every change takes a lock, reads the file as it is now, changes it and moves a new file into place.
So two kernels never undo each other's work, and a crash leaves the old file or the new one, never
half of one. A file that can't be read is set aside under another name, not overwritten.

The file is LABKIT_PROGRESS, or `progress.json` in the folder where the system keeps such data
(~/.local/share/labkit on Linux). Solutions that CI runs are not a learner's work: with
LABKIT_STRICT=1 nothing is kept, unless LABKIT_PROGRESS is set as well.

Where the file can't be read, locked or written (a home that is read-only, a network folder without
locks, a full disk) that is said once, and progress is kept in memory: a course must not stop for
it.

sqlite3 would do the locking for us; a JSON file can be read, mended and mailed by anybody. filelock
would do it too, for one more dependency in place of the twenty lines below.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labkit.errors import LessonError
from labkit.waiting import wait_until

VERSION = 1
SECTIONS = ("lessons", "exercises", "predictions", "drafts")
LOCK_TIMEOUT_S = 10.0

State = dict[str, Any]

in_memory: dict[Path, State] = {}
"""What is kept here since its file could not be."""


def strict() -> bool:
    """Are solutions being run, so that an exercise that is not solved is an error?
    (LABKIT_STRICT=1)
    """
    return os.environ.get("LABKIT_STRICT", "") not in ("", "0")


def progress_file() -> Path | None:
    """Where progress is kept; None when it is not kept at all."""
    if named := os.environ.get("LABKIT_PROGRESS"):
        return Path(named).expanduser()
    if strict():
        return None
    import platformdirs  # comes with jupyter_core

    return Path(platformdirs.user_data_path("labkit", appauthor=False)) / "progress.json"


def lasts() -> bool:
    """Whether what is kept outlives this process, as far as is known."""
    path = progress_file()
    return path is not None and path not in in_memory


def load() -> State:
    """What is kept: {"version", "lessons", "exercises", "predictions", "drafts"}, each a dict by
    id.
    """
    path = progress_file()
    if path is None:
        return _empty()
    try:
        if path not in in_memory:
            if not path.exists():
                return _empty()
            with locked(path):
                return _read(path)
    except OSError as error:
        _give_up(path, error)
    return copy.deepcopy(in_memory[path])


def update(change: Callable[[State], None]) -> State:
    """Changes what is kept, all of it or nothing, and returns it.

    >>> update(lambda state: state["lessons"].setdefault("03", {}).update(state="done"))
    """
    path = progress_file()
    if path is None:
        state = _empty()
        change(state)
        return state
    try:
        if path not in in_memory:
            with locked(path):
                state = _read(path)
                change(state)
                _write(path, state)
            return state
    except OSError as error:
        _give_up(path, error)
    change(in_memory[path])
    return copy.deepcopy(in_memory[path])


def record(section: str, key: str, **fields: Any) -> dict[str, Any]:
    """Adds fields to one entry, and returns the entry.

    >>> record("exercises", "03-slow-pod", state="done")
    """

    def change(state: State) -> None:
        entry = state[section].setdefault(key, {})
        entry.update(fields)
        entry["at"] = now()

    return dict(update(change)[section][key])


def entry(section: str, key: str) -> dict[str, Any]:
    """One entry, {} when there is none."""
    found = load()[section].get(key, {})
    return dict(found) if isinstance(found, dict) else {}


def start_lesson(lesson: str) -> None:
    """Notes that a lesson was opened; one that is done stays done.

    >>> start_lesson("03")
    """
    number = str(lesson).zfill(2)  # 3 and "3" mean "03"
    update(lambda state: state["lessons"].setdefault(number, {"state": "started", "at": now()}))


def finish_lesson(lesson: str) -> None:
    """Notes that a lesson was worked through to its end."""
    record("lessons", str(lesson).zfill(2), state="done")


def keep(name: str, text: str) -> None:
    """Keeps a draft: a manifest one is working on, say. It survives a restart of the kernel.

    >>> keep("03-slow-pod", yaml)
    """
    record("drafts", name, text=text)


def kept(name: str, default: str = "") -> str:
    """The draft kept under this name.

    >>> kept("03-slow-pod", default=manifest_text)
    """
    return str(entry("drafts", name).get("text", default))


def forget() -> None:
    """Begins again. What was kept so far is set aside beside the file, not deleted."""
    path = progress_file()
    if path is None:
        return
    try:
        if path not in in_memory and path.exists():
            with locked(path):
                _set_aside(path, "before")
    except OSError as error:
        _give_up(path, error)
    if path in in_memory:
        in_memory[path] = _empty()


def now() -> str:
    """The time as it stands in the file: 2031-05-01T12:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock of a file (PATH.lock), which the system lets go of when its holder ends,
    however it ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(path.name + ".lock"), "ab") as lock:
        wait_until(
            lambda: _try_lock(lock.fileno()),
            LOCK_TIMEOUT_S,
            f"another notebook to release {path.name}",
        )
        try:
            yield
        finally:
            _unlock(lock.fileno())


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: int) -> bool:
        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def _give_up(path: Path, error: OSError) -> None:
    """From now on this file's progress is kept in memory. Says so, and what to do."""
    state = _empty()
    with contextlib.suppress(OSError):
        state = _read(path)
    in_memory[path] = state
    sys.stderr.write(
        f"Your progress can't be saved in {path} ({error.strerror or error}). Everything works, "
        "but your progress is lost when the kernel ends. To keep it, set LABKIT_PROGRESS to a "
        "writable file on a local disk, and restart JupyterLab.\n"
    )


def _empty() -> State:
    return {"version": VERSION, **{section: {} for section in SECTIONS}}


def _read(path: Path) -> State:
    """The file as it is; a damaged one is set aside, and one of a newer labkit is left alone."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _empty()
    except ValueError:  # not UTF-8, or not JSON
        state = None
    if not isinstance(state, dict) or not all(
        isinstance(state.get(section, {}), dict) for section in SECTIONS
    ):
        aside = _set_aside(path, "damaged")
        sys.stderr.write(
            f"Your progress could not be read. The file is now {aside}, and a new one was "
            "started.\n"
        )
        return _empty()
    if state.get("version", VERSION) != VERSION:
        raise LessonError(
            "Your progress was saved by another version of labkit",
            seen=f"version {state['version']} in {path}, this is {VERSION}",
            try_next="update labkit, or set LABKIT_PROGRESS to another file",
        )
    # other keys are somebody's: keep them
    return {**_empty(), **state}


def _write(path: Path, state: State) -> None:
    """Writes beside the file and moves into place; a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    try:
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(state, file, ensure_ascii=False, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _set_aside(path: Path, why: str) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    aside = path.with_name(f"{path.name}.{why}-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{why}-{stamp}-{number}")
    os.replace(path, aside)
    return aside

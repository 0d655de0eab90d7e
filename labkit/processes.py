"""A family of processes that ends with its owner, even when the owner is killed without warning.

All members are in one process group, led by a small keeper process that reads a pipe from the
owner. When the owner ends, however it ends, the operating system closes the pipe; the keeper then
ends the whole group and removes the folder of its state. (Linux has PR_SET_PDEATHSIG for this, but
it acts when the *thread* that started a process ends, macOS has nothing like it, and Envoy reads
neither.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from labkit.waiting import wait_until

# What the keeper runs. Only built-in modules and `os`: it must start in a few milliseconds and stay
# small.
KEEPER = """
import os, signal, sys
for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
while os.read(0, 64):
    pass
def remove(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            remove(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(folder)
try:
    os.killpg(0, signal.SIGTERM)
    remove(sys.argv[1])
finally:
    os.killpg(0, signal.SIGKILL)
"""


FAMILIES: weakref.WeakSet[Family] = weakref.WeakSet()


class Family:
    """Starts processes that end with this one, and keeps their logs in `folder`.

    >>> with Family(folder) as family:
    ...     family.start("gateway", ["envoy", "-c", "bootstrap.json"], log=folder / "gateway.log")
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owner = os.getpid()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.members: dict[str, subprocess.Popen[bytes]] = {}
        self.lock = threading.Lock()
        self.closed = False
        self.keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", KEEPER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        self.group = self.keeper.pid
        FAMILIES.add(self)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts one member; both of its output streams are appended to the file `log`."""
        with self.lock, open(log, "ab") as out:
            if self.closed:
                raise RuntimeError("This family of processes has been closed")
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                process_group=self.group,
            )
            if (
                self.keeper.poll() is not None
            ):  # ended from outside meanwhile, and this one would be left over
                end(process, 0)
                raise ProcessLookupError("This family of processes was ended from outside")
            self.members[name] = process
            return process

    @property
    def mine(self) -> bool:
        """Whether this process made it: one that was forked from its owner has a copy, and must not
        end it.
        """
        return os.getpid() == self.owner

    @property
    def lost(self) -> bool:
        """Whether the keeper is gone: somebody ended this family from outside (`labkit down`)."""
        return self.closed or self.keeper.poll() is not None

    def stop(self, name: str, *, grace_s: float = 1.0) -> None:
        """Asks one member to end, and ends it after `grace_s` seconds; returns
        when it has ended.
        """
        with self.lock:
            process = self.members.pop(name, None)
        if process is not None:
            end(process, grace_s)

    def close(self) -> None:
        """Ends every member and the keeper, and removes the folder; a second call does nothing."""
        if not self.mine:
            return
        with self.lock:
            if self.closed:
                return
            self.closed = True
            members = list(self.members.values())
            self.members.clear()
        # At once: nothing of theirs is worth a wait, their folder goes too. The keeper is of the
        # group, and until it is waited for no other group can get its number.
        if self.keeper.poll() is None:
            os.killpg(self.group, signal.SIGKILL)
        for process in (*members, self.keeper):
            process.kill()
            process.wait()
        if self.keeper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.keeper.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def let_go() -> None:
    """In a process that was just forked: its copies of the pipes would keep alive what their owner
    has left.
    """
    for family in FAMILIES:
        if family.keeper.stdin is not None:
            family.keeper.stdin.close()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=let_go)


def end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """SIGTERM, then SIGKILL after `grace_s` seconds."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_group(group: int, *, timeout_s: float = 5.0) -> None:
    """Ends a process group that another process started."""

    def gone() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        return not group_members(group)

    wait_until(gone, timeout_s, f"process group {group} to end")


def group_members(group: int) -> list[psutil.Process]:
    """The living processes of a group; one that has ended and waits to be
    noticed does not count.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return found


def tail(path: Path, *, lines: int = 20, limit: int = 8192) -> str:
    """The last lines of a log file, for the text of an error; "" when there is no such file."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""

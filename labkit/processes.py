"""A family of processes that ends with its owner, even when the owner is killed without warning.

All members are in one process group, led by a small keeper process that reads a pipe from the
owner. When the owner ends, however it ends, the operating system closes the pipe; the keeper then
ends the whole group and removes the folder of its state.

The keeper may be killed as well. While the owner lives, it notices and ends the members itself. For
both at once there is Linux's PR_SET_PDEATHSIG, set by util-linux's `setpriv` on its way to the
member's own program: the kernel kills the member when the *thread* that started it ends, so that
all are started by one thread, which lives as long as the owner. (In its first milliseconds a member
is not bound yet.) macOS has nothing like it, nor has a Linux without `setpriv`: there, members
outlive an owner and a keeper that are killed at once, and `labkit down` ends them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

import psutil

from labkit.waiting import wait_until

Popen = subprocess.Popen[bytes]

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


PDEATHSIG = ("--pdeathsig", "KILL", "--")

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
        try:
            self.keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", KEEPER, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError:  # no more processes, or files: to look into the folder would need one
            with contextlib.suppress(OSError):
                folder.rmdir()
            raise
        self.group = self.keeper.pid
        self.abandoned = False  # the keeper was killed, and the owner has ended the members
        try:
            self.spawner = Spawner(self)
        except OSError:
            if self.keeper.stdin is not None:
                self.keeper.stdin.close()  # it removes the folder, and ends
            self.keeper.wait()
            raise
        FAMILIES.add(self)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ended: Callable[[], object] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts one member; both of its output streams are appended to the file `log`.

        `ended` is called at once when it has ended, from another thread and where the system can
        tell (see TELLS_OF_ENDS).
        """
        with self.lock, open(log, "ab") as out:
            if self.closed or not self.mine:
                raise RuntimeError("This family of processes has been closed")
            if self.keeper.poll() is not None:  # its group is gone, or soon will be
                raise ProcessLookupError("This family of processes was ended from outside")
            process = self.spawner.run(
                lambda: subprocess.Popen(
                    bound_to_owner(argv, env),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    cwd=cwd,
                    process_group=self.group,
                ),
                ended,
            )
            # ended from outside meanwhile, and this one would be left over
            if self.keeper.poll() is not None:
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

    def abandon(self) -> None:
        """Ends the members after somebody has killed the keeper: nobody else would end them when
        the owner is killed, and what says that they are gone must be true.

        Takes no lock: whoever starts a member holds it, and looks for the keeper afterwards.
        """
        self.abandoned = True
        for process in list(self.members.values()):
            process.kill()

    def stop(
        self, name: str, *, grace_s: float = 1.0, asks: signal.Signals = signal.SIGTERM
    ) -> None:
        """Asks one member to end, by the signal `asks`, and ends it after `grace_s` seconds;
        returns when it has ended.
        """
        with self.lock:
            process = self.members.pop(name, None)
        if process is not None:
            end(process, grace_s, asks)

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
        self.spawner.close()
        if self.keeper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.keeper.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Spawner:
    """The thread that starts a family's members and notices their ends, and the keeper's.

    It lives as long as the family or the owner: PR_SET_PDEATHSIG speaks of the thread.
    """

    def __init__(self, family: Family) -> None:
        self.family = weakref.ref(family)
        self.keeper = family.keeper
        self.wanted: queue.SimpleQueue[
            tuple[Callable[[], Popen], Callable[[], object] | None, Future[Popen]] | None
        ] = queue.SimpleQueue()
        self.told: dict[int, Callable[[], object]] = {}  # by the pidfd of a member
        self.woken, self.wake = os.pipe()
        self.thread = threading.Thread(target=self.loop, name="labkit spawner", daemon=True)
        self.thread.start()

    def run(self, start: Callable[[], Popen], ended: Callable[[], object] | None = None) -> Popen:
        """Starts a process in the thread; raises what `start` raises."""
        answer: Future[Popen] = Future()
        self.wanted.put((start, ended, answer))
        os.write(self.wake, b".")
        return answer.result()

    def close(self) -> None:
        self.wanted.put(None)
        os.write(self.wake, b".")
        self.thread.join()
        os.close(self.wake)

    def loop(self) -> None:
        opened = pidfd(self.keeper.pid)
        watched = [self.woken, *([] if opened is None else [opened])]
        try:
            while True:
                ready = readable([*watched, *self.told], None if opened else KEEPER_LOOK_S)
                for ended in self.told.keys() & ready:
                    os.close(ended)
                    self.told.pop(ended)()
                if self.woken in ready:
                    os.read(self.woken, 1)
                    if not self.answer():
                        return
                elif opened in ready or self.keeper.poll() is not None:
                    family = self.family()
                    if family is not None and not family.closed:
                        family.abandon()
                    watched = [self.woken]
                    if opened is None:
                        opened = -1  # known; no need to look again
        finally:
            os.close(self.woken)
            for file in (opened, *self.told):
                if file is not None and file >= 0:
                    os.close(file)

    def answer(self) -> bool:
        """Starts the one that is wanted; False when that is the end."""
        wanted = self.wanted.get()
        if wanted is None:
            return False
        start, ended, answer = wanted
        try:
            process = start()
        except BaseException as error:  # whoever asked gets it
            answer.set_exception(error)
        else:
            answer.set_result(process)
            file = None if ended is None else pidfd(process.pid)
            if ended is not None and file is not None:
                self.told[file] = ended
        return True


TELLS_OF_ENDS = hasattr(os, "pidfd_open")  # of processes
KEEPER_LOOK_S = 0.1  # where it does not


def readable(files: Iterable[int], timeout_s: float | None) -> set[int]:
    """Waits until at least one of the files can be read, or has ended; these are returned. As
    select.select, which takes no file beyond the 1024th.
    """
    poller = select.poll()
    for file in files:
        poller.register(file, select.POLLIN)
    return {file for file, _ in poller.poll(None if timeout_s is None else timeout_s * 1000)}


def pidfd(pid: int) -> int | None:
    """A file that becomes readable when a process ends; None where there is no such thing."""
    if not TELLS_OF_ENDS:
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # an old kernel, or no more files
        return None


@functools.cache
def setpriv() -> str | None:
    """util-linux's program that can bind a process to its parent; None elsewhere than on Linux."""
    return shutil.which("setpriv", path="/usr/bin:/bin") if sys.platform == "linux" else None


def bound_to_owner(argv: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    """A command that the kernel ends when the thread that started it ends, where it can."""
    program = setpriv()
    path = shutil.which(argv[0], path=None if env is None else env.get("PATH", os.defpath))
    # one that can't be found is left to Popen, which says so
    return list(argv) if program is None or path is None else [program, *PDEATHSIG, path, *argv[1:]]


def let_go() -> None:
    """In a process that was just forked: its copies of the pipes would keep alive what their owner
    has left.
    """
    for family in FAMILIES:
        if family.keeper.stdin is not None:
            family.keeper.stdin.close()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=let_go)


def end(
    process: subprocess.Popen[bytes], grace_s: float, asks: signal.Signals = signal.SIGTERM
) -> None:
    """A signal that asks a process to end, then SIGKILL after `grace_s` seconds."""
    if process.poll() is not None:
        return
    process.send_signal(asks)
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


def runs(process: psutil.Process) -> bool:
    """Whether a process still does something; one that has only not been waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def group_members(group: int) -> list[psutil.Process]:
    """The living processes of a group; one that has ended and waits to be
    noticed does not count.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and runs(process):
                found.append(process)
        except (ProcessLookupError, PermissionError):
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

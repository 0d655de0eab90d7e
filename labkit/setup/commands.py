"""Running the tools that a person would type: each command is shown, its progress follows, then the
time it took.

    $ minikube start --driver=docker --cpus=4 --memory=6144
        [ 1/19] Using the docker driver based on user configuration
        [ 8/19] Creating docker container (CPUs=4, Memory=6144MB) ...
      done after 41 s

No shell is involved: a command is a list of words. The tools are members of a family of processes
(processes.py), so they end with this one, however it ends: when somebody kills `labkit up`
half-way, no installer goes on behind the back of the `labkit down` that follows.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import MeshError
from labkit.processes import Family
from labkit.waiting import wait_until

ASK_TIMEOUT_S = 30.0
STOP_GRACE_S = 10.0
QUIET_S = 10.0  # after so many seconds without a word, a step says that it still runs


@dataclass(frozen=True)
class CommandResult:
    """What a command did: its exit code, what it wrote, and the seconds it took."""

    code: int
    output: str
    seconds: float
    errors: str = ""


def missing(program: str) -> MeshError:
    """The error that a program is not on the PATH."""
    return MeshError(f"There is no program {program!r} on the PATH", try_next="labkit doctor")


class Commands:
    """Runs commands one after another and shows them with `say`.

    >>> with Commands() as commands:
    ...     commands.run("minikube", "stop")
    $ minikube stop
      done after 11 s
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self.say = say
        self.family: Family | None = None
        self.count = 0
        self.watch: Callable[[], str] = str  # how far things are, asked while a tool is silent

    @property
    def folder(self) -> Path:
        """A folder for this user only; it goes with the steps, also when this process is killed."""
        return self.members().folder

    def members(self) -> Family:
        """The processes of the tools that were started; they end with this process."""
        if self.family is None:
            self.family = Family(Path(tempfile.mkdtemp(prefix="labkit-steps-")))
        return self.family

    def find(self, program: str) -> str | None:
        """Where a program is, or None."""
        return shutil.which(program)

    def note(self, text: str) -> None:
        """A line between the steps."""
        self.say(text)

    def ask(
        self,
        program: str,
        *words: str,
        timeout_s: float = ASK_TIMEOUT_S,
        env: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Runs a command that only reads, and shows nothing. Its exit code is the caller's to
        judge.
        """
        path = self.find(program)
        if path is None:
            raise missing(program)
        began = time.monotonic()
        try:
            found = subprocess.run(
                [path, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                env={**os.environ, **(env or {})},
            )
        except subprocess.TimeoutExpired as error:
            raise MeshError(
                f"{shlex.join([program, *words])} gave no answer within {timeout_s:g} s",
                try_next="run it yourself and see what it waits for",
            ) from error
        except OSError as error:
            raise MeshError(f"The program {path} can't be run", seen=str(error)) from error
        out, err = (stream.decode(errors="replace") for stream in (found.stdout, found.stderr))
        return CommandResult(found.returncode, out, time.monotonic() - began, err)

    def run(
        self,
        program: str,
        *words: str,
        hidden: Sequence[str] = (),
        progress: Callable[[str], str] = str.strip,
        explain: Callable[[CommandResult], MeshError] | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 900.0,
    ) -> CommandResult:
        """Runs a command and shows it; `hidden` are more words that a person would not type
        (--output=json, say), `env` is added to this process's own environment.

        `progress` makes a line to show of a line that the tool wrote, or "". While a tool is
        silent, `self.watch` says now and then how far things are. A command that fails raises what
        `explain` makes of it.
        """
        path = self.find(program)
        if path is None:
            raise missing(program)
        self.say(f"$ {shlex.join([program, *words])}")
        family = self.members()
        self.count += 1
        name = f"{self.count}-{program}"
        log = family.folder / f"{name}.log"
        began = time.monotonic()
        argv = [path, *words, *hidden]
        try:
            process = family.start(
                name, argv, log=log, env={**os.environ, **(env or {})}, cwd=Path.cwd()
            )
        except OSError as error:
            raise MeshError(f"The program {path} can't be run", seen=str(error)) from error
        follower = Follower(log, lambda line: self.show(progress(line)), self.watch, self.show)
        try:
            wait_until(
                lambda: follower.look() or process.poll() is not None,
                timeout_s,
                f"{shlex.join([program, *words])} to end",
                longest_s=0.1,
                explain=lambda: last_lines(log),
            )
        except BaseException:  # also Ctrl-C: nothing goes on unseen
            family.stop(name, grace_s=STOP_GRACE_S)
            raise
        follower.look()
        follower.finish()
        output = log.read_bytes().decode(errors="replace")
        done = CommandResult(process.returncode, output, time.monotonic() - began)
        if done.code != 0:
            self.say(f"  failed after {done.seconds:.0f} s")
            raise (explain or failed(program, words))(done)
        self.say(f"  done after {done.seconds:.0f} s")
        return done

    def show(self, line: str) -> None:
        """Shows a line of a tool's, indented; "" is none."""
        if line:
            self.say(f"    {line}")

    def close(self) -> None:
        """Ends what still runs, and removes the folder."""
        if self.family is not None:
            self.family.close()

    def __enter__(self) -> Commands:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Follower:
    """Reads a log as it grows, and says something when it does not."""

    def __init__(
        self,
        log: Path,
        line: Callable[[str], None],
        watch: Callable[[], str],
        say: Callable[[str], None],
    ) -> None:
        self.log, self.line, self.watch, self.say = log, line, watch, say
        self.offset = 0
        self.rest = b""
        self.began = self.heard = time.monotonic()
        self.last = ""

    def look(self) -> bool:
        """Passes on complete lines. Always False, so that it can stand in a condition."""
        with open(self.log, "rb") as file:
            file.seek(self.offset)
            new = file.read()
        now = time.monotonic()
        if new:
            self.offset += len(new)
            self.heard = now
            *lines, self.rest = (self.rest + new).split(b"\n")
            for raw in lines:
                self.pass_on(raw)
        elif now - self.heard > QUIET_S:
            self.heard = now
            state = self.watch()
            self.say(
                f"… {now - self.began:.0f} s"
                + (f": {state}" if state and state != self.last else "")
            )
            self.last = state
        return False

    def pass_on(self, raw: bytes) -> None:
        """One line, as a terminal would show it in the end."""
        # a tool may draw one line again and again: its last state counts
        self.line(raw.decode(errors="replace").rstrip("\r").rsplit("\r", 1)[-1])

    def finish(self) -> None:
        """The last line, which may have no end."""
        if self.rest:
            self.pass_on(self.rest)
            self.rest = b""


def failed(program: str, words: Sequence[str]) -> Callable[[CommandResult], MeshError]:
    """What is said of a command that failed when nobody knows better: its own last words."""

    def explain(done: CommandResult) -> MeshError:
        return MeshError(
            f"{shlex.join([program, *words])} failed with exit code {done.code}",
            seen=last_words(done.output.splitlines()),
        )

    return explain


def last_words(lines: Iterable[str], count: int = 8) -> str:
    """The last lines that say anything, `count` at most."""
    kept = [line.strip() for line in lines if line.strip()]
    return "\n".join(kept[-count:])


def last_lines(log: Path) -> str:
    """The last words in a log."""
    return last_words(log.read_text("utf-8", errors="replace").splitlines())

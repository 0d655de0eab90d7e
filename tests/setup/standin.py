"""Programs that stand in for real ones: they check the words they are called with, and replay what
was recorded.

A stand-in is a small script in a folder of its own that is put on the PATH. It reads its answers
from a file beside it: a list of {"args", "code", "out", "err"}, each used once and in any order, or
as often as asked with "again". Words that it has no answer for end with exit code 99 and are
written down, so that a test can't pass over them.

"hang": after its output the program waits to be ended, as a long step or a tunnel does;
"interrupted": a file that it makes when that is by SIGINT. "touch" and
"needs": a file that a call makes, and one that must be there for an answer to be used; so a stopped
cluster becomes a running one.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

RECORDED = json.loads((Path(__file__).parent / "recorded" / "minikube.json").read_text("utf-8"))

SCRIPT = """#!{python} -IS
import fcntl, json, os, signal, sys
folder, me = {folder!r}, {name!r}
with open(os.path.join(folder, me + ".lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    with open(os.path.join(folder, me + ".json")) as file:
        answers = json.load(file)
    args = sys.argv[1:]
    with open(os.path.join(folder, me + ".calls"), "a") as file:
        file.write(json.dumps(args) + "\\n")
    for answer in answers:
        there = [os.path.exists(os.path.join(folder, f)) for f in answer.get("needs", [])]
        if answer["args"] == args and all(there):
            break
    else:
        with open(os.path.join(folder, me + ".unexpected"), "a") as file:
            file.write(json.dumps(args) + "\\n")
        sys.exit(99)
    if not answer.get("again"):
        answers.remove(answer)
        with open(os.path.join(folder, me + ".json"), "w") as file:
            json.dump(answers, file)
    for name in answer.get("touch", []):
        open(os.path.join(folder, name), "w").close()
    for name in answer.get("remove", []):
        os.path.exists(os.path.join(folder, name)) and os.unlink(os.path.join(folder, name))
for stream, text in (sys.stdout, answer.get("out", "")), (sys.stderr, answer.get("err", "")):
    stream.write(text)
    stream.flush()
try:
    while answer.get("hang"):
        signal.pause()
except KeyboardInterrupt:
    for name in answer.get("interrupted", []):
        open(os.path.join(folder, name), "w").close()
    sys.exit(130)
sys.exit(answer.get("code", 0))
"""


def timeless(said: list[str]) -> list[str]:
    """What was said, with N in the place of how many seconds something took."""
    return [re.sub(r"\b\d+ s\b", "N s", line) for line in said]


def recorded(name: str, **changes: Any) -> dict[str, Any]:
    """One recorded call of Minikube."""
    return {**RECORDED[name], **changes}


class StandIns:
    """The folder of a test's programs; nothing else is on the PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setenv("PATH", str(folder))

    def program(self, name: str, *answers: dict[str, Any]) -> None:
        """Puts a program there, or gives the one that is there more answers."""
        file = self.folder / f"{name}.json"
        known = json.loads(file.read_text("utf-8")) if file.exists() else []
        file.write_text(json.dumps([*known, *answers]), "utf-8")
        script = self.folder / name
        script.write_text(
            SCRIPT.format(python=sys.executable, folder=str(self.folder), name=name), "utf-8"
        )
        script.chmod(0o755)

    def calls(self, name: str) -> list[list[str]]:
        return self.lines(f"{name}.calls")

    def unexpected(self) -> list[list[str]]:
        """Calls that no answer was given for, of every program."""
        return [
            call
            for file in sorted(self.folder.glob("*.unexpected"))
            for call in self.lines(file.name)
        ]

    def lines(self, file: str) -> list[list[str]]:
        path = self.folder / file
        return (
            [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            if path.exists()
            else []
        )

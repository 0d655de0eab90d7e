"""The line in /etc/hosts that gives the lessons' host an address.

labkit needs no such line: its requests carry the Host header. A browser does need it. The file
belongs to the whole machine, so labkit explains the line; only `labkit up --edit-hosts` writes it,
marked, and `labkit down` takes that one line out again.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from labkit.errors import MeshError

HOST = "test.example.com"
FILE = Path("/etc/hosts")
MARK = "# by labkit up --edit-hosts"


def hosts_file() -> Path:
    """The file; LABKIT_HOSTS_FILE names another one."""
    return Path(os.environ.get("LABKIT_HOSTS_FILE") or FILE)


def line(address: str) -> str:
    """
    >>> line("192.168.49.2")
    '192.168.49.2 test.example.com'
    """
    return f"{address} {HOST}"


def explained(address: str) -> str:
    """What a learner may type to call the gateway by its name, with and without that line."""
    command = f"echo {shlex.quote(line(address))} | sudo tee -a {hosts_file()}"
    return (
        f"A browser finds the gateway by the name {HOST} when {hosts_file()} has this line:\n"
        f"    {line(address)}\n"
        "labkit does not write it: the file is the whole machine's, and the lessons do without. "
        "To write it yourself:\n"
        f"    {command}\n"
        "Without it, curl can be told the address for one request:\n"
        f"    curl --resolve {HOST}:80:{address} http://{HOST}/"
    )


def add(address: str, file: Path | None = None) -> str:
    """Writes the marked line, in place of an older one; says what was done. Raises MeshError
    without the right to.
    """
    file = file or hosts_file()
    text = file.read_text("utf-8")
    if any(HOST in words(one) for one in text.splitlines() if MARK not in one):
        return f"{file} has a line for {HOST} already, and keeps it"
    kept = without_ours(text)
    wanted = kept + ("" if not kept or kept.endswith("\n") else "\n") + f"{line(address)} {MARK}\n"
    if wanted != text:
        write(file, wanted)
    return f"{file} has the line: {line(address)}"


def remove(file: Path | None = None) -> bool:
    """Takes the marked line out again; False where there is none."""
    file = file or hosts_file()
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return False
    kept = without_ours(text)
    if kept == text:
        return False
    write(file, kept)
    return True


def without_ours(text: str) -> str:
    """A hosts file without the line that labkit has written."""
    return "".join(one for one in text.splitlines(keepends=True) if MARK not in one)


def words(entry: str) -> list[str]:
    """The words of a line of a hosts file, its comment left out."""
    return entry.split("#", 1)[0].split()


def write(file: Path, text: str) -> None:
    """In place: in a container the file is a mount, and can't be replaced by another."""
    try:
        with open(file, "r+", encoding="utf-8") as out:
            out.write(text)
            out.truncate()
    except PermissionError as error:
        raise MeshError(
            f"{file} can be changed by root only",
            seen=str(error),
            try_next="sudo, with your own editor; or leave it: the lessons need no such line",
        ) from error

"""The folder of a mesh's state, and what earlier meshes may have left."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from labkit.errors import MeshError, shorten
from labkit.processes import end_group, group_members

RECORD = "mesh.json"


def root() -> Path:
    """Where meshes keep their folders: $LABKIT_STATE, or one folder a user under the system's
    temporary folder.

    Short on purpose: the path of a Unix socket may have 103 characters on a Mac.
    """
    chosen = os.environ.get("LABKIT_STATE")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"labkit-{os.getuid()}"


def new_folder() -> Path:
    """A folder for one mesh, readable by this user only."""
    top = root()
    with contextlib.suppress(FileExistsError):  # something else than a folder, which is said next
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.environ.get("LABKIT_STATE"):
        check_private(top)
    folder = top / secrets.token_hex(3)
    folder.mkdir(mode=0o700)
    return folder


def check_private(top: Path) -> None:
    """Its name can be guessed: another user could have made it first, and change what our Envoys
    read.
    """
    found = top.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise MeshError(
            f"The folder {top} is not yours alone, so no mesh is kept there",
            seen=f"{stat.filemode(found.st_mode)}, owner {found.st_uid}; you are {os.getuid()}",
            try_next="remove it, or set LABKIT_STATE to a folder of your own",
        )


@dataclass(frozen=True)
class FoundMesh:
    """A mesh found by its folder. `owner_runs`: the process that made it is still there."""

    folder: Path
    owner: int
    group: int
    gateway_port: int
    created: float
    owner_runs: bool


def record(folder: Path, group: int, gateway_port: int) -> None:
    """Writes down whose mesh this is, so that `labkit status` and `labkit down` find it."""
    me = psutil.Process()
    body = {
        "owner": me.pid,
        "owner_started": me.create_time(),
        "group": group,
        "gateway_port": gateway_port,
    }
    body["created"] = time.time()
    beside = folder / (RECORD + ".new")
    beside.write_text(json.dumps(body), encoding="utf-8")
    os.replace(beside, folder / RECORD)


def meshes() -> Iterator[FoundMesh]:
    """Every mesh of this user on this machine, also those whose owner is gone.

    What is no record of ours is named on standard error, and left alone. Raises MeshError where
    the folder itself is somebody else's.
    """
    top = root()
    if not top.is_dir():
        return
    if not os.environ.get("LABKIT_STATE"):
        check_private(top)
    for folder in sorted(top.iterdir()):
        try:
            body = json.loads((folder / RECORD).read_bytes())
            left, started = found_mesh(folder, body)
        except (FileNotFoundError, NotADirectoryError):
            continue  # it is being made or removed just now
        except (OSError, ValueError, RecursionError) as error:
            sys.stderr.write(
                f"{folder / RECORD} is no record of a mesh ({shorten(str(error), 200)}), so that "
                f"folder is left alone. Look at it, then remove it: rm -r {folder}\n"
            )
            continue
        try:
            # when a clock is set, this machine changes its mind about when a process began; the
            # mesh's keeper, which ends with the owner, does not
            same = abs(psutil.Process(left.owner).create_time() - started) < 1
            yield replace(left, owner_runs=same or group_is_ours(left))
        except psutil.NoSuchProcess:
            yield left


def found_mesh(folder: Path, body: Any) -> tuple[FoundMesh, float]:
    """The mesh of a record, and when its owner began. Raises ValueError for what we never write."""
    if not isinstance(body, dict):
        raise ValueError(f"a {type(body).__name__}")
    for name in ("owner", "group", "gateway_port"):
        if type(body.get(name)) is not int or not 1 < body[name] < 2**31:
            raise ValueError(f"{name}: {body.get(name)!r:.40}")
    for name in ("owner_started", "created"):
        if not isinstance(body.get(name), (int, float)) or not 0 <= body[name] < 2**40:
            raise ValueError(f"{name}: {body.get(name)!r:.40}")
    mesh = FoundMesh(
        folder, body["owner"], body["group"], body["gateway_port"], body["created"], False
    )
    return mesh, body["owner_started"]


def end(mesh: FoundMesh) -> None:
    """Ends all processes of a mesh, and removes its folder."""
    if group_is_ours(mesh):
        end_group(mesh.group)
    shutil.rmtree(mesh.folder, ignore_errors=True)


def group_is_ours(mesh: FoundMesh) -> bool:
    """Whether the process group still is this mesh's: ids are used again, and a stranger must not
    be ended.
    """
    for process in group_members(mesh.group):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if str(mesh.folder) in " ".join(process.cmdline()):
                return True
    return False

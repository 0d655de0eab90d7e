"""Python code in a process with namespaces of its own: what it mounts, or limits, is its own and
ends with it. Needs no root: Linux lets a user be root in a user namespace, where that is not turned
off.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

BEGIN = """
import json, os, resource, subprocess, sys, time
from pathlib import Path
import labkit
from labkit.errors import LabkitError
from tests.mesh.conftest import CLIENT, GATEWAY, HELLO, ROUTE, URL, virtual_service
folder = Path(sys.argv[1])
found = {}
def seen(what, act):
    "What came of it: a value, or a LabkitError; any other error ends the program."
    began = time.monotonic()
    try:
        found[what] = act()
    except LabkitError as error:
        found[what] = f"{type(error).__name__}: {error}"
    found[what + " s"] = time.monotonic() - began
    return found[what]
def tell():
    print(json.dumps({k: v if isinstance(v, (dict, float)) else str(v) for k, v in found.items()}))
def mount(*options):
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True)
"""


@functools.cache
def namespaces() -> bool:
    """Whether this user may make them."""
    program = shutil.which("unshare")
    words = [str(program), "--user", "--map-root-user", "--mount", "true"]
    return program is not None and subprocess.run(words, capture_output=True).returncode == 0


def needs_namespaces() -> None:
    if not namespaces():
        pytest.skip("this user may make no namespaces (unshare --user --map-root-user --mount)")


def run(code: str, folder: Path, *words: str, apart: bool = True, **env: str) -> dict[str, Any]:
    """What the code has told of itself, by `seen` and `tell`. `folder` is where it may mount."""
    if apart:
        needs_namespaces()
    begin = ["unshare", "--user", "--map-root-user", "--mount"] if apart else []
    done = subprocess.run(
        [*begin, sys.executable, "-c", BEGIN + code, str(folder), *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told

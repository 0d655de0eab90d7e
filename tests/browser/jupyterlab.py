"""A JupyterLab of its own on a copy of the course, and the Chromium that looks at it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from labkit.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "screenshots"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    named = os.environ.get("LABKIT_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("google-chrome")


def copy_course(folder: Path) -> Path:
    """A copy of the course, since JupyterLab saves what it runs."""
    course = folder / "course"
    for part in ("notebooks", "manifests"):
        shutil.copytree(ROOT / part, course / part)
    return course


@contextmanager
def jupyterlab(course: Path, port: int) -> Iterator[str]:
    """The address, with its token, of a JupyterLab that `labkit lab` starts; its settings are
    beside the course.
    """
    folder = course.parent
    log = folder / "lab.log"
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "LABKIT_COURSE": str(course),
        "LABKIT_PROGRESS": str(folder / "progress.json"),
    }
    words = [sys.executable, "-m", "labkit", "lab", "--no-browser", "--port", str(port)]
    words += [
        "--",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
    ]
    with (
        log.open("wb") as out,
        subprocess.Popen(words, cwd=course, stdout=out, stderr=out, env=env) as process,
    ):
        try:
            found = wait_until(
                lambda: re.search(r"http://127\.0\.0\.1:\d+/lab\S*\?token=\w+", log.read_text()),
                60,
                "JupyterLab to start",
                explain=log.read_text,
            )
            yield found.group(0)
        finally:
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            process.wait(20)
            _, left = psutil.wait_procs(family, timeout=20)
            assert not left, "JupyterLab ended, and left processes running"

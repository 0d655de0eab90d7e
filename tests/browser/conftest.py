"""A real JupyterLab in a real Chromium."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

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


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course: JupyterLab saves what it runs."""
    course = tmp_path_factory.mktemp("lab") / "course"
    for part in ("notebooks", "manifests"):
        shutil.copytree(ROOT / part, course / part)
    return course


@pytest.fixture(scope="session")
def lab(course: Path) -> Iterator[str]:
    """The address of a JupyterLab started by `labkit lab`, with its token; its settings are in a folder of its own."""
    folder = course.parent
    log = folder / "lab.log"
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "LABKIT_COURSE": str(course),
        "LABKIT_PROGRESS": str(folder / "progress.json"),
    }
    words = [sys.executable, "-m", "labkit", "lab", "--no-browser", "--port", "18888"]
    words += ["--", "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
    with log.open("wb") as out, subprocess.Popen(words, cwd=course, stdout=out, stderr=out, env=env) as process:
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


@pytest.fixture(scope="session")
def browser():  # type: ignore[no-untyped-def]
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium (tests/browser/install installs one)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed (tests/browser/install)"
    )
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()

"""`labkit lab`: JupyterLab on the first lesson."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from labkit.errors import LabkitError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address instead of opening a browser"
    )
    parser.add_argument("jupyter", nargs="*", help="more options for JupyterLab, after --")
    parser.add_argument(
        "--port", type=int, default=8888, help="the first port to try (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    folder = course_folder()
    first = sorted((folder / "notebooks").glob("01_*.ipynb"))
    if not first:
        raise LabkitError(
            "The first lesson is missing", seen=str(folder / "notebooks"), try_next="labkit build"
        )
    words = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--port",
        str(args.port),
        "--notebook-dir",
        str(folder),
    ]
    words += [
        "--ServerApp.ip=127.0.0.1",
        f"--LabApp.default_url=/lab/tree/notebooks/{first[0].name}",
    ]
    words += ["--no-browser"] if args.no_browser else []
    # in a container one usually is root, and Jupyter then wants to be told; it listens on loopback,
    # behind a token
    words += ["--allow-root"] if os.name == "posix" and os.geteuid() == 0 else []
    words += args.jupyter
    if os.name == "posix":
        # in our place: whoever ends this process ends JupyterLab and its kernels, not a go-between
        os.execve(words[0], words, environment())
    return subprocess.call(words, env=environment())


def environment() -> dict[str, str]:
    """Adds our settings of JupyterLab, which a learner's own override: no question about news, no
    look for updates; and what each kernel runs first, where a learner has nothing there.
    """
    ours = Path(__file__).with_name("jupyter")
    paths = os.environ.get("JUPYTER_CONFIG_PATH")
    start = os.environ.get("PYTHONSTARTUP") or str(ours / "startup.py")
    both = f"{paths}{os.pathsep}{ours}" if paths else str(ours)
    return os.environ | {"JUPYTER_CONFIG_PATH": both, "PYTHONSTARTUP": start}


def course_folder() -> Path:
    """The folder that holds notebooks/ and manifests/: where the command is run, or where the
    package lies.
    """
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]):
        if (folder / "notebooks").is_dir() and (folder / "manifests").is_dir():
            return folder
    raise LabkitError(
        "The course's folder was not found",
        seen=f"looked in {Path.cwd()}",
        try_next="run this in a clone of the course",
    )

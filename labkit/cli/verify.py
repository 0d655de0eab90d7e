"""`labkit verify`: nbval runs the notebooks as they are stored and compares each verdict line."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from labkit.errors import LessonError
from labkit.lessons.checks.verdict import NBVAL_SANITIZE
from labkit.lessons.notebook.run import CELL_TIMEOUT_S
from labkit.lessons.notebook.sources import lessons


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="name or number (all where none is given)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="notebooks at the same time (default 1)"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the result as JUnit XML")


def run(args: argparse.Namespace) -> int:
    notebooks = [lesson.notebook for lesson in lessons(*args.lessons)]
    missing = [path.name for path in notebooks if not path.exists()]
    if missing or not notebooks:
        raise LessonError(
            f"Not built yet: {', '.join(missing) or 'no lesson at all'}", try_next="labkit build"
        )
    with tempfile.TemporaryDirectory(prefix="labkit-verify-") as folder:
        rules = Path(folder) / "sanitize.cfg"
        rules.write_text(NBVAL_SANITIZE, encoding="utf-8")
        return subprocess.run(
            command(notebooks, rules, args.jobs, args.junit), env=surroundings(Path(folder))
        ).returncode


def command(notebooks: list[Path], rules: Path, jobs: int, junit: Path | None) -> list[str]:
    """The pytest command: strict (not --nbval-lax), in this Python, with a limit on each cell."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:nbval",  # as an entry point: it would be registered a second time
        "-p",
        "nbval.plugin",
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    words += [
        "--nbval-sanitize-with",
        str(rules),
        "--nbval-cell-timeout",
        str(CELL_TIMEOUT_S),
        "-W",
        "default",
    ]
    if jobs > 1:
        words += ["-n", str(jobs), "--dist", "loadfile"]
    if junit:
        words += [f"--junitxml={junit}"]
    return [*words, *map(str, notebooks)]


def surroundings(folder: Path) -> dict[str, str]:
    """The stored verdicts are those of someone who has not begun the exercises; nobody's own
    progress is touched.
    """
    own = {"LABKIT_PROGRESS": str(folder / "progress.json"), "LABKIT_MINE": str(folder / "mine")}
    return {**os.environ, "LABKIT_STRICT": "", **own}

"""`labkit compare`: each lesson on both meshes, and whether they tell the same."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from labkit.cli.run import count_of, line, ready
from labkit.lessons.checks.recording import read
from labkit.lessons.notebook.compare_report import write_comparison
from labkit.lessons.notebook.comparison import Compared, compare
from labkit.lessons.notebook.run import Run, run_lesson
from labkit.lessons.notebook.sources import Lesson, lessons

DEFAULT = Path("build/compare")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="name or number (all where none is given)"
    )
    parser.add_argument(
        "--backends",
        nargs=2,
        default=("embedded", "cluster"),
        metavar=("ONE", "OTHER"),
        help="which two (default: embedded cluster; the same one twice shows how much a mesh "
        "differs from itself)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT,
        metavar="DIR",
        help=f"where to write (default {DEFAULT})",
    )


def run(args: argparse.Namespace) -> int:
    names = (str(args.backends[0]), str(args.backends[1]))
    found: list[Compared] = []
    with ready("cluster" if "cluster" in names else "", 1):
        for lesson in lessons(*args.lessons):
            found.append(on_both(lesson, names, args.out))
            print(summary(found[-1]), flush=True)
    print(f"report: {write_comparison(found, args.out, names)}")
    differ = [one.left.lesson for one in found if not one.agrees]
    print(count_of(len(found), differ, "differ"))
    return 1 if differ or not found else 0


def on_both(lesson: Lesson, names: tuple[str, str], out: Path) -> Compared:
    """Runs one lesson on one mesh and then on the other, and leaves both notebooks in `out`."""
    runs: list[Run] = []
    said = []
    with tempfile.TemporaryDirectory(prefix="labkit-compare-") as folder:
        for side, name in enumerate(names):
            record = Path(folder) / f"{side}.jsonl"
            notebook = out / f"{lesson.name}.{side + 1}.{name}.ipynb"
            runs.append(run_lesson(lesson, {"backend": name}, notebook, record=record))
            print(f"  {name:<9} {line(runs[-1])}", flush=True)
            said.append(read(record))
    return compare(runs[0], runs[1], said[0], said[1])


def summary(one: Compared) -> str:
    """How one lesson compares, with what differs."""
    sign, word = ("✔", "agree") if one.agrees else ("✘", "differ")
    lines = [
        f"{sign} {one.left.lesson:<28} {len(one.rows)} verdicts, {len(one.gaps)} columns: they "
        f"{word}"
    ]
    return "\n".join([*lines, *(f"    {told}" for told in one.explain())])

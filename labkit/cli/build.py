"""`labkit build`: makes the learner's notebooks from their sources."""

from __future__ import annotations

import argparse

from labkit.lessons.notebook.build import build, in_step
from labkit.lessons.notebook.sources import lessons


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="name or number (all where none is given)"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 when one is out of step"
    )


def run(args: argparse.Namespace) -> int:
    stale = False
    for lesson in lessons(*args.lessons):
        if args.check:
            same = in_step(lesson)
            stale = stale or not same
            print(
                f"{lesson.name}: "
                f"{'in step' if same else 'OUT OF STEP with its source: labkit build'}"
            )
        else:
            print(f"{lesson.name}: {'built' if build(lesson) else 'as it was'}", flush=True)
    return 1 if stale else 0

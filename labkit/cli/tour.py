"""`labkit tour`: every lesson without a browser, then one page with all that was seen."""

from __future__ import annotations

import argparse
from pathlib import Path

from labkit.cli.run import add_parameters, finish, run_with_progress
from labkit.lessons.notebook.report import write_report


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="name or number (all where none is given)"
    )
    add_parameters(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/tour"),
        metavar="DIR",
        help="where to write (default build/tour)",
    )


def run(args: argparse.Namespace) -> int:
    runs = run_with_progress(args, args.out)
    index = write_report(runs, args.out, "A tour of the Istio traffic lab")
    print(f"The tour is ready: open {index} in a browser.")
    return finish(runs)

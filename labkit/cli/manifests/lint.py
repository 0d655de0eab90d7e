"""`labkit lint FILE…|-`: mistakes that Kubernetes and Istio accept, with how to put them right."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from labkit.cli.terminal import read_stdin
from labkit.resources import Admission, check
from labkit.resources.lint import Diagnoses, lint_admissions
from labkit.resources.yaml.loading import check_text


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="YAML files or folders; - reads the standard input"
    )
    parser.add_argument(
        "--with",
        dest="context",
        action="append",
        default=[],
        metavar="FILE",
        help="a file or folder that is known too, but not reported on (may be repeated)",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints each finding; 1 when there is an error or a warning among them, 0 when not."""
    verdicts: list[Admission] = []
    for file in args.files:
        verdicts += check_text(read_stdin(), "stdin") if file == "-" else check(Path(file))
    found = lint_admissions(verdicts, context=[Path(name) for name in args.context])
    if args.json:
        print(json.dumps([each.as_dict() for each in found], indent=2))
    else:
        for each in found:
            print(f"{each}\n")
        print(summary(found, len(verdicts)))
    return 1 if found.serious else 0


def summary(found: Diagnoses, objects: int) -> str:
    """The last line: `2 errors, 1 warning in 3 objects`."""
    counts = []
    for level, one, many in (
        ("error", "error", "errors"),
        ("warning", "warning", "warnings"),
        ("info", "hint", "hints"),
    ):
        number = sum(each.level == level for each in found)
        if number:
            counts.append(f"{number} {one if number == 1 else many}")
    return (
        f"{', '.join(counts) or 'no findings'} in {objects} "
        f"{'object' if objects == 1 else 'objects'}"
    )

"""`labkit coverage`: what of the syllabus is covered by which lesson."""

from __future__ import annotations

import argparse

from labkit.lessons.coverage import as_markdown, as_text, coverage


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strict", action="store_true", help="exit with 1 when something is missing or never checked")
    parser.add_argument("--markdown", action="store_true", help="as a table for the README")


def run(args: argparse.Namespace) -> int:
    rows = coverage()
    print(as_markdown(rows) if args.markdown else as_text(rows))
    complete = all(row.state == "checked" for row in rows)
    return 0 if complete or not args.strict else 1

"""`labkit run`: runs lessons with their solutions, as CI does."""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from labkit.errors import LessonError
from labkit.lessons.notebook.report import write_report
from labkit.lessons.notebook.run import CellDone, Run, run_lessons
from labkit.lessons.notebook.sources import lessons


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "lessons", nargs="*", metavar="LESSON", help="name or number (all where none is given)"
    )
    add_parameters(parser)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write index.html, junit.xml and the run notebooks",
    )


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """What every command that runs lessons takes."""
    parser.add_argument(
        "--backend", help="which mesh: embedded, or cluster (the kubeconfig's current context)"
    )
    parser.add_argument("--scale", help="how many requests: small or full")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of what a lesson draws itself")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="lessons at the same time (default 1)"
    )
    parser.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other parameter of a lesson",
    )


def parameters(args: argparse.Namespace) -> dict[str, Any]:
    """The parameters given on the command line; numbers are numbers."""
    given: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("backend", "scale", "seed")
        if getattr(args, name) is not None
    }
    for text in args.parameter:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise LessonError(
                "A parameter needs a name and a value",
                seen=f"-p {text}",
                try_next=f"-p {name or 'NAME'}=VALUE",
            )
        given[name] = number(value)
    return given


def number(text: str) -> int | float | str:
    """
    >>> number("-3"), number("1.5"), number("small")
    (-3, 1.5, 'small')
    """
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text)
    return (
        float(text)
        if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", text, re.IGNORECASE)
        else text
    )


def run(args: argparse.Namespace) -> int:
    runs = run_with_progress(args, args.report)
    if args.report:
        print(f"report: {write_report(runs, args.report, 'Lessons')}")
    return finish(runs)


def run_with_progress(args: argparse.Namespace, out: Path | None) -> list[Run]:
    """Runs the lessons of the command line: a bar in a terminal, and a line as each is done."""
    from tqdm import tqdm

    chosen = lessons(*args.lessons)
    with tqdm(
        total=len(chosen), unit="lesson", disable=not sys.stderr.isatty(), leave=False
    ) as bar:

        def step(at: CellDone) -> None:
            bar.set_postfix_str(f"{at.lesson}: cell {at.cell} of {at.cells}")

        def done(run: Run) -> None:
            bar.update()
            with bar.external_write_mode():
                print(line(run), flush=True)

        given = parameters(args)
        with ready(given.get("backend", ""), args.jobs):
            return run_lessons(chosen, given, out, jobs=args.jobs, on_cell=step, on_done=done)


def ready(backend: str, jobs: int) -> AbstractContextManager[None]:
    """What lessons need before the first of them starts: on a cluster, the ingress gateway prepared
    once for all.
    """
    if backend != "cluster":
        return nullcontext()
    if jobs > 1:
        raise LessonError(
            "On a cluster lessons run one at a time",
            seen=f"--jobs {jobs}; they all use the namespace hello-world",
            try_next="leave --jobs out",
        )
    from labkit.mesh.cluster.cleanup.kept_gateway import kept_gateway

    return kept_gateway()


def line(run: Run) -> str:
    """How one lesson went, with the failing cell where there is one."""
    text = (
        f"{'✔' if run.passed else '✘'} {run.lesson:<28} {run.seconds:5.1f} s  "
        f"{len(run.verdicts)} checks"
    )
    if not run.failure:
        return text
    code = "\n".join(f"      | {one}" for one in run.failure.source.splitlines())
    return f"{text}\n    cell {run.failure.cell}: {run.failure.message}\n{code}"


def finish(runs: list[Run]) -> int:
    failed = [run.lesson for run in runs if not run.passed]
    print(count_of(len(runs), failed, "failed"))
    return 1 if failed else 0


def count_of(n: int, named: list[str], what: str) -> str:
    """
    >>> count_of(12, ["03_load_balancing"], "failed")
    '12 lessons, 1 failed: 03_load_balancing'
    """
    return f"{n} lesson{'' if n == 1 else 's'}, {len(named)} {what}" + (
        f": {', '.join(named)}" if named else ""
    )

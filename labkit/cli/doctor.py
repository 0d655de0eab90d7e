"""`labkit doctor`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import argparse

SIGNS = {"ok": "✔", "hint": "·", "missing": "✘"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--backend",
        choices=("embedded", "cluster"),
        default="embedded",
        help="what you want to use",
    )
    parser.add_argument(
        "--context", metavar="NAME", help="another context of the kubeconfig than its current one"
    )


def run(args: argparse.Namespace) -> int:
    from labkit.setup.checkup import BAD, GOOD, examine

    bad = []
    for check in examine(args.backend, context=args.context):
        print(f"{SIGNS[check.state]} {check.name:<10} {check.seen}", flush=True)
        if check.fix and check.state != GOOD:
            print(f"{'':13}→ {check.fix}")
        if check.state == BAD:
            bad.append(check.name)
    mesh = "The embedded mesh" if args.backend == "embedded" else "The cluster"
    print(f"{mesh} can't be used yet: {', '.join(bad)}" if bad else f"{mesh} can be used.")
    return 1 if bad else 0

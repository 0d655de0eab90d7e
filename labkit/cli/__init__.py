"""The command `labkit`: each command is a module of this folder, or of `manifests`, with
`configure(parser)` and `run(args) -> int`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from labkit.errors import LabkitError

# The module of a command is imported only when the command is used: `labkit validate` need not load
# pandas.
COMMANDS = {
    "lab": "open JupyterLab on the first lesson",
    "doctor": "show what is there, what is missing and what to do about it",
    "up": "start Minikube if asked to, and install Istio where there is none",
    "status": "show the meshes that are open on this machine, and what labkit up has made",
    "down": "end meshes that were left running, and give back what labkit up has made",
    "validate": "check manifests as Kubernetes and Istio would",
    "lint": "find mistakes that Kubernetes and Istio accept",
    "translate": "show the Envoy configuration that Istio makes of manifests",
    "explain": "say why a request goes where it goes, with the lines of the YAML that decide it",
    "build": "make the notebooks from their sources",
    "run": "run lessons from top to bottom, with their checks",
    "compare": "run each lesson on both meshes and test that they agree",
    "tour": "run every lesson and show them on one page",
    "verify": "compare the verdicts stored in the notebooks with those of a new run",
    "completion": "print what a shell needs to complete labkit's words",
}
OF_MANIFESTS = {"validate", "lint", "translate", "explain"}
VERSION = "--version"
COMPLETING = "_ARGCOMPLETE"
"""Set by the shell that asks how a line may go on."""


class Parser(argparse.ArgumentParser):
    """Says which command may have been meant."""

    def error(self, message: str) -> NoReturn:
        """Prints the usage and the message, and exits with 2."""
        wrong = message.partition("argument COMMAND: invalid choice: ")[2].split("'")
        if len(wrong) > 1 and "maybe you meant" not in message:  # Python 3.15 says so itself
            from difflib import get_close_matches

            close = get_close_matches(wrong[1], COMMANDS, n=1)
            message += f"; did you mean {close[0]!r}?" if close else ""
        super().error(message)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs one command and exits: 0 done, 1 the answer is no, 2 used wrongly."""
    completing = COMPLETING in os.environ
    words = list(sys.argv[1:] if argv is None else argv)
    parser = parser_for(os.environ.get("COMP_LINE", "").split()[1:] if completing else words)
    if completing:
        import argcomplete

        argcomplete.autocomplete(parser)  # prints and exits
    args, unknown = parser.parse_known_args(words)
    more = getattr(args, "more", "")
    if more:  # argparse takes only those that stand together
        files = [word for word in unknown if word == "-" or not word.startswith("-")]
        getattr(args, more).extend(files)
        unknown = [word for word in unknown if word not in files]
    if unknown:  # argparse by itself would show the usage of labkit, not of the command
        getattr(args, "usage_error", parser.error)("unrecognized arguments: " + " ".join(unknown))
    try:
        status = args.run(args)
    except LabkitError as error:
        print(f"labkit {args.command}: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print(f"labkit {args.command}: stopped", file=sys.stderr)
        status = 130
    sys.exit(status)


def parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    """A parser that knows all commands by name, and the one that `words` call by its options."""
    about = "Istio's traffic management, on your own machine."
    parser = Parser(prog="labkit", description=about, allow_abbrev=False)
    shown = version() if VERSION in words else ""
    parser.add_argument(
        VERSION, action="version", version=shown, help="show labkit's version and exit"
    )
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
    )
    # an option may stand before it
    command = next((word for word in words if word in COMMANDS), "")
    for name, text in COMMANDS.items():
        chosen = name == command
        sub = commands.add_parser(name, help=text, description=text, add_help=chosen)
        if chosen:
            room = "labkit.cli.manifests" if name in OF_MANIFESTS else "labkit.cli"
            module = importlib.import_module(f"{room}.{name}")
            module.configure(sub)
            sub.set_defaults(run=module.run, usage_error=sub.error)
    return parser


def version() -> str:
    """
    >>> version()
    'labkit 0.1.0'
    """
    from importlib import metadata

    try:
        return f"labkit {metadata.version('labkit')}"
    except metadata.PackageNotFoundError:
        return (
            "labkit, which is not installed here: python3 -m pip install -e . in the course's "
            "folder"
        )

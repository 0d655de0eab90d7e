"""`labkit completion bash|zsh|fish`: what the shell evaluates to complete labkit's words."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="your shell")


def run(args: argparse.Namespace) -> int:
    """Prints the shell's code; 0."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["labkit"], shell=args.shell))
    return 0

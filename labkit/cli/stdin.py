"""Manifests from standard input."""

from __future__ import annotations

import sys

from labkit.resources.yaml.loading import LARGEST, as_text


def read_stdin(name: str = "stdin") -> str:
    """All of standard input as text. Raises ParseError where it is no UTF-8, or too much."""
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is None:  # somebody has put a text there
        return sys.stdin.read()
    return as_text(buffer.read(LARGEST + 1), name)

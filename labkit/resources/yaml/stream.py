"""One text to the texts of its documents, where kubectl would divide it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from labkit.errors import ParseError

_MARKER = re.compile(r"^(?:---|\.\.\.(?=\s|$))")


def chunks(text: str, name: str) -> Iterable[tuple[int, str]]:
    """(first line, text) of each document of a text: JSON values in a row, or YAML between markers.
    Raises ParseError where kubectl would read something else.
    """
    return _json_rows(text) or _marked(text, name)


def _json_rows(text: str) -> list[tuple[int, str]] | None:
    """(line, text) of each of several JSON values in a row, which kubectl reads as so many
    documents; None for all else.
    """
    if not text.startswith("{"):
        return None
    decoder, at, line = json.JSONDecoder(), 0, 1
    found: list[tuple[int, str]] = []
    try:
        while at < len(text):
            _, end = decoder.raw_decode(text, at)
            while end < len(text) and text[end].isspace():
                end += 1
            found.append((line, text[at:end]))
            line += text.count("\n", at, end)
            at = end
    except (ValueError, RecursionError):
        return None
    return found if len(found) > 1 else None


def _marked(text: str, name: str) -> Iterator[tuple[int, str]]:
    """(first line, text) of each document. A line that begins with `---` is always a marker, even
    inside a string. Raises ParseError where kubectl would read something else.
    """
    lines = text.splitlines(keepends=True)
    begin = quiet = 0
    for number, line in enumerate(lines):
        if not _MARKER.match(line):
            continue
        after = line[3:].strip()
        if line.startswith("---") and after and not after.startswith("#"):
            yield begin + 1, "".join(lines[begin:number])
            raise ParseError(
                f"{name}:{number + 1}: between documents there may be nothing but `---` and a "
                "comment",
                seen=line.strip(),
                try_next=f"write {after} on a line of its own" if line[3:4].isspace() else "",
            )
        if line.startswith("..."):
            # an end marker; keep the line, so that lines still count
            lines[number] = line.replace("...", "#  ", 1)
            if number < quiet:
                continue
            quiet = _after_the_end(lines, number + 1)
            if quiet < len(lines) and not lines[quiet].startswith("---"):
                yield begin + 1, "".join(lines[begin:number])
                raise ParseError(
                    f"{name}:{quiet + 1}: what follows `...` is not read by kubectl",
                    try_next="separate documents by a line of `---`",
                )
            continue
        before = "".join(lines[begin:number])
        # Comments above a marker belong to the document below it.
        if any(_has_content(part) for part in lines[begin:number]):
            yield begin + 1, before
            begin = number
    yield begin + 1, "".join(lines[begin:])


def _after_the_end(lines: list[str], start: int) -> int:
    """The first line behind an end marker with something on it, be it the next document's."""
    for number in range(start, len(lines)):
        line = lines[number]
        if line.startswith("---") or (_has_content(line) and not _MARKER.match(line)):
            return number
    return len(lines)


def _has_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")

"""One document's text to PyYAML's nodes, and what to look at where it is not YAML."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml

from labkit.errors import ParseError
from labkit.resources.yaml.values import DEEPEST

PLAIN = "!plain"
"""The tag of a scalar written without quotes and without a tag."""

_DIRECTIVE = re.compile(r"\A(?:[ \t]*(?:#.*)?\r?\n)*(%[^\r\n]*)")
_MISSING_SPACE = re.compile(r"\s*(?:- )?([\w-]+):[^\s/][^:]*$")
_ADVICE = (
    (
        ("expected key", "block mapping", "block collection", "block end"),
        "fields of one block must begin in the same column: compare this line with the ones "
        "above it",
    ),
    (("quoted scalar", "end of stream"), "a quote is opened and not closed"),
    (("',' or ']'", "',' or '}'", "flow"), "a bracket [ or { is not closed, or a comma is missing"),
    (
        ("cannot start any token",),
        "put the value in quotes: it begins with a character that means something in YAML",
    ),
    (("alias", "anchor", "alphabetic"), 'a value that begins with * or & needs quotes: "*"'),
    (
        ("expected ':'",),
        "a colon is missing after the name of a field, or the line has the wrong indentation",
    ),
)

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer(_Base):  # type: ignore[misc]
    """PyYAML's parser up to the nodes, with plain scalars marked as such instead of resolved."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return PLAIN if implicit[0] else "tag:yaml.org,2002:str"
        return "tag:yaml.org,2002:seq" if kind is yaml.SequenceNode else "tag:yaml.org,2002:map"


def compose(text: str, name: str, first: int) -> yaml.Node | None:
    """The tree of nodes of one document."""
    if directive := _DIRECTIVE.search(text):
        line = first + text.count("\n", 0, directive.start(1))
        raise ParseError(
            f"{name}:{line}: kubectl takes no line such as {directive[1]} before a document",
            try_next="remove the line",
        )
    if _depth(text) > DEEPEST:
        raise ParseError(
            f"{name}:{first}: more than {DEEPEST} levels of brackets inside each other"
        )
    try:
        loader = _Composer(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        refuse(
            name,
            first,
            text,
            mark.line if mark else 0,
            mark.column if mark else 0,
            str(error.problem or error.context),
        )
    except yaml.reader.ReaderError as error:
        at = error.position if isinstance(error.position, int) else 0
        line = first + text.count("\n", 0, at)
        wrong = (
            error.character if isinstance(error.character, int) else ord(text[at : at + 1] or "?")
        )
        raise ParseError(
            f"{name}:{line}: a character that YAML does not take: \\x{wrong:02x}",
            try_next="remove it; a file that an editor or PowerShell wrote as UTF-16 has one in "
            f"every second place: iconv -f UTF-16LE -t UTF-8 {name}"
            if not wrong
            else "remove it, or write it with a backslash in double quotes",
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ParseError(f"{name}: the text is not YAML", seen=str(error)) from error
    except RecursionError as error:
        raise ParseError(f"{name}:{first}: the text is nested too deeply") from error
    return node


def _depth(text: str) -> int:
    """How deep a text can be nested at most: brackets, indentation or dashes in a row."""
    depth = deepest = 0
    if text.count("[") + text.count("{") > DEEPEST:
        for character in text:
            if character in "[{":
                depth += 1
                deepest = max(deepest, depth)
            elif character in "]}":
                depth = max(depth - 1, 0)
    if "- - - - " in text or "? ? ? ?" in text:
        deepest = max(
            deepest, max(line.count("- ") + line.count("? ") for line in text.splitlines())
        )
    return deepest


def refuse(name: str, first: int, text: str, line: int, column: int, problem: str) -> NoReturn:
    """Raises ParseError that shows the place and says in plain words what to look at."""
    lines = text.splitlines()
    line = min(line, max(len(lines) - 1, 0))
    shown = lines[line] if lines else ""
    lead = f"{first + line} | "
    pointer = " " * len(lead) + re.sub(r"[^\t]", " ", shown[:column]) + "^"
    above = ""
    if line > 0:
        above = f"\n    {str(first + line - 1).rjust(len(str(first + line)))} | {lines[line - 1]}"
    raise ParseError(
        f"{name}:{first + line}: {_plain_words(problem, shown)}{above}\n    {lead}{shown}\n    "
        f"{pointer}",
        try_next=_advice(problem, shown, lines[line - 1] if line else ""),
    )


def _plain_words(problem: str, line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "a tab where YAML wants spaces"
    if "mapping values are not allowed" in problem:
        return "a field where none can be (mapping values are not allowed here)"
    return f"this is not YAML ({problem})"


def _advice(problem: str, line: str, above: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        return "replace the tab by spaces: YAML does not allow tabs in the indentation"
    if "{{" in line:
        return "this is a template, of Helm perhaps: give what it makes (helm template …)"
    if re.search(r"\$\{?[A-Za-z_]", line):
        return "put the value in quotes; if a shell is to fill it in: envsubst < FILE"
    if "mapping values are not allowed" in problem:
        glued = _MISSING_SPACE.match(above)
        if glued:
            return f"a space is missing after `{glued[1]}:`, in the line above"
        depth = len(above) - len(above.lstrip())
        if len(indent) > depth and ":" in above and above.split(":", 1)[1].strip():
            field_name = above.strip().split(":", 1)[0].lstrip("- ")
            return (
                f"the line is indented under `{field_name}`, which has a value already: give it "
                "the indentation of "
                "the block that it belongs to"
            )
        return "look for a missing line break, a missing quote, or a wrong indentation"
    if re.search(r"(^|[\s\[,:-])[*&]($|[\s\],\"'.])", line) and (
        "alphabetic" in problem or "alias" in problem
    ):
        return 'put the value in quotes, as in "*": a bare * or & means an alias in YAML'
    missing_space = _MISSING_SPACE.match(line)
    if missing_space and "expected ':'" in problem:
        return f"a space is missing after `{missing_space[1]}:`"
    for words, advice in _ADVICE:
        if any(word in problem for word in words):
            return advice
    return "compare the line with the ones above it: indentation, colons, quotes"

"""YAML text to plain values with the line of every field, read the way kubectl reads it.

kubectl turns YAML into JSON by the rules of Go's yaml package: `yes` is true, but `1:30` and
`2001-01-01` are strings, and 2.0 arrives as the integer 2. PyYAML's own constructors differ in
these points, so that scalars are resolved here, from the nodes that PyYAML's parser (the one in C
where it is there) gives.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from labkit.errors import ParseError
from labkit.resources.model import Path

_PLAIN = "!plain"  # the tag of a scalar written without quotes and without a tag
_BOOLEANS = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
}
_NULLS = {"", "~", "null", "Null", "NULL"}
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))"
)
_NOT_FINITE = {f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")}
_NOT_FINITE |= {".nan", ".NaN", ".NAN"}
_MARKER = re.compile(r"^(?:---|\.\.\.(?=\s|$))")
_DIRECTIVE = re.compile(r"\A(?:[ \t]*(?:#.*)?\r?\n)*(%[^\r\n]*)")
_MISSING_SPACE = re.compile(r"\s*(?:- )?([\w-]+):[^\s/][^:]*$")
_MOST_VALUES = 200_000  # aliases of aliases can grow without end ("billion laughs")
# no object of Kubernetes is nested like this; the parser in C has no limit of its own
_DEEPEST = 200

_LONGEST_NUMBER = 1200  # 2**1023 in binary digits, with something to spare

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Composer(_Base):  # type: ignore[misc]
    """PyYAML's parser up to the nodes, with plain scalars marked as such instead of resolved."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else "tag:yaml.org,2002:str"
        return "tag:yaml.org,2002:seq" if kind is yaml.SequenceNode else "tag:yaml.org,2002:map"


@dataclass
class Document:
    """One document of a text: its value, its own text, and where its fields are."""

    value: Any
    line: int
    text: str
    lines: dict[Path, int] = field(default_factory=dict)
    repeated: list[Path] = field(default_factory=list)
    scalars: dict[Path, str] = field(default_factory=dict)
    """The text of numbers and the like that are not written as JSON would have them."""
    offset: int = 0
    """Where its own text begins in the whole text, in characters."""
    node: yaml.Node | None = field(default=None, repr=False)
    """The parser's tree, for edits; marks in it count from the offset. None where nothing was
    parsed.
    """


def documents(text: str, name: str) -> Iterator[Document]:
    """The documents of a text that are not empty.

    >>> [document.value for document in documents("a: 1\\n---\\nb: yes\\n", "<text>")]
    [{'a': 1}, {'b': True}]
    """
    offset = len(text) - len(text.removeprefix("\ufeff"))
    whole = text[offset:]
    for first, chunk in _json_stream(whole) or _chunks(whole, name):
        node = _compose(chunk, name, first)
        if node is not None:
            document = Document(None, first, chunk, offset=offset, node=node)
            document.value = _Builder(document, name).build(node, ())
            if document.value is not None:
                yield document
        offset += len(chunk)


def _json_stream(text: str) -> list[tuple[int, str]] | None:
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


def _chunks(text: str, name: str) -> Iterator[tuple[int, str]]:
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


def _compose(text: str, name: str, first: int) -> yaml.Node | None:
    """The tree of nodes of one document."""
    if directive := _DIRECTIVE.search(text):
        line = first + text.count("\n", 0, directive.start(1))
        raise ParseError(
            f"{name}:{line}: kubectl takes no line such as {directive[1]} before a document",
            try_next="remove the line",
        )
    if _depth(text) > _DEEPEST:
        raise ParseError(
            f"{name}:{first}: more than {_DEEPEST} levels of brackets inside each other"
        )
    try:
        loader = _Composer(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _refuse(
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
    if text.count("[") + text.count("{") > _DEEPEST:
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


def _refuse(name: str, first: int, text: str, line: int, column: int, problem: str) -> NoReturn:
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


class _Builder:
    """Turns nodes into plain values and notes the line of each field on the way."""

    def __init__(self, document: Document, name: str) -> None:
        self.document = document
        self.name = name
        self.open: set[int] = set()
        self.count = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        if self.count > _MOST_VALUES:
            self.refuse(node, "the aliases of this document grow into too many values")
        self.document.lines.setdefault(path, self.line(node))
        if isinstance(node, yaml.ScalarNode):
            value = self.scalar(node)
            if not isinstance(value, str) and value is not None:
                usual = str(value).lower() if isinstance(value, bool) else str(value)
                if node.value != usual:
                    self.document.scalars[path] = node.value
            return value
        if id(node) in self.open:
            self.refuse(node, "an alias that contains itself")
        if len(path) > _DEEPEST:
            self.refuse(node, "nested too deeply")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            return self.mapping(node, path)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if (
                isinstance(key_node, yaml.ScalarNode)
                and key_node.tag == _PLAIN
                and key_node.value == "<<"
            ):
                merged = {**self.merge(value_node, path), **merged}
                continue
            key = self.key(key_node)
            place = (*path, key)
            if key in result:
                self.document.repeated.append(place)
                self.forget(place)
            self.document.lines[place] = self.line(key_node)
            result[key] = self.build(value_node, place)
        return {**merged, **result}

    def merge(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                self.refuse(part, "`<<` takes an alias of a mapping")
            value = self.build(part, path)
            merged = {**value, **merged}
        return merged

    def key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self.refuse(node, "the name of a field must be a word")
        value = self.scalar(node)
        if value is None:
            self.refuse(node, "a field without a name")
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def scalar(self, node: yaml.ScalarNode) -> Any:
        tag, value = node.tag, node.value
        if tag == _PLAIN:
            if value in _NOT_FINITE:
                self.refuse(node, f"{value} is not a number that JSON knows")
            return resolve(value)
        if tag == "tag:yaml.org,2002:binary":
            try:
                return base64.b64decode(value).decode("utf-8", "replace")
            except (binascii.Error, ValueError):
                self.refuse(node, "!!binary must be base64")
        if tag in (
            "tag:yaml.org,2002:int",
            "tag:yaml.org,2002:float",
            "tag:yaml.org,2002:bool",
            "tag:yaml.org,2002:null",
        ):
            return resolve(value)
        return value

    def forget(self, place: Path) -> None:
        """Drops the lines noted for a field that is written a second time."""
        for noted in (self.document.lines, self.document.scalars):
            for path in [path for path in noted if path[: len(place)] == place]:
                del noted[path]

    def line(self, node: yaml.Node) -> int:
        return self.document.line + int(node.start_mark.line)

    def refuse(self, node: yaml.Node, problem: str) -> NoReturn:
        mark = node.start_mark
        _refuse(self.name, self.document.line, self.document.text, mark.line, mark.column, problem)


def plain_values(value: Any, name: str) -> Any:
    """A value from Python as a document's would be: JSON's types only. Raises ParseError where it
    holds something else, or more than a document may.
    """
    count = 0

    def copy(part: Any, depth: int) -> Any:
        nonlocal count
        count += 1
        if count > _MOST_VALUES:
            raise ParseError(f"{name}more than {_MOST_VALUES} values in one object")
        if depth > _DEEPEST:
            raise ParseError(f"{name}nested too deeply: more than {_DEEPEST} levels")
        if isinstance(part, Mapping):
            return {key_text(key): copy(item, depth + 1) for key, item in part.items()}
        if isinstance(part, (list, tuple)):
            return [copy(item, depth + 1) for item in part]
        if isinstance(part, int) and not isinstance(part, bool):
            if not -(2**63) <= part < 2**64:
                if abs(part) >= 2**1023:
                    raise ParseError(f"{name}a number that is too large for JSON")
                return float(part)
        elif isinstance(part, float):
            if not math.isfinite(part):
                raise ParseError(f"{name}{part} is not a number that JSON knows")
        elif isinstance(part, str):
            return unicode(part)
        elif not isinstance(part, (bool, type(None))):
            raise ParseError(f"{name}a {type(part).__name__} is no value of JSON")
        return part

    def key_text(key: Any) -> str:
        if not isinstance(key, str):
            raise ParseError(f"{name}the name of a field is a {type(key).__name__}, not text")
        return unicode(key)

    def unicode(text: str) -> str:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ParseError(f"{name}a text has half a character, which UTF-8 can't write")
        return text

    return copy(value, 0)


def resolve(text: str) -> Any:
    """The value of a plain scalar, by the rules of Go's yaml package.

    >>> resolve("yes"), resolve("0x10"), resolve("2.0"), resolve("1:30"), resolve("5m")
    (True, 16, 2, '1:30', '5m')
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in "+-.0123456789":
        return text
    plain = text if text[0] == "." else text.replace("_", "")
    if len(plain) > _LONGEST_NUMBER:  # far beyond any float, so no number for Go either
        return text
    whole = _INTEGER.fullmatch(plain)
    if whole:
        sign = -1 if whole["sign"] == "-" else 1
        for name, base in (("hex", 16), ("bin", 2), ("oct", 8), ("dec", 10)):
            if whole[name] is not None:
                number = sign * int(whole[name], base)
                if -(2**63) <= number < 2**64:
                    return number
                break  # Go tries it once more, as a number with a point
    if _NUMBER.fullmatch(plain):
        value = float(plain)
        if value in (float("inf"), float("-inf")):
            return text
        # JSON has one kind of number: 2.0 goes to the API server as 2.
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    return text

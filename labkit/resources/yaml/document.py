"""YAML text to plain values with the line of every field, read the way kubectl reads it.

kubectl turns YAML into JSON by the rules of Go's yaml package: `yes` is true, but `1:30` and
`2001-01-01` are strings, and 2.0 arrives as the integer 2. PyYAML's own constructors differ in
these points, so that scalars are resolved here, from the nodes that PyYAML's parser (the one in C
where it is there) gives.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from labkit.resources.model import Path
from labkit.resources.yaml.scalars import NOT_FINITE, resolve
from labkit.resources.yaml.stream import chunks
from labkit.resources.yaml.syntax import PLAIN, compose, refuse
from labkit.resources.yaml.values import DEEPEST, MOST_VALUES


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
    for first, chunk in chunks(whole, name):
        node = compose(chunk, name, first)
        if node is not None:
            document = Document(None, first, chunk, offset=offset, node=node)
            document.value = _Builder(document, name).build(node, ())
            if document.value is not None:
                yield document
        offset += len(chunk)


class _Builder:
    """Turns nodes into plain values and notes the line of each field on the way."""

    def __init__(self, document: Document, name: str) -> None:
        self.document = document
        self.name = name
        self.open: set[int] = set()
        self.count = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self.count += 1
        if self.count > MOST_VALUES:
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
        if len(path) > DEEPEST:
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
                and key_node.tag == PLAIN
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
        if tag == PLAIN:
            if value in NOT_FINITE:
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
        refuse(self.name, self.document.line, self.document.text, mark.line, mark.column, problem)

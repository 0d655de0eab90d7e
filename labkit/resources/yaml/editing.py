"""`edit`: change one field in a learner's YAML and leave every other character as it is.

ruamel.yaml, the well-kept library for this, writes the whole document anew: it keeps comments and
order, but not spaces inside brackets, the width of lists' indentation or long lines, so that a
one-word change can touch many lines. Here the text around the field is not written at all: the
parser says where the field is, and only that is replaced. The result is read again and compared
with what it should be, so that an edit is right or refused.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import yaml

from labkit.errors import ManifestError
from labkit.resources.finding import written
from labkit.resources.model import Path
from labkit.resources.yaml.document import Document, documents
from labkit.resources.yaml.text import block, flow, scalar


def edit(text: str, path: str | Path, value: Any, *, document: int = 0) -> str:
    """The text with the field at `path` set to `value`; `None` removes the field. Missing fields
    are added.

    >>> edit("spec:\\n  host: a  # the service\\n", "spec.host", "b")
    'spec:\\n  host: b  # the service\\n'
    >>> edit("spec:\\n  host: a\\n", "spec.trafficPolicy.loadBalancer.simple", "RANDOM")
    'spec:\\n  host: a\\n  trafficPolicy:\\n    loadBalancer:\\n      simple: RANDOM\\n'

    `document` counts the documents of the text that are not empty. Raises ManifestError where the
    field can't be changed in place, such as inside an alias.
    """
    parts = list(documents(text, "<text>"))
    return edit_documents(text, parts, [(parse_path(path), value)], document=document)[0]


def edit_documents(
    text: str,
    parts: Sequence[Document],
    changes: Sequence[tuple[Path, Any]],
    *,
    document: int = 0,
) -> tuple[str, list[Document]]:
    """`edit` for a text that was parsed before: several fields at once, (path, value) each, in
    order. Returns the new text and its documents.

    The result is parsed once, however many the changes are, unless they are so close together that
    they have to be made one after the other. Raises what `edit` raises.
    """
    if not 0 <= document < len(parts):
        raise ManifestError(
            f"There is no document {document} in this text", seen=f"{len(parts)} documents"
        )
    before = parts[document]
    wanted = before.value
    due = []
    for path, value in changes:
        value_before, wanted = wanted, changed(wanted, path, value)
        if wanted != value_before:
            due.append((path, value))
    if not due:
        return text, list(parts)
    found = _edited(text, before, due, wanted, document)
    if found is not None:
        return found
    if len(due) == 1:
        raise _impossible(due[0][0])
    for change in due:
        text, parts = edit_documents(text, parts, [change], document=document)
    return text, list(parts)


def _edited(
    text: str, before: Document, changes: Sequence[tuple[Path, Any]], wanted: Any, document: int
) -> tuple[str, list[Document]] | None:
    """The text with all changes made in one go; None where it then does not say what is wanted."""
    editor = _Editor(before.text)
    spans = []
    for path, value in changes:
        above = path[:-1]
        filled = any(
            other != path and new is not None and other[: len(above)] == above
            for other, new in changes
        )
        spans.append(editor.span(before.node, path, value, filled=filled))
    edited, done = "", 0
    for start, end, new in sorted(spans, key=lambda span: span[:2]):
        if start < done:
            return None  # two changes of one place
        edited += before.text[done:start]
        if edited.endswith(("{", "[")):  # what stood in front of it in these brackets is gone
            new = new.removeprefix(", ")
        edited, done = edited + new, end
    edited += before.text[done:]
    end = before.offset + len(before.text)
    result = text[: before.offset] + edited + text[end:]
    try:
        parts = list(documents(result, "<text>"))
    except ManifestError:
        return None
    got = parts[document].value if document < len(parts) else None
    return (result, parts) if got == wanted else None


def parse_path(path: str | Path) -> Path:
    """`spec.http[0].route` -> ("spec", "http", 0, "route"). A tuple is taken as it is."""
    if not isinstance(path, str):
        return tuple(path)
    steps: list[str | int] = []
    for part in path.replace("[", ".[").split("."):
        inner = part[1:-1] if part.startswith("[") and part.endswith("]") else ""
        if inner.isdigit():
            steps.append(int(inner))
        elif part:
            steps.append(inner or part)
    return tuple(steps)


def changed(body: Any, path: Path, value: Any) -> Any:
    """A copy of `body` with one field set or, for None, removed."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = list(body) if isinstance(body, list) else []
        if step > len(items) or (step == len(items) and value is None):
            raise ManifestError(f"There is no item {step} in this list", seen=f"{len(items)} items")
        if value is None and not rest:
            del items[step]
        elif step == len(items):
            items.append(changed(None, rest, value))
        else:
            items[step] = changed(items[step], rest, value)
        return items
    fields = dict(body) if isinstance(body, dict) else {}
    if value is None and (not rest or step not in fields):
        fields.pop(step, None)
    else:
        fields[step] = changed(copy.deepcopy(fields.get(step)), rest, value)
    return fields


def _impossible(path: Path) -> ManifestError:
    return ManifestError(
        f"{written(path)} can't be changed in place",
        try_next="change the text by hand (is the field part of an alias?)",
    )


_Span = tuple[int, int, str]
"""From where to where a text is replaced, and by what."""


class _Editor:
    """Says what to replace in the text of one document, so that a field changes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def span(self, node: yaml.Node | None, path: Path, value: Any, *, filled: bool) -> _Span:
        """What to replace; `node` is the document's root. `filled` says that what the field is in
        gets others at the same time, and so is not empty without it.
        """
        if node is None:
            raise _impossible(path)
        parents: list[yaml.Node] = []
        key: yaml.Node | None = None
        for depth, step in enumerate(path):
            parents.append(node)
            below = child(node, step)
            if below is None:
                return self.add(node, key, path[depth:], value)
            key, node = below
        if value is None:
            return self.remove(parents[-1], path[-1], filled=filled)
        return self.replace(node, key, value)

    def replace(self, node: yaml.Node, key: yaml.Node | None, value: Any) -> _Span:
        start, end = node.start_mark.index, self.end(node)
        if isinstance(value, (dict, list)) and value and not self.in_flow(node):
            return self.nested(node, key, value)
        quote = getattr(node, "style", "") or ""
        quote = quote if quote in ("'", '"') and isinstance(value, str) else ""
        new = flow(value) if isinstance(value, (dict, list)) else scalar(value, quote)
        if start == end or (key is not None and self.text[key.end_mark.index : start].count("\n")):
            # Nothing, or a block below its key: the new value goes behind the colon.
            start = self.colon(key) if key is not None else start
            new = " " + new
        return start, end, new

    def nested(self, node: yaml.Node, key: yaml.Node | None, value: Any) -> _Span:
        """Puts a block in the place of a value that is not inside brackets."""
        end = self.end(node)
        if key is None:
            return node.start_mark.index, end, block(value, node.start_mark.column)
        start = self.colon(key)
        column = key.start_mark.column + (2 if isinstance(value, dict) else 0)
        if node.start_mark.index == node.end_mark.index and "\n" in self.text[start:]:
            # nothing so far: stay behind a comment on that line
            start = end = self.line_end(start) - 1
        return start, end, "\n" + " " * column + block(value, column)

    def add(self, node: yaml.Node, key: yaml.Node | None, path: Path, value: Any) -> _Span:
        """Adds what is left of a path below the last node that exists."""
        if value is None:
            return 0, 0, ""
        body = (
            [changed(None, path[1:], value)]
            if isinstance(path[0], int)
            else changed(None, path, value)
        )
        empty = isinstance(node, yaml.ScalarNode) or not node.value
        if empty or isinstance(node, yaml.MappingNode) != isinstance(body, dict):
            return self.replace(node, key, body)
        if flow_style(node):
            last = self.end(self.last_leaf(node))
            return last, last, ", " + flow(body)[1:-1]
        column = node.start_mark.column
        at = self.line_end(self.end(node))
        line_break = "" if self.text[:at].endswith("\n") else "\n"
        return at, at, line_break + " " * column + block(body, column) + "\n"

    def remove(self, parent: yaml.Node, step: str | int, *, filled: bool) -> _Span:
        places = parent.value
        index = step if isinstance(step, int) else position(parent, step)
        node = places[index] if isinstance(step, int) else places[index][1]
        end = (
            self.end(node)
            if isinstance(step, int)
            else max(self.end(node), places[index][0].end_mark.index)
        )
        starts = [
            item.start_mark.index if isinstance(step, int) else item[0].start_mark.index
            for item in places
        ]
        if len(places) == 1 and filled and flow_style(parent):
            return starts[0], end, ""
        if len(places) == 1 and not filled:
            if flow_style(parent):
                return parent.start_mark.index + 1, parent.end_mark.index - 1, ""
            empty = "[]" if isinstance(step, int) else "{}"
            return parent.start_mark.index, self.end(node), empty
        if flow_style(parent):
            if index + 1 < len(places):
                return starts[index], starts[index + 1], ""
            ends = self.end(places[index - 1] if isinstance(step, int) else places[index - 1][1])
            return ends, end, ""
        if (
            isinstance(step, str)
            and index + 1 < len(places)
            and self.text[self.line_start(starts[index]) : starts[index]].strip()
        ):
            # The first field of a list's item stands behind the dash: the next field takes its
            # place.
            return starts[index], starts[index + 1], ""
        return self.line_start(starts[index]), self.line_end(end), ""

    def last_leaf(self, node: yaml.Node) -> yaml.Node:
        last: yaml.Node = (
            node.value[-1] if isinstance(node, yaml.SequenceNode) else node.value[-1][1]
        )
        return last

    def end(self, node: yaml.Node) -> int:
        """Where a node's own text ends; a block's mark stands behind the
        comments that follow it.
        """
        if isinstance(node, yaml.ScalarNode):
            end = int(node.end_mark.index)
            if node.style in ("|", ">"):
                return len(self.text[:end].rstrip("\n \r")) if self.text[:end].strip() else end
            return end
        if flow_style(node) or not node.value:
            return int(node.end_mark.index)
        leaf = self.last_leaf(node)
        end = self.end(leaf)
        if isinstance(node, yaml.MappingNode) and leaf.start_mark.index == leaf.end_mark.index:
            return self.colon(node.value[-1][0])  # the last field has no value
        return end

    def in_flow(self, node: yaml.Node) -> bool:
        """Whether a node is inside brackets, or is brackets with something in them."""
        before = self.text[: node.start_mark.index]
        return bool(flow_style(node) and node.value) or self.depth(before) > 0

    def depth(self, before: str) -> int:
        """How many brackets are open at the end of `before`, as the parser counts them."""
        level = 0
        for token in yaml.scan(before, Loader=yaml.SafeLoader) if before.strip() else ():
            if isinstance(token, (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)):
                level += 1
            elif isinstance(token, (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)):
                level -= 1
        return level

    def colon(self, key: yaml.Node) -> int:
        """Behind the colon that follows a key."""
        return self.text.index(":", key.end_mark.index) + 1

    def line_start(self, index: int) -> int:
        return self.text.rfind("\n", 0, index) + 1

    def line_end(self, index: int) -> int:
        """Behind the line break of the line that `index` is on."""
        found = self.text.find("\n", index)
        return len(self.text) if found < 0 else found + 1


def flow_style(node: yaml.Node) -> bool:
    """Whether a mapping or a list is written in brackets."""
    return bool(getattr(node, "flow_style", False))


def child(node: yaml.Node, step: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    """The key and the value below a node, or None."""
    if isinstance(step, int):
        if isinstance(node, yaml.SequenceNode) and step < len(node.value):
            return None, node.value[step]
        return None
    if isinstance(node, yaml.MappingNode):
        index = position(node, step)
        if index >= 0:
            key, value = node.value[index]
            return key, value
    return None


def position(node: yaml.Node, name: str) -> int:
    """Which pair of a mapping has this name; the last one counts."""
    names: Sequence[Any] = [key.value for key, _ in node.value]
    return max((index for index, key in enumerate(names) if key == name), default=-1)

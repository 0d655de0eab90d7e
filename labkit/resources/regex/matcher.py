r"""What an expression of RE2 matches: its whole text, as Envoy's routes ask, and replacements.

A set of states goes through the text once, as in RE2 itself (Russ Cox, "Regular Expression
Matching: the Virtual Machine Approach"): however an expression is written, no text takes it long.
Python's own `re` would need minutes for `(a+)+b`, and reads some of RE2's syntax otherwise.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from labkit.resources.regex.parser import Parser, Ranges

Test = Callable[[str], bool]
Code = tuple[Any, ...]
"""One instruction: ("set", test), ("at", assertion), ("split", first, second), ("jump", where),
("save", slot), ("match",)."""
Spans = tuple[int, ...]
"""Where each group begins and ends, two numbers each, the whole first; -1 where it took no part."""


class UnknownScript(ValueError):
    """An expression that asks for a script of Unicode, such as `\\p{Greek}`, which Python's tables
    do not have.
    """


def matches_whole(expression: str, text: str) -> bool:
    """Whether a valid expression matches all of a text, as Envoy asks it for a path or a header.

    Raises UnknownScript; ValueError for what is no expression of RE2.

    >>> matches_whole("/v[12]/.*", "/v2/cart"), matches_whole("/v[12]", "/v2/cart")
    (True, False)
    """
    return _run(program(expression), text, 0, whole=True) is not None


def replaced(expression: str, rewrite: str, text: str) -> str:
    r"""The text with all that the expression matches rewritten, `\1` being its first group.

    >>> replaced("^/a/(.*)$", r"/\1", "/a/b")
    '/b'
    """
    groups = [int(number) for number in re.findall(r"\\([0-9])", rewrite.replace("\\\\", ""))]
    if 2 * max(groups, default=0) >= _slots(program(expression)):
        return text  # RE2 replaces nothing where a group is asked for that is not there
    out: list[str] = []
    at, last = 0, -1
    while at <= len(text):
        spans = _run(program(expression), text, at)
        if spans is None:
            break
        out.append(text[at : spans[0]])
        if spans[0] == spans[1] == last:  # nothing, directly behind the last match
            out.append(text[spans[0] : spans[0] + 1])
            at = spans[0] + 1
            continue
        out.append(_filled(rewrite, text, spans))
        at = last = spans[1]
    out.append(text[at:])
    return "".join(out)


def _slots(code: tuple[Code, ...]) -> int:
    """How many numbers the spans of a program have."""
    return 1 + max(int(one[1]) for one in code if one[0] == "save")


def _filled(rewrite: str, text: str, spans: Spans) -> str:
    out = []
    characters = iter(rewrite)
    for character in characters:
        if character != "\\":
            out.append(character)
            continue
        following = next(characters, "")
        if following.isdigit():
            first, last = spans[2 * int(following) : 2 * int(following) + 2]
            out.append(text[first:last] if first >= 0 else "")
        else:
            out.append(following)
    return "".join(out)


@dataclass
class _Node:
    """A part of an expression. `kind` is set, at, group or repeat."""

    kind: str
    test: Test | str = ""
    choices: list[list[_Node]] = field(default_factory=list)
    group: int = -1
    least: int = 0
    most: int = 0
    lazy: bool = False


@dataclass
class _Open:
    """A group that is being read."""

    number: int
    flags: frozenset[str]
    choices: list[list[_Node]] = field(default_factory=lambda: [[]])


class _Reader(Parser):
    """Reads an expression as `Parser` does, and keeps its parts."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.stack = [_Open(0, frozenset())]
        self.count = 0
        self.lazy = False

    @property
    def flags(self) -> frozenset[str]:
        return self.stack[-1].flags

    def add(self, node: _Node) -> None:
        self.stack[-1].choices[-1].append(node)

    def seen_character(self, character: str) -> None:
        self.seen_class([(ord(character), ord(character))], negated=False)

    def seen_class(self, ranges: Ranges, negated: bool) -> None:
        self.add(_Node("set", _test(ranges, negated, "i" in self.flags)))

    def seen_dot(self) -> None:
        self.seen_class([] if "s" in self.flags else [(10, 10)], negated=True)

    def seen_nothing(self) -> None:
        sign = self.text[self.at - 1]
        lines = "m" in self.flags
        kinds = {"^": "line" if lines else "start", "$": "line end" if lines else "end"}
        self.add(_Node("at", {**kinds, "A": "start", "z": "end"}.get(sign, sign)))

    def seen_bar(self) -> None:
        self.stack[-1].choices.append([])

    def seen_flags(self, on: str, off: str) -> None:
        self.stack[-1].flags = (self.flags | set(on)) - set(off)

    def seen_group(self) -> None:
        if self.groups[-1].capturing:
            self.count += 1
        self.stack.append(_Open(self.count if self.groups[-1].capturing else -1, self.flags))

    def seen_end(self, capturing: bool) -> None:
        done = self.stack.pop()
        self.add(_Node("group", choices=done.choices, group=done.number))

    def repeat(self, shown: str, times: int, before: bool, *, counted: bool = False) -> None:
        at = self.at
        super().repeat(shown, times, before, counted=counted)
        self.lazy = (self.at > at) != ("U" in self.flags)

    def seen_repeat(self, least: int, most: int) -> None:
        part = self.stack[-1].choices[-1].pop()
        node = _Node("repeat", choices=[[part]], least=least, most=most, lazy=self.lazy)
        self.add(node)


@cache
def _orbit(character: str) -> frozenset[str]:
    """The characters that are the same when case does not count."""
    found = {character, character.lower(), character.upper()}
    for letters in ("kKK", "sSſ", "åÅÅ"):
        if found & set(letters):
            found |= set(letters)
    return frozenset(each for each in found if len(each) == 1)


def _test(ranges: Ranges, negated: bool, folds: bool) -> Test:
    spans = [each for each in ranges if isinstance(each, tuple)]
    properties = [_property(each) for each in ranges if isinstance(each, str)]

    def one(character: str) -> bool:
        number = ord(character)
        return any(low <= number <= high for low, high in spans) or any(
            each(character) for each in properties
        )

    def test(character: str) -> bool:
        if "\ud800" <= character <= "\udfff":  # a byte that is no UTF-8: RE2 knows no such letter
            return False
        found = any(map(one, _orbit(character))) if folds else one(character)
        return found != negated

    return test


_LONG = {
    "letter": "L", "uppercaseletter": "Lu", "lowercaseletter": "Ll", "titlecaseletter": "Lt",
    "modifierletter": "Lm", "otherletter": "Lo", "mark": "M", "nonspacingmark": "Mn",
    "spacingmark": "Mc", "enclosingmark": "Me", "number": "N", "decimalnumber": "Nd", "digit": "Nd",
    "letternumber": "Nl", "othernumber": "No", "punctuation": "P", "punct": "P",
    "connectorpunctuation": "Pc", "dashpunctuation": "Pd", "openpunctuation": "Ps",
    "closepunctuation": "Pe", "initialpunctuation": "Pi", "finalpunctuation": "Pf",
    "otherpunctuation": "Po", "symbol": "S", "mathsymbol": "Sm", "currencysymbol": "Sc",
    "modifiersymbol": "Sk", "othersymbol": "So", "separator": "Z", "spaceseparator": "Zs",
    "lineseparator": "Zl", "paragraphseparator": "Zp", "other": "C", "control": "Cc",
    "cntrl": "Cc", "format": "Cf", "privateuse": "Co", "unassigned": "Cn", "surrogate": "Cs",
}  # fmt: skip
_CATEGORIES = {each for long in _LONG.values() for each in (long, long[0])}


def _property(name: str) -> Test:
    opposite, bare = name.startswith("^"), name.lstrip("^")
    plain = bare.replace("_", "").replace("-", "").replace(" ", "").lower()
    category = _LONG.get(plain, plain.capitalize())
    if plain == "any":
        return lambda character: not opposite
    if plain == "ascii":
        return lambda character: (character <= "\x7f") != opposite
    if category not in _CATEGORIES:
        raise UnknownScript(f"what is in \\p{{{bare}}} is not known here")
    return lambda character: unicodedata.category(character).startswith(category) != opposite


@cache
def program(expression: str) -> tuple[Code, ...]:
    """The instructions of a valid expression."""
    reader = _Reader(expression)
    reader.run()
    top = reader.stack[0]
    code: list[Code] = []
    _emit(_Node("group", choices=top.choices, group=0), code)
    return (*code, ("match",))


def _emit(node: _Node, code: list[Code]) -> None:
    if node.kind in ("set", "at"):
        code.append((node.kind, node.test))
    elif node.kind == "group":
        if node.group >= 0:
            code.append(("save", 2 * node.group))
        _emit_choices(node.choices, code)
        if node.group >= 0:
            code.append(("save", 2 * node.group + 1))
    else:
        _emit_repeat(node, code)


def _emit_choices(choices: Sequence[Sequence[_Node]], code: list[Code]) -> None:
    ends = []
    for number, choice in enumerate(choices):
        split = len(code)
        last = number == len(choices) - 1
        if not last:
            code.append(("split", 0, 0))
        for node in choice:
            _emit(node, code)
        if not last:
            ends.append(len(code))
            code.append(("jump", 0))
            code[split] = ("split", split + 1, len(code))
    for end in ends:
        code[end] = ("jump", len(code))


def _emit_repeat(node: _Node, code: list[Code]) -> None:
    [[part]] = node.choices

    def split(inside: int, outside: int) -> Code:
        return ("split", outside, inside) if node.lazy else ("split", inside, outside)

    if node.most < 0:
        # `x*` is `(x+)?`, which tells apart what an x that matches nothing has taken
        start = len(code)
        if not node.least:
            code.append(("split", 0, 0))
        for _ in range(node.least - 1):
            _emit(part, code)
        again = len(code)
        _emit(part, code)
        code.append(split(again, len(code) + 1))
        if not node.least:
            code[start] = split(start + 1, len(code))
        return
    for _ in range(node.least):
        _emit(part, code)
    starts = []
    for _ in range(node.most - node.least):
        starts.append(len(code))
        code.append(("split", 0, 0))
        _emit(part, code)
    for start in starts:
        code[start] = split(start + 1, len(code))


def _run(code: tuple[Code, ...], text: str, start: int, *, whole: bool = False) -> Spans | None:
    """The spans of the first match from `start` on; with `whole` only one of all the text."""
    nothing = (-1,) * _slots(code)
    found: Spans | None = None
    threads: list[tuple[int, Spans]] = []
    for at in range(start, len(text) + 1):
        if found is None and (at == start or not whole):
            threads.append((0, nothing))
        following: list[tuple[int, Spans]] = []
        for place, spans in _ready(code, threads, text, at):
            kind, *rest = code[place]
            if kind == "match":
                if whole and at < len(text):
                    continue
                found = spans
                break  # what comes after it is less wanted
            if at < len(text) and rest[0](text[at]):
                following.append((place + 1, spans))
        threads = following
        if not threads and (found is not None or whole):
            break
    return found


def _ready(
    code: tuple[Code, ...], threads: Sequence[tuple[int, Spans]], text: str, at: int
) -> Iterator[tuple[int, Spans]]:
    """The threads with all steps done that take no character, the most wanted first."""
    seen: set[int] = set()
    stack = list(reversed(threads))
    while stack:
        place, spans = stack.pop()
        if place in seen:
            continue
        seen.add(place)
        kind, *rest = code[place]
        if kind == "jump":
            stack.append((rest[0], spans))
        elif kind == "split":
            stack += [(rest[1], spans), (rest[0], spans)]
        elif kind == "save":
            stack.append((place + 1, (*spans[: rest[0]], at, *spans[rest[0] + 1 :])))
        elif kind == "at":
            if _holds(rest[0], text, at):
                stack.append((place + 1, spans))
        else:
            yield place, spans


def _holds(assertion: str, text: str, at: int) -> bool:
    if assertion == "start":
        return at == 0
    if assertion == "end":
        return at == len(text)
    if assertion == "line":
        return at == 0 or text[at - 1] == "\n"
    if assertion == "line end":
        return at == len(text) or text[at] == "\n"
    around = [0 <= n < len(text) and _is_word(text[n]) for n in (at - 1, at)]
    return (around[0] != around[1]) == (assertion == "b")


def _is_word(character: str) -> bool:
    return character == "_" or (character.isascii() and character.isalnum())

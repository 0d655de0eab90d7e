"""Whether a text is a regular expression of RE2, the library of Envoy and of Istio's own check.

Python's `re` takes what RE2 does not (look-ahead, back references) and refuses what RE2 takes
(`\\z`, `\\pL`, `[[:alpha:]]`), so that it can't judge. Nor can the Python bindings of RE2 itself
(google-re2 was tried): of 20,069 expressions they judged 441 otherwise than Go's package, which is
what Istio's webhook uses. A test compares this with Go's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MOST_REPEATS = 1000
_LAST_CHARACTER = 0x10FFFF
_REPEAT = re.compile(r"\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
_NAMED_GROUP = re.compile(r"\(\?P?<([^>]*)>")
_FLAGS = re.compile(r"\(\?([imsU]*)(-[imsU]+)?([:)])")
_ESCAPE = re.compile(
    r"\\(?:x\{0*([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})|([afnrtv])|([^0-9A-Za-z\x80-\U0010ffff]))",
    re.DOTALL,
)
_LETTERS = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}

# Go's package, since 1.25, knows no script of several words (such as Old_Italic), and so Istio
# refuses them.
_UNICODE = """
any assigned ascii c cc cf cn co cs l lc ll lm lo lt lu m mc me mn n nd nl no p pc pd pe pf pi po ps s sc sk
sm so z zl zp zs casedletter closepunctuation combiningmark connectorpunctuation control currencysymbol
dashpunctuation decimalnumber enclosingmark finalpunctuation format initialpunctuation letter letternumber
lineseparator lowercaseletter mark mathsymbol modifierletter modifiersymbol nonspacingmark number
openpunctuation other otherletter othernumber otherpunctuation othersymbol paragraphseparator privateuse
punctuation separator spaceseparator spacingmark surrogate symbol titlecaseletter unassigned uppercaseletter
cntrl digit punct adlam ahom arabic armenian avestan balinese bamum batak bengali bhaiksuki bopomofo brahmi
braille buginese buhid carian chakma cham cherokee chorasmian common coptic cuneiform cypriot cyrillic
deseret devanagari dogra duployan elbasan elymaic ethiopic georgian glagolitic gothic grantha greek gujarati
gurmukhi han hangul hanunoo hatran hebrew hiragana inherited javanese kaithi kannada katakana kawi
kharoshthi khmer khojki khudawadi lao latin lepcha limbu lisu lycian lydian mahajani makasar malayalam
mandaic manichaean marchen medefaidrin miao modi mongolian mro multani myanmar nabataean nandinagari newa
nko nushu ogham oriya osage osmanya palmyrene phoenician rejang runic samaritan saurashtra sharada shavian
siddham sinhala sogdian soyombo sundanese syriac tagalog tagbanwa takri tamil tangsa tangut telugu thaana
thai tibetan tifinagh tirhuta toto ugaritic vai vithkuqi wancho yezidi yi
"""  # noqa: E501


def _ranges(ends: str) -> list[tuple[int, int]]:
    """Ranges by their first and last characters: "09AZ" is 0 to 9 and A to Z."""
    numbers = [ord(character) for character in ends]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _inverse(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    at = 0
    for first, last in sorted(ranges):
        if first > at:
            yield at, first - 1
        at = last + 1
    yield at, _LAST_CHARACTER


_POSIX = {
    "alnum": _ranges("09AZaz"),
    "alpha": _ranges("AZaz"),
    "ascii": _ranges("\x00\x7f"),
    "blank": _ranges("\t\t  "),
    "cntrl": _ranges("\x00\x1f\x7f\x7f"),
    "digit": _ranges("09"),
    "graph": _ranges("!~"),
    "lower": _ranges("az"),
    "print": _ranges(" ~"),
    "punct": _ranges("!/:@[`{~"),
    "space": _ranges("\t\r  "),
    "upper": _ranges("AZ"),
    "word": _ranges("09AZaz__"),
    "xdigit": _ranges("09AFaf"),
}
_SHORTHANDS = {"d": _POSIX["digit"], "s": _ranges("\t\n\f\r  "), "w": _POSIX["word"]}
_PROPERTIES = frozenset(_UNICODE.split())


def problem(text: str) -> str:
    """What is wrong with an expression, or "".

    >>> problem("/v[12]/.*"), problem("[a"), problem("(?=x)")
    ('', 'a [ that is not closed', 'RE2 does not know (?=')
    """
    try:
        Parser(text).run()
    except Wrong as wrong:
        return str(wrong)
    return ""


class Wrong(ValueError):
    """An expression that RE2 refuses, in words."""


Ranges = list["tuple[int, int] | str"]
"""What a class of characters has: ranges (first, last), and properties of Unicode by name, with a
`^` before the name for their opposite."""


@dataclass
class _Group:
    """What has been read of a group: how often its parts repeat at most, and whether there is one
    to repeat.
    """

    most: int = 1
    atom: int = 0
    """How often the last part repeats its own parts; 0 where there is none."""
    capturing: bool = True

    def close(self) -> None:
        self.most = max(self.most, self.atom)
        self.atom = 0


class Parser:
    """One pass over the text with a stack of open groups; nothing is built, only checked.

    Who wants to know more of an expression overrides the methods `seen_…`, which are told of its
    parts in their order.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = [_Group()]
        self.repeated = False
        """Whether the thing just read was a repetition: `a**` is wrong."""

    def run(self) -> None:
        while self.at < len(self.text):
            character = self.text[self.at]
            before, self.repeated = self.repeated, False
            if character == "(":
                self.open()
            elif character == ")":
                self.close()
            elif character == "|":
                self.groups[-1].close()
                self.at += 1
                self.seen_bar()
            elif character in "*+?":
                self.at += 1
                self.repeat(character, 1, before)
                self.seen_repeat(1 if character == "+" else 0, 1 if character == "?" else -1)
            elif character == "{":
                self.counted(before)
            elif character == "[":
                self.char_class()
                self.atom()
            elif character in ".^$":
                self.at += 1
                if character == ".":
                    self.seen_dot()
                else:
                    self.seen_nothing()
                self.atom()
            elif character == "\\":
                self.backslash()
            else:
                self.at += 1
                self.seen_character(character)
                self.atom()
        if len(self.groups) > 1:
            raise Wrong("a ( that is not closed")

    def seen_character(self, character: str) -> None:
        """A character that stands for itself."""

    def seen_class(self, ranges: Ranges, negated: bool) -> None:
        """A class of characters, such as `[^a-z]` or `\\pL`."""

    def seen_dot(self) -> None:
        """A dot: any character."""

    def seen_nothing(self) -> None:
        """An assertion such as `^`, which takes no character."""

    def seen_bar(self) -> None:
        """A | has been read: what follows stands beside what came before it in this group."""

    def seen_flags(self, on: str, off: str) -> None:
        """Flags such as `(?i)` or `(?s-m:`: they hold to the end of the group that is open, which
        with a colon is one that has just begun.
        """

    def seen_group(self) -> None:
        """A ( has been read."""

    def seen_end(self, capturing: bool) -> None:
        """The ) of a group has been read."""

    def seen_repeat(self, least: int, most: int) -> None:
        """The last part is repeated; `most` is -1 where there is no limit."""

    def atom(self, weight: int = 1) -> None:
        """Something that a repetition can follow has been read."""
        group = self.groups[-1]
        group.close()
        group.atom = weight

    def open(self) -> None:
        if not self.text.startswith("(?", self.at):
            self.at += 1
            self.groups.append(_Group())
            self.seen_group()
            return
        named = _NAMED_GROUP.match(self.text, self.at)
        if named:
            if not re.fullmatch(r"\w+", named[1], re.ASCII):
                raise Wrong(f"{named[0]} is not the start of a named group")
            self.at = named.end()
            self.groups.append(_Group())
            self.seen_group()
            return
        flags = _FLAGS.match(self.text, self.at)
        if flags is None:
            raise Wrong(f"RE2 does not know {self.text[self.at : self.at + 3]}")
        self.at = flags.end()
        if flags[3] == ":":
            self.groups.append(_Group(capturing=False))
            self.seen_group()
        self.seen_flags(flags[1], (flags[2] or "").removeprefix("-"))

    def close(self) -> None:
        if len(self.groups) == 1:
            raise Wrong("a ) without its (")
        group = self.groups.pop()
        group.close()
        self.at += 1
        self.seen_end(group.capturing)
        self.atom(group.most)

    def counted(self, before: bool) -> None:
        """`{2}`, `{2,}` or `{2,5}`; any other text after a brace means itself."""
        found = _REPEAT.match(self.text, self.at)
        if found is None:
            self.at += 1
            self.seen_character("{")
            self.atom()
            return
        least = int(found[1])
        most = least if found[2] is None else int(found[3]) if found[3] else -1
        if least > _MOST_REPEATS or most > _MOST_REPEATS or -1 < most < least:
            raise Wrong(f"{found[0]} is not a repetition (at most {_MOST_REPEATS} times)")
        self.at = found.end()
        self.repeat(found[0], least if most < 0 else most, before, counted=least >= 2 or most >= 2)
        self.seen_repeat(least, most)

    def repeat(self, shown: str, times: int, before: bool, *, counted: bool = False) -> None:
        if self.text.startswith("?", self.at):
            self.at += 1
        if before:
            raise Wrong(f"{shown} after another repetition")
        group = self.groups[-1]
        if not group.atom:
            raise Wrong(f"nothing that {shown} could repeat")
        group.atom = group.atom * times or 1
        if counted and group.atom > _MOST_REPEATS:
            raise Wrong(
                f"repetitions inside each other that come to more than {_MOST_REPEATS} times"
            )
        self.repeated = True

    def backslash(self) -> None:
        text = self.text
        following = text[self.at + 1 : self.at + 2]
        if following == "Q":
            end = text.find("\\E", self.at + 2)
            quoted = text[self.at + 2 :] if end < 0 else text[self.at + 2 : end]
            self.at = len(text) if end < 0 else end + 2
            for character in quoted:
                self.seen_character(character)
                self.atom()
            return
        if following and following in "AbBz":
            self.at += 2
            self.seen_nothing()
        elif (ranges := self.shorthand()) is not None:
            self.seen_class(ranges, negated=False)
        else:
            self.seen_character(chr(self.escape()))
        self.atom()

    def shorthand(self) -> Ranges | None:
        r"""`\d` and its like, `\pL`, `\p{Greek}`; None where there is none."""
        text = self.text
        following = text[self.at + 1 : self.at + 2] if text.startswith("\\", self.at) else ""
        if following and following in "dDsSwW":
            self.at += 2
            ranges = _SHORTHANDS[following.lower()]
            return list(_inverse(ranges) if following.isupper() else ranges)
        if not following or following not in "pP" or self.at + 2 >= len(text):
            return None
        end = self.at + 3
        name = text[self.at + 2]
        if name == "{":
            close = text.find("}", self.at)
            if close < 0:
                raise Wrong("a { that is not closed")
            name, end = text[self.at + 3 : close], close + 1
        if (
            name.removeprefix("^").replace("_", "").replace("-", "").replace(" ", "").lower()
            not in _PROPERTIES
        ):
            raise Wrong(f"{text[self.at : end]} is not a class of characters")
        self.at = end
        opposite = (following == "P") != name.startswith("^")
        return [("^" if opposite else "") + name.removeprefix("^")]

    def escape(self) -> int:
        """One escaped character; returns its number."""
        found = _ESCAPE.match(self.text, self.at)
        if found is None:
            if self.at + 1 == len(self.text):
                raise Wrong("a backslash at the end")
            raise Wrong(f"RE2 does not know {self.text[self.at : self.at + 2]}")
        self.at = found.end()
        if found[1] or found[2]:
            number = int(found[1] or found[2], 16)
            if number > _LAST_CHARACTER:
                raise Wrong(f"{found[0]} is not a character")
            return number
        if found[3]:
            return int(found[3], 8)
        return _LETTERS[found[4]] if found[4] else ord(found[5])

    def char_class(self) -> None:
        text = self.text
        negated = text.startswith("[^", self.at)
        self.at += 2 if negated else 1
        ranges: Ranges = []
        first = True
        while first or not text.startswith("]", self.at):
            first = False
            if self.at >= len(text):
                raise Wrong("a [ that is not closed")
            close = text.find(":]", self.at + 2) if text.startswith("[:", self.at) else -1
            if close >= 0:
                if text[self.at + 2 : close].removeprefix("^") not in _POSIX:
                    raise Wrong(f"{text[self.at : close + 2]} is not a class of characters")
                name = text[self.at + 2 : close]
                self.at = close + 2
                own = _POSIX[name.removeprefix("^")]
                ranges += _inverse(own) if name.startswith("^") else own
                continue
            short = self.shorthand()
            if short is not None:
                ranges += short
                continue
            start = self.at
            low = high = self.one()
            if (
                text.startswith("-", self.at)
                and self.at + 1 < len(text)
                and text[self.at + 1] != "]"
            ):
                self.at += 1
                if (high := self.one()) < low:
                    raise Wrong(
                        f"{text[start : self.at]} is not a range: its end comes before its start"
                    )
            ranges.append((low, high))
        self.at += 1
        self.seen_class(ranges, negated)

    def one(self) -> int:
        """One character of a class."""
        if self.text.startswith("\\", self.at):
            return self.escape()
        self.at += 1
        return ord(self.text[self.at - 1])

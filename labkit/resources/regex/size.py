"""How large a regular expression becomes as a program of RE2, which Envoy limits.

An estimate: RE2's compiler knows more tricks. It is within a few per cent where it matters, which
is repetition: each copy of a repeated part has its own instructions. (google-re2 would know it
exactly, at the price of a compiled package that every learner installs, for one rule.)
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.resources.regex.parser import Parser, Ranges

_ASCII = 0x7F
_LAST = 0x10FFFF
_LENGTHS = (0x7F, 0x7FF, 0xFFFF, _LAST)
"""The last character of one byte in UTF-8, of two, three and four."""
_ALL_ABOVE_ASCII = 6
"""RE2 has one compact form for all characters that are no ASCII."""
_PER_GROUP = 2
_FRAME = 4
"""What is before and behind every expression."""

# Instructions of a class by its Unicode property, and of its opposite, as google-re2 1.1 counts
# them. Other properties are small.
_TABLE = """
    C 70 104 Cf 51 98 L 1196 1198 Ll 822 884 Lm 133 252 Lo 932 995 Lu 790 846 M 551 736 Mc 309 429
    Mn 573 806 N 233 472 Nd 86 265 Nl 31 64 No 149 274 P 330 577 Pd 37 72 Pe 115 154 Po 313 550
    Ps 122 158 S 442 555 Sc 48 96 Sk 57 97 Sm 113 169 So 365 435 Common 352 400 Arabic 98 140
    Han 80 120 Latin 78 120 Inherited 66 110 Ethiopic 63 100 Greek 62 100
"""
_WORDS = _TABLE.split()
_OF_PROPERTY = {
    name.lower(): (int(own), int(opposite))
    for name, own, opposite in zip(_WORDS[::3], _WORDS[1::3], _WORDS[2::3], strict=True)
}
_OTHER_PROPERTY = (25, 50)


def program_size(text: str) -> int:
    """About how many instructions a valid expression has. Raises ValueError where it is not valid.

    >>> program_size("/api/.*"), program_size("[^/]{1000}")
    (18, 8004)
    """
    return _FRAME + _Sizer(text).size()


class _Sizer(Parser):
    """Reads an expression as `Parser` does, and adds up what each part costs."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.open_sizes = [0]
        """Of each open group, what its parts cost so far."""
        self.last = 0
        """What the last part costs: a repetition multiplies it."""
        self.folds = "(?i" in text
        """Whether upper and lower case count as the same."""

    def size(self) -> int:
        self.run()
        return self.open_sizes[0]

    def seen_character(self, character: str) -> None:
        if self.folds and character in "ksKS":
            self.seen_class([(ord(character), ord(character))], negated=False)
        else:
            self.add(len(character.encode("utf-8", "surrogatepass")))

    def seen_class(self, ranges: Ranges, negated: bool) -> None:
        cost = 0
        characters: list[tuple[int, int]] = []
        for each in ranges:
            if isinstance(each, tuple):
                characters.append(each)
            else:
                own, opposite = _OF_PROPERTY.get(each.lstrip("^").lower(), _OTHER_PROPERTY)
                cost += own if each.startswith("^") == negated else opposite
        if self.folds:
            characters += _folded(characters)
        if characters or not cost:
            merged = list(_merged(characters))
            cost += _instructions(list(_opposite(merged)) if negated else merged)
        self.add(cost)

    def seen_dot(self) -> None:
        self.seen_class([(ord("\n"), ord("\n"))], negated=True)

    def seen_nothing(self) -> None:
        self.add(1)

    def seen_group(self) -> None:
        self.open_sizes.append(0)

    def seen_end(self, capturing: bool) -> None:
        self.add(self.open_sizes.pop() + (_PER_GROUP if capturing else 0))

    def seen_repeat(self, least: int, most: int) -> None:
        one = self.last
        self.open_sizes[-1] -= one
        if most < 0:
            self.add(max(least, 1) * one + 1)
        else:
            self.add(least * one + (most - least) * (one + 1))

    def add(self, cost: int) -> None:
        self.open_sizes[-1] += cost
        self.last = cost


_OTHER_CASE = {ord("k"): 0x212A, ord("s"): 0x17F}
"""Letters of ASCII that have a third form: the sign of Kelvin, and the long s."""


def _folded(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [
        (other, other)
        for letter, other in _OTHER_CASE.items()
        if any(first <= each <= last for first, last in ranges for each in (letter, letter - 32))
    ]


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    low, high = -1, -2
    for first, last in sorted(ranges):
        if first > high + 1:
            if high >= low >= 0:
                yield low, high
            low, high = first, last
        else:
            high = max(high, last)
    if high >= low >= 0:
        yield low, high


def _opposite(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    at = 0
    for first, last in ranges:
        if first > at:
            yield at, first - 1
        at = last + 1
    if at <= _LAST:
        yield at, _LAST


def _instructions(ranges: list[tuple[int, int]]) -> int:
    """The instructions of a class: one for each range of bytes, where ends that are the same are
    shared."""
    found: set[tuple[tuple[int, int], ...]] = set()
    extra = 0
    for first, last in ranges:
        if last == _LAST and first <= _ASCII + 1:
            extra += _ALL_ABOVE_ASCII
            last = _ASCII
        for sequence in _sequences(first, last):
            found.update(sequence[at:] for at in range(len(sequence)))
    pairs = sum(
        (first + 32, last + 32) in ranges
        for first, last in ranges
        if ord("A") <= first <= last <= ord("Z")
    )  # one instruction may be for both cases
    return len(found) + extra - pairs


def _sequences(first: int, last: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """The characters of a range as ranges of each byte of their UTF-8."""
    if first > last:
        return
    for end in _LENGTHS:
        if first <= end < last:
            yield from _sequences(first, end)
            yield from _sequences(end + 1, last)
            return
    if last <= _ASCII:
        yield ((first, last),)
        return
    for position in (1, 2, 3):
        low = (1 << 6 * position) - 1
        if first & ~low != last & ~low:
            if first & low:
                yield from _sequences(first, first | low)
                yield from _sequences((first | low) + 1, last)
                return
            if last & low != low:
                yield from _sequences(first, (last & ~low) - 1)
                yield from _sequences(last & ~low, last)
                return
    yield tuple(zip(_utf8(first), _utf8(last), strict=True))


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")

"""What Istio's webhook checks of headers: in matches, and where a route sets,
adds or removes them.
"""

from __future__ import annotations

import re

from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import header_name
from labkit.resources.rules.shared import Fields, block, items

_PSEUDO = (":method", ":scheme", ":authority", ":path", ":status")
_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f]*")
_CLAIMS = "@request.auth.claims"


def is_jwt_claim(name: str) -> bool:
    """Whether a header of a match stands for a claim of a JWT: `@request.auth.claims.group`."""
    if not name.lower().startswith(_CLAIMS):
        return False
    rest = name[len(_CLAIMS) :]
    return (rest.startswith(".") and len(rest) > 1) or (
        rest.startswith("[") and rest.endswith("]") and len(rest) > 2
    )


def header_match_problem(name: str) -> str:
    """What is wrong with the name of a header in a match."""
    if not name:
        return "the name of the header is empty"
    good = is_jwt_claim(name) or name in _PSEUDO or header_name(name)
    return "" if good else "not the name of a header"


def check_headers(headers: Fields | None, path: Path, report: Report) -> None:
    """The `headers` of a route or of a destination."""
    for side in ("request", "response"):
        operations = block(headers, side)
        for operation in ("set", "add"):
            for name, value in ((operations or {}).get(operation) or {}).items():
                place = (*path, side, operation, name)
                problem = _name_problem(name, authority=side == "request")
                if problem:
                    report.error(place, problem, found=name)
                problem = value_problem(value or "")
                if problem:
                    report.error(place, problem, found=value, hint=_hint(value, problem))
        for index, name in enumerate(items(operations, "remove")):
            problem = _name_problem(name, authority=False)
            if problem:
                report.error((*path, side, "remove", index), problem, found=name)


def _name_problem(name: str, *, authority: bool) -> str:
    if not name:
        return "the name of the header is empty"
    if name.lower() in ("host", ":authority") and authority:
        return ""
    if name.lower() == "host":
        return "the header Host can't be changed here"
    return "a header that begins with ':' can't be changed" if name.startswith(":") else ""


_NEWLINE = "a line break in the value"
_CONTROL = "a control character in the value"


def _hint(value: str, problem: str) -> str:
    if problem == _NEWLINE:
        return "write the value on one line; `>-` in place of `|` makes one line of several"
    if problem == _CONTROL:
        control = next(character for character in value if not _VALUE.fullmatch(character))
        return f"remove the character U+{ord(control):04X}"
    return "write %% for a percent sign"


def value_problem(value: str) -> str:
    """What is wrong with the value of a header, in which Envoy replaces `%NAME%` and `%NAME(…)%`.

    >>> value_problem("100%%"), value_problem("%REQ(x-pod)%"), value_problem("100%")
    ('', '', 'a single % at the end')
    """
    if not _VALUE.fullmatch(value):
        return _NEWLINE if set(value) & {"\n", "\r"} else _CONTROL
    state, position = "text", 0
    while position < len(value):
        character = value[position]
        last = position + 1 == len(value)
        if state == "text" and character == "%":
            if last:
                return "a single % at the end"
            if value[position + 1] == "%":
                position += 1
            else:
                state = "name"
        elif state == "string" and character == "\\":
            if last:
                return "a backslash at the end"
            position += 1
        elif character != " " or state in ("text", "name", "string"):
            state = _NEXT[state].get(character, _NEXT[state].get("other", ""))
            if not state:
                return f"an unexpected {character!r} in a % command"
        position += 1
    return "" if state == "text" else "a % that is not closed"


# From the state of reading a value to the next, by character; the states are those of Envoy's own
# parser. A quote inside plain arguments leads to "after string" there, and so it does here.
_NEXT: dict[str, dict[str, str]] = {
    "text": {"other": "text"},
    "name": {"%": "text", "(": "arguments", "other": "name"},
    "arguments": {"[": "list", "other": "string"},
    "list": {'"': "string"},
    "string": {")": "closed", '"': "after string", "other": "string"},
    "after string": {",": "list", "]": "after list"},
    "after list": {")": "closed"},
    "closed": {"%": "text"},
}

"""Patterns where Istio reads plain text: `prefix: /api/*`, `rewrite: {uri: /$2}`; and patterns that
are too large for Envoy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from labkit.resources.finding import shown
from labkit.resources.istio import MOST_REGEX_INSTRUCTIONS
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis
from labkit.resources.lint.sections import routes_of
from labkit.resources.lint.world import World
from labkit.resources.model import Path
from labkit.resources.regex.parser import problem
from labkit.resources.regex.size import program_size
from labkit.resources.rules.shared import block, items

# What is a part of a regular expression, and hardly of a path or a host. Parentheses, dots and
# dollars alone do occur in paths.
_PATTERN = re.compile(
    r"\*|^\^|\$$|\\[A-Za-z.]|\.[+?]|\([^()]*\|[^()]*\)|\[[^\]]+\][+?]|\(\?[:iP]|\{\d+(,\d*)?\}"
)
_REFERENCE = re.compile(r"[$\\]\{?\d")
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


def pattern_in(text: str) -> str:
    """The part of a text that looks like a pattern; "" where there is none.

    >>> pattern_in("/api/*"), pattern_in("/v2(/|$)(.*)"), pattern_in("/wiki/Foo_(bar)")
    ('*', '(/|$)', '')
    """
    found = _PATTERN.search(text)
    return found[0] if found else ""


def plain_text(world: World) -> Iterator[Diagnosis]:
    """LAB11: a star or a regular expression in plain text."""
    for service in world.all("VirtualService"):
        for path, route in routes_of(service):
            for index, match in enumerate(items(route, "match")):
                for field in ("uri", "authority"):
                    for how in ("exact", "prefix"):
                        text = str((block(match, field) or {}).get(how) or "")
                        part = pattern_in(text)
                        if part:
                            place = (*path, "match", index, field, how)
                            what = f"`{part}` in {how} {text} is plain text"
                            yield diagnosis("LAB11", service, place, what, _instead(text, how))
            rewrite = block(route, "rewrite") or {}
            uri = str(rewrite.get("uri") or "")
            reference = _REFERENCE.search(uri)
            if reference or "*" in uri:
                part = reference[0] if reference else "*"
                yield diagnosis(
                    "LAB11",
                    service,
                    (*path, "rewrite", "uri"),
                    f"`{part}` in the new path {uri} is plain text",
                    "use uriRegexRewrite, with `match: ^(…)$` and `rewrite: \\1`",
                )


def too_large(world: World) -> Iterator[Diagnosis]:
    """LAB12: a regular expression that Istio accepts and Envoy refuses, since its program is too
    large.
    """
    for service in world.all("VirtualService"):
        for path, text in _expressions(service.spec, ("spec",)):
            if "{" not in text and "\\" not in text:
                continue  # 1,024 bytes of others are never that large
            size = 0 if problem(text) else program_size(text)
            if size > MOST_REGEX_INSTRUCTIONS:
                what = (
                    f"as a program of RE2 {shown(text)} has about {size:,} instructions, and Envoy "
                    f"takes {MOST_REGEX_INSTRUCTIONS:,}"
                )
                fix = "repeat less: each copy of a repeated part has instructions of its own, and "
                fix += "`+` or `*` in place of `{…}` has one copy"
                yield diagnosis("LAB12", service, path, what, fix)


def _expressions(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Each regular expression in a VirtualService, at whatever depth."""
    if isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, str) and (
                name == "regex" or (name == "match" and path[-1:] == ("uriRegexRewrite",))
            ):
                yield (*path, name), each
            else:
                yield from _expressions(each, (*path, name))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _expressions(each, (*path, index))


def _instead(text: str, how: str) -> str:
    """What does what was meant."""
    stem = text.removesuffix("*").removesuffix(".")
    if how == "prefix" and stem != text and not pattern_in(stem) and not _SPECIAL.search(stem[-1:]):
        return f"prefix: {stem}"
    if "*" in text and not pattern_in(text.replace("*", "")):
        escaped = re.sub(r"[.$()+?]", r"\\\g<0>", text).replace("\\.*", "*")
        regex = escaped.replace("*", ".*")
    else:
        regex = text
    if how == "prefix" and not regex.endswith(("$", ".*", ".*)")):
        regex += ".*"
    return f"regex: {regex.removeprefix('^')}; it has to match the whole path"

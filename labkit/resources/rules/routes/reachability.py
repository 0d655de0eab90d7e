"""Rules of a VirtualService that no request can ever reach: accepted, with a warning, as Istio's
webhook does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.resources.finding import Report
from labkit.resources.rules.shared import Fields, items

_MAPS = ("headers", "withoutHeaders", "queryParams", "sourceLabels")


def check_reachability(spec: Fields, report: Report) -> None:
    """Warns about rules and matches that earlier ones shadow."""
    for section in ("http", "tls", "tcp"):
        _unused(items(spec, section), section, report)
    _overlapping(items(spec, "http"), report)


def _unused(routes: list[Fields], section: str, report: Report) -> None:
    seen: dict[str, int] = {}
    catch_all = -1
    for number, route in enumerate(routes):
        path = ("spec", section, number)
        matches = items(route, "match")
        if not matches:
            if catch_all >= 0:
                report.warning(
                    path,
                    f"the rule is never used: rule {catch_all} has no match and takes every "
                    "request",
                    hint="only the last rule can have no match",
                )
            catch_all = number
            continue
        doubles = 0
        for index, match in enumerate(matches):
            if catch_all >= 0:
                report.warning(
                    (*path, "match", index),
                    f"the match is never used: rule {catch_all}, before it, has no match and "
                    "takes every request",
                    hint=f"move this rule before rule {catch_all}",
                )
                continue
            meaning = _meaning(match, section)
            if meaning in seen:
                report.warning(
                    (*path, "match", index),
                    f"the same match as in rule {seen[meaning]}, which comes first",
                )
                doubles += 1
            seen.setdefault(meaning, number)
        if doubles == len(matches):
            report.warning(path, "the rule is never used: earlier rules have all its matches")


def _meaning(match: Fields, section: str) -> str:
    """The match as text that is the same for all ways to write it; its name plays no part."""
    empty: tuple[Any, ...] = (None, "", 0, False, [])
    plain = {
        key: value
        for key, value in match.items()
        if value not in empty and (value or key not in _MAPS)
    }
    if section == "http":
        plain.pop("name", None)
    return json.dumps(plain, sort_keys=True)


@dataclass(frozen=True)
class _Prefix:
    """A match by a prefix of the path, with what else it asks for."""

    rule: int
    index: int
    prefix: str
    port: int
    method: str
    authority: str
    maps: tuple[dict[str, str], ...]

    def covers(self, later: _Prefix) -> bool:
        """Whether a request for `later` is taken by this one; by Istio's rule, which compares
        texts.
        """
        return (
            later.prefix.startswith(self.prefix)
            and later.port == self.port
            and self.method.startswith(later.method)
            and self.authority.startswith(later.authority)
            and all(
                len(mine) == len(other)
                and all(
                    key in other and value.startswith(other[key]) for key, value in mine.items()
                )
                for mine, other in zip(self.maps, later.maps, strict=True)
            )
        )


def _overlapping(routes: list[Fields], report: Report) -> None:
    found = list(_prefixes(routes))
    for position, first in enumerate(found):
        for later in found[position + 1 :]:
            if later.prefix != first.prefix and first.covers(later):
                report.warning(
                    ("spec", "http", later.rule, "match", later.index),
                    f'the match is never used: its prefix "{later.prefix}" begins with the prefix '
                    f'"{first.prefix}" of rule {first.rule}, which comes first',
                    hint="put the longer prefix first",
                )


def _prefixes(routes: list[Fields]) -> Iterator[_Prefix]:
    """The matches with a prefix, up to the first rule without a match; doubles are reported
    elsewhere.
    """
    seen: set[str] = set()
    for number, route in enumerate(routes):
        matches = items(route, "match")
        if not matches:
            return
        for index, match in enumerate(matches):
            meaning = _meaning(match, "http")
            prefix = (match.get("uri") or {}).get("prefix")
            if meaning in seen or not prefix:
                continue
            seen.add(meaning)
            yield _Prefix(
                number,
                index,
                prefix,
                match.get("port") or 0,
                _text(match.get("method")) or "exact:GET",
                _text(match.get("authority")),
                tuple(
                    {key: _text(value) for key, value in (match.get(name) or {}).items()}
                    for name in ("headers", "queryParams", "withoutHeaders")
                ),
            )


def _text(match: Fields | None) -> str:
    for kind in ("exact", "prefix"):
        if match and match.get(kind):
            return f"{kind}:{match[kind]}"
    return ""

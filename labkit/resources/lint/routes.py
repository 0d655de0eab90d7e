"""Mistakes in the order and the form of a VirtualService's routes: seen in the object alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from labkit.resources.finding import Finding, Report, written
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis
from labkit.resources.lint.patterns import pattern_in
from labkit.resources.lint.sections import SECTIONS, routes_of
from labkit.resources.lint.world import World
from labkit.resources.model import Path, Resource
from labkit.resources.rules.routes.reachability import check_reachability
from labkit.resources.rules.shape import has_shape
from labkit.resources.rules.shared import block, items


def unreachable(world: World) -> Iterator[Diagnosis]:
    """IST0130 where a whole rule is never used, IST0131 where some of its matches are not."""
    for service in world.all("VirtualService"):
        for section in SECTIONS:
            by_rule: dict[int, list[Finding]] = defaultdict(list)
            for finding in _shadowed(service):
                number = _rule(finding.path, section)
                if number is not None:
                    by_rule[number].append(finding)
            for number, findings in by_rule.items():
                yield from _of_rule(service, section, number, findings)


def _of_rule(
    service: Resource, section: str, number: int, findings: list[Finding]
) -> Iterator[Diagnosis]:
    matches = items(items(service.spec, section)[number], "match")
    rule: Path = ("spec", section, number)
    fix = "put the more specific rule first, and the one without a match last"
    paths = {finding.path for finding in findings}
    whole = written(rule) in paths or all(
        written((*rule, "match", at)) in paths for at in range(len(matches))
    )
    if whole:
        if not matches:
            fix = (
                "two weighted destinations belong in one route; a rule for some of the requests "
                "needs a `match`"
            )
        yield diagnosis("IST0130", service, rule, findings[0].message, fix)
        return
    for finding in findings:
        at = int(finding.path.rpartition("match[")[2].partition("]")[0])
        yield diagnosis("IST0131", service, (*rule, "match", at), finding.message, fix)


def _shadowed(service: Resource) -> list[Finding]:
    report = Report(service)
    if has_shape(service):  # also asked of what validation has refused
        check_reachability(service.spec, report)
    return report.findings


def is_of_reachability(service: Resource, finding: Finding) -> bool:
    """Whether a warning of validation is one that `unreachable` reports with a code of its own."""
    return service.kind == "VirtualService" and finding in _shadowed(service)


def _rule(path: str, section: str) -> int | None:
    head = f"spec.{section}["
    return int(path.removeprefix(head).partition("]")[0]) if path.startswith(head) else None


def weights(world: World) -> Iterator[Diagnosis]:
    """KIA1104: a weight on the only destination of a route. KIA1105: the same destination twice."""
    for service in world.all("VirtualService"):
        for path, route in routes_of(service):
            destinations = items(route, "route")
            only = destinations[0].get("weight") if len(destinations) == 1 else None
            if only not in (None, 0, 100):
                yield diagnosis(
                    "KIA1104",
                    service,
                    (*path, "route", 0, "weight"),
                    f"weight {only} on the only destination of its route: it gets 100 % of what "
                    "matches",
                    "put all destinations that share the traffic into one route, under one "
                    "`route:`",
                )
            seen: dict[Any, int] = {}
            for index, entry in enumerate(destinations):
                target = block(entry, "destination") or {}
                key = (
                    target.get("host"),
                    target.get("subset"),
                    (block(target, "port") or {}).get("number"),
                )
                if seen.setdefault(key, index) != index:
                    yield diagnosis(
                        "KIA1105",
                        service,
                        (*path, "route", index),
                        f"the same destination as number {seen[key]} of this route",
                        "name another subset, or add up the two weights in one destination",
                    )


def prefixes(world: World) -> Iterator[Diagnosis]:
    """LAB06: a prefix without a slash at its end."""
    for service in world.all("VirtualService"):
        for path, route in routes_of(service):
            rewrite = str((block(route, "rewrite") or {}).get("uri") or "")
            for index, match in enumerate(items(route, "match")):
                prefix = str((block(match, "uri") or {}).get("prefix") or "")
                if prefix.endswith("/") or not prefix or pattern_in(prefix):
                    continue
                what = f"the prefix {prefix} takes {prefix}x too"
                if rewrite.endswith("/"):
                    what += f", and {prefix}/a becomes {rewrite}/a"
                yield diagnosis(
                    "LAB06",
                    service,
                    (*path, "match", index, "uri", "prefix"),
                    what,
                    f"match `exact: {prefix}` and `prefix: {prefix}/`, as two entries of the "
                    "same match",
                )

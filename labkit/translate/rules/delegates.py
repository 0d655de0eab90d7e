"""Delegation: the routes of one VirtualService taken into a route of another, the root.

As `MergeHTTPRoutes` in istiod's `pilot/pkg/model/virtualservice.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labkit.jsontypes import Json

INHERITED = (
    "rewrite",
    "directResponse",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "corsPolicy",
    "mirrors",
    "headers",
)
"""What a delegate's route takes from the root's where it says nothing itself."""


def merge_routes(root: Json, delegates: list[Json]) -> list[Json]:
    """The delegate's routes, narrowed to what the root matches; a route that contradicts the root
    is left out.

    >>> merge_routes({"match": [{"uri": {"prefix": "/a"}}]}, [{"match": [{"uri": {"exact": "/a/b"}}]}])
    [{'match': [{'uri': {'exact': '/a/b'}}]}]
    """  # noqa: E501
    return [merged.route for merged in merge_all(root, delegates)]


Pair = tuple[int | None, int | None]
"""Of a merged match: the match of the root, and that of the delegate; None where one has none."""


@dataclass(frozen=True)
class Merged:
    """A delegate's route as it stands in the root: `number` is its place among the delegate's, and
    `pairs` say what each of its matches was made of.
    """

    route: Json
    number: int
    pairs: tuple[Pair, ...]


def merge_all(root: Json, delegates: list[Json]) -> list[Merged]:
    """What `merge_routes` gives, each with what it was made of."""
    found = []
    for number, delegate in enumerate(delegates):
        pairs = fitting(root.get("match") or [], delegate.get("match") or [])
        if pairs is not None:
            found.append(Merged(merge_route(root, delegate, pairs), number, tuple(pairs)))
    return found


def merge_route(root: Json, delegate: Json, pairs: list[Pair]) -> Json:
    """One route of a delegate under one of its root, with the matches that these pairs make."""
    found = {key: value for key, value in delegate.items() if key != "match"}
    if pairs:
        found["match"] = [merged_pair(root, delegate, *pair) for pair in pairs]
    name = "-".join(filter(None, (root.get("name"), delegate.get("name"))))
    if name:
        found["name"] = name
    for key in INHERITED:
        if found.get(key) is None and root.get(key) is not None:
            found[key] = root[key]
    return found


def merged_pair(root: Json, delegate: Json, outer: int | None, inner: int | None) -> Json:
    """The match that one pair makes."""
    matches: list[Json] = []
    if outer is not None:
        matches.append(root["match"][outer])
    if inner is not None:
        matches.append(delegate["match"][inner])
    return matches[0] if len(matches) == 1 else merge_match(*matches)


def fitting(root: list[Json], delegate: list[Json]) -> list[Pair] | None:
    """The pairs of matches that a merged route has; None when some match of the delegate fits no
    match of the root.
    """
    if not root or not delegate:
        outers: list[Pair] = [(number, None) for number in range(len(root))]
        return outers or [(None, number) for number in range(len(delegate))]
    found: list[Pair] = []
    for inner, match in enumerate(delegate):
        outers = [(n, inner) for n, outer in enumerate(root) if not contradicts(outer, match)]
        if not outers:
            return None
        found += outers
    return found


def merge_match(outer: Json, inner: Json) -> Json:
    """Both matches at once: the delegate's where it says something, names joined by a hyphen."""
    found = {**outer, **{key: value for key, value in inner.items() if value is not None}}
    name = "-".join(filter(None, (outer.get("name"), inner.get("name"))))
    if name:
        found["name"] = name
    for key in ("headers", "withoutHeaders", "queryParams", "sourceLabels"):
        both = {**(outer.get(key) or {}), **(inner.get(key) or {})}
        if both:
            found[key] = both
    return found


def contradicts(outer: Json, inner: Json) -> bool:
    """Whether istiod takes the two matches to exclude each other. It compares no regular
    expressions: one beside another text counts as a contradiction.
    """
    for key in ("uri", "scheme", "method", "authority"):
        if text_contradicts(outer.get(key), inner.get(key)):
            return True
    for key in ("headers", "withoutHeaders", "queryParams"):
        outers = outer.get(key) or {}
        if any(text_contradicts(outers.get(k), v) for k, v in (inner.get(key) or {}).items()):
            return True
    if bool(outer.get("ignoreUriCase")) != bool(inner.get("ignoreUriCase")):
        return True
    if outer.get("port") and inner.get("port") and outer["port"] != inner["port"]:
        return True
    if outer.get("sourceNamespace") and outer["sourceNamespace"] != inner.get("sourceNamespace"):
        return True
    labels = outer.get("sourceLabels") or {}
    if any(labels.get(k, v) != v for k, v in (inner.get("sourceLabels") or {}).items()):
        return True
    gateways = inner.get("gateways") or []
    return bool(outer.get("gateways")) and bool(set(gateways) - set(outer["gateways"]))


def text_contradicts(outer: Any, inner: Any) -> bool:
    """True unless the inner match can be shown to be a part of the outer one."""
    if outer is None or inner is None:
        return False
    if outer.get("regex") and (inner.get("regex") or inner.get("prefix") or inner.get("exact")):
        return True
    if inner.get("regex") and (outer.get("prefix") or outer.get("exact")):
        return True
    if outer.get("exact"):
        return bool(inner.get("prefix")) or inner.get("exact") != outer["exact"]
    if outer.get("prefix"):
        return not str(inner.get("prefix") or inner.get("exact") or "").startswith(outer["prefix"])
    return True

"""Delegation: the routes of one VirtualService taken into a route of another, the root.

As `MergeHTTPRoutes` in istiod's `pilot/pkg/model/virtualservice.go`.
"""

from __future__ import annotations

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
    merged = (merge_route(root, delegate) for delegate in delegates)
    return [route for route in merged if route is not None]


def merge_route(root: Json, delegate: Json) -> Json | None:
    """One route of a delegate under one of its root; None where their matches contradict."""
    matches = merge_matches(root.get("match") or [], delegate.get("match") or [])
    if matches is None:
        return None
    found = {key: value for key, value in delegate.items() if key != "match"}
    if matches:
        found["match"] = matches
    name = "-".join(filter(None, (root.get("name"), delegate.get("name"))))
    if name:
        found["name"] = name
    for key in INHERITED:
        if found.get(key) is None and root.get(key) is not None:
            found[key] = root[key]
    return found


def merge_matches(root: list[Json], delegate: list[Json]) -> list[Json] | None:
    """None when some match of the delegate fits no match of the root."""
    if not root or not delegate:
        return root or delegate
    merged: list[Json] = []
    for inner in delegate:
        fitting = [outer for outer in root if not contradicts(outer, inner)]
        if not fitting:
            return None
        merged += [merge_match(outer, inner) for outer in fitting]
    return merged


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

"""A VirtualService's match as Envoy's RouteMatch.

As `TranslateRouteMatch` in istiod's `pilot/pkg/networking/core/route/route.go`.
"""

from __future__ import annotations

from typing import Any

from labkit.jsontypes import Json
from labkit.translate.values import is_presence, string_match


def route_match(match: Json | None) -> Json:
    """The conditions of a route. No match at all takes every path.

    >>> route_match({"uri": {"prefix": "/v2"}})
    {'prefix': '/v2', 'case_sensitive': True}
    """
    if match is None:
        return {"prefix": "/"}
    found = path_match(match.get("uri"))
    found["case_sensitive"] = not match.get("ignoreUriCase")
    headers = [header_match(name, text) for name, text in (match.get("headers") or {}).items()]
    headers += [
        without_header(name, text) for name, text in (match.get("withoutHeaders") or {}).items()
    ]
    headers.sort(key=lambda header: str(header["name"]))
    for field in ("method", "authority", "scheme"):
        if match.get(field) is not None:
            headers.append(header_match(f":{field}", match[field]))
    if headers:
        found["headers"] = headers
    # Istio keeps no order of these (a Go map); by name, so that equal input gives equal output.
    query = [
        query_match(name, text) for name, text in sorted((match.get("queryParams") or {}).items())
    ]
    if query:
        found["query_parameters"] = query
    return found


def path_match(uri: Json | None) -> Json:
    """A condition on the path; none takes every path."""
    if uri is None:
        return {"prefix": "/"}
    if uri.get("exact") is not None:
        return {"path": uri["exact"]}
    if uri.get("prefix") is not None:
        return {"prefix": uri["prefix"]}
    if uri.get("regex") is not None:
        return {"safe_regex": {"regex": uri["regex"]}}
    return {"prefix": "/"}


def header_match(name: str, text: Any) -> Json:
    """A condition on a header: that it is there, or on its text."""
    if is_presence(text):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(text)}


def without_header(name: str, text: Any) -> Json:
    """A condition turned round. A header that is missing counts as an empty one, so that it too
    passes.
    """
    found = {**header_match(name, text), "invert_match": True}
    if not is_presence(text):
        found["treat_missing_header_as_empty"] = True
    return found


def query_match(name: str, text: Any) -> Json:
    """A condition on a parameter of the query: that it is there, or on its text."""
    if is_presence(text):
        return {"name": name, "present_match": True}
    return {"name": name, "string_match": string_match(text)}


def is_catch_all(route: Json) -> bool:
    """True for a route that no request passes by, so that nothing after it can ever be reached."""
    match = route["match"]
    everything = match.get("prefix") == "/" or match.get("safe_regex") == {"regex": ".*"}
    return everything and not match.get("headers") and not match.get("query_parameters")

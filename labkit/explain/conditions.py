"""Judges a request as Envoy does: the virtual host that takes it, and what a route asks of it.

As `source/common/router/config_impl.cc` and `source/common/http/header_utility.cc` of Envoy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from labkit.explain.request import Seen, wire
from labkit.jsontypes import Json
from labkit.resources.regex.matcher import matches_whole


@dataclass(frozen=True)
class Failed:
    """A condition of a RouteMatch that a request does not meet: of the path, or the header or the
    query parameter of that number. `seen` is what the request has there, None for nothing.
    """

    part: str
    number: int
    seen: str | None


def virtual_host(route_config: Json, seen: Seen) -> tuple[Json, str] | None:
    """The virtual host for a request, and the domain by which it was found: the exact name, else
    the longest `*.tail`, else the longest `head.*`, else `*`.
    """
    best: tuple[tuple[int, int], Json, str] | None = None
    for host in route_config.get("virtual_hosts", ()):
        for domain in host.get("domains", ()):
            rank = _rank(domain.lower(), seen.host)
            if rank is not None and (best is None or rank > best[0]):
                best = (rank, host, domain)
    return None if best is None else best[1:]


def _rank(domain: str, host: str) -> tuple[int, int] | None:
    """How well a domain fits a host; None where it does not."""
    if domain == "*":
        return (0, 0)
    if domain == host:
        return (3, 0)
    if domain.startswith("*") and len(host) >= len(domain) and host.endswith(domain[1:]):
        return (2, len(domain))
    if domain.endswith("*") and len(host) >= len(domain) and host.startswith(domain[:-1]):
        return (1, len(domain))
    return None


def failures(match: Json, seen: Seen) -> list[Failed]:
    """The conditions of a RouteMatch that a request does not meet; none where the route takes it.
    Raises UnknownScript.

    >>> failures({"prefix": "/v2"}, seen)
    [Failed(part='path', number=0, seen='/v1/cart')]
    """
    found = [] if _path_fits(match, seen.bare_path) else [Failed("path", 0, seen.bare_path)]
    for number, header in enumerate(match.get("headers", ())):
        if not _header_fits(header, seen):
            found.append(Failed("header", number, header_of(seen, header["name"])))
    query = dict(reversed(list(parameters(seen.path))))  # of two with one name the first counts
    for number, parameter in enumerate(match.get("query_parameters", ())):
        value = query.get(wire(parameter["name"]))
        if not _parameter_fits(parameter, value):
            found.append(Failed("query", number, value))
    return found


def _path_fits(match: Json, path: str) -> bool:
    if "safe_regex" in match:
        return text_fits(match, path)
    folds = match.get("case_sensitive") is False
    kind = "path" if "path" in match else "prefix"
    wanted = wire(match[kind])
    if folds:
        path, wanted = _lower(path), _lower(wanted)
    return path == wanted if kind == "path" else path.startswith(wanted)


def _lower(text: str) -> str:
    """In lower case as far as it is ASCII, which is all that Envoy compares so."""
    return "".join(c.lower() if c.isascii() else c for c in text)


def header_of(seen: Seen, name: str) -> str | None:
    """The value of a header, under any of its names; None where it is not there."""
    name = name.lower()
    return seen.headers.get(":authority" if name == "host" else name)


def _header_fits(header: Json, seen: Seen) -> bool:
    value = header_of(seen, header["name"])
    inverted = bool(header.get("invert_match"))
    if "string_match" not in header:
        return (value is not None) != inverted
    if value is None and not header.get("treat_missing_header_as_empty"):
        return False
    return text_fits(header["string_match"], value or "") != inverted


def _parameter_fits(parameter: Json, value: str | None) -> bool:
    if value is None:
        return False
    return "string_match" not in parameter or text_fits(parameter["string_match"], value)


def parameters(path: str) -> Iterator[tuple[str, str]]:
    """Names and values of a path's query, as they are sent: nothing is decoded."""
    _, mark, query = path.partition("?")
    for part in query.split("&") if mark else ():
        name, _, value = part.partition("=")
        yield name, value


def text_fits(matcher: Json, text: str) -> bool:
    """Whether a StringMatcher (or the `safe_regex` of a path) takes a text of one character a
    byte.
    """
    if "safe_regex" in matcher:
        letters = text.encode("latin-1").decode(errors="surrogateescape")
        return matches_whole(str(matcher["safe_regex"]["regex"]), letters)
    if "exact" in matcher:
        return text == wire(str(matcher["exact"]))
    return text.startswith(wire(str(matcher["prefix"])))


def first_fitting(routes: Iterable[Any], seen: Seen) -> int | None:
    """The number of the route that takes a request; None where none does."""
    for number, route in enumerate(routes):
        if not failures(route["match"], seen):
            return number
    return None

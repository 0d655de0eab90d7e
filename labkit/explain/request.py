"""One request, as Envoy sees it when it looks for a route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.errors import TrafficError
from labkit.traffic.target import split_authority, split_url

CURL = {"user-agent": "curl/labkit", "accept": "*/*"}
"""What `mesh.curl` sends beside what it is asked for."""
_METHOD = re.compile(r"[A-Z]+\Z")
_ESCAPED = re.compile("%([0-9a-fA-F]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]\Z")
_RAW = re.compile(r'["<>^`{|}]')


@dataclass(frozen=True)
class Request:
    """A request before it is sent. Header names are in lower case; `path` has the query.

    >>> request_of("GET http://test.example.com/v2?a=1", {"X-User": "jane"}).path
    '/v2?a=1'
    """

    method: str
    authority: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    to: str = ""
    """Where the connection goes, by the URL: the host and its port. A header `Host` may ask for
    somebody else (`authority`).
    """

    @property
    def host(self) -> str:
        """The host to which the connection goes, as a name is looked up."""
        return split_authority(self.to)[0].lower()

    @property
    def port(self) -> int:
        """The port to which the connection goes."""
        return split_authority(self.to)[1]

    def __str__(self) -> str:
        asks = "" if self.to == self.authority else f" with Host: {self.authority}"
        return f"{self.method} http://{self.to}{self.path}{asks}"


@dataclass(frozen=True)
class Seen:
    """What a proxy compares: the path with its query once it is normalised, and all headers, the
    ones that begin with a colon too. Texts have one character a byte, as they are sent.
    """

    path: str
    headers: Mapping[str, str]

    @property
    def bare_path(self) -> str:
        """The path without the query."""
        return self.path.partition("?")[0]

    @property
    def host(self) -> str:
        """What domains are compared with: in lower case, without a port."""
        authority = self.headers[":authority"].lower()
        host, colon, port = authority.rpartition(":")
        return host if colon and port.isdigit() and not authority.endswith("]") else authority

    @property
    def scheme(self) -> str:
        return self.headers[":scheme"]


def request_of(text: str, headers: Mapping[str, str] | None = None) -> Request:
    """A request from `METHOD URL` or a URL alone, which means GET. Raises TrafficError."""
    first, _, rest = text.strip().partition(" ")
    method, url = (first, rest.strip()) if rest and _METHOD.match(first) else ("GET", text.strip())
    authority, path = split_url(url)
    if " " in authority:
        raise TrafficError(
            f"{text!r} is no request", seen=url, try_next="GET http://test.example.com/path"
        )
    fields = {name.lower(): str(value) for name, value in (headers or {}).items()}
    return Request(method, fields.pop("host", authority), path, fields, authority)


def seen_by(request: Request, manager: Mapping[str, object]) -> Seen:
    """The request as the HTTP connection manager of a listener hands it to its routes."""
    headers = {**CURL, **request.headers}
    at_the_edge = bool(manager.get("use_remote_address"))
    told = headers.get("x-forwarded-proto", "").lower()
    scheme = told if told in ("http", "https") and not at_the_edge else "http"
    if at_the_edge or not told:
        headers["x-forwarded-proto"] = "http"
    headers.setdefault("x-request-id", "(one that Envoy makes)")
    if at_the_edge:
        headers.setdefault("x-forwarded-for", "(the caller's address)")
    path = normalised(request.path, manager)
    own = {
        ":method": request.method,
        ":authority": request.authority,
        ":path": path,
        ":scheme": scheme,
    }
    return Seen(wire(path), {name: wire(text) for name, text in {**headers, **own}.items()})


def wire(text: str) -> str:
    """A text as bytes on the wire, one character each."""
    return text if text.isascii() else text.encode().decode("latin-1")


def normalised(path: str, manager: Mapping[str, object]) -> str:
    """A path as a connection manager changes it before it looks for a route (MeshConfig's
    `pathNormalization`): `.` and `..` are taken out, and more where that is asked for.

    >>> normalised("/a/./b/../c?d=..", {"normalize_path": True})
    '/a/c?d=..'
    """
    bare, mark, query = path.partition("?")
    if manager.get("path_with_escaped_slashes_action") == "UNESCAPE_AND_FORWARD":
        bare = re.sub("%2[fF]", "/", re.sub("%5[cC]", r"\\", bare))
    if manager.get("normalize_path"):
        bare = _without_dots(bare)
    if manager.get("merge_slashes") and "//" in bare:
        end = "/" if bare.endswith("/") else ""  # so Envoy makes `//` of what has slashes only
        bare = "/" + "/".join(filter(None, bare.split("/"))) + end
    return bare + mark + query


def _without_dots(path: str) -> str:
    """As Envoy's canonicalizer: what need not be escaped is not, what has to be is, and `.` and
    `..` are taken out, also where a parameter follows (`..;a=b`).
    """
    path = _ESCAPED.sub(_plain, path.replace("\\", "/"))
    path = _RAW.sub(lambda found: f"%{ord(found[0]):02X}", path)
    found: list[str] = []
    *segments, last = path.split("/")[1:]
    for segment in (*segments, last):
        dots = segment.partition(";")[0]
        if dots == "..":
            del found[-1:]
        if dots not in (".", ".."):
            found.append(segment)
    if last.partition(";")[0] in (".", ".."):
        found.append("")
    return "/" + "/".join(found)


def _plain(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if _UNRESERVED.match(character) else found[0]

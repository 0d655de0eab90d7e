"""Where a request goes: an address to connect to, and the host that it asks for."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.errors import TrafficError


@dataclass(frozen=True)
class Target:
    """The address to connect to, and what the Host header says.

    The two differ in the lab as they do behind a cluster's gateway: one connects to where the
    gateway listens and asks for test.example.com, like `curl --resolve` or an entry in /etc/hosts.

    >>> Target("127.0.0.1", 32801, "test.example.com").url("/v2")
    'http://test.example.com/v2'
    """

    host: str
    port: int
    authority: str
    scheme: str = "http"

    @classmethod
    def of(cls, url: str) -> tuple[Target, str]:
        """The target that a URL names by itself, and the path with its query.

        >>> Target.of("http://127.0.0.1:8080/v2?a=1")
        (Target(host='127.0.0.1', port=8080, authority='127.0.0.1:8080', scheme='http'), '/v2?a=1')
        """
        authority, path = split_url(url)
        host, port = split_authority(authority)
        return cls(host, port, authority), path

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.authority}{path}"


def split_url(url: str) -> tuple[str, str]:
    """The authority and the path with its query; the fragment is left out, as it is never sent.

    >>> split_url("http://test.example.com/v2?a=1#top")
    ('test.example.com', '/v2?a=1')
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "http", url
    if scheme.lower() != "http":
        raise TrafficError(
            f"The lab sends plain HTTP, not {scheme}",
            seen=url,
            try_next=f"use http://{rest.partition('/')[0]}/",
        )
    rest = rest.partition("#")[0]
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    authority = authority.rpartition("@")[2]
    if not authority:
        raise TrafficError("The URL names no host", seen=url, try_next="http://test.example.com/")
    return authority, clean_path(path)


def split_authority(authority: str) -> tuple[str, int]:
    """Host and port: `[::1]:8080` and `localhost` are both fine."""
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority.strip("[]"), 80
    if not port.isdigit():
        raise TrafficError(f"{port!r} is not a port number", seen=authority)
    return host.strip("[]"), int(port)


def clean_path(path: str) -> str:
    """A path that can stand in a request line: starts with a slash, and has no spaces or other raw
    characters.

    >>> clean_path("v2/a b")
    '/v2/a%20b'
    """
    path = path if path.startswith("/") else "/" + path
    return "".join(
        c if "!" <= c <= "~" else "".join(f"%{byte:02X}" for byte in c.encode()) for c in path
    )

"""The address of an API server, in the one form in which every parser reads the same host.

A URL is read many times on its way: by this guard, by urllib3, by the WebSocket client, by kubectl,
istioctl and Helm. `http://evil.example.com:80\\@127.0.0.1` is this machine for one of them and a
stranger's for another, and the request carries the cluster's token. So an address must have a plain
form, or it is refused, also where the context was named; and it is urllib3, which sends the
requests, that is asked for the host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from labkit.errors import MeshError

# No userinfo, backslash, blank, control character, percent sign, query, or letter beyond ASCII.
PLAIN = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?)"
    r"(:(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(/[A-Za-z0-9._~-]*)*)",
    re.ASCII,
)


@dataclass(frozen=True)
class Address:
    """Where requests go: the host is a name or an address without brackets, in lower case."""

    scheme: str
    host: str
    port: int

    @property
    def is_here(self) -> bool:
        """Whether it is this machine: 127.0.0.0/8 in its usual writing, ::1, or localhost.

        Any other writing of an address (decimal, hexadecimal, octal, three parts, IPv4 in IPv6) is
        read in one way by one resolver and in another by the next, so it proves nothing.
        """
        if self.host == "localhost":
            return True
        try:
            return IPv4Address(self.host).is_loopback
        except AddressValueError:
            return self.host == "::1"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def address_of(server: object) -> Address:
    """The address that a request to a server is sent to. Raises MeshError where the text has not
    the plain form.

    >>> address_of("https://127.0.0.1:6443")
    Address(scheme='https', host='127.0.0.1', port=6443)
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    match = PLAIN.fullmatch(server) if isinstance(server, str) else None
    if match is None:
        raise unclear(server)
    try:
        # with a path behind it, as each request has one
        url = parse_url(f"{str(server).rstrip('/')}/version")
    except LocationParseError as error:
        raise unclear(server) from error
    written = match["host"].strip("[]").lower()
    host = (url.host or "").strip("[]")
    port = url.port or (443 if url.scheme == "https" else 80)
    if url.scheme != match["scheme"] or url.auth or host != written:
        raise unclear(server)
    if not 0 < port < 65536 or (match["port"] and int(match["port"]) != port):
        raise unclear(server)
    return Address(match["scheme"], host, port)


def unclear(server: object) -> MeshError:
    return MeshError(
        "The address of the API server is not one that can be read in one way only, so nothing is "
        "sent there",
        seen=ascii(server),
        try_next="write it in the kubeconfig as https://HOST:PORT, without a user, blanks or "
        "backslashes",
    )

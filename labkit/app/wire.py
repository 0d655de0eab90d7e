"""HTTP/1.1 as it comes in at the hello-world service: heads, bodies, and what is wrong with them.

Pure functions of bytes, without sockets. Strict where a proxy in front might read it otherwise (two
lengths, bare line feeds): RFC 9112 calls that request smuggling.
"""

from __future__ import annotations

import time

MAX_HEAD = 64 * 1024  # longest request line and headers together: 431 beyond that

REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}


class BadRequest(Exception):
    """What a client sent is not a request; `status` is the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Request:
    __slots__ = ("arrived", "headers", "keep_alive", "method", "path", "query", "version")

    def __init__(
        self, method: str, path: str, query: str, version: str, headers: dict[str, str]
    ) -> None:
        self.method, self.path, self.query, self.version, self.headers = (
            method,
            path,
            query,
            version,
            headers,
        )
        connection = headers.get("connection", "").lower()
        self.keep_alive = (
            "close" not in connection if version == "1.1" else "keep-alive" in connection
        )
        self.arrived = time.monotonic()


class Chunks:
    """Where we are in a body with `Transfer-Encoding: chunked`. The bytes are thrown away."""

    __slots__ = ("left", "trailers")

    def __init__(self) -> None:
        self.left = 0  # bytes of the chunk, and its line end, still to come
        self.trailers = False

    def feed(self, inbox: bytearray) -> bool:
        """Takes what it can from the inbox; True when the body is complete."""
        while True:
            if self.left:
                taken = min(self.left, len(inbox))
                del inbox[:taken]
                self.left -= taken
                if self.left:
                    return False
            end = inbox.find(b"\r\n")
            if end < 0:
                if len(inbox) > MAX_HEAD:
                    raise BadRequest(400, "a chunk's size line is too long")
                return False
            line = bytes(inbox[:end])
            del inbox[: end + 2]
            if self.trailers:
                if not line:
                    return True
                continue
            digits = line.split(b";")[0].strip()
            if not digits or digits.strip(b"0123456789abcdefABCDEF"):
                raise BadRequest(400, "a chunk's size is not a hexadecimal number")
            size = int(digits, 16)
            if size:
                self.left = size + 2
            else:
                self.trailers = True


def parse_head(head: bytes) -> Request:
    """The request line and headers, without the empty line that ends them."""
    lines = head.decode("latin-1").split("\r\n")
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1 or b"\0" in head:
        raise BadRequest(400, "a control character inside a line")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[0].isupper() or not words[2].startswith("HTTP/"):
        raise BadRequest(400, "the first line is not METHOD PATH HTTP/1.1")
    if words[2] not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400, "a header is not NAME: VALUE")
        name = name.lower()
        value = value.strip(" \t")
        if name in headers:
            if name in ("content-length", "host") and headers[name] != value:
                raise BadRequest(400, "two different " + name)
            value = (
                headers[name] + ", " + value if name not in ("content-length", "host") else value
            )
        headers[name] = value
    target = words[1]
    if target.lower().startswith(("http://", "https://")):  # as a client sends it to a proxy
        rest = target.split("//", 1)[1]
        target = "/" + rest.partition("/")[2]
    path, _, query = target.partition("?")
    if words[2] == "HTTP/1.1" and "host" not in headers:
        raise BadRequest(400, "there is no Host header")
    return Request(words[0], path, query, words[2][5:], headers)


def body_of(request: Request) -> int | Chunks:
    """How the request's body is to be read: 0 when there is none."""
    headers = request.headers
    coding = headers.get("transfer-encoding")
    length = headers.get("content-length")
    if coding is not None:
        # the two disagree about where the request ends: a way to smuggle one past a proxy
        if length is not None:
            raise BadRequest(400, "both Content-Length and Transfer-Encoding")
        if coding.lower() != "chunked":
            raise BadRequest(501, "of the transfer codings only chunked is known")
        return Chunks()
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise BadRequest(400, "Content-Length is not a number")
    return int(length)


def response(
    request: Request | None, status: int, headers: str, text: str, *, close: bool
) -> bytes:
    """The bytes of an answer.

    `headers` are whole lines up to and with `content-length: `. `request` is None for an answer to
    what was no request; without a body for a HEAD.
    """
    body = text.encode()
    life = ""
    if close:
        life = "connection: close\r\n"
    elif request is not None and request.version == "1.0":
        life = "connection: keep-alive\r\n"
    head = (
        f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n{headers}{len(body)}\r\n{life}\r\n"
    )
    if request is not None and request.method == "HEAD":
        body = b""
    return head.encode("latin-1") + body

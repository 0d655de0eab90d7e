"""HTTP/1.1 on the wire, from the client's side: a request as bytes, and a response out of the bytes
that arrive.

Written here since the load generator has a few microseconds for each response. h11 was looked at: a
fine parser, which took 80 µs a response where this parser took 28 and the quick look in `generator`
3. `curl` uses http.client instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from labkit.errors import TrafficError


class BadResponse(Exception):
    """What arrived is not HTTP/1.x."""


def build_request(
    method: str, path: str, fields: Mapping[str, str], body: bytes | None, id_header: str = ""
) -> tuple[bytes, bytes]:
    """The request as bytes, in two parts: with `id_header` the request's id goes between them, else
    nothing does.
    """
    lines = [f"{method} {path} HTTP/1.1"]
    for name, value in fields.items():
        if not name or any(c in "\r\n\0: " for c in name) or any(c in "\r\n\0" for c in value):
            raise TrafficError(
                "The request can't be written as HTTP",
                seen=f"header {name!r}: {value!r}",
                try_next="look at headers=",
            )
        lines.append(f"{name}: {value}")
    if not method.isalpha() or not method.isupper():
        raise TrafficError(
            "The request can't be written as HTTP",
            seen=f"method {method!r}",
            try_next='method="POST"',
        )
    if body:
        if not any(name.lower() == "content-type" for name in fields):
            lines.append("Content-Type: application/octet-stream")
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1", "replace")
    rest = b"\r\n\r\n" + (body or b"")
    if id_header:
        return head + f"\r\n{id_header}: ".encode(), rest
    return head, rest


class ResponseParser:
    """One response, fed with what arrives.

    >>> parser = ResponseParser("GET")
    >>> parser.feed(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nhi")
    True
    >>> parser.status, bytes(parser.body), parser.keep_alive
    (200, b'hi', True)
    """

    def __init__(self, method: str) -> None:
        self.head_only = method == "HEAD"
        self.buffer = bytearray()
        self.head = b""
        self.body = bytearray()
        self.status = 0
        self.size = 0
        self.keep_alive = True
        self.complete = False
        # bytes of the body, or of its chunk, to come; None: until the server closes
        self._left: int | None = None
        self._chunked = False
        self._trailers = False
        self._line_end_due = False

    @property
    def headers(self) -> dict[str, str]:
        """The header fields with lower-case names."""
        found: dict[str, str] = {}
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            name, _, value = line.partition(":")
            key, value = name.strip().lower(), value.strip()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    def feed(self, data: bytes) -> bool:
        """Takes in what arrived; True when the response is complete."""
        self.size += len(data)
        self.buffer += data
        while not self.head:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self.buffer) >= 5 and not self.buffer.startswith(b"HTTP/"):
                    raise BadResponse("what came back is not HTTP")
                return False
            head = bytes(self.buffer[:end])
            del self.buffer[: end + 4]
            self._read_head(head)
        return self._read_body()

    def end(self) -> bool:
        """The server closed the connection; True if the response is complete by that."""
        if self.head and self._left is None and not self._chunked:
            self.keep_alive = False
            self.complete = True
        return self.complete

    def _read_head(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
            raise BadResponse(f"not the start of a response: {head[:40]!r}")
        status = int(head[9:12])
        if 100 <= status < 200 and status != 101:
            return  # an interim response: the real one follows
        self.head, self.status = head, status
        headers = self.headers
        life = headers.get("connection", "").lower()
        self.keep_alive = (
            "keep-alive" in life if head.startswith(b"HTTP/1.0") else "close" not in life
        )
        if self.head_only or status in (204, 304):
            self._left = 0
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._chunked, self._left = True, 0
        elif "content-length" in headers:
            length = headers["content-length"].split(",")[0]
            if not length.isdigit():
                raise BadResponse(f"content-length: {length}")
            self._left = int(length)

    def _read_body(self) -> bool:
        while not self.complete:
            if self._left is None:
                self.body += self.buffer
                self.buffer.clear()
                return False
            taken = min(self._left, len(self.buffer))
            self.body += self.buffer[:taken]
            del self.buffer[:taken]
            self._left -= taken
            if self._left:
                return False
            if not self._chunked:
                self.complete = True
            elif not self._next_chunk():
                return False
        return True

    def _next_chunk(self) -> bool:
        """Reads a chunk's size line, or the trailers; False when more bytes are needed."""
        if self._line_end_due:  # the one that closes a chunk
            if len(self.buffer) < 2:
                return False
            del self.buffer[:2]
            self._line_end_due = False
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        if self._trailers:
            self.complete = not line
            return True
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise BadResponse(f"chunk size {line[:20]!r}") from error
        self._left = size
        self._trailers = size == 0
        self._line_end_due = size > 0
        return True

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import TrafficError
from labkit.traffic.http1 import BadResponse, ResponseParser, build_request

PLAIN = b"HTTP/1.1 200 OK\r\nX-Pod: p\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n"
)


@given(st.sampled_from([PLAIN, CHUNKED]), st.lists(st.integers(1, 40), max_size=12))
def test_a_response_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    parser = ResponseParser("GET")
    complete = []
    for size in [*cuts, len(data)]:
        if data:
            complete.append(parser.feed(data[:size]))
            data = data[size:]
    assert complete == [False] * (len(complete) - 1) + [True]
    assert (parser.status, bytes(parser.body), parser.keep_alive) == (200, b"hello", True)


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
    ],
)
def test_responses_without_a_body(method: str, data: bytes) -> None:
    parser = ResponseParser(method)
    assert parser.feed(data)
    assert not parser.body


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    parser = ResponseParser("GET")
    assert not parser.feed(b"HTTP/1.0 200 OK\r\n\r\nhel")
    assert not parser.feed(b"lo")
    assert parser.end()
    assert (bytes(parser.body), parser.keep_alive) == (b"hello", False)


def test_a_body_that_is_cut_short_is_not_complete() -> None:
    parser = ResponseParser("GET")
    assert not parser.feed(PLAIN[:-1])
    assert not parser.end()


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive", True),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.1 200 OK", True),
    ],
)
def test_who_keeps_the_connection(head: bytes, keep: bool) -> None:
    parser = ResponseParser("GET")
    assert parser.feed(head + b"\r\ncontent-length: 0\r\n\r\n")
    assert parser.keep_alive is keep


def test_header_names_are_lower_case_and_repeated_ones_are_joined() -> None:
    parser = ResponseParser("GET")
    parser.feed(b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n")
    assert parser.headers == {"a": "1, 2", "content-length": "0"}


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_said_to_be_that(data: bytes) -> None:
    with pytest.raises(BadResponse):
        ResponseParser("GET").feed(data)


def test_a_request_as_bytes() -> None:
    before, after = build_request("POST", "/x", {"Host": "a"}, b"hi", "x-id")
    assert before == (
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: "
        b"application/octet-stream\r\nContent-Length: 2\r\nx-id: "
    )
    assert after == b"\r\n\r\nhi"


@pytest.mark.parametrize("fields", [{"a": "b\r\nc: d"}, {"a b": "c"}, {"": "c"}])
def test_headers_that_would_break_the_request_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(TrafficError, match="can't be written as HTTP"):
        build_request("GET", "/", fields, None)


def test_a_method_that_would_break_the_request_is_refused() -> None:
    with pytest.raises(TrafficError, match="method"):
        build_request("GET / HTTP/1.1\r\nx", "/", {}, None)

"""The hello-world app on the wire: HTTP/1.1 as clients and proxies really send it."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests.app.app_process import App, read_all

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def test_requests_in_one_piece_are_answered_in_order(app: App) -> None:
    paths = [b"/%d" % i for i in range(50)]
    sent = b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths)
    said = app.talk(sent + b"GET /z HTTP/1.1\r\n" + CLOSE)
    assert [line.rsplit(b" ", 1)[1] for line in said.split(b"\n") if b", path " in line] == [
        *paths,
        b"/z",
    ]


def test_requests_that_come_byte_by_byte(app: App) -> None:
    sent = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n" + CLOSE
    with app.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(sent)):
            sock.sendall(sent[i : i + 1])
        said = read_all(sock)
    assert said.count(b"HTTP/1.1 200 OK") == 2
    assert said.endswith(b"path /b\n")


@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_a_chunked_body_is_read_to_its_end(app: App, piece: int) -> None:
    body = b"3;x=y\r\nabc\r\n400\r\n" + b"z" * 1024 + b"\r\n0\r\nTrailer: t\r\n\r\n"
    sent = (
        b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + body
        + b"GET /b HTTP/1.1\r\n"
        + CLOSE
    )
    with app.connect() as sock:
        for at in range(0, len(sent), piece):
            sock.sendall(sent[at : at + piece])
        said = read_all(sock)
    assert said.count(b"HTTP/1.1 200 OK") == 2


def test_a_big_body_is_thrown_away_as_it_comes(app: App) -> None:
    with app.connect() as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 50000000\r\n\r\n"
        )
        for _ in range(50):
            sock.sendall(b"x" * 1_000_000)
        assert b"200 OK" in read_all(sock)


def test_head_has_the_length_but_no_body(app: App) -> None:
    said = app.talk(b"HEAD / HTTP/1.1\r\n" + CLOSE)
    assert said.endswith(b"\r\n\r\n")
    assert b"content-length: " in said


def test_http_1_0_closes_unless_asked_not_to(app: App) -> None:
    assert app.talk(b"GET / HTTP/1.0\r\n\r\n").endswith(b"path /\n")
    said = app.talk(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")
    assert said.count(b"200 OK") == 2
    assert b"connection: keep-alive" in said


def test_expect_continue(app: App) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: "
        b"100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    with app.connect() as sock:
        sock.sendall(head)
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hi")
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_stops_sending_still_gets_its_answer(app: App) -> None:
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert b"200 OK" in read_all(sock)


def test_a_url_for_a_proxy_is_understood(app: App) -> None:
    assert app.talk(b"GET http://test.example.com/v2?a=b HTTP/1.1\r\n" + CLOSE).endswith(
        b"path /v2\n"
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
            b"chunked\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_not_a_request_gets_a_reason_and_the_connection_closes(
    app: App, sent: bytes, status: int
) -> None:
    with app.connect() as sock:
        sock.sendall(sent + b"more that nobody reads" * 1000)
        said = sock.recv(65536)
        sock.shutdown(socket.SHUT_WR)
        said += read_all(sock)
    assert said.startswith(b"HTTP/1.1 %d " % status), said[:200]
    assert b"connection: close" in said
    assert app.talk(b"GET / HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 200 OK")


def test_a_slow_reader_does_not_hold_up_the_others(app: App) -> None:
    # Many requests, whose answers nobody reads: the app stops reading from that connection, and
    # goes on with others.
    with app.connect() as slow:
        slow.settimeout(0.3)
        sent = 0
        requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
        with contextlib.suppress(TimeoutError):
            while sent < 200_000_000:
                sent += slow.send(requests)
        assert sent < 200_000_000, "the app went on reading"
        assert b"200 OK" in app.talk(b"GET / HTTP/1.1\r\n" + CLOSE)
        slow.settimeout(10)
        received = bytearray()
        while received.count(b"Hello world!") < 5000:
            received += slow.recv(65536)
        assert b"200 OK" in app.talk(b"GET / HTTP/1.1\r\n" + CLOSE)


def test_many_idle_connections(app: App) -> None:
    idle = [app.connect() for _ in range(500)]
    assert b"200 OK" in app.talk(b"GET / HTTP/1.1\r\n" + CLOSE)
    for sock in idle:
        sock.sendall(b"GET / HTTP/1.1\r\n" + CLOSE)
    for sock in idle:
        assert b"200 OK" in read_all(sock)
        sock.close()


def test_an_answer_comes_in_one_piece(app: App) -> None:
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert sock.recv(65536).endswith(b"path /\n")

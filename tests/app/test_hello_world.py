"""What the hello-world app answers, and its controls."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.waiting import wait_until
from tests.app.app_process import App, read_all

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def client(app: App) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    yield connection
    connection.close()


def call(
    client: http.client.HTTPConnection, method: str, path: str, **more: Any
) -> tuple[int, dict[str, str], str]:
    client.request(method, path, **more)
    answer = client.getresponse()
    return (
        answer.status,
        {name.lower(): value for name, value in answer.getheaders()},
        answer.read().decode(),
    )


def state(client: http.client.HTTPConnection) -> dict[str, Any]:
    status, _, text = call(client, "GET", "/control/state")
    assert status == 200
    return json.loads(text)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_any_path_and_method_says_who_answered(
    client: http.client.HTTPConnection, method: str
) -> None:
    status, headers, text = call(
        client, method, "/any/path?x=1", body=b"hi" if method in ("POST", "PUT") else None
    )
    assert (status, text) == (200, "Hello world! version v2, pod pod-1, path /any/path\n")
    assert (headers["x-pod"], headers["x-version"]) == ("pod-1", "v2")
    assert headers["content-type"].startswith("text/plain")
    assert int(headers["content-length"]) == len(text)


def test_a_browser_gets_a_page_and_nothing_of_the_path_is_markup(
    client: http.client.HTTPConnection,
) -> None:
    _, headers, text = call(client, "GET", "/<script>", headers={"Accept": "text/html,*/*"})
    assert headers["content-type"].startswith("text/html")
    assert "/&lt;script&gt;" in text
    assert "<script>" not in text
    assert "#D55E00" in text


def test_the_next_n_requests_fail(client: http.client.HTTPConnection) -> None:
    assert call(client, "POST", "/control/fail?next=2&status=500")[0] == 200
    assert [call(client, "GET", "/")[0] for _ in range(4)] == [500, 500, 200, 200]
    now = state(client)
    assert (now["received"], now["served"], now["failed"], now["fail_next"]) == (4, 2, 2, 0)


def test_a_share_of_the_requests_fails(client: http.client.HTTPConnection) -> None:
    call(client, "POST", "/control/fail?share=0.5")
    statuses = [call(client, "GET", "/")[0] for _ in range(200)]
    # Binomial(200, 0.5) is outside of 60 to 140 with probability 4e-9.
    assert 60 <= statuses.count(503) <= 140
    call(client, "POST", "/control/fail?share=1")
    assert call(client, "GET", "/")[0] == 503
    call(client, "POST", "/control/fail?share=0")
    assert call(client, "GET", "/")[0] == 200


def test_a_delay_holds_one_request_and_not_the_others(
    app: App, client: http.client.HTTPConnection
) -> None:
    call(client, "POST", "/control/delay?ms=300")
    with app.connect() as slow:
        started = time.monotonic()
        slow.sendall(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(client)["received"] == 1, 10, "the slow request")
        assert b"200 OK" in read_all(slow)
        assert time.monotonic() - started >= 0.3
    assert state(client)["in_flight"] == 0


def test_jitter_only_adds(client: http.client.HTTPConnection) -> None:
    call(client, "POST", "/control/delay?ms=20&jitter_ms=20")
    for _ in range(5):
        started = time.monotonic()
        call(client, "GET", "/")
        assert time.monotonic() - started >= 0.02


def test_the_gate_holds_all_until_it_opens(app: App, client: http.client.HTTPConnection) -> None:
    call(client, "POST", "/control/gate?closed=true")
    sockets = [app.connect() for _ in range(20)]
    for sock in sockets:
        sock.sendall(b"GET /held HTTP/1.1\r\n" + CLOSE)
    wait_until(lambda: state(client)["held"] == 20, 10, "twenty held requests")
    now = state(client)
    assert (now["gate"], now["served"], now["received"], now["in_flight"]) == ("closed", 0, 20, 20)
    now = json.loads(call(client, "POST", "/control/gate?closed=false")[2])
    assert (now["gate"], now["held"], now["served"]) == ("open", 0, 20)
    for sock in sockets:
        assert b"path /held" in read_all(sock)
        sock.close()


def test_failures_are_decided_when_the_gate_opens(
    app: App, client: http.client.HTTPConnection
) -> None:
    call(client, "POST", "/control/gate?closed=true")
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(client)["held"] == 1, 10, "the held request")
        call(client, "POST", "/control/fail?next=1")
        call(client, "POST", "/control/gate?closed=false")
        assert b" 503 " in read_all(sock)


def test_a_client_that_goes_away_is_not_held_any_more(
    app: App, client: http.client.HTTPConnection
) -> None:
    call(client, "POST", "/control/gate?closed=true")
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(client)["held"] == 1, 10, "the held request")
    wait_until(lambda: state(client)["held"] == 0, 10, "the app to notice")
    now = state(client)
    assert (now["in_flight"], now["received"], now["served"]) == (0, 1, 0)


def test_reset_puts_all_back_and_lets_all_go(app: App, client: http.client.HTTPConnection) -> None:
    call(client, "POST", "/control/delay?ms=60000")
    with app.connect() as delayed, app.connect() as held:
        delayed.sendall(b"GET /delayed HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(client)["in_flight"] == 1, 10, "the delayed request")
        call(client, "POST", "/control/gate?closed=true")
        held.sendall(b"GET /held HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(client)["held"] == 1, 10, "the held request")
        call(client, "POST", "/control/fail?share=0.5&status=500")
        call(client, "POST", "/control/ready?ok=false")
        call(client, "POST", "/control/reset")
        assert b" 200 " in read_all(delayed)
        assert b" 200 " in read_all(held)
    now = state(client)
    assert (now["gate"], now["delay_ms"], now["fail_share"], now["fail_status"]) == (
        "open",
        0,
        0,
        503,
    )
    assert (now["ready"], now["in_flight"]) == (True, 0)


def test_readiness(client: http.client.HTTPConnection) -> None:
    assert call(client, "GET", "/control/ready")[0] == 200
    call(client, "POST", "/control/ready?ok=false")
    assert call(client, "GET", "/control/ready")[0] == 503
    assert call(client, "GET", "/")[0] == 200
    call(client, "POST", "/control/ready?ok=true")
    assert call(client, "HEAD", "/control/ready")[0] == 200


def test_controls_are_not_traffic(client: http.client.HTTPConnection) -> None:
    call(client, "POST", "/control/fail?share=1")
    call(client, "POST", "/control/gate?closed=true")
    now = state(client)
    assert (now["received"], now["served"], now["failed"], now["held"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/control/nothing", 400),
        ("GET", "/control/", 400),
        ("GET", "/control/fail?next=1", 405),
        ("POST", "/control/state", 405),
        ("POST", "/control/fail?next=-1", 400),
        ("POST", "/control/fail?next=x", 400),
        ("POST", "/control/fail?next=1&share=2", 400),
        ("POST", "/control/fail?next=1&share=nan", 400),
        ("POST", "/control/fail?next=1&status=200", 400),
        ("POST", "/control/fail?next=1&sttaus=500", 400),
        ("POST", "/control/delay?ms=", 400),
        ("POST", "/control/gate", 400),
        ("POST", "/control/gate?closed=maybe", 400),
    ],
)
def test_a_wrong_control_says_what_there_is_and_changes_nothing(
    client: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    before = state(client)
    found, _, text = call(client, method, path)
    assert found == status
    assert "POST /control/gate?closed=true|false" in text
    assert state(client) == before

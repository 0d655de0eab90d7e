"""What the hello-world app answers, and its controls."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from labkit.app import CONTROL_PORT, TOKEN_HEADER
from labkit.waiting import wait_until
from tests.app.app_process import APP, App, read_all

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def client(app: App) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    yield connection
    connection.close()


@pytest.fixture
def controls(app: App) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", app.control_port, timeout=10)
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


def state(controls: http.client.HTTPConnection) -> dict[str, Any]:
    status, _, text = call(controls, "GET", "/control/state")
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


def test_the_next_n_requests_fail(
    client: http.client.HTTPConnection, controls: http.client.HTTPConnection
) -> None:
    assert call(controls, "POST", "/control/fail?next=2&status=500")[0] == 200
    assert [call(client, "GET", "/")[0] for _ in range(4)] == [500, 500, 200, 200]
    now = state(controls)
    assert (now["received"], now["served"], now["failed"], now["fail_next"]) == (4, 2, 2, 0)


def test_a_share_of_the_requests_fails(
    client: http.client.HTTPConnection, controls: http.client.HTTPConnection
) -> None:
    call(controls, "POST", "/control/fail?share=0.5")
    statuses = [call(client, "GET", "/")[0] for _ in range(200)]
    # Binomial(200, 0.5) is outside of 60 to 140 with probability 4e-9.
    assert 60 <= statuses.count(503) <= 140
    call(controls, "POST", "/control/fail?share=1")
    assert call(client, "GET", "/")[0] == 503
    call(controls, "POST", "/control/fail?share=0")
    assert call(client, "GET", "/")[0] == 200


def test_a_delay_holds_one_request_and_not_the_others(
    app: App, controls: http.client.HTTPConnection
) -> None:
    call(controls, "POST", "/control/delay?ms=300")
    with app.connect() as slow:
        started = time.monotonic()
        slow.sendall(b"GET /slow HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(controls)["received"] == 1, 10, "the slow request")
        assert b"200 OK" in read_all(slow)
        assert time.monotonic() - started >= 0.3
    assert state(controls)["in_flight"] == 0


def test_jitter_only_adds(
    client: http.client.HTTPConnection, controls: http.client.HTTPConnection
) -> None:
    call(controls, "POST", "/control/delay?ms=20&jitter_ms=20")
    for _ in range(5):
        started = time.monotonic()
        call(client, "GET", "/")
        assert time.monotonic() - started >= 0.02


def test_the_gate_holds_all_until_it_opens(app: App, controls: http.client.HTTPConnection) -> None:
    call(controls, "POST", "/control/gate?closed=true")
    sockets = [app.connect() for _ in range(20)]
    for sock in sockets:
        sock.sendall(b"GET /held HTTP/1.1\r\n" + CLOSE)
    wait_until(lambda: state(controls)["held"] == 20, 10, "twenty held requests")
    now = state(controls)
    assert (now["gate"], now["served"], now["received"], now["in_flight"]) == ("closed", 0, 20, 20)
    now = json.loads(call(controls, "POST", "/control/gate?closed=false")[2])
    assert (now["gate"], now["held"], now["served"]) == ("open", 0, 20)
    for sock in sockets:
        assert b"path /held" in read_all(sock)
        sock.close()


def test_failures_are_decided_when_the_gate_opens(
    app: App, controls: http.client.HTTPConnection
) -> None:
    call(controls, "POST", "/control/gate?closed=true")
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(controls)["held"] == 1, 10, "the held request")
        call(controls, "POST", "/control/fail?next=1")
        call(controls, "POST", "/control/gate?closed=false")
        assert b" 503 " in read_all(sock)


def test_a_client_that_goes_away_is_not_held_any_more(
    app: App, controls: http.client.HTTPConnection
) -> None:
    call(controls, "POST", "/control/gate?closed=true")
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(controls)["held"] == 1, 10, "the held request")
    wait_until(lambda: state(controls)["held"] == 0, 10, "the app to notice")
    now = state(controls)
    assert (now["in_flight"], now["received"], now["served"]) == (0, 1, 0)


def test_reset_puts_all_back_and_lets_all_go(
    app: App, controls: http.client.HTTPConnection
) -> None:
    call(controls, "POST", "/control/delay?ms=60000")
    with app.connect() as delayed, app.connect() as held:
        delayed.sendall(b"GET /delayed HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(controls)["in_flight"] == 1, 10, "the delayed request")
        call(controls, "POST", "/control/gate?closed=true")
        held.sendall(b"GET /held HTTP/1.1\r\n" + CLOSE)
        wait_until(lambda: state(controls)["held"] == 1, 10, "the held request")
        call(controls, "POST", "/control/fail?share=0.5&status=500")
        call(controls, "POST", "/control/ready?ok=false")
        call(controls, "POST", "/control/reset")
        assert b" 200 " in read_all(delayed)
        assert b" 200 " in read_all(held)
    now = state(controls)
    assert (now["gate"], now["delay_ms"], now["fail_share"], now["fail_status"]) == (
        "open",
        0,
        0,
        503,
    )
    assert (now["ready"], now["in_flight"]) == (True, 0)


def test_readiness(
    client: http.client.HTTPConnection, controls: http.client.HTTPConnection
) -> None:
    assert call(client, "GET", "/ready")[0] == 200
    call(controls, "POST", "/control/ready?ok=false")
    assert call(client, "GET", "/ready")[0] == 503
    assert call(client, "GET", "/")[0] == 200
    call(controls, "POST", "/control/ready?ok=true")
    assert call(client, "HEAD", "/ready")[0] == 200
    assert state(controls)["received"] == 1


def test_a_probe_is_neither_held_nor_failed_nor_delayed(
    client: http.client.HTTPConnection, controls: http.client.HTTPConnection
) -> None:
    for control in ("fail?share=1", "delay?ms=60000", "gate?closed=true"):
        call(controls, "POST", f"/control/{control}")
    assert call(client, "GET", "/ready")[0] == 200


def test_controls_are_not_traffic(controls: http.client.HTTPConnection) -> None:
    call(controls, "POST", "/control/fail?share=1")
    call(controls, "POST", "/control/gate?closed=true")
    now = state(controls)
    assert (now["received"], now["served"], now["failed"], now["held"]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "control",
    ["fail?next=3", "delay?ms=9", "gate?closed=true", "ready?ok=false", "reset", "state"],
)
def test_on_the_port_of_the_traffic_there_are_no_controls(
    client: http.client.HTTPConnection, controls: http.client.HTTPConnection, control: str
) -> None:
    call(controls, "POST", "/control/fail?next=5&status=500")
    before = state(controls)
    for method in ("POST", "GET"):
        status, _, text = call(client, method, f"/control/{control}")
        path = f"/control/{control.partition('?')[0]}"
        assert (status, text) == (
            500,
            f"Failed on request with 500. version v2, pod pod-1, path {path}\n",
        )
    counted = {"received": 2, "failed": 2, "fail_next": 3}
    assert state(controls) == before | counted


def test_with_a_token_set_who_has_it_alone_may_use_the_controls(
    start_app: Callable[..., App],
) -> None:
    app = start_app(LABKIT_CONTROL_TOKEN="s3cret")
    controls = http.client.HTTPConnection("127.0.0.1", app.control_port, timeout=10)
    for wrong in ({}, {TOKEN_HEADER: ""}, {TOKEN_HEADER: "s3cre"}, {TOKEN_HEADER: "s3cret1"}):
        for method, path in (("POST", "/control/fail?next=3"), ("GET", "/control/state")):
            status, _, text = call(controls, method, path, headers=wrong)
            assert status == 403
            assert TOKEN_HEADER in text
            assert "s3cret" not in text
    status, _, text = call(controls, "GET", "/control/state", headers={TOKEN_HEADER: "s3cret"})
    assert (status, json.loads(text)["fail_next"]) == (200, 0)
    assert app.talk(b"GET /ready HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 200")
    controls.close()


def test_a_web_page_may_not_use_the_controls(controls: http.client.HTTPConnection) -> None:
    page = {"Origin": "http://evil.example.com"}
    assert call(controls, "POST", "/control/fail?next=3", headers=page)[0] == 403
    assert state(controls)["fail_next"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is not there by itself")
def test_the_controls_listen_on_loopback_even_where_the_traffic_does_not(
    start_app: Callable[..., App],
) -> None:
    app = start_app(BIND="0.0.0.0")
    # 127.0.0.2 is this machine too, and no address that the controls were bound to
    with socket.create_connection(("127.0.0.2", app.port), timeout=10):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", app.control_port), timeout=10)


def test_the_port_of_the_controls_is_the_one_that_the_package_names() -> None:
    assert f"\nCONTROL_PORT = {CONTROL_PORT} " in APP.read_text("utf-8")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/control/nothing", 400),
        ("GET", "/control/", 400),
        ("POST", "/", 400),
        ("POST", "/reset", 400),
        ("GET", "/control/ready", 405),
        ("POST", "/control/ready", 400),
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
    controls: http.client.HTTPConnection, method: str, path: str, status: int
) -> None:
    before = state(controls)
    found, _, text = call(controls, method, path)
    assert found == status
    assert "POST /control/gate?closed=true|false" in text
    assert state(controls) == before

"""The hello-world app as a process: how it starts, what it logs, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from labkit.waiting import wait_until
from tests.app.app_process import APP, App, read_all

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def post(app: App, control: bytes) -> None:
    assert b" 200 " in app.control(b"POST /control/" + control + b" HTTP/1.1\r\n" + CLOSE)


def in_flight(app: App) -> int:
    said = app.control(b"GET /control/state HTTP/1.1\r\n" + CLOSE)
    return int(json.loads(said.split(b"\r\n\r\n", 1)[1])["in_flight"])


def test_sigterm_lets_requests_under_way_finish(app: App) -> None:
    post(app, b"delay?ms=800")
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: in_flight(app) == 1, 10, "the request")
        app.process.send_signal(signal.SIGTERM)
        said = read_all(sock)
    assert b"200 OK" in said
    assert b"connection: close" in said
    assert app.process.wait(10) == 0


def test_sigterm_does_not_wait_for_the_gate_for_ever(app: App) -> None:
    post(app, b"gate?closed=true")
    with app.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: in_flight(app) == 1, 10, "the request")
        app.process.send_signal(signal.SIGTERM)
        assert app.process.wait(10) == 0
        with pytest.raises(ConnectionRefusedError):
            app.connect()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_app_ends_at_once(app: App, number: signal.Signals) -> None:
    with app.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(65536)
        app.process.send_signal(number)
        assert app.process.wait(10) == 0


def test_the_log_has_a_line_a_request_and_none_for_controls_and_probes(
    start_app: Callable[..., App],
) -> None:
    app = start_app()
    assert app.process.stdout is not None
    app.control(b"GET /control/state HTTP/1.1\r\n" + CLOSE)
    app.talk(b"GET /ready HTTP/1.1\r\n" + CLOSE)
    app.talk(b"POST /x?secret=1 HTTP/1.1\r\n" + CLOSE)
    assert app.process.stdout.readline().split()[1:4] == ["POST", "/x", "200"]


def test_the_log_of_a_load_test_stays_short(start_app: Callable[..., App]) -> None:
    app = start_app()
    assert app.process.stdout is not None
    app.talk(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000 + b"GET / HTTP/1.1\r\n" + CLOSE)
    app.process.send_signal(signal.SIGTERM)
    # At most 200 lines a second and one that counts the rest; the second may change on the way.
    assert len(app.process.stdout.read().splitlines()) <= 2 * 201


def test_without_a_log(start_app: Callable[..., App]) -> None:
    app = start_app(LOG="0")
    assert app.process.stdout is not None
    app.talk(b"GET / HTTP/1.1\r\n" + CLOSE)
    app.process.send_signal(signal.SIGTERM)
    assert app.process.stdout.read() == ""


def test_the_name_of_the_pod(start_app: Callable[..., App]) -> None:
    app = start_app(POD_NAME="", HOSTNAME="from-hostname")
    assert b"x-pod: from-hostname\r\nx-version: v1" in app.talk(b"GET / HTTP/1.1\r\n" + CLOSE)


def test_it_imports_nothing_slow() -> None:
    run = (
        f"sys.path.insert(0, {str(APP.parent)!r}); "
        f"exec(compile(open({str(APP)!r}).read(), 'app', 'exec'), {{'__name__': 'app'}})"
    )
    code = f"import sys; {run}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    slow = {"asyncio", "http.server", "socketserver", "json", "random", "typing", "re"}
    assert not slow & set(done.stdout.split())

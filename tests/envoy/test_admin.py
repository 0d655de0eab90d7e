"""The client of the administration interface, against a server that is no Envoy."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.envoy import admin as module
from labkit.envoy.admin import Admin, UnixConnection


class Ready(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"LIVE\n")

    def address_string(self) -> str:  # of a Unix socket there is none
        return ""

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "admin.sock"
    with Server(str(path), Ready) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield path
        server.shutdown()
        thread.join()


def test_closing_waits_for_a_request_under_way(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = Admin(path)
    closing = threading.Thread(target=admin.close)

    class Closed(UnixConnection):
        """Somebody closes while the answer is awaited: a mesh that ends while a picture of it is
        drawn.
        """

        def request(self, *args: object, **kwargs: object) -> None:
            super().request(*args, **kwargs)  # type: ignore[arg-type]
            closing.start()
            closing.join(0.2)

    monkeypatch.setattr(module, "UnixConnection", Closed)
    assert admin.live()
    closing.join()
    assert admin.connection is None


def test_it_opens_again_after_it_was_closed(path: Path) -> None:
    admin = Admin(path)
    for _ in range(2):
        assert admin.live()
        admin.close()


def test_nobody_there_is_not_live(tmp_path: Path) -> None:
    assert not Admin(tmp_path / "admin.sock").live()

"""The program curl and its stand-in say the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from labkit.errors import TrafficError
from labkit.traffic.programs.curl import real_curl, stand_in
from tests.traffic.harness import Pod

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None, reason="there is no curl on this machine"
)


@pytest.mark.parametrize("run", [pytest.param(real_curl, marks=needs_curl), stand_in])
class TestBoth:
    def test_a_name_is_led_to_an_address(self, run: Callable[..., str], pod: Pod) -> None:
        name = f"test.example.com:{pod.port}"
        said = run("--resolve", f"{name}:127.0.0.1", f"http://{name}/by-resolve")
        assert said == "Hello world! version v1, pod pod-1, path /by-resolve\n"

    def test_headers_are_sent(self, run: Callable[..., str], pod: Pod) -> None:
        url = f"http://127.0.0.1:{pod.port}/"
        page = run("--header", "Accept: text/html", "--header", "Host: test.example.com", url)
        assert page.startswith("<!doctype html>")

    def test_head_and_body_are_printed_when_asked_for(
        self, run: Callable[..., str], pod: Pod
    ) -> None:
        head, _, body = (
            run("--include", f"http://127.0.0.1:{pod.port}/").replace("\r", "").partition("\n\n")
        )
        assert head.splitlines()[0].startswith("HTTP/1.1 200")
        assert "x-pod: pod-1" in head
        assert body == "Hello world! version v1, pod pod-1, path /\n"

    def test_nobody_there(self, run: Callable[..., str], free_port: int) -> None:
        with pytest.raises(TrafficError):
            run(f"http://127.0.0.1:{free_port}/")

    def test_proxies_of_the_machine_are_left_out(
        self, run: Callable[..., str], pod: Pod, free_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
        assert "pod-1" in run(f"http://127.0.0.1:{pod.port}/")


def test_without_the_program_the_stand_in_is_used(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert "path /x" in real_curl(f"http://127.0.0.1:{pod.port}/x")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--http2", "http://127.0.0.1/"), "does not know its option --http2"),
        (("--resolve", "name", "http://127.0.0.1/"), "NAME:PORT:ADDRESS"),
        (("--header", "Host", "http://127.0.0.1/"), "NAME: VALUE"),
        (("http://a/", "http://b/"), "one address"),
    ],
)
def test_what_the_stand_in_does_not_do_it_says(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(TrafficError, match=said):
        stand_in(*options)


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

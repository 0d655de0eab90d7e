from __future__ import annotations

import socket
import threading

import pytest

from labkit.errors import TrafficError
from labkit.traffic import FAILED, Target, curl
from tests.traffic.harness import Pod, Proxy

pytestmark = pytest.mark.embedded


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_ten_curls_are_ten_requests_on_ten_connections(proxy: Proxy, pods: list[Pod]) -> None:
    before = proxy.counter("http.lab.downstream_cx_total")
    result = curl(proxy.target, "/x?y=1", n=10)
    assert result.codes == {200: 10}
    assert len(result) == len(result.responses) == 10
    assert {response.version for response in result} <= {"v1", "v2"}
    assert sum(pod.state["served"] for pod in pods) == 10
    assert proxy.counter("http.lab.downstream_cx_total") - before == 10
    assert set(result[0].headers) >= {"x-pod", "content-type", "server"}
    assert result[0].text.startswith("Hello world!")
    assert result.text.count("path /x") == 10


def test_one_connection_for_all_when_asked(proxy: Proxy) -> None:
    before = proxy.counter("http.lab.downstream_cx_total")
    result = curl(proxy.target, n=5, new_connection=False)
    assert list(result.column("connection")) == [0] * 5
    assert proxy.counter("http.lab.downstream_cx_total") - before == 1


def test_a_row_says_what_there_is_to_know(proxy: Proxy) -> None:
    frame = curl(proxy.target, "/x", n=3, method="POST").frame
    assert list(frame["status"]) == [200] * 3
    assert list(frame["n"]) == [0, 1, 2]
    assert set(frame["method"]) == {"POST"}
    assert set(frame["path"]) == {"/x"}
    assert frame["id"].is_unique
    assert (frame["latency_ms"] > 0).all()
    assert frame["at"].is_monotonic_increasing


def test_headers_the_host_and_the_body_arrive(echo: Target) -> None:
    sent = curl(
        echo,
        "/x?a=b",
        method="PUT",
        headers={"X-A": "1", "x-forwarded-for": "10.0.0.1"},
        body="häh",
    ).text
    lines = sent.split("\r\n")
    assert lines[0] == "PUT /x?a=b HTTP/1.1"
    assert {
        "host: test.example.com",
        "x-a: 1",
        "x-forwarded-for: 10.0.0.1",
        "content-length: 4",
    } <= set(lines)
    assert any(line.startswith("x-labkit-id: ") for line in lines)
    assert sent.endswith("\r\n\r\nhäh")


def test_the_host_header_can_be_overridden_and_the_id_left_out(echo: Target) -> None:
    sent = curl(echo, headers={"Host": "other"}, request_ids=False).text
    assert "host: other\r\n" in sent
    assert "test.example.com" not in sent
    assert "x-labkit-id" not in sent


def test_head_has_no_body(proxy: Proxy) -> None:
    response = curl(proxy.target, method="HEAD")[0]
    assert (response.status, response.body) == (200, b"")
    assert int(response.headers["content-length"]) > 0


def test_error_statuses_are_rows_like_others(pod: Pod) -> None:
    pod.control("fail?next=2&status=418")
    assert curl(pod.target, n=3).codes == {200: 1, 418: 2}


def test_a_timeout_is_a_row_without_a_status(pod: Pod) -> None:
    pod.control("gate?closed=true")
    result = curl(pod.target, n=2, timeout_s=0.05)
    assert result.codes == {FAILED: 2}
    assert set(result.column("error")) == {"timeout"}
    assert "no answer: 2 (100 %)" in result.summary


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_when_nothing_can_be_sent_the_error_says_the_next_step(host: str) -> None:
    with pytest.raises(TrafficError, match="Nothing could be sent to") as caught:
        curl(Target(host, unused_port(), "test.example.com"))
    assert caught.value.try_next


def test_a_header_that_is_not_http_is_refused(pod: Pod) -> None:
    with pytest.raises(TrafficError, match="can't be written as HTTP"):
        curl(pod.target, headers={"a": "b\r\nc: d"})
    assert pod.state["received"] == 0


def test_cookies_are_kept_and_sent() -> None:
    with Answers(
        [b"Set-Cookie: lab=42; Path=/; HttpOnly\r\n", b"Set-Cookie: lab=; Max-Age=0\r\n", b""]
    ) as answers:
        jar: dict[str, str] = {"mine": "1"}
        curl(answers.target, jar=jar)
        assert jar == {"mine": "1", "lab": "42"}
        curl(answers.target, jar=jar)
        assert jar == {"mine": "1"}
        curl(answers.target, jar=jar)
    assert [b"lab=42" in request for request in answers.seen] == [False, True, False]
    assert all(b"cookie: mine=1" in request for request in answers.seen)


def test_redirects_are_shown_not_followed() -> None:
    with Answers([b"Location: /other\r\n"], status=b"302 Found") as answers:
        assert curl(answers.target).codes == {302: 1}
    assert len(answers.seen) == 1


def test_a_connection_that_died_while_idle_is_replaced() -> None:
    with Answers([b"", b"", b""]) as answers:  # closes after each answer, without saying so
        result = curl(answers.target, n=3, new_connection=False)
    assert result.codes == {200: 3}


def test_progress_ends_with_all_done(pod: Pod) -> None:
    seen: list[tuple[int, int]] = []
    curl(pod.target, n=20, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (20, 20)
    assert len(seen) < 20


class Answers:
    """A server that gives one answer a connection, with the given header lines, and remembers what
    it was sent.
    """

    def __init__(self, headers: list[bytes], status: bytes = b"200 OK") -> None:
        self.headers, self.status, self.seen = headers, status, list[bytes]()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        for line in self.headers:
            connection, _ = self.listener.accept()
            with connection:
                self.seen.append(connection.recv(65536))
                connection.sendall(
                    b"HTTP/1.1 " + self.status + b"\r\n" + line + b"content-length: 2\r\n\r\nhi"
                )

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.listener.getsockname()[1], "test.example.com")

    def __enter__(self) -> Answers:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(10)
        self.listener.close()


@pytest.fixture
def echo() -> Target:
    """A server that answers one request with what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, listener:
            data = b""
            while b"\r\n\r\n" not in data or (
                b"content-length: 4" in data and not data.endswith(b"h")
            ):
                data += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(data) + data)

    threading.Thread(target=serve, daemon=True).start()
    return Target("127.0.0.1", listener.getsockname()[1], "test.example.com")

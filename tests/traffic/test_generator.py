"""The built-in generator, counted against a real Envoy and real pods."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import datetime

import pytest

from labkit.errors import TrafficError
from labkit.traffic import FAILED, FortioResult, Target, fortio
from labkit.waiting import wait_until
from tests.traffic.harness import Y7, Pod, Proxy, run_envoy
from tests.traffic.test_curl import unused_port

pytestmark = pytest.mark.embedded


def run(target: Target, path: str = "/", **options: object) -> FortioResult:
    return fortio(target, path, program="built-in", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("connections", "requests"), [(1, 1), (4, 20), (4, 22), (3, 200), (8, 3)])
def test_exactly_as_many_requests_as_asked_for(
    proxy: Proxy, pods: list[Pod], connections: int, requests: int
) -> None:
    before = proxy.counter("http.lab.downstream_cx_total")
    result = run(proxy.target, connections=connections, requests=requests)
    assert result.codes == {200: requests}
    assert sum(pod.state["served"] for pod in pods) == requests
    opened = proxy.counter("http.lab.downstream_cx_total") - before
    assert opened == min(connections, requests) == result.connections_opened


def test_rows_know_the_pod_the_version_and_the_connection(proxy: Proxy, pods: list[Pod]) -> None:
    result = run(proxy.target, "/x", requests=40, method="POST")
    frame = result.frame
    for pod in pods:
        assert (
            len(frame[frame["pod"] == pod.name])
            == pod.state["served"]
            == result.pods.get(pod.name, 0)
        )
        assert set(frame[frame["pod"] == pod.name]["version"]) <= {pod.version}
    assert sorted(frame["connection"].unique()) == [0, 1, 2, 3]
    assert frame["id"].is_unique
    assert frame["at"].is_monotonic_increasing
    assert (frame["latency_ms"] > 0).all()


def test_headers_host_and_body_are_sent(pod: Pod) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                data = b""
                while not data.endswith(b"hi"):
                    data += connection.recv(65536)
                seen.append(data)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        target = Target("127.0.0.1", listener.getsockname()[1], "test.example.com")
        result = run(target, "/a b?c=d", connections=1, requests=1, headers={"X-A": "1"}, body="hi")
        thread.join(10)
    lines = seen[0].split(b"\r\n")
    assert result.codes == {200: 1}
    # a body makes it a POST, as with Fortio's -payload
    assert lines[0] == b"POST /a%20b?c=d HTTP/1.1"
    assert {b"Host: test.example.com", b"X-A: 1", b"Content-Length: 2"} <= set(lines)


def test_a_post_without_a_body(proxy: Proxy) -> None:
    assert run(proxy.target, requests=12, method="POST").codes == {200: 12}


def test_a_large_body_is_sent_in_pieces(pod: Pod) -> None:
    result = run(pod.target, requests=3, connections=1, body=b"x" * 8_000_000, timeout_s=30)
    assert result.codes == {200: 3}
    assert result.connections_opened == 1


def test_head_requests(proxy: Proxy) -> None:
    assert run(proxy.target, requests=8, method="HEAD").codes == {200: 8}


def test_after_an_error_status_the_connection_is_closed_as_fortio_does(pod: Pod) -> None:
    pod.control("fail?next=7")
    result = run(pod.target, connections=1, requests=10)
    assert result.codes == {200: 3, 503: 7}
    assert result.connections_opened == 8  # one for each failure, and one for the rest
    assert result.json["ErrorsDurationHistogram"]["Count"] == 7
    assert list(result.column("status")) == [503] * 7 + [200] * 3
    assert set(result.column("pod")) == {"pod-1"}


def test_418_is_fine_for_fortio(pod: Pod) -> None:
    pod.control("fail?next=7&status=418")
    result = run(pod.target, connections=1, requests=10)
    assert result.codes == {200: 3, 418: 7}
    assert result.connections_opened == 1


def test_the_server_may_close_after_each_answer(pod: Pod) -> None:
    result = run(pod.target, connections=2, requests=10, headers={"Connection": "close"})
    assert result.codes == {200: 10}
    assert result.connections_opened == 10


def test_a_timeout_has_no_status_and_a_new_connection(pod: Pod) -> None:
    pod.control("gate?closed=true")
    result = run(pod.target, connections=2, requests=4, timeout_s=0.1)
    assert result.codes == {FAILED: 4}
    assert set(result.column("error")) == {"timeout"}
    assert result.connections_opened == 4
    assert pod.state["received"] == 4


def test_a_silent_reused_connection_is_replaced_once_as_fortio_does(pod: Pod) -> None:
    # The first request of the connection is answered, the second not: it is sent once more on a new
    # connection.
    def close_gate() -> None:
        wait_until(lambda: pod.state["served"] >= 1, 10, "the first request")
        pod.control("gate?closed=true")

    thread = threading.Thread(target=close_gate)
    thread.start()
    result = run(pod.target, connections=1, requests=2, qps=1, timeout_s=1)
    thread.join(10)
    assert result.codes == {FAILED: 1, 200: 1}
    assert pod.state["received"] == 3
    assert result.connections_opened == 2
    assert max(result.column("latency_ms")) >= 2000


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_what_cannot_be_reached_is_rows_without_a_status(host: str) -> None:
    target = Target(host, unused_port(), "test.example.com")
    assert run(target, connections=2, requests=5).codes == {FAILED: 5}
    # ends with the warm-up, not after 5 s of failures
    result = run(target, connections=2, duration_s=5)
    assert result.codes == {FAILED: 2}
    assert set(result.column("error")) <= {"connection refused", "no such host"}


def test_by_time_each_connection_sends_one_request_that_is_not_counted(pod: Pod) -> None:
    result = run(pod.target, connections=3, duration_s=0.2)
    assert result.json["RequestedDuration"] == "200ms"
    assert pod.state["served"] == len(result) + 3
    assert result.duration_s >= 0.2


def test_a_rate_is_kept_by_counts(pod: Pod) -> None:
    result = run(pod.target, connections=2, requests=20, qps=20)
    assert len(result) == 20
    assert result.json["RequestedQPS"] == "20"
    # 10 calls a connection have 9 pauses of a ninth of the second: the last call comes at its end,
    # and never before.
    assert result.duration_s >= 1
    for connection in (0, 1):
        frame = result.frame
        at = list(frame[frame["connection"] == connection]["at"])
        assert len(at) == 10
        assert all(moment - began(result) >= i / 9 - ROUNDING_S for i, moment in enumerate(at))


def test_a_rate_by_time_sends_no_more_than_its_share(pod: Pod) -> None:
    """Fewer on a busy machine: who is late when the time is over leaves the rest out, as Fortio
    does.
    """
    result = run(pod.target, connections=2, duration_s=1, qps=20)
    assert len(result) <= 20
    assert result.duration_s >= 1


def test_who_is_late_catches_up_unless_told_not_to(pod: Pod) -> None:
    pod.control("delay?ms=120")
    # 50 a second on one connection that can do 8: all 10 calls are made, late; without catching up
    # most are left out.
    assert len(run(pod.target, connections=1, requests=10, qps=50)) == 10
    assert len(run(pod.target, connections=1, requests=10, qps=50, catch_up=False)) < 10


def test_uniform_spreads_the_connections(pod: Pod) -> None:
    result = run(pod.target, connections=4, requests=8, qps=20, uniform=True)
    first = [min(row["at"] for row in rows(result) if row["connection"] == c) for c in range(4)]
    assert first == sorted(first)
    assert all(first[c] - began(result) >= 0.05 * c - ROUNDING_S for c in range(4))
    assert run(pod.target, connections=2, requests=8, qps=100, jitter=True).codes == {200: 8}


ROUNDING_S = 1e-5
"""Of times since 1970, as floating-point numbers and as text."""


def began(result: FortioResult) -> float:
    """When the run started. No upper limit is held against what follows: a busy machine may be late
    with anything.
    """
    return datetime.fromisoformat(result.json["StartTime"]).timestamp()


def rows(result: FortioResult) -> list[dict[str, object]]:
    return result.frame.to_dict("records")  # type: ignore[return-value]


def test_cancel_ends_the_run_with_the_rows_so_far(pod: Pod) -> None:
    cancel = threading.Event()
    seen: list[int] = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done >= 10:
            cancel.set()

    result = run(pod.target, duration_s=60, progress=progress, cancel=cancel)
    assert 10 <= len(result) == pod.state["served"] - 4
    assert result.duration_s < 30
    result = run(pod.target, requests=1_000_000, progress=progress, cancel=cancel)
    assert len(result) < 1_000_000
    assert f"interrupted after {len(result)}" in result.json["RequestedDuration"]


def test_cancel_does_not_wait_for_answers_that_never_come(pod: Pod) -> None:
    pod.control("gate?closed=true")
    cancel = threading.Event()
    timer = threading.Timer(0.1, cancel.set)
    timer.start()
    started = time.monotonic()
    result = run(pod.target, requests=10, timeout_s=60, cancel=cancel)
    timer.join(10)
    assert len(result) == 0
    assert time.monotonic() - started < 30
    assert "0 requests" in repr(result)
    assert "0 requests" in result._repr_html_()


def test_progress_comes_at_most_ten_times_a_second(pod: Pod) -> None:
    seen: list[tuple[int, int]] = []
    result = run(pod.target, requests=3000, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3000, 3000)
    assert len(seen) <= 10 * result.duration_s + 2


def test_what_a_circuit_breaker_refuses_is_counted_by_all_sides(pods: list[Pod], pod: Pod) -> None:
    # Y7 by a run of the noisy kind: how many are refused varies, but all sides count the same ones.
    with run_envoy([pod], Y7) as proxy:
        result = run(proxy.target, connections=4, requests=200, method="POST")
        refused = result.codes.get(503, 0)
        assert proxy.counter("upstream_rq_pending_overflow") == refused
        assert pod.state["served"] == result.codes[200] == 200 - refused
        assert result.pods == {"pod-1": 200 - refused}
        frame = result.frame
        assert set(frame[frame["status"] == 503]["pod"]) <= {""}


def test_many_connections(proxy: Proxy) -> None:
    assert run(proxy.target, connections=100, requests=1000).codes == {200: 1000}


def test_the_result_reads_well(proxy: Proxy) -> None:
    result = run(proxy.target, requests=20)
    assert repr(result).startswith("<FortioResult 20 requests on 4 connections in ")
    assert "by built-in · 200: 20 (100 %)" in repr(result)
    assert "Code 200 : 20 (100.0 %)" in result.text
    assert "20 requests on 4 connections" in result._repr_html_()
    assert json.loads(result.to_json())["RetCodes"] == {"200": 20}
    assert 0 < result.percentile_ms(50) <= result.percentile_ms(99.9)
    with pytest.raises(TrafficError, match="no percentile 42"):
        result.percentile_ms(42)


def test_what_is_not_http_has_no_status() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        result = run(Target("127.0.0.1", listener.getsockname()[1], "a"), connections=1, requests=1)
        thread.join(10)
    assert list(result.column("error")) == ["not HTTP"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nX-Pod: p\r\n\r\nuntil the end", 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 200 + 4),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\n", 500),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", FAILED),
        (b"", FAILED),
    ],
)
@pytest.mark.parametrize("piece", [1, 1000])
def test_all_kinds_of_answers(answer: bytes, status: int, piece: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.recv(65536)
                for at in range(0, len(answer), piece):
                    try:
                        connection.sendall(answer[at : at + piece])
                    except OSError:  # an error status is enough for the client: it has gone
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        result = run(Target("127.0.0.1", listener.getsockname()[1], "a"), connections=1, requests=1)
        thread.join(10)
    assert result.codes == {status: 1}

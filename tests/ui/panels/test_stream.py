"""A run in the background: its rows are the result's own, and its numbers the gateway's."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import labkit
from labkit.errors import LabkitError, TrafficError
from labkit.mesh import Mesh
from labkit.traffic import FAILED
from labkit.traffic.live import LIVE_COLUMNS, LiveRows
from labkit.ui.panels.counters import agreement, summed
from labkit.ui.panels.stream import Stream, Traffic
from labkit.waiting import wait_until
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, URL, rule, virtual_service

pytestmark = pytest.mark.embedded


def run(mesh: Mesh, traffic: Traffic, url: str = URL, **options: str) -> Stream:
    return Stream(mesh, url, traffic, **options).start().wait()


@pytest.mark.parametrize("traffic", [Traffic("curl", requests=12), Traffic("fortio", requests=40)])
def test_a_run_ends_with_the_results_rows_and_the_gateways_numbers(
    mesh: Mesh, traffic: Traffic
) -> None:
    stream = run(mesh, traffic)
    assert (stream.state, stream.error) == ("ended", None)
    assert len(stream) == traffic.requests == len(stream.result)  # type: ignore[arg-type]
    assert list(stream.frame["pod"]) == list(stream.result.column("pod"))  # type: ignore[union-attr]
    line = stream.agreement.lines[0]  # type: ignore[union-attr]
    assert (line.rows, line.counted, line.counter) == (
        traffic.requests,
        traffic.requests,
        "upstream_rq_200",
    )
    assert stream.agreement.verdict == "The same as the gateway counted."  # type: ignore[union-attr]
    assert stream.progress == 1


def test_a_run_by_time_leaves_out_the_warm_up_and_says_so(mesh: Mesh) -> None:
    stream = run(mesh, Traffic("fortio", connections=3, qps=60, duration_s=0.5))
    found = stream.agreement
    assert found is not None
    assert (found.extra, found.equal) == (3, True)
    assert "and 3 of Fortio's warm-up" in found.verdict


def test_a_stream_goes_on_until_it_is_stopped(mesh: Mesh) -> None:
    stream = Stream(mesh, URL, Traffic("stream", rate=100)).start()
    wait_until(lambda: len(stream) >= 30, 20, "thirty requests")
    assert stream.running
    assert stream.progress is None
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    wait_until(lambda: len(stream) >= 60, 20, "sixty requests")
    stream.stop()
    assert stream.state == "cancelled"
    assert [mark.what for mark in stream.marks] == ["destinationrule/hello-world-dr created"]
    assert stream.agreement is not None
    assert stream.agreement.equal
    assert len(stream) == sum(stream.result.codes.values())  # type: ignore[union-attr]


def test_a_rule_that_sets_a_clusters_counters_back_makes_no_number_wrong(mesh: Mesh) -> None:
    mesh.curl(URL, n=30)
    stream = Stream(mesh, URL, Traffic("stream", rate=100)).start()
    wait_until(lambda: len(stream) >= 10, 20, "some requests")
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    wait_until(lambda: len(stream) >= 30, 20, "some more")
    (line,) = stream.count().lines
    assert line.counted is not None
    # the rows are counted first; what Envoy counted since is in the rows by now, or on one of four
    # connections
    assert line.rows <= line.counted <= len(stream) + 4
    stream.stop()
    assert stream.agreement is not None
    assert stream.agreement.equal, stream.agreement.table


def test_refusals_of_the_breaker_are_the_gateways_own_count(mesh: Mesh) -> None:
    mesh.apply(
        rule("{connectionPool: {http: {http1MaxPendingRequests: 1}, tcp: {maxConnections: 1}}}")
    )
    mesh.control("hello-world", delay_ms=5)
    stream = run(mesh, Traffic("fortio", connections=8, requests=80))
    found = stream.agreement
    assert found is not None
    lines = {line.answer: (line.rows, line.counted) for line in found.lines}
    assert lines["503"][0] > 0
    assert all(rows == counted for rows, counted in lines.values())
    overflow = stream.counters.look()["upstream_rq_pending_overflow"]
    assert overflow == lines["503"][0]


def test_answers_that_no_cluster_gave_are_found_at_the_listener(mesh: Mesh) -> None:
    stream = run(mesh, Traffic("curl", requests=5), "http://nobody.example.com/")
    line = stream.agreement.lines[0]  # type: ignore[union-attr]
    assert (line.answer, line.rows, line.counted, line.counter) == (
        "404",
        5,
        5,
        "downstream_rq_4xx",
    )


def test_an_answer_after_retries_is_counted_once(mesh: Mesh) -> None:
    mesh.apply(
        virtual_service(
            "[{route: [{destination: {host: hello-world}}], retries: {attempts: 3, retryOn: 5xx, "
            "perTryTimeout: 2s}}]"
        )
    )
    mesh.control("hello-world-v2", fail_share=1.0, fail_status=500)
    stream = run(mesh, Traffic("fortio", requests=60))
    assert stream.counters.look()["upstream_rq_retry"] > 0
    assert stream.agreement is not None
    assert stream.agreement.equal, stream.agreement.table


def test_a_run_from_inside_is_counted_by_the_callers_sidecar(mesh: Mesh) -> None:
    stream = run(
        mesh, Traffic("curl", requests=6), "http://hello-world.hello-world/", source="client"
    )
    assert stream.agreement is not None
    assert stream.agreement.verdict == "The same as the sidecar of client counted."
    assert stream.agreement.lines[0].counted == 6


def test_other_requests_at_the_same_time_are_told_apart(mesh: Mesh) -> None:
    stream = Stream(mesh, URL, Traffic("stream", rate=50)).start()
    mesh.curl(URL, n=3)
    stream.stop()
    assert stream.agreement is not None
    assert stream.agreement.extra == 3
    assert "counted 3 more: other requests" in stream.agreement.verdict


def test_a_mesh_that_is_closed_ends_the_stream_with_its_reason() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        stream = Stream(mesh, URL, Traffic("stream", rate=100)).start()
        wait_until(lambda: len(stream) >= 5, 20, "some requests")
    stream.wait(20)
    assert stream.state == "failed"
    assert "closed" in str(stream.error)
    with pytest.raises(LabkitError, match="closed"):
        Stream(mesh, URL, Traffic()).start()


def test_a_gateway_that_dies_is_told_and_the_stream_goes_on() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        stream = Stream(mesh, URL, Traffic("stream", rate=100)).start()
        wait_until(lambda: len(stream) >= 5, 20, "some requests")
        process = mesh._controller.gateway.sidecar.process  # type: ignore[attr-defined]
        process.kill()
        wait_until(lambda: -1 in set(stream.frame["status"]), 20, "a request without an answer")
        answered = len(stream)
        wait_until(
            lambda: 200 in set(stream.frame["status"][answered:]),
            20,
            "an answer of the new gateway",
        )
        stream.stop()
        assert stream.state == "cancelled"
        assert "requests got no answer. The gateway restarted in the meantime." in stream.warning


def test_a_mesh_that_is_ended_from_outside_is_told() -> None:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        stream = Stream(mesh, URL, Traffic("stream", rate=100)).start()
        wait_until(lambda: len(stream) >= 5, 20, "some requests")
        os.killpg(mesh._controller.family.group, signal.SIGKILL)  # type: ignore[attr-defined]
        stream.wait(30)
        assert stream.state == "failed"
        assert "ended from outside" in str(stream.error)


def test_a_long_run_is_drawn_from_its_last_rows(mesh: Mesh) -> None:
    stream = run(mesh, Traffic("fortio", requests=30))
    assert list(stream.latest(10)["at"]) == list(stream.frame["at"])[-10:]
    assert len(stream.latest(100)) == 30


class NeverReadAgain(list[int]):
    """A column that grows, and that nobody may go through."""

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("all rows so far were looked at")

    def __getitem__(self, place: Any) -> Any:
        raise AssertionError("rows that were counted were looked at")


def test_counting_takes_only_the_rows_that_are_new(mesh: Mesh) -> None:
    """A stream without an end is drawn four times a second: it must not get
    slower with each hour.
    """
    stream = Stream(mesh, URL, Traffic("stream"))
    stream.counters.begin()
    stream.columns["status"] = NeverReadAgain()
    columns: dict[str, list[Any]] = {name: [] for name in LIVE_COLUMNS}
    stream.live = LiveRows(columns)
    for status, count in ((200, 5), (503, 2), (FAILED, 1), (200, 4)):
        for name in LIVE_COLUMNS:
            columns[name] += [status if name == "status" else 1] * count
        found = stream.count()
    assert sum(line.rows for line in found.lines) == 12
    assert stream.statuses == {200: 9, 503: 2, FAILED: 1}
    assert stream.warning.startswith("1 of 12 requests got no answer.")


def test_what_cannot_be_meant_is_refused_with_a_way_on() -> None:
    for wrong in (
        {"requests": 0},
        {"connections": 0},
        {"qps": -1.0},
        {"kind": "fortio", "duration_s": -1.0},
        {"kind": "stream", "rate": 0.0},
        {"kind": "stream", "rate": 501.0},
    ):
        with pytest.raises(TrafficError) as caught:
            Traffic(**wrong)  # type: ignore[arg-type]
        assert caught.value.try_next


@pytest.mark.parametrize(
    ("traffic", "command"),
    [
        (
            Traffic("curl", requests=10),
            "for i in $(seq 10); do curl -s http://test.example.com/; done",
        ),
        (
            Traffic("curl", requests=2, headers={"x-user": "ann"}),
            "for i in $(seq 2); do curl -s -H 'x-user: ann' http://test.example.com/; done",
        ),
        (
            Traffic("fortio", requests=20, method="POST"),
            "fortio load -c 4 -qps 0 -n 20 -X POST http://test.example.com/",
        ),
        (
            Traffic("fortio", qps=50, duration_s=90),
            "fortio load -c 4 -qps 50 -t 1m30s http://test.example.com/",
        ),
        (
            Traffic("stream", rate=20),
            "fortio load -c 4 -uniform -nocatchup -qps 20 -t 0 http://test.example.com/",
        ),
    ],
)
def test_the_command_is_what_a_person_would_type(traffic: Traffic, command: str) -> None:
    assert traffic.command(URL) == command


def test_numbers_that_differ_are_not_called_the_same() -> None:
    assert not agreement({200: 4}, {"upstream_rq_200": 5, "downstream_rq_2xx": 5}).equal
    assert not agreement({200: 4, 503: 1}, {"upstream_rq_200": 5, "downstream_rq_2xx": 5}).equal
    fewer = agreement({200: 4}, {})
    assert "The gateway counted 4 fewer" in fewer.verdict
    silent = agreement({200: 4, -1: 2}, {"upstream_rq_200": 4, "downstream_rq_2xx": 4})
    assert (silent.equal, silent.lines[-1].answer, silent.lines[-1].counted) == (
        True,
        "no answer",
        None,
    )


def test_counters_of_two_clusters_are_added_and_doubles_left_out() -> None:
    stats = {
        "cluster.outbound|80|v1|a.b.svc.cluster.local.upstream_rq_200": 3,
        # as Istio's Envoys write it
        "cluster.outbound|80|v2|a.b.svc.cluster.local;.upstream_rq_200": 4,
        "cluster.outbound|80|v2|a.b.svc.cluster.local.external.upstream_rq_200": 4,
        "cluster.outbound|80|v2|a.b.svc.cluster.local.retry.upstream_rq_503": 1,
        "http.outbound_0.0.0.0_8080.downstream_rq_2xx": 7,
        "http.admin.downstream_rq_2xx": 9,
    }
    assert summed(stats) == {"upstream_rq_200": 7, "downstream_rq_2xx": 7}

from __future__ import annotations

import pytest

from labkit.errors import TrafficError
from labkit.traffic import FAILED, Target, concurrent, curl
from labkit.waiting import wait_until
from tests.traffic.harness import CLUSTER, ONE_PENDING, Pod, Proxy, run_envoy
from tests.traffic.test_curl import unused_port

pytestmark = pytest.mark.embedded


def test_all_are_under_way_at_once_until_the_gate_opens(pod: Pod) -> None:
    pod.control("gate?closed=true")
    with concurrent(pod.target, "/x", n=10, method="POST", body="hi") as pending:
        wait_until(lambda: pod.state["held"] == 10, 10, "ten held requests")
        assert not pending.done
        assert (pending.answered, pending.codes) == (0, {})
        assert pending.result().codes == {FAILED: 10}
        with pytest.raises(TrafficError, match="10 of 10 requests have no answer"):
            pending.wait(0.01)
        pod.control("gate?closed=false")
        result = pending.wait(10)
    assert result.codes == {200: 10}
    assert result.pods == {"pod-1": 10}
    assert result[9].text == "Hello world! version v1, pod pod-1, path /x\n"
    assert len(set(result.column("id"))) == 10


@pytest.mark.parametrize(("connections", "waiting", "refused"), [(1, 1, 8), (2, 3, 5), (2, 100, 0)])
@pytest.mark.parametrize("warm", [False, True])
def test_a_circuit_breaker_is_exact_when_the_requests_are_held(
    pod: Pod, connections: int, waiting: int, refused: int, warm: bool
) -> None:
    limits = {
        "circuit_breakers": {
            "thresholds": [{"max_connections": connections, "max_pending_requests": waiting}]
        }
    }
    with run_envoy([pod], limits) as proxy:
        if warm:
            assert curl(proxy.target).codes == {200: 1}
        pod.control("gate?closed=true")

        def settle(i: int) -> None:
            def settled() -> bool:
                pending_now, held = proxy.counter("upstream_rq_pending_active"), pod.state["held"]
                # While a connection is being made there are more connections than requests at the
                # pod.
                at_rest = not pending_now or proxy.counter(f"{CLUSTER}.upstream_cx_active") == held
                return at_rest and held + pending_now + answered() == i + 1

            wait_until(settled, 10, f"request {i} to be held, pending or refused")

        def answered() -> int:
            return proxy.counter("upstream_rq_pending_overflow")

        with concurrent(proxy.target, n=10, after_each=settle) as pending:
            wait_until(lambda: pending.answered == refused, 10, f"{refused} refusals")
            assert pod.state["held"] == connections
            pod.control("gate?closed=false")
            codes = pending.wait(10).codes
        assert codes.get(503, 0) == answered() == refused
        assert pod.state["served"] == 10 - refused + warm


def test_sent_within_microseconds_a_cold_envoy_refuses_more(pod: Pod) -> None:
    limits = {
        "circuit_breakers": {"thresholds": [{"max_connections": 1, "max_pending_requests": 1}]}
    }
    with run_envoy([pod], limits) as proxy:
        codes = concurrent(proxy.target, n=10).wait(10).codes
        assert proxy.counter("upstream_rq_pending_overflow") == codes.get(503, 0) <= 9


def test_many_at_once(proxy: Proxy) -> None:
    assert concurrent(proxy.target, n=200).wait(20).codes == {200: 200}


def test_pending_limit_alone_refuses_only_while_connections_are_made(pod: Pod) -> None:
    with run_envoy([pod], ONE_PENDING) as proxy:
        codes = concurrent(proxy.target, n=10).wait(10).codes
    assert set(codes) <= {200, 503}
    assert sum(codes.values()) == 10


def test_a_timeout_is_a_row_without_a_status(pod: Pod) -> None:
    pod.control("gate?closed=true")
    result = concurrent(pod.target, n=3, timeout_s=0.1).wait(10)
    assert result.codes == {FAILED: 3}
    assert set(result.column("error")) == {"timeout"}


def test_close_gives_up_what_is_under_way(pod: Pod) -> None:
    pod.control("gate?closed=true")
    pending = concurrent(pod.target, n=3)
    wait_until(lambda: pod.state["held"] == 3, 10, "three held requests")
    pending.close()
    assert pending.done
    assert set(pending.result().column("error")) == {"under way"}
    wait_until(lambda: pod.state["held"] == 0, 10, "the pod to notice")
    assert pod.state["in_flight"] == 0
    assert repr(pending) == "<Pending 0 of 3 answered: {}>"


def test_nobody_listens() -> None:
    with pytest.raises(TrafficError, match="Only 0 of 5 connections"):
        concurrent(Target("127.0.0.1", unused_port(), "a"), n=5)


def test_none_is_not_a_number_of_requests() -> None:
    with pytest.raises(TrafficError, match="At least one"):
        concurrent(Target("127.0.0.1", 1, "a"), n=0)

"""Durations, percentages, text matches, host names and protocols: the small rules everything stands
on.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.resources import hosts, protocols
from labkit.resources.istio import full_host
from labkit.translate.routes.retries import conditions_and_codes
from labkit.translate.values import (
    duration,
    is_presence,
    million_percent,
    string_match,
    whole_seconds,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0s", "0s"),
        ("500ms", "0.500s"),
        ("1.5s", "1.500s"),
        ("15m", "900s"),
        ("1h30m", "5400s"),
        ("250us", "0.000250s"),
        ("3ns", "0.000000003s"),
        ("-1.5s", "-1.500s"),
    ],
)
def test_durations_become_seconds_with_0_3_6_or_9_decimals(text: str, expected: str) -> None:
    assert duration(text) == expected


@given(st.integers(0, 10**18))
def test_a_duration_keeps_every_nanosecond(nanoseconds: int) -> None:
    written = duration(f"{nanoseconds}ns")
    assert Decimal(written.removesuffix("s")) * 10**9 == nanoseconds
    assert duration(written) == written


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5s6", "five", "--5s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)


def test_whole_seconds_are_cut() -> None:
    assert whole_seconds("1999ms") == 1


@pytest.mark.parametrize(
    ("value", "numerator"), [(12.5, 125000), (0.29, 2900), (0.0001, 1), (100, 1000000)]
)
def test_percentages_keep_four_decimals(value: float, numerator: int) -> None:
    assert million_percent({"value": value}) == {"numerator": numerator, "denominator": "MILLION"}


@pytest.mark.parametrize(
    ("match", "expected", "presence"),
    [
        ({"exact": "a"}, {"exact": "a"}, False),
        ({"prefix": "a"}, {"prefix": "a"}, False),
        ({"regex": "a"}, {"safe_regex": {"regex": "a"}}, False),
        ({"exact": ""}, {"exact": ""}, False),
        ({"regex": "*"}, {"safe_regex": {"regex": "*"}}, True),
        ({}, None, True),
    ],
)
def test_text_matches(match: dict[str, Any], expected: Any, presence: bool) -> None:
    assert string_match(match) == expected
    assert is_presence(match) is presence


@pytest.mark.parametrize(
    ("host", "full"),
    [
        ("hello-world", "hello-world.a.svc.cluster.local"),
        ("hello-world.a", "hello-world.a"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_a_host_without_a_dot_is_a_service_of_the_rules_namespace(host: str, full: str) -> None:
    assert full_host(host, "a") == full


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("g", "a/g"),
        ("b/g", "b/g"),
        ("./g", "a/g"),
        ("g.b.svc.cluster.local", "b/g"),
        ("g.b", "b/g"),
        ("mesh", "mesh"),
    ],
)
def test_gateways_have_several_ways_to_be_named(name: str, full: str) -> None:
    assert hosts.gateway_name(name, "a") == full


LABELS = st.lists(st.sampled_from(["a", "b", "com"]), min_size=1, max_size=3).map(".".join)
HOSTS = st.one_of(LABELS, LABELS.map(lambda text: f"*.{text}"), st.just("*"))


@given(st.lists(HOSTS), st.lists(HOSTS))
def test_an_intersection_is_covered_by_both(first: list[str], second: list[str]) -> None:
    for host in hosts.intersection(first, second):
        assert any(hosts.subset_of(host, other) for other in first)
        assert any(hosts.subset_of(host, other) for other in second)


@given(HOSTS, HOSTS, HOSTS)
def test_covering_is_an_order(a: str, b: str, c: str) -> None:
    assert hosts.subset_of(a, a)
    assert not (hosts.subset_of(a, b) and hosts.subset_of(b, a)) or a == b
    assert not (hosts.subset_of(a, b) and hosts.subset_of(b, c)) or hosts.subset_of(a, c)


def test_the_most_special_rule_is_found() -> None:
    rules = {"*.com": 1, "*.example.com": 2, "a.example.com": 3, "*": 4}
    assert [
        hosts.most_specific(h, rules) for h in ("a.example.com", "b.example.com", "x.com", "x.org")
    ] == [3, 2, 1, 4]
    assert hosts.most_specific("x.org", {"*.com": 1}) is None


@pytest.mark.parametrize(
    ("number", "name", "transport", "app_protocol", "expected"),
    [
        (80, "http", "TCP", None, "HTTP"),
        (80, "http2-web", "TCP", None, "HTTP2"),
        (80, "grpc-web-x", "TCP", None, "GRPC-Web"),
        (80, "httpx", "TCP", None, ""),
        (80, "", "TCP", None, ""),
        (80, "http", "UDP", None, "UDP"),
        (80, "http", "TCP", "tcp", "TCP"),
        (80, "x", "TCP", "kubernetes.io/h2c", "HTTP2"),
        (80, "x", "TCP", "kubernetes.io/wss", "HTTPS"),
        (3306, "db", "TCP", None, "TCP"),
        (3306, "http-db", "TCP", None, "HTTP"),
    ],
)
def test_a_ports_name_says_its_protocol(
    number: int, name: str, transport: str, app_protocol: str | None, expected: str
) -> None:
    assert protocols.of_port(number, name, transport, app_protocol) == expected


def test_numbers_among_retry_conditions_are_status_codes() -> None:
    assert conditions_and_codes("gateway-error, 503,777") == (
        "gateway-error,777,retriable-status-codes",
        [503],
    )
    assert conditions_and_codes("503,retriable-status-codes") == ("retriable-status-codes", [503])

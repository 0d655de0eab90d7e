"""Virtual hosts and conditions, where generated requests seldom come."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.explain.conditions import failures, virtual_host
from labkit.explain.request import Seen, request_of, seen_by


def seen(url: str = "http://a.example.com/a?q=1&q=2&r", **headers: str) -> Seen:
    return seen_by(request_of(url, headers), {"normalize_path": True})


@pytest.mark.parametrize(
    ("domains", "chosen"),
    [
        (["*", "*.com", "*.example.com"], "*.example.com"),
        (["*.example.com", "a.*", "A.example.com"], "A.example.com"),
        (["a.*", "*.com"], "*.com"),
        (["a.ex*", "a.*"], "a.ex*"),
        (["*", "b.org"], "*"),
        (["b.org", "*.a.example.com"], None),
    ],
)
def test_the_virtual_host_is_the_most_special(domains: list[str], chosen: str | None) -> None:
    hosts = [{"name": each, "domains": [each]} for each in domains]
    found = virtual_host({"virtual_hosts": hosts}, seen())
    assert (found and found[1]) == chosen


X = {"name": "x", "string_match": {"exact": "1"}}


@pytest.mark.parametrize(
    ("match", "headers", "takes"),
    [
        ({"headers": [X]}, {"x": "1"}, True),
        ({"headers": [X]}, {}, False),
        ({"headers": [{**X, "invert_match": True}]}, {"x": "2"}, True),
        ({"headers": [{**X, "invert_match": True}]}, {}, False),
        (
            {"headers": [{**X, "invert_match": True, "treat_missing_header_as_empty": True}]},
            {},
            True,
        ),
        ({"headers": [{"name": "x", "present_match": True, "invert_match": True}]}, {}, True),
        ({"headers": [{"name": "Host", "string_match": {"exact": "a.example.com"}}]}, {}, True),
        ({"headers": [{"name": "x", "string_match": {"safe_regex": {"regex": "é"}}}]},
         {"x": "é"}, True),
        ({"query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}, {}, True),
        ({"query_parameters": [{"name": "q", "string_match": {"exact": "2"}}]}, {}, False),
        ({"query_parameters": [{"name": "r", "present_match": True}]}, {}, True),
        ({"query_parameters": [{"name": "s", "present_match": True}]}, {}, False),
        ({"prefix": "/A", "case_sensitive": False}, {}, True),
        ({"prefix": "/A", "case_sensitive": True}, {}, False),
        ({"path": "/a"}, {}, True),
        ({"safe_regex": {"regex": "/"}}, {}, False),
    ],
)  # fmt: skip
def test_conditions(match: dict[str, Any], headers: dict[str, str], takes: bool) -> None:
    whole = match if match.keys() & {"path", "safe_regex"} else {"prefix": "/", **match}
    assert (failures(whole, seen(**headers)) == []) is takes

from __future__ import annotations

import importlib
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import labkit.resources
from labkit.resources import names
from labkit.resources.quantity import WHOLE, amount
from labkit.resources.rules.destination_rule import is_prime
from labkit.resources.rules.routes.headers import value_problem
from labkit.resources.words import closest


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        (
            "consecutiveErrors5xx",
            ["consecutive5xxErrors", "consecutiveGatewayErrors", "interval"],
            "consecutive5xxErrors",
        ),
        (
            "errors5xxConsecutive",
            ["consecutive5xxErrors", "consecutiveGatewayErrors"],
            "consecutive5xxErrors",
        ),
        ("loadbalancer", ["loadBalancer", "connectionPool"], "loadBalancer"),
        ("RANDON", ["RANDOM", "ROUND_ROBIN"], "RANDOM"),
        (
            "http1MaxPendingRequest",
            ["http1MaxPendingRequests", "http2MaxRequests"],
            "http1MaxPendingRequests",
        ),
        ("zebra", ["loadBalancer", "connectionPool"], ""),
    ],
)
def test_near_misses(word: str, known: list[str], meant: str) -> None:
    assert closest(word, known) == meant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("100m", 0.1),
        ("1Ki", 1024),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.5Mi", 1.5 * 2**20),
        ("1e-3", 0.001),
        (2, 2),
        ("1e3", 1000),
        ("-1", -1),
        ("1k", 1000),
    ],
)
def test_quantities(text: str, value: float) -> None:
    assert amount(text) == value * WHOLE


@pytest.mark.parametrize("text", ["64MB", "", "a lot", True, None, "1 Gi"])
def test_what_is_no_quantity(text: object) -> None:
    assert amount(text) is None


def test_hosts_overlap_and_contain() -> None:
    assert names.overlap("*.com", "a.com")
    assert names.overlap("a.com", "*.com")
    assert names.overlap("*", "*.com")
    assert not names.overlap("*.a.com", "a.com")
    assert names.inside("x.a.com", "*.a.com")
    assert not names.inside("*.com", "*.a.com")
    assert not names.inside("a.com", "b.com")


@given(st.text("*.ab-", max_size=8), st.text("*.ab-", max_size=8))
def test_what_is_inside_overlaps(one: str, other: str) -> None:
    assert names.overlap(one, other) == names.overlap(other, one)
    if names.inside(one, other):
        assert names.overlap(one, other)


def test_primes_as_envoy_counts_them() -> None:
    assert [number for number in range(20) if is_prime(number)] == [1, 2, 3, 5, 7, 11, 13, 17, 19]


@given(st.text('%ab()[]", \\', max_size=12))
def test_no_header_value_breaks_the_parser(value: str) -> None:
    problem = value_problem(value)
    assert problem or value.count("%") % 2 == 0 or "\\" in value or "(" in value


def test_the_public_names_are_all_in_the_list_and_each_module_says_what_it_is_for() -> None:
    modules = {module.name for module in pkgutil.iter_modules(labkit.resources.__path__)}
    names_seen = {name for name in vars(labkit.resources) if not name.startswith("_")} - modules
    assert names_seen - {"annotations", "attach", "TYPE_CHECKING"} <= set(labkit.resources.__all__)
    for name in labkit.resources.__all__:
        assert getattr(labkit.resources, name) is not None
    with pytest.raises(AttributeError):
        labkit.resources.nothing  # noqa: B018
    for module in modules:
        assert importlib.import_module(f"labkit.resources.{module}").__doc__

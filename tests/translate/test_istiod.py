"""The translator is held to istiod: for each recorded input and proxy, the same configuration."""

from __future__ import annotations

import copy
import json

import pytest

from labkit.resources import load
from labkit.resources.finding import ManifestRefused
from tests.each import assert_each

from .recorded import (
    FURTHER,
    Case,
    all_cases,
    differences,
    first_cases,
    further_cases,
    view_of,
)

# Differences that are kept, each with its reason: (case, proxy, the start of the path) → why.
OWN_SERVICES = (
    "*.svc.cluster.local covers Istio's own Services (istiod's, the gateway's), which "
    "no manifest has"
)
KEPT: dict[tuple[str, str, str], str] = {
    ("vs-mesh-wildcards", proxy, path): OWN_SERVICES
    for proxy in ("sidecar:client", "sidecar:hello-world-v1")
    for path in ("/routes/15010", "/routes/15014", "/routes/80", "/routes/istio-ingressgateway")
}


def pairs(cases: dict[str, Case]) -> list[tuple[str, str]]:
    return [(name, proxy) for name, case in cases.items() for proxy in case.proxies]


def is_kept(name: str, proxy: str, difference: str) -> bool:
    return any((n, p) == (name, proxy) and difference.startswith(path) for n, p, path in KEPT)


PARTS = 6  # so that several workers can share them


@pytest.mark.parametrize("part", range(PARTS), ids="part{}".format)
def test_a_proxy_gets_what_istiod_gives_it(part: int) -> None:
    def holds(pair: tuple[str, str]) -> None:
        name, proxy = pair
        case = all_cases()[name]
        found = list(differences(case.proxies[proxy], view_of(case.registry(), proxy)))
        assert [d for d in found if not is_kept(name, proxy, d)] == []

    assert_each(((" ".join(pair), pair) for pair in pairs(all_cases())[part::PARTS]), holds)


@pytest.mark.parametrize(("name", "proxy", "path"), KEPT)
def test_a_kept_difference_is_still_there(name: str, proxy: str, path: str) -> None:
    case = all_cases()[name]
    found = list(differences(case.proxies[proxy], view_of(case.registry(), proxy)))
    assert any(d.startswith(path) for d in found), (
        "istiod and the translator agree now: take it out of KEPT"
    )


def test_validation_admits_what_the_api_server_admitted() -> None:
    def admitted(case: Case) -> None:
        load(case.objects)

    assert_each(((name, case) for name, case in all_cases().items() if not case.refused), admitted)


def test_validation_refuses_what_the_api_server_refused() -> None:
    def refused(case: Case) -> None:
        with pytest.raises(ManifestRefused):
            load(case.objects)

    assert_each(((name, case) for name, case in all_cases().items() if case.refused), refused)


def test_the_records_are_many() -> None:
    """A test of each case is worth nothing if the cases are not found."""
    assert len(first_cases()) == 24
    assert len(further_cases()) >= 250
    assert all(len(case.proxies) == 3 for case in all_cases().values())
    assert FURTHER.stat().st_size < 2**20


@pytest.mark.parametrize("part", ["clusters", "endpoints", "routes", "listeners"])
def test_a_change_on_either_side_is_seen(part: str) -> None:
    """The comparison can fail: a record with anything taken out, added or changed
    is a difference.
    """
    case = first_cases()["subset-override"]
    found = view_of(case.registry(), "gateway")
    name = next(iter(found[part]))
    missing = copy.deepcopy(found)
    del missing[part][name]
    changed = copy.deepcopy(found)
    changed[part][name] = json.loads(
        json.dumps(changed[part][name]).replace("hello-world", "other").replace("80", "81")
    )
    for record in (missing, changed):
        assert list(differences(record, found))
        assert list(differences(found, record))

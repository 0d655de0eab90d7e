"""Each recorded verdict of a real API server, and ours. A test fails when either side changes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from labkit.resources import Admission, check
from tests.each import assert_each

DATA = Path(__file__).parent / "data"

KEPT = {
    "yaml-dup-in-list": "kubectl takes the last of two equal keys without a word; we warn",
    "duplicate-key": "kubectl takes the last of two equal keys, which the server refuses here; we "
    "warn of both",
    "k8s-service-nodeport-low": "a dry run allocates no node port; a real apply refuses it",
    "k8s-service-nodeport-range-high": "a dry run allocates no node port; a real apply refuses it",
    "k8s-service-nodeport-minus": "a dry run allocates no node port; a real apply refuses it",
    "k8s-service-cluster-ip-outside": "the range of addresses is a matter of each cluster",
    "k8s-pod-priority-class": "whether a PriorityClass exists is a matter of each cluster",
    "kind-EnvoyFilter-networking.istio.io_v1alpha3": "a kind that labkit does not check; it says "
    "so",
}
"""Every difference that we keep, with its reason."""

# What a message of the first recording, which notes no fields, is about where it names no path.
FIELDS = {
    "eject-percent-150": "spec.trafficPolicy.outlierDetection.maxEjectionPercent",
    "max-connections-negative": "spec.trafficPolicy.connectionPool.tcp.maxConnections",
    "subset-twice": "spec.subsets[1].name",
    "subset-bad-name": "spec.subsets[0].name",
    "vs-weight-negative": "spec.http[0].route[0].weight",
    "vs-weights-all-zero": "spec.http[0].route",
    "vs-bad-regex": "spec.http[0].match[0].uri.regex",
    "vs-route-and-redirect": "spec.http[0].route",
    "gw-no-servers": "spec.servers",
    "gw-bad-protocol": "spec.servers[0].port.protocol",
    "gw-port-70000": "spec.servers[0].port.number",
    "gw-https-without-tls": "spec.servers[0].tls",
    "duplicate-key": "spec.trafficPolicy",
}
LINES = {"published-05-destinationrule": 7, "tabs": 6, "bad-version": 2, "bad-kind": 2}


def cases(file: str) -> list[dict[str, Any]]:
    return list(json.loads((DATA / file).read_text()))


FIRST, MORE = cases("validation.json"), cases("recorded.json")
PARTS = 8  # so that several workers can share them


def accepted(verdicts: list[Admission]) -> bool:
    return bool(verdicts) and all(verdict.accepted for verdict in verdicts)


def paths(verdicts: list[Admission], level: str) -> list[str]:
    return [
        finding.path
        for verdict in verdicts
        for finding in verdict.findings
        if finding.level == level
    ]


def test_the_recordings_are_all_there() -> None:
    assert len(FIRST) == 51
    assert len(MORE) > 1400
    names = {case["name"] for case in [*FIRST, *MORE]}
    assert set(KEPT) <= names


def test_the_first_recording() -> None:
    assert_each(((case["name"], case) for case in FIRST), assert_as_first_recorded)


def assert_as_first_recorded(case: dict[str, Any]) -> None:
    verdicts = check(case["yaml"])
    assert accepted(verdicts) == case["accepted"]
    assert_warnings(case, verdicts)
    name = case["name"]
    if name in LINES:
        assert f":{LINES[name]}: " in str(verdicts[0].error)
    elif not case["accepted"]:
        found = re.search(r"\.?(spec[\w.\[\]]*|metadata\.\w+)", case["message"])
        wanted = FIELDS.get(name) or (found[1].rstrip(".") if found else "")
        assert wanted in paths(verdicts, "error")


@pytest.mark.parametrize("part", range(PARTS), ids="part{}".format)
def test_the_second_recording(part: int) -> None:
    assert_each(((case["name"], case) for case in MORE[part::PARTS]), assert_as_recorded)


def assert_as_recorded(case: dict[str, Any]) -> None:
    verdicts = check(case["yaml"])
    if case["name"] in KEPT:
        assert accepted(verdicts) != case["accepted"] or paths(verdicts, "warning")
        return
    assert accepted(verdicts) == case["accepted"]
    assert_warnings(case, verdicts)
    if "field" in case:
        assert case["field"] in paths(verdicts, "error")
    for verdict in verdicts:
        for finding in verdict.findings:
            assert finding.line > 0
            assert finding.message


def assert_warnings(case: dict[str, Any], verdicts: list[Admission]) -> None:
    """For an accepted object we warn exactly where the server did."""
    if case["accepted"]:
        assert bool(paths(verdicts, "warning")) == ("Warning: " in case["message"])

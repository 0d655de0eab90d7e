"""The linter beside Istio's own analyzers: the same codes of the same objects, or a difference that
is kept with its reason.

`record_istioctl.py` says how the answers were recorded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labkit.resources.istio import full_host
from labkit.resources.lint import CODES, Diagnoses, lint

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "istioctl.json").read_text())
PARTS = 6  # so that several workers can share them
Pair = tuple[str, str]

OTHER_CODES = {
    "IST0135": "an annotation that is going to be removed: sidecar.istio.io/inject, which acts",
    "IST0140": "a route at a gateway without the subset that a sidecar's has: rules of their own",
}
"""Codes of istioctl's that the linter does not have, of all that it said here."""


@dataclass
class Compared:
    """One input: what both say of it."""

    objects: list[dict[str, Any]]
    found: Diagnoses
    ours: set[Pair]
    theirs: set[Pair]

    def whole(self) -> set[Pair]:
        return {(each.code, each.object) for each in lint(self.objects, complete=True)}

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.objects if each["kind"] == kind]

    def named(self, title: str) -> dict[str, Any]:
        return next(each for each in self.objects if name_of(each) == title)

    def says(self, code: str, title: str) -> list[str]:
        return [each.what for each in self.found if (each.code, each.object) == (code, title)]


def name_of(body: dict[str, Any]) -> str:
    metadata = body["metadata"]
    space = "" if body["kind"] == "Namespace" else f"{metadata.get('namespace', 'default')}/"
    return f"{body['kind']} {space}{metadata['name']}"


def hosts_of(service: dict[str, Any]) -> list[str]:
    space = service["metadata"].get("namespace", "default")
    return [full_host(host, space) for host in service["spec"].get("hosts") or []]


def covered(one: Compared, title: str) -> bool:
    every = [host for each in one.of("VirtualService") for host in hosts_of(each)]
    own = hosts_of(one.named(title))
    return any(host.startswith("*") for host in every) or len(set(own)) < len(own)


def labelled(one: Compared, title: str) -> bool:
    wanted = [each["labels"] for each in one.named(title)["spec"]["subsets"]]
    pods = [each["metadata"].get("labels") or {} for each in one.of("Pod")]
    return any(label.items() <= pod.items() for label in wanted for pod in pods)


THEIRS: dict[str, list[tuple[str, Callable[[Compared, str], bool]]]] = {
    "IST0101": [
        ("it may be in another file; on a mesh, where all is known, we say so", lambda c, t: (
            ("IST0101", t) in c.whole()
        )),
    ],
    "IST0174": [
        ("it may be in another file; on a mesh, where all is known, we say so", lambda c, t: (
            ("IST0174", t) in c.whole()
        )),
    ],
    "IST0102": [
        ("nobody in the namespace could be given a sidecar", lambda c, t: not any(
            each["metadata"].get("namespace") == t.split()[1]
            for each in c.objects
            if each["kind"] in ("Pod", "Deployment")
        )),
    ],
    "IST0109": [
        ("told once, of the younger one", lambda c, t: any(
            t in each.what for each in c.found if each.code == "IST0109"
        )),
        ("to Istio, a wildcard and a host that it covers are two; and no object conflicts with "
         "itself", covered),
    ],
    "IST0131": [
        ("told as IST0130, of the whole rule", lambda c, t: ("IST0130", t) in c.ours),
    ],
    "IST0145": [
        ("told once, of the younger one", lambda c, t: any(
            t in each.what for each in c.found if each.code == "IST0145"
        )),
        ("`./` means another namespace in each of them", lambda c, t: any(
            host.startswith("./")
            for server in c.named(t)["spec"]["servers"]
            for host in server["hosts"]
        )),
    ],
    "IST0162": [
        ("told as LAB04: it is the port of Istio's own gateway pods, which istioctl's stand-in for "
         "them does not have", lambda c, t: bool(c.says("LAB04", t))),
    ],
    "IST0173": [
        ("istioctl sees no pods of Deployments", lambda c, t: bool(c.of("Deployment"))),
    ],
}  # fmt: skip

OURS: dict[str, list[tuple[str, Callable[[Compared, str], bool]]]] = {
    "IST0103": [
        ("only `false` by the letter keeps a sidecar away", lambda c, t: (
            "False" in json.dumps(c.named(t)["metadata"])
        )),
    ],
    "IST0106": [
        ("istioctl passes over what it can't read, and over Kubernetes' own kinds", lambda c, t: (
            t.split()[0] in ("Pod", "Service", "Deployment", "Namespace")
            or any(
                what.startswith(("there is no such field", "the type is", "the field is", "not a"))
                for what in c.says("IST0106", t)
            )
        )),
    ],
    "IST0130": [
        ("told there as IST0131, of each match", lambda c, t: ("IST0131", t) in c.theirs),
    ],
    "IST0173": [
        ("the labels are those of pods of another Service", labelled),
    ],
}  # fmt: skip


def compared(case: dict[str, Any]) -> Compared:
    base = DATA["bases"][case["base"]]
    if case["base"] == "file":
        own = {(each["kind"], each["metadata"].get("name")) for each in case["objects"]}
        base = [each for each in base if (each["kind"], each["metadata"]["name"]) not in own]
    objects = [*base, *case["objects"]]
    found = lint(objects)
    ours = {(each.code, each.object) for each in found if each.code.startswith("IST")}
    theirs = set()
    for code, origin in case["said"]:
        kind, _, name = origin.partition(" ")
        bare = "/" not in name and kind != "Namespace"
        theirs.add((code, f"{kind} default/{name}" if bare else origin))
    return Compared(objects, found, ours, theirs)


def differences(one: Compared) -> Counter[str]:
    """The reasons of all differences; `code object` of those without one."""
    refused = {title for code, title in one.ours if code == "IST0106"}
    reasons: Counter[str] = Counter()
    for mine, table in ((False, THEIRS), (True, OURS)):
        for code, title in one.ours - one.theirs if mine else one.theirs - one.ours:
            if code in OTHER_CODES:
                continue
            if title in refused and code != "IST0106":
                reasons["what is refused is not applied, whatever else is wrong with it"] += 1
                continue
            why = next((why for why, holds in table.get(code, ()) if holds(one, title)), None)
            reasons[why or f"{'only ours' if mine else 'only theirs'}: {code} {title}"] += 1
    return reasons


@pytest.mark.parametrize("part", range(PARTS), ids="part{}".format)
def test_the_same_codes_or_a_reason(part: int) -> None:
    known = {why for table in (THEIRS, OURS) for each in table.values() for why, _ in each}
    known.add("what is refused is not applied, whatever else is wrong with it")
    wrong = []
    for case in DATA["cases"][part::PARTS]:
        found = differences(compared(case))
        wrong += [(case["name"], why) for why in found if why not in known]
    assert wrong == []


def test_the_recording_has_what_it_should() -> None:
    assert len(DATA["cases"]) > 350
    said = {code for case in DATA["cases"] for code, _ in case["said"]}
    assert said - set(CODES) == set(OTHER_CODES)
    # codes of istioctl's that we have and that no input brought
    assert {code for code in CODES if code.startswith("IST")} - said == {"IST0133"}

"""A text that was parsed once, what becomes of it, and what is in force for it."""

from __future__ import annotations

import pytest

from labkit.errors import ParseError
from labkit.resources import Resource
from labkit.resources.yaml import document
from labkit.ui.panels.policy.fields import MODES
from labkit.ui.panels.policy.in_force import like
from labkit.ui.panels.policy.paths import POLICY, at, mode
from labkit.ui.panels.policy.text import PolicyText

RULE = """\
kind: DestinationRule
spec:
  host: hello-world  # the service
  trafficPolicy:
    loadBalancer:
      simple: RANDOM  # by chance
    outlierDetection: {interval: 5s}
"""


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each text that the parser is given, from now on."""
    found: list[str] = []
    parse = document.compose

    def counted(text: str, name: str, first: int) -> object:
        found.append(text)
        return parse(text, name, first)

    monkeypatch.setattr(document, "compose", counted)
    return found


def test_a_text_is_parsed_once_and_a_changed_one_once_more(parses: list[str]) -> None:
    policy = PolicyText.parse(RULE)
    assert policy.bodies[0]["spec"]["host"] == "hello-world"
    assert policy.admissions()[0].error is not None  # it has no apiVersion
    assert len(parses) == 1
    changed = policy.with_field((*POLICY, "outlierDetection", "interval"), "7s")
    assert changed.text == RULE.replace("5s", "7s")
    assert at(changed.body(), (*POLICY, "outlierDetection", "interval")) == "7s"
    assert len(parses) == 2
    assert changed.with_field((*POLICY, "outlierDetection", "interval"), "7s") == changed
    assert len(parses) == 2
    assert policy.text == RULE  # the one before stays what it is


@pytest.mark.parametrize("wanted", [mode for mode, _ in MODES])
@pytest.mark.parametrize("start", [mode for mode, _ in MODES])
def test_another_load_balancing_is_parsed_once(start: str, wanted: str, parses: list[str]) -> None:
    policy = PolicyText.parse(RULE).with_mode(POLICY, start)
    parses.clear()
    found = policy.with_mode(POLICY, wanted)
    assert mode(at(found.body(), POLICY)) == wanted
    assert len(parses) <= 1
    assert found.text.startswith(RULE.partition("  trafficPolicy")[0])
    assert "    outlierDetection: {interval: 5s}\n" in found.text


def test_brackets_are_parsed_once_too(parses: list[str]) -> None:
    policy = PolicyText.parse("spec: {trafficPolicy: {loadBalancer: {simple: RANDOM}}}\n")
    parses.clear()
    changed = policy.with_mode(POLICY, "consistentHash.useSourceIp")
    assert changed.text == (
        "spec: {trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}}\n"
    )
    assert changed.with_mode(POLICY, "RANDOM").text == policy.text
    assert len(parses) == 2


def test_a_text_that_is_no_yaml_has_what_is_before_the_place_and_says_why() -> None:
    whole = "apiVersion: networking.istio.io/v1\nmetadata: {name: a}\n" + RULE
    policy = PolicyText.parse(f"{whole}---\nspec: {{ half")
    assert [part.value["kind"] for part in policy.documents] == ["DestinationRule"]
    assert policy.error is not None
    with pytest.raises(ParseError, match="your YAML"):
        policy.body()
    assert [each.error is not None for each in policy.admissions()] == [False, True]
    assert policy.admissions()[-1].resource is None


def test_one_of_several_documents_is_changed() -> None:
    policy = PolicyText.parse(f"{RULE}---\n{RULE}")
    changed = policy.with_field(("spec", "host"), "b", document=1)
    assert changed.text == f"{RULE}---\n{RULE.replace('hello-world', 'b')}"
    assert changed.body(1)["spec"]["host"] == "b"
    assert changed.body(7) == {}


def test_what_is_in_force_is_like_the_text_and_parsed_once(parses: list[str]) -> None:
    (view,) = PolicyText.parse(RULE).documents
    spec = {
        "host": "hello-world",
        "trafficPolicy": {
            "loadBalancer": {"consistentHash": {"useSourceIp": True}},
            "outlierDetection": {"interval": "9s", "baseEjectionTime": "2s"},
        },
    }
    parses.clear()
    assert like(view, Resource({"kind": "DestinationRule", "spec": spec})) == (
        """\
kind: DestinationRule
spec:
  host: hello-world  # the service
  trafficPolicy:
    loadBalancer:
      consistentHash:
        useSourceIp: true
    outlierDetection: {interval: 9s, baseEjectionTime: 2s}
"""
    )
    assert len(parses) == 1
    assert like(view, Resource({"spec": view.value["spec"]})) == RULE
    assert len(parses) == 1

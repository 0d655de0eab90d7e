"""What controls read from a text and how they change it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from labkit.errors import ManifestError
from labkit.lessons.files import course_folder
from labkit.resources import check
from labkit.resources.model import Path
from labkit.ui.panels.policy import controls, fields, paths
from labkit.ui.panels.policy.fields import HASHES, MODES, Field
from labkit.ui.panels.policy.text import PolicyText

RULE = """\
# the balancer
kind: DestinationRule
spec:
  host: hello-world  # the service
  trafficPolicy:
    loadBalancer:
      simple: RANDOM  # by chance
  subsets:
    - name: v1
      labels: {version: v1}
"""
# one of the published texts is not YAML
MANIFESTS = sorted(
    p for p in (course_folder() / "manifests").rglob("*.yaml") if "as-published" not in p.parts
)
SIMPLE: Path = ("spec", "trafficPolicy", "loadBalancer", "simple")
ROUTES = """\
kind: VirtualService
spec:
  http:
    - match: [{uri: {prefix: /v2}}, {uri: {exact: /x}}]
      route:
        - destination: {host: a, subset: v1}
          weight: 80
        - destination: {host: a, subset: v2}
          weight: 20
    - route:
        - destination: {host: a}
"""


def bodies(text: str) -> list[Any]:
    return PolicyText.parse(text).bodies


def with_field(text: str, path: Path, value: object) -> str:
    return PolicyText.parse(text).with_field(path, value).text


def with_mode(text: str, policy: Path, mode: str) -> str:
    return PolicyText.parse(text).with_mode(policy, mode).text


def test_a_field_is_below_the_policy_of_the_service_or_of_a_subset() -> None:
    body = bodies(RULE)[0]
    assert paths.place(body, "loadBalancer.simple") == SIMPLE
    assert paths.place(body, "a.b", "v1") == ("spec", "subsets", 0, "trafficPolicy", "a", "b")
    assert paths.place(body, "spec.host", "v1") == ("spec", "host")
    with pytest.raises(ManifestError, match="no subset"):
        paths.place(body, "a", "v9")


@pytest.mark.parametrize("mode", [mode for mode, _ in MODES])
@pytest.mark.parametrize("start", [mode for mode, _ in MODES])
def test_from_each_way_of_choosing_to_each_other_the_rule_is_valid_and_comments_stay(
    start: str, mode: str
) -> None:
    text = with_mode(RULE, paths.POLICY, start)
    text = with_mode(text, paths.POLICY, mode)
    body = bodies(text)[0]
    assert paths.mode(paths.at(body, paths.POLICY)) == mode
    assert text.startswith("# the balancer\n")
    assert "host: hello-world  # the service" in text
    whole = "apiVersion: networking.istio.io/v1\nmetadata: {name: a, namespace: b}\n" + text
    assert [str(finding) for verdict in check(whole) for finding in verdict.findings] == []
    assert len(paths.at(body, ("spec", "trafficPolicy", "loadBalancer")) or [mode]) == 1


def test_a_hash_that_is_there_keeps_its_values_when_it_is_chosen_again() -> None:
    text = with_mode(RULE, paths.POLICY, "consistentHash.httpCookie")
    text = with_field(
        text, (*paths.POLICY, "loadBalancer", "consistentHash", "httpCookie", "ttl"), "5s"
    )
    assert with_mode(text, paths.POLICY, "consistentHash.httpCookie") == text
    with pytest.raises(ManifestError, match="no hash"):
        with_mode(RULE, paths.POLICY, "consistentHash.moon")


def test_a_size_of_the_ring_stays_when_the_hash_changes() -> None:
    start = (
        "spec:\n  trafficPolicy:\n    loadBalancer:\n      consistentHash:\n        "
        "useSourceIp: true\n"
    )
    start += "        maglev: {tableSize: 11}\n"
    text = with_mode(start, paths.POLICY, "consistentHash.httpHeaderName")
    assert yaml.safe_load(text)["spec"]["trafficPolicy"]["loadBalancer"]["consistentHash"] == {
        "maglev": {"tableSize": 11},
        "httpHeaderName": HASHES["httpHeaderName"],
    }


def test_what_has_nothing_in_it_any_more_goes_too() -> None:
    text = with_field(RULE, SIMPLE, None)
    assert "trafficPolicy" not in text
    assert "subsets" in text
    alone = "spec:\n  trafficPolicy:\n    loadBalancer:\n      simple: RANDOM\n"
    assert yaml.safe_load(with_field(alone, SIMPLE, None)) == {"spec": {}}
    assert with_field(RULE, ("spec", "nothing", "there"), None) == RULE


@pytest.mark.parametrize(
    ("words", "kind", "value"),
    [
        ("5", "number", 5),
        ("-1", "number", -1),
        ("many", "number", "many"),
        ("1.5", "number", "1.5"),
        ("  ", "number", None),
        ("10s", "text", "10s"),
        ("true", "text", "true"),
        ("a=b, c=d", "labels", {"a": "b", "c": "d"}),
        ("version", "labels", "version"),
    ],
)
def test_what_is_typed_becomes_a_value_even_a_wrong_one(
    words: str, kind: fields.Kind, value: object
) -> None:
    assert controls.parsed(words, Field("x", "x", "", kind=kind)) == value


def test_what_a_control_shows_is_what_was_typed() -> None:
    labels = Field("x", "x", "", kind="labels")
    assert controls.shown({"a": "b", "c": "d"}, labels) == "a=b, c=d"
    assert [controls.shown(v, Field("x", "x", "")) for v in (None, 5, True, "x", {}, [])] == [
        "",
        "5",
        "true",
        "x",
        "",
        "",
    ]


def test_istios_own_name_stands_beside_the_plain_words() -> None:
    cookie = fields.balancing("consistentHash.httpCookie")
    assert [field.name for field in cookie] == ["loadBalancer", "httpCookie.name", "httpCookie.ttl"]
    assert fields.POOL[0].name == "tcp.maxConnections"
    assert fields.weight(0, 1, "v2").name == "weight"


def test_weights_that_are_a_hundred_move_together() -> None:
    body = bodies(ROUTES)[0]
    assert paths.partner(body, ("spec", "http", 0, "route", 0, "weight")) == (
        "spec",
        "http",
        0,
        "route",
        1,
        "weight",
    )
    assert paths.partner(body, ("spec", "http", 1, "route", 0, "weight")) is None
    assert paths.partner(body, ("spec", "host")) is None
    odd = bodies(ROUTES.replace("weight: 20", "weight: 30"))[0]
    assert paths.partner(odd, ("spec", "http", 0, "route", 0, "weight")) is None


def test_routes_with_one_destination_have_no_weights() -> None:
    (group,) = controls.of_routes(bodies(ROUTES)[0])
    assert group.title == "Weights of route 1: prefix /v2, exact /x"
    assert [field.label for field in group.fields] == ["To v1 of a", "To v2 of a"]


def test_a_subset_says_what_is_in_force_for_it() -> None:
    text = RULE.replace("      labels", "      trafficPolicy: {outlierDetection: {}}\n      labels")
    balancer, outlier, pool = controls.groups(bodies(text)[0], "v1")
    assert "the service's loadBalancer is in force" in balancer.note
    assert "overrides everything the service sets under outlierDetection" in outlier.note
    assert pool.note == ""
    assert balancer.fields[0].choices[0] == ("", "not set: as for the whole service")


def test_an_empty_control_of_a_subset_shows_what_it_has_from_the_service() -> None:
    text = RULE.replace(
        "    loadBalancer:", "    connectionPool: {tcp: {maxConnections: 7}}\n    loadBalancer:"
    )
    body = bodies(text)[0]
    assert controls.groups(body, "v1")[2].fields[0].default == "7"
    assert controls.groups(body, "")[2].fields[0].default == "no limit"
    own = with_field(text, paths.place(body, "connectionPool.http.maxRetries", "v1"), 3)
    assert controls.groups(bodies(own)[0], "v1")[2].fields[0].default == "no limit"


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"kind": "DestinationRule"}, {"kind": "VirtualService", "spec": 5}]
)
def test_half_typed_objects_have_controls_or_none_and_nothing_breaks(body: object) -> None:
    controls.groups(body)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_the_controls_of_each_manifest_of_the_course_can_be_shown(path) -> None:  # type: ignore[no-untyped-def]
    for body in bodies(path.read_text(encoding="utf-8")):
        for subset in ("", *filter(None, paths.subset_names(body))):
            for group in controls.groups(body, subset):
                for field in group.fields:
                    value = paths.at(body, paths.place(body, field.path, subset))
                    assert isinstance(controls.shown(value, field), str)


def test_every_control_has_a_label_help_and_units_where_there_are_some() -> None:
    body = bodies(RULE)[0]
    shapes = [controls.groups(bodies(with_mode(RULE, paths.POLICY, mode))[0]) for mode, _ in MODES]
    shapes += [controls.groups(body, "v1"), controls.groups(bodies(ROUTES)[0])]
    found = [field for shape in shapes for group in shape for field in group.fields]
    assert len({field.label for field in found}) > 20
    for field in found:
        assert field.label
        assert len(field.help) > 10
        assert field.help.endswith((".", ")"))
        assert field.unit or field.kind not in ("number", "percent")
    for shape in shapes:
        labels = [field.label for group in shape for field in group.fields]
        assert len(labels) == len(set(labels))

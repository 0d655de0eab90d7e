"""What controls read from a text and how they change it."""

from __future__ import annotations

import pytest
import yaml

from labkit.errors import ManifestError
from labkit.lessons.files import course_folder
from labkit.resources import check
from labkit.resources.model import Path
from labkit.ui.panels.policy import fields
from labkit.ui.panels.policy import text as policy_text
from labkit.ui.panels.policy.fields import HASHES, MODES, Field

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


def test_a_field_is_below_the_policy_of_the_service_or_of_a_subset() -> None:
    body = policy_text.bodies(RULE)[0]
    assert policy_text.place(body, "loadBalancer.simple") == SIMPLE
    assert policy_text.place(body, "a.b", "v1") == ("spec", "subsets", 0, "trafficPolicy", "a", "b")
    assert policy_text.place(body, "spec.host", "v1") == ("spec", "host")
    with pytest.raises(ManifestError, match="no subset"):
        policy_text.place(body, "a", "v9")


@pytest.mark.parametrize("mode", [mode for mode, _ in MODES])
@pytest.mark.parametrize("start", [mode for mode, _ in MODES])
def test_from_each_way_of_choosing_to_each_other_the_rule_is_valid_and_comments_stay(
    start: str, mode: str
) -> None:
    text = policy_text.with_mode(RULE, policy_text.POLICY, start)
    text = policy_text.with_mode(text, policy_text.POLICY, mode)
    body = policy_text.bodies(text)[0]
    assert policy_text.mode(policy_text.at(body, policy_text.POLICY)) == mode
    assert text.startswith("# the balancer\n")
    assert "host: hello-world  # the service" in text
    whole = "apiVersion: networking.istio.io/v1\nmetadata: {name: a, namespace: b}\n" + text
    assert [str(finding) for verdict in check(whole) for finding in verdict.findings] == []
    assert len(policy_text.at(body, ("spec", "trafficPolicy", "loadBalancer")) or [mode]) == 1


def test_a_hash_that_is_there_keeps_its_values_when_it_is_chosen_again() -> None:
    text = policy_text.with_mode(RULE, policy_text.POLICY, "consistentHash.httpCookie")
    text = policy_text.changed(
        text, (*policy_text.POLICY, "loadBalancer", "consistentHash", "httpCookie", "ttl"), "5s"
    )
    assert policy_text.with_mode(text, policy_text.POLICY, "consistentHash.httpCookie") == text
    with pytest.raises(ManifestError, match="no hash"):
        policy_text.with_mode(RULE, policy_text.POLICY, "consistentHash.moon")


def test_a_size_of_the_ring_stays_when_the_hash_changes() -> None:
    start = (
        "spec:\n  trafficPolicy:\n    loadBalancer:\n      consistentHash:\n        "
        "useSourceIp: true\n"
    )
    start += "        maglev: {tableSize: 11}\n"
    text = policy_text.with_mode(start, policy_text.POLICY, "consistentHash.httpHeaderName")
    assert yaml.safe_load(text)["spec"]["trafficPolicy"]["loadBalancer"]["consistentHash"] == {
        "maglev": {"tableSize": 11},
        "httpHeaderName": HASHES["httpHeaderName"],
    }


def test_what_has_nothing_in_it_any_more_goes_too() -> None:
    text = policy_text.changed(RULE, SIMPLE, None)
    assert "trafficPolicy" not in text
    assert "subsets" in text
    alone = "spec:\n  trafficPolicy:\n    loadBalancer:\n      simple: RANDOM\n"
    assert yaml.safe_load(policy_text.changed(alone, SIMPLE, None)) == {"spec": {}}
    assert policy_text.removed(RULE, ("spec", "nothing", "there")) == RULE


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
    assert policy_text.parsed(words, Field("x", "x", "", kind=kind)) == value


def test_what_a_control_shows_is_what_was_typed() -> None:
    labels = Field("x", "x", "", kind="labels")
    assert policy_text.shown({"a": "b", "c": "d"}, labels) == "a=b, c=d"
    assert [policy_text.shown(v, Field("x", "x", "")) for v in (None, 5, True, "x", {}, [])] == [
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
    body = policy_text.bodies(ROUTES)[0]
    assert policy_text.partner(body, ("spec", "http", 0, "route", 0, "weight")) == (
        "spec",
        "http",
        0,
        "route",
        1,
        "weight",
    )
    assert policy_text.partner(body, ("spec", "http", 1, "route", 0, "weight")) is None
    assert policy_text.partner(body, ("spec", "host")) is None
    odd = policy_text.bodies(ROUTES.replace("weight: 20", "weight: 30"))[0]
    assert policy_text.partner(odd, ("spec", "http", 0, "route", 0, "weight")) is None


def test_routes_with_one_destination_have_no_weights() -> None:
    (group,) = policy_text.of_routes(policy_text.bodies(ROUTES)[0])
    assert group.title == "Weights of route 1: prefix /v2, exact /x"
    assert [field.label for field in group.fields] == ["To v1 of a", "To v2 of a"]


def test_a_subset_says_what_is_in_force_for_it() -> None:
    text = RULE.replace("      labels", "      trafficPolicy: {outlierDetection: {}}\n      labels")
    balancer, outlier, pool = policy_text.groups(policy_text.bodies(text)[0], "v1")
    assert "what the service has under loadBalancer is in force" in balancer.note
    assert "in place of all that the service has under outlierDetection" in outlier.note
    assert pool.note == ""
    assert balancer.fields[0].choices[0] == ("", "not set: as for the whole service")


def test_an_empty_control_of_a_subset_shows_what_it_has_from_the_service() -> None:
    text = RULE.replace(
        "    loadBalancer:", "    connectionPool: {tcp: {maxConnections: 7}}\n    loadBalancer:"
    )
    body = policy_text.bodies(text)[0]
    assert policy_text.groups(body, "v1")[2].fields[0].default == "7"
    assert policy_text.groups(body, "")[2].fields[0].default == "no limit"
    own = policy_text.changed(
        text, policy_text.place(body, "connectionPool.http.maxRetries", "v1"), 3
    )
    assert policy_text.groups(policy_text.bodies(own)[0], "v1")[2].fields[0].default == "no limit"


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"kind": "DestinationRule"}, {"kind": "VirtualService", "spec": 5}]
)
def test_half_typed_objects_have_controls_or_none_and_nothing_breaks(body: object) -> None:
    policy_text.groups(body)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_the_controls_of_each_manifest_of_the_course_can_be_shown(path) -> None:  # type: ignore[no-untyped-def]
    for body in policy_text.bodies(path.read_text(encoding="utf-8")):
        for subset in ("", *filter(None, policy_text.subset_names(body))):
            for group in policy_text.groups(body, subset):
                for field in group.fields:
                    value = policy_text.at(body, policy_text.place(body, field.path, subset))
                    assert isinstance(policy_text.shown(value, field), str)


def test_every_control_has_a_label_help_and_units_where_there_are_some() -> None:
    body = policy_text.bodies(RULE)[0]
    shapes = [
        policy_text.groups(
            policy_text.bodies(policy_text.with_mode(RULE, policy_text.POLICY, mode))[0]
        )
        for mode, _ in MODES
    ]
    shapes += [policy_text.groups(body, "v1"), policy_text.groups(policy_text.bodies(ROUTES)[0])]
    controls = [field for shape in shapes for group in shape for field in group.fields]
    assert len({field.label for field in controls}) > 20
    for field in controls:
        assert field.label
        assert len(field.help) > 10
        assert field.help.endswith((".", ")"))
        assert field.unit or field.kind not in ("number", "percent")
    for shape in shapes:
        labels = [field.label for group in shape for field in group.fields]
        assert len(labels) == len(set(labels))

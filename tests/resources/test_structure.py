"""The walker over schemas: held to jsonschema where both can speak, and to its promises where only
it can.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.resources import Resource, check, mesh_config, validate
from labkit.resources.finding import Report
from labkit.resources.kinds import ISTIO_KINDS, RUN
from labkit.resources.rules.schemas import schema_of
from labkit.resources.rules.structure import CEL_RULES, check_structure


def resource(kind: str, spec: Any) -> Resource:
    body = {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "x"},
        "spec": spec,
    }
    return Resource(body)


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


def all_schemas() -> Iterator[dict[str, Any]]:
    for kind in ISTIO_KINDS:
        yield from parts(schema_of(resource(kind, {})).root)
    for row in RUN:
        found = schema_of(Resource({"apiVersion": row.api_version, "kind": row.kind}))
        yield from parts(dict(found.definitions))
    yield from parts(dict(mesh_config.schema().definitions))


def test_each_cel_rule_of_the_schemas_is_handled() -> None:
    rules = {
        rule["rule"] for part in all_schemas() for rule in part.get("x-kubernetes-validations", ())
    }
    assert rules == set(CEL_RULES)


def test_each_word_of_the_schemas_is_known() -> None:
    handled = {
        *(
            "type",
            "properties",
            "additionalProperties",
            "items",
            "required",
            "enum",
            "format",
            "nullable",
            "default",
        ),
        *(
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "maxLength",
            "maxProperties",
            "oneOf",
            "anyOf",
            "allOf",
            "not",
        ),
        *(
            "x-kubernetes-validations",
            "x-kubernetes-int-or-string",
            "x-kubernetes-preserve-unknown-fields",
        ),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "$ref"),
    }
    for part in all_schemas():
        if isinstance(part.get("type"), str):
            assert set(part) <= handled, part


def test_each_reference_has_its_definition() -> None:
    known = {*schema_of(resource("Gateway", {})).definitions, *mesh_config.schema().definitions}
    for part in all_schemas():
        if isinstance(part.get("$ref"), str):
            assert part["$ref"] in known


def generated(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values near a schema: mostly of the right type, sometimes not, sometimes with fields too many
    or too few.
    """
    odd = st.sampled_from([None, True, 5, 2.5, -1, 10**12, "x", [], {}, ["x"]])
    kind = schema.get("type")
    if "enum" in schema:
        right: st.SearchStrategy[Any] = st.sampled_from([*schema["enum"], "WRONG"])
    elif kind == "object":
        fields = {name: generated(part) for name, part in schema.get("properties", {}).items()}
        some = (
            st.fixed_dictionaries({}, optional=fields)
            if fields
            else st.dictionaries(st.text("ab", min_size=1), st.text("xy"))
        )
        right = st.one_of(some, some, some.map(lambda value: {**value, "unknown": 1}))
    elif kind == "array":
        right = st.lists(generated(schema["items"]), max_size=2)
    elif kind == "integer":
        right = st.integers(-2, 70000)
    elif kind == "number":
        right = st.floats(-1, 200)
    elif kind == "boolean":
        right = st.booleans()
    else:
        right = st.sampled_from(["", "a", "5s", "0s", "1d"])
    return st.integers(0, 40).flatmap(lambda draw: odd if draw == 0 else right)


def closed(schema: Any) -> Any:
    """The schema as jsonschema must have it: a CRD's objects are closed, and null is a value of its
    own.
    """
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        key: closed(value)
        for key, value in schema.items()
        if not key.startswith("x-") and key != "nullable"
    }
    if (
        schema.get("type") == "object"
        and "properties" in schema
        and "additionalProperties" not in schema
    ):
        plain["additionalProperties"] = False
    if schema.get("nullable"):
        plain["type"] = [plain["type"], "null"]
        plain.pop("enum", None)
    if schema.get("format") == "int32":
        plain |= {"minimum": -(2**31), "maximum": 2**31 - 1}
    elif schema.get("type") == "integer":
        plain = {"minimum": -(2**63), "maximum": 2**63 - 1, **plain}
    return plain


@pytest.mark.parametrize("kind", ISTIO_KINDS)
def test_jsonschema_agrees(kind: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = schema_of(resource(kind, {})).root["properties"]["spec"]
    judge = jsonschema.Draft202012Validator(closed(copy.deepcopy(schema)))

    @settings(max_examples=150, deadline=None)
    @given(generated(schema))
    def compare(spec: Any) -> None:
        found = resource(kind, spec)
        report = Report(found)
        check_structure(found.body, schema_of(found), report)
        cel = (
            *("duration", "label is empty", "may be set", "wildcard", "an address is needed"),
            *("port number", "name for a port", "same number", "can't be `*`", "socket", "Unix"),
            *("range of addresses", "resolution NONE", "DNS_ROUND_ROBIN"),
        )
        ours = [item for item in report.findings if not any(word in item.message for word in cel)]
        theirs = list(judge.iter_errors(spec))
        one_of = any(error.validator in ("oneOf", "allOf") for error in theirs)
        assert bool(ours) == bool(
            [error for error in theirs if error.validator not in ("oneOf", "allOf")]
        )
        if one_of:
            assert report.refused

    compare()


@pytest.mark.parametrize(
    ("kind", "spec", "path", "hint"),
    [
        (
            "Gateway",
            {"servers": [], "hosts": ["*"]},
            "spec.hosts",
            "`hosts` belongs in spec.servers[]",
        ),
        (
            "DestinationRule",
            {"host": "a", "outlierDetection": {}},
            "spec.outlierDetection",
            "belongs in spec.trafficPolicy",
        ),
        (
            "DestinationRule",
            {"host": "a", "trafficpolicy": {}},
            "spec.trafficpolicy",
            "`trafficPolicy`",
        ),
        ("VirtualService", {"host": ["a"]}, "spec.host", "`hosts`"),
        ("VirtualService", {"http": [{"timeOut": "5s"}]}, "spec.http[0].timeOut", "`timeout`"),
        ("VirtualService", {"http": [{"retry": {}}]}, "spec.http[0].retry", "`retries`"),
        ("VirtualService", {"http": [{"timeout": 5}]}, "spec.http[0].timeout", "`5s`"),
        ("VirtualService", {"http": [{"timeout": "1d"}]}, "spec.http[0].timeout", "`24h`"),
        ("VirtualService", {"http": [{"timeout": "30"}]}, "spec.http[0].timeout", "`30s`"),
        ("VirtualService", {"http": [{"timeout": "5 min"}]}, "spec.http[0].timeout", "`5m`"),
        ("VirtualService", {"hosts": "a"}, "spec.hosts", "begin each item with `- `"),
        (
            "VirtualService",
            {"http": [{"route": [{"weight": "80"}]}]},
            "spec.http[0].route[0].weight",
            "remove the quotes",
        ),
    ],
)
def test_a_near_miss_names_the_field_meant(kind: str, spec: Any, path: str, hint: str) -> None:
    findings = {finding.path: finding for finding in validate(resource(kind, spec))}
    assert hint in findings[path].hint


def test_a_finding_says_all_on_one_line_and_as_json() -> None:
    text = (
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec: "
        "{server: []}\n"
    )
    finding = check(text)[0].errors[0]
    assert str(finding) == (
        '<text>:4: spec.server: there is no such field; found "server"; allowed: selector, '
        "servers; "
        "did you mean `servers`?"
    )
    assert json.loads(json.dumps(finding.as_dict()))["line"] == 4

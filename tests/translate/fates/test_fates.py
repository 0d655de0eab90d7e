"""Every field has one fate, and it is the right one: what is done changes something when its value
changes, what is refused is named, and what has no effect changes nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LabkitError, UnsupportedError
from labkit.jsontypes import Json
from labkit.mesh.embedded.images import program_of
from labkit.resources.finding import ManifestRefused
from labkit.resources.kinds import GATEWAY_API, ISTIO_KINDS
from labkit.resources.kinds import of as kind_of
from labkit.resources.model import Resource
from labkit.resources.rules.schemas import schema_of
from labkit.translate import check_supported, fates
from labkit.translate.fates import OF_REFUSED_KINDS, TABLE, Row, fate_of, refused_in, without_effect
from labkit.translate.fates.row import done, no_effect, refused, segments
from tests.each import assert_each
from tests.translate.fates import worlds
from tests.translate.fates.record import ACTS, asked
from tests.translate.fates.worlds import (
    Field,
    around,
    fields_of,
    plan,
    values_of,
    variants,
    world_of,
)
from tests.translate.recorded import all_cases
from tests.translate.test_offline import inputs

NAMES = Path(__file__).parents[1] / "data" / "istio-names.json"
KINDS = list(TABLE)
INJECTS = "it takes the namespace's label alone for injection"
RUNS = "no proxy hears of it: it is what would run here"
LINKED = ("volumes[].name", "volumeMounts[].name")
"""Names that must be the same in two places: another one is refused before anything is run."""


def with_fate(kind: str, fate: str) -> list[Field]:
    rows = [(field, fate_of(kind, field.path)) for field in fields_of(kind)]
    return [field for field, row in rows if row is not None and row.fate == fate]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_one_fate_and_every_row_a_field(kind: str) -> None:
    fields = {field.path: field for field in fields_of(kind)}
    rows = Counter(path for row in TABLE[kind] for path in row.paths)
    without = [path for path in fields if fate_of(kind, path) is None]
    twice = [path for path, number in rows.items() if number > 1]
    of_none = [path for path in rows if path not in fields]
    assert (without, twice, of_none) == ([], [], []), (without, twice, of_none)
    if kind in ISTIO_KINDS:  # no row may stand for a whole block, and for what a newer Istio adds
        blocks = [p for p, f in fields.items() if f.schema.keys() & {"properties", "items"}]
        assert [path for path in blocks if path.startswith(("spec", "status"))] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_done_changes_something(kind: str) -> None:
    assert_each(((f.path, f) for f in with_fate(kind, "done")), changes_something)


def changes_something(field: Field) -> None:
    first, second = variants(field)
    before = plan(first)
    try:
        after: Any = plan(second)
    except ManifestRefused:
        assert field.path.endswith(LINKED)
        return
    assert before != after, f"the same with {values_of(field)}"


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_effect_changes_nothing(kind: str) -> None:
    """Those with the same things around them at once; each alone where that makes a change, or is
    refused because two of them exclude each other."""
    fields = with_fate(kind, "no effect")
    contexts = {repr(around(field)): around(field) for field in fields}
    for context in contexts.values():
        alike = [field for field in fields if around(field) == context]
        same = plan(world_of(kind, context, []))
        for which in (0, 1):
            values = [(field.path, values_of(field)[which]) for field in alike]
            if attempt(kind, context, values) == same:
                continue
            wrong = [each for each in values if attempt(kind, context, [each]) != same]
            assert not wrong, f"{kind}: {wrong} change something, or are refused"


def attempt(kind: str, context: Any, values: Any) -> Any:
    try:
        return plan(world_of(kind, context, values))
    except LabkitError as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_refused_is_named(kind: str) -> None:
    assert_each(((f.path, f) for f in with_fate(kind, "refused")), is_named)


def is_named(field: Field) -> None:
    row = fate_of(field.kind, field.path)
    assert row is not None
    value = values_of(field)[0]
    assert_refused(field.kind, row, world_of(field.kind, around(field), [(field.path, value)]))


def assert_refused(kind: str, row: Row, world: list[Json]) -> None:
    """Refused, and the error names the row's place in the object."""
    assert row.why
    body = worlds.subject(world, kind)
    place = row.place.replace("[]", "[0]").replace("{}", "[x-a]")
    named = [path for path, _ in refused_in(kind, body, when_run=row.when_run)]
    assert any(path.startswith(place) for path in named), f"{place} is not among {named}"
    template = body["spec"]["template"] if kind == "Deployment" else body
    files = {"app": worlds.CONFIG_MAP["data"]}
    with pytest.raises(UnsupportedError) as refusal:
        program_of(template, "it", files) if row.when_run else check_supported([Resource(body)])
    inner = place.removeprefix("spec.template.") if row.when_run else place
    assert inner in refusal.value.message
    assert row.why in refusal.value.seen
    assert "cluster" in refusal.value.try_next


@pytest.mark.parametrize("kind", ISTIO_KINDS)
def test_what_is_done_is_held_to_istiod(kind: str) -> None:
    """A recording of a real istiod has each field of a policy that is done, so that it is done
    right (`test_istiod` compares)."""
    part = schema_of(Resource({"apiVersion": "networking.istio.io/v1", "kind": kind}))
    recorded: set[str] = set()
    for case in all_cases().values():
        for body in case.admitted:
            if body["kind"] == kind:
                spec = part.root["properties"]["spec"]
                recorded.update(map(of_service, used(body.get("spec"), spec, "spec")))
    for objects in inputs("entries").values():
        for body in objects:
            if body["kind"] == kind:
                recorded.update(used(body["spec"], part.root["properties"]["spec"], "spec"))
    fields = [f.path for f in with_fate(kind, "done") if f.path.startswith("spec")]
    assert [path for path in fields if of_service(path) not in recorded] == []


NOT_SHOWN = {
    "metadata.creationTimestamp": "the program dates all objects itself",
    "spec.publishNotReadyAddresses": "all of its pods are ready",
    "labels[istio.io/rev]": "it is an istiod of no revision",
    "[sidecar.istio.io/inject]": INJECTS,
    "[inject.istio.io/templates]": INJECTS,
    "spec.hostNetwork": INJECTS,
    "spec.strategy.": RUNS,
    ".containers[].name": RUNS,
    ".containers[].image": RUNS,
    ".containers[].command": RUNS,
    ".containers[].args": RUNS,
    ".containers[].env[]": RUNS,
    ".containers[].volumeMounts[]": RUNS,
    ".volumes[]": RUNS,
    ".ports[].name": "it looks for a name in all pods",
    ".ports[].protocol": "it looks for a name whatever the protocol is",
}
"""Parts of paths that are done here and that the recording shows nothing of, and why."""
OF_OTHERS = {
    "metadata.annotations[alpha.istio.io/canonical-serviceaccounts]": "names in certificates",
    "metadata.annotations[alpha.istio.io/kubernetes-serviceaccounts]": "names in certificates",
}
"""What istiod acts on and has no effect here: the row says why, in other words."""


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"Pod"}))
def test_what_istiod_acts_on_is_done_and_nothing_else(kind: str) -> None:
    """By a recording of what its own translation does when the value of a field changes."""
    recorded: dict[str, bool] = json.loads(ACTS.read_text("utf-8"))[kind]
    fields = {field.path: fate_of(kind, field.path) for field in asked() if field.kind == kind}
    assert fields.keys() == recorded.keys(), "python -m tests.translate.fates.record"
    done = {path for path, row in fields.items() if row is not None and row.fate == "done"}
    shown = {path for path in done if not any(part in path for part in NOT_SHOWN)}
    acts = {path for path, does in recorded.items() if does}
    assert shown - acts == set()
    assert acts - done - OF_OTHERS.keys() == set()


def test_every_exception_is_needed() -> None:
    recorded: dict[str, dict[str, bool]] = json.loads(ACTS.read_text("utf-8"))
    done = {kind: {field.path for field in with_fate(kind, "done")} for kind in recorded}
    unseen = [
        path for kind in recorded for path, acts in recorded[kind].items()
        if not acts and path in done[kind]
    ]  # fmt: skip
    assert [part for part in NOT_SHOWN if not any(part in path for path in unseen)] == []
    seen = {path for paths in recorded.values() for path, acts in paths.items() if acts}
    assert OF_OTHERS.keys() - seen == set()


def used(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """The fields of a schema that a value has."""
    if isinstance(value, dict):
        for key, inner in value.items():
            known = schema.get("properties", {}).get(key)
            if known is not None:
                yield from used(inner, known, f"{path}.{key}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from used(inner, schema["additionalProperties"], path + "{}")
    elif isinstance(value, list):
        for inner in value:
            yield from used(inner, schema["items"], f"{path}[]")
    else:
        yield path


def of_service(path: str) -> str:
    """A policy has the same fields for a service, a subset and a port: one recording of each is
    enough."""
    of_port = "portLevelSettings[]."
    if path.endswith("portLevelSettings[].port.number"):
        return path.removeprefix("spec.subsets[].").removeprefix("spec.")
    return path.replace(of_port, "").replace("spec.subsets[].trafficPolicy", "spec.trafficPolicy")


OF_A_PLACE = {"topology.kubernetes.io/zone": "a"}
BAD: dict[str, Any] = {
    "spec.subsets[].labels": OF_A_PLACE,
    "spec.workloadSelector.matchLabels": OF_A_PLACE,
    "spec.workloadSelector.labels": OF_A_PLACE,
    "spec.endpoints[].labels": OF_A_PLACE,
    "spec.labels": OF_A_PLACE,
    "spec.http[].match[].sourceLabels": OF_A_PLACE,
    "spec.selector": OF_A_PLACE,
    "spec.http[].match[].headers": {"@request.auth.claims.sub": {"exact": "a"}},
    "spec.http[].match[].withoutHeaders": {"@request.auth.claims.sub": {"exact": "a"}},
    "spec.servers[].port.protocol": "TCP",
    "spec.servers[].hosts": ["*/*", "./a.example.com"],
    "maglev.tableSize": 1,
    "spec.resolution": "DYNAMIC_DNS",
    "spec.addresses": ["10.50.0.1", "10.50.0.2"],
    ".address": "unix:///a",
    "annotations[inject.istio.io/templates]": "grpc-agent",
    "annotations[istio.io/connect-strategy]": "RACE_FIRST_TCP_CONNECT",
    "spec.type": "ExternalName",
    "spec.internalTrafficPolicy": "Local",
    "spec.clusterIPs": ["fd00::1"],
    "spec.ipFamilies": ["IPv6"],
    "spec.ipFamilyPolicy": "RequireDualStack",
    "spec.paused": True,
    "containers[].env[]": {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    "containers[].readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
    "containers[].restartPolicy": "Never",
    "spec.restartPolicy": "Never",
    "metadata.labels": {"internal.istio.io/service-semantics": "inferencepool"},
    "metadata.annotations": {"internal.istio.io/route-semantics": "gateway"},
    "metadata.annotations[proxy.istio.io/config]": "proxyMetadata: {A: b}",
    "metadata.annotations[networking.istio.io/traffic-distribution]": "preferclose",
}
"""A value for each row that refuses some values of a field, by the end of its place."""


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_are_refused_are_named(kind: str) -> None:
    rows = [(row.place, row) for row in TABLE[kind] if row.values]
    if rows:
        assert_each(rows, lambda row: assert_refused(kind, row, with_bad_value(kind, row)))


def with_bad_value(kind: str, row: Row) -> list[Json]:
    own = fate_of(kind, row.place) or fate_of(kind, f"{row.place}[]")
    assert own or row.keys or row.place.endswith("]"), "no row of its own"
    value = next(value for end, value in BAD.items() if row.place.endswith(end))
    return world_of(kind, (), [(row.place, value)])


def test_all_of_istios_own_annotations_and_labels_are_in_the_table() -> None:
    """By Istio's list, which says what each is for; of a kind that is refused as a whole it is
    enough to know the kind."""
    names = json.loads(NAMES.read_text())
    missing = []
    for field in ("annotations", "labels"):
        for name, kinds in names[field].items():
            if name in OF_REFUSED_KINDS:
                continue
            for kind in TABLE if kinds == ["Any"] else set(kinds) & set(TABLE):
                row = fate_of(kind, f"metadata.{field}[{name}]")
                if row is None or f"[{name}]" not in row.place:
                    missing.append(f"{kind} {field} {name}")
    assert missing == []
    listed = names["annotations"] | names["labels"]
    for name, kinds in OF_REFUSED_KINDS.items():
        assert set(kinds.split()) == set(listed[name]) or listed[name] == ["Any"], name
        for kind in kinds.split():
            known = kind_of(kind, GATEWAY_API if kind == "Gateway" else None)
            assert not known.runs, f"{kind} is not refused"


@pytest.mark.parametrize("kind", KINDS)
def test_what_one_would_think_has_an_effect_is_told(kind: str) -> None:
    """Each such row, and nothing of the world as it is."""
    body = worlds.subject(worlds.WORLD, kind)
    assert list(without_effect(kind, body)) == []
    for row in TABLE[kind]:
        if row.told:
            path = next(row.paths)
            field = next(field for field in fields_of(kind) if field.path == path)
            world = world_of(kind, around(field), [(path, values_of(field)[0])])
            (line,) = without_effect(kind, worlds.subject(world, kind))
            assert line.startswith(f"{row.place.replace('[]', '[0]')}: without effect here: ")
            assert line.endswith(row.why)


SPEC_OF = {
    "DestinationRule": lambda: schema_of(some("DestinationRule")).root["properties"]["spec"],
    "Service": lambda: schema_of(some("Service")).definitions["ServiceSpec"],
}


def some(kind: str) -> Resource:
    return Resource(worlds.subject(worlds.WORLD, kind))


@pytest.mark.parametrize("kind", SPEC_OF)
def test_a_field_that_is_added_to_a_schema_is_seen(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SPEC_OF[kind]()["properties"], "newField", {"type": "string"})
    with pytest.raises(AssertionError, match=r"spec\.newField"):
        test_every_field_has_one_fate_and_every_row_a_field(kind)


@pytest.mark.parametrize(
    ("row", "fails"),
    [
        (done("spec", "noSuchField"), test_every_field_has_one_fate_and_every_row_a_field),
        (done("spec", "selector{}"), test_every_field_has_one_fate_and_every_row_a_field),
        (done("spec", "sessionAffinity"), test_what_is_done_changes_something),
        (no_effect("spec", "selector{}", why="x"), test_what_has_no_effect_changes_nothing),
        (refused("spec.sessionAffinity", why="x"), test_what_is_refused_is_named),
    ],
    ids=["no field", "twice", "does nothing", "has an effect", "not refused"],
)
def test_a_row_that_is_wrong_is_seen(
    row: Row, fails: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLE, "Service", (*TABLE["Service"], row))
    by_path = {segments(path): row for path in row.paths}
    monkeypatch.setitem(fates._BY_PATH, "Service", fates._BY_PATH["Service"] | by_path)
    with pytest.raises(AssertionError, match=re.escape(row.place)):
        fails("Service")

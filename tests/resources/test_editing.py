from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import ManifestError
from labkit.resources import diff, dump, edit, load
from labkit.resources.yaml.document import documents
from labkit.resources.yaml.editing import changed, edit_documents, parse_path

POOL = "spec.trafficPolicy.connectionPool"
RULE = """\
# The rule of the lesson.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: d,   namespace: hello-world}   # odd spaces stay
spec:
  host: hello-world

  trafficPolicy:
    # breaker
    connectionPool:
      tcp:   {maxConnections: 2}  # two
    outlierDetection:
        interval: "5s"
        baseEjectionTime: '15m'
  subsets:
    - name: v1
      labels: {version: v1}

    # the new one
    - name: v2
      labels:
        version: v2
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("spec.host", "other", "host: hello-world", "host: other"),
        (
            "spec.trafficPolicy.connectionPool.tcp.maxConnections",
            7,
            "Connections: 2}",
            "Connections: 7}",
        ),
        ("spec.trafficPolicy.outlierDetection.interval", "10s", '"5s"', '"10s"'),
        ("spec.trafficPolicy.outlierDetection.baseEjectionTime", "1m", "'15m'", "'1m'"),
        ("spec.subsets[1].labels.version", "v3", "version: v2\n", "version: v3\n"),
        ("spec.subsets[0].labels.tier", "a", "{version: v1}", "{version: v1, tier: a}"),
        (
            "spec.trafficPolicy.connectionPool.tcp.connectTimeout",
            "1s",
            "2}  # two",
            "2, connectTimeout: 1s}  # two",
        ),
        ("metadata.labels", {"app": "x"}, "hello-world}   #", "hello-world, labels: {app: x}}   #"),
    ],
)
def test_only_the_field_changes(path: str, value: Any, old: str, new: str) -> None:
    assert RULE.count(old) == 1
    assert edit(RULE, path, value) == RULE.replace(old, new)


def test_a_missing_field_goes_to_the_end_of_its_block() -> None:
    text = edit(RULE, "spec.trafficPolicy.loadBalancer.simple", "RANDOM")
    after = "        baseEjectionTime: '15m'\n"
    assert text == RULE.replace(after, after + "    loadBalancer:\n      simple: RANDOM\n")


def test_removing_fields_and_items() -> None:
    assert edit(RULE, "spec.trafficPolicy.outlierDetection.interval", None) == RULE.replace(
        '        interval: "5s"\n', ""
    )
    assert edit(RULE, "spec.subsets[0].name", None) == RULE.replace(
        "- name: v1\n      labels", "- labels"
    )
    assert load(edit(RULE, "spec.subsets[1]", None), strict=False)[0].spec["subsets"] == [
        {"name": "v1", "labels": {"version": "v1"}}
    ]
    assert edit(RULE, "spec.nothing.there", None) == RULE


def test_what_needs_quotes_gets_them() -> None:
    assert edit("a: 1\n", "a", "yes") == 'a: "yes"\n'
    assert edit("a: 1\n", "a", "*") == 'a: "*"\n'
    assert edit("a: x\n", "a", True) == "a: true\n"


def test_one_of_several_documents() -> None:
    assert (
        edit("a: 1\n---\na: 2\n---\na: 3\n", "a", 9, document=1) == "a: 1\n---\na: 9\n---\na: 3\n"
    )
    with pytest.raises(ManifestError, match="no document 3"):
        edit("a: 1\n", "a", 9, document=3)


def test_what_can_not_be_edited_in_place_is_refused() -> None:
    with pytest.raises(ManifestError, match="can't be changed in place"):
        edit("a: &p {x: 1}\nb: *p\n", "b.x", 2)
    with pytest.raises(ManifestError, match="no item 5"):
        edit(RULE, "spec.subsets[5].name", "v9")


def test_paths() -> None:
    assert parse_path("spec.http[0].match[12].uri") == ("spec", "http", 0, "match", 12, "uri")
    assert parse_path(("metadata", "labels", "a.b/c")) == ("metadata", "labels", "a.b/c")


names = st.text("abcdef", min_size=1, max_size=3)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-1000, 1000)
    | st.text("ab *&:#-'\"{}[]yes\n%,é", max_size=6)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(names, values, min_size=1, max_size=4)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """An object as YAML in block or flow style, with comments strewn over its lines."""
    import yaml

    text = yaml.safe_dump(
        draw(objects),
        default_flow_style=draw(st.sampled_from([True, False, None])),
        sort_keys=False,
    )
    if draw(st.booleans()):
        text = "# top\n" + text + "# end\n"
    return text


@given(texts(), st.lists(names, min_size=1, max_size=3), values)
def test_an_edit_changes_the_field_and_nothing_else_or_is_refused(
    text: str, path: list[str], value: Any
) -> None:
    before = [document.value for document in documents(text, "f")]
    if len(before) != 1:
        return
    try:
        wanted = changed(before[0], tuple(path), value)
        result = edit(text, tuple(path), value)
    except ManifestError:
        return
    assert [document.value for document in documents(result, "f")] == [wanted]
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in result.splitlines() if line.startswith("#")
    ]


@given(st.dictionaries(names, leaves, min_size=1, max_size=5), st.data())
def test_a_scalar_of_a_flat_block_can_always_be_edited(
    body: dict[str, Any], data: st.DataObject
) -> None:
    text = dump(body)
    lines = {
        name: [line for line in text.splitlines() if not line.startswith(name + ":")]
        for name in body
    }
    name = data.draw(st.sampled_from(sorted(body)))
    result = edit(text, (name,), 424242)
    assert [document.value for document in documents(result, "f")] == [{**body, name: 424242}]
    if all(not isinstance(value, str) or "\n" not in value for value in body.values()):
        assert [line for line in result.splitlines() if "424242" not in line] == lines[name]


@given(st.dictionaries(names, values, min_size=1, max_size=4))
def test_dump_reads_back_as_it_was(body: dict[str, Any]) -> None:
    text = dump(body)
    assert [document.value for document in documents(text, "f")] == [body]


def test_dump_looks_like_a_manifest() -> None:
    body = {
        "kind": "ConfigMap",
        "data": {"on": "yes", "app.py": "import os\nprint()\n"},
        "list": [{"a": 1}],
    }
    assert dump(body) == (
        'kind: ConfigMap\ndata:\n  "on": "yes"\n  app.py: |\n    import os\n    '
        "print()\nlist:\n- a: 1\n"
    )


def test_diff_is_of_the_learners_text() -> None:
    old, new = load(RULE)[0], load(RULE.replace("hello-world\n\n", "other\n\n"))[0]
    lines = diff(old, new, context=0)
    assert lines == [
        "--- before",
        "+++ after",
        "@@ -6 +6 @@",
        "-  host: hello-world",
        "+  host: other",
    ]
    assert diff(old, old) == []


@pytest.mark.parametrize(
    "changes",
    [
        [("spec.host", "b"), ("spec.trafficPolicy.outlierDetection.interval", "7s")],
        [("spec.trafficPolicy.loadBalancer.simple", "RANDOM"), ("spec.host", None)],
        # one way of balancing in the place of the other: what they are in is never empty
        [(f"{POOL}.http.maxRetries", 1), (f"{POOL}.tcp", None)],
        [(f"{POOL}.tcp.connectTimeout", "1s"), (f"{POOL}.tcp.maxConnections", None)],
        # too close to each other: made one after the other
        [("spec.host", "b"), ("spec.host", "c")],
        [("spec.new.a", 1), ("spec.new.b", 2)],
        [("spec.host", "hello-world")],
    ],
)
def test_several_fields_at_once_give_what_they_give_one_after_the_other(
    changes: list[tuple[str, Any]],
) -> None:
    steps = [(parse_path(path), value) for path, value in changes]
    wanted = next(documents(RULE, "f")).value
    for path, value in steps:
        wanted = changed(wanted, path, value)
    text, parts = edit_documents(RULE, list(documents(RULE, "f")), steps)
    assert [part.value for part in parts] == [wanted]
    assert [document.value for document in documents(text, "f")] == [wanted]
    assert text.startswith(RULE.partition("spec:")[0])

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.errors import LabkitError, ParseError, UnsupportedError, ValidationError
from labkit.resources import ManifestRefused, Resource, check, load, load_text

RULE = """\
# Picks a pod at random.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: random
  namespace: hello-world
spec:
  host: hello-world
  trafficPolicy:
    loadBalancer:
      simple: RANDOM
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: hello-world}\n"


def test_a_file_keeps_the_learners_text_and_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "rule.yaml"
    file.write_text(f"{NAMESPACE}---\n{RULE}")
    namespace, rule = load(file)
    assert namespace.key == ("Namespace", "", "hello-world")
    assert rule.key == ("DestinationRule", "hello-world", "random")
    assert rule.source is not None
    assert rule.source.name == str(file)
    assert rule.source.line == 4
    assert rule.source.text == f"---\n{RULE}"
    assert rule.source.line_of(("spec", "trafficPolicy", "loadBalancer", "simple")) == 15
    assert rule.source.line_of(("spec", "trafficPolicy", "tls", "mode")) == 13, (
        "the nearest thing around it"
    )


def test_a_folder_in_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(RULE)
    (tmp_path / "a.yml").write_text(NAMESPACE)
    (tmp_path / "c.txt").write_text("not: this\n")
    assert [resource.kind for resource in load(tmp_path)] == ["Namespace", "DestinationRule"]


def test_text_dicts_lists_and_resources() -> None:
    body = load(RULE)[0].body
    for source in (RULE, body, [body], load(RULE), [RULE], load(RULE)[0]):
        assert load(source)[0].name == "random"  # type: ignore[arg-type]


def test_a_list_object_holds_objects_with_their_own_lines() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: "
        "{name: A}\n"
    )
    verdict = check(text)[0]
    assert (verdict.errors[0].path, verdict.errors[0].line) == ("metadata.name", 6)


def test_strict_raises_with_the_findings_and_lax_does_not() -> None:
    wrong = RULE.replace("RANDOM", "RANDON")
    with pytest.raises(ManifestRefused) as caught:
        load(wrong)
    assert isinstance(caught.value, ValidationError)
    (finding,) = caught.value.findings
    assert finding.path == "spec.trafficPolicy.loadBalancer.simple"
    assert finding.line == 11
    assert finding.found == '"RANDON"'
    assert "LEAST_REQUEST" in finding.allowed
    assert "`RANDOM`" in finding.hint
    assert "<text>:11: spec.trafficPolicy.loadBalancer.simple" in str(caught.value)
    assert load(wrong, strict=False)[0].name == "random"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (RULE.replace("  host", "\thost"), [":8: a tab", "\thost", "replace the tab by spaces"]),
        (RULE + "spec: [\n", [":12:", "spec: ["]),
        ("a: b: c\n", [":1:", "mapping values"]),
        ("exportTo:\n- *\n", ["quotes"]),
        ('exportTo:["*"]\nb: 1\n', ["a space is missing after `exportTo:`"]),
        ("a:\n  b: 1\n c: 2\n", ["same column"]),
        ("just words\nand more\n", ["not an object"]),
        ("- apiVersion: v1\n", ["not an object of Kubernetes, but a list"]),
        ("kind: Namespace\n", ["no `apiVersion`"]),
        ("apiVersion: v1\nmetadata: {}\n", ["no `kind`"]),
        ("a: &a [*a]\n", ["contains itself"]),
    ],
)
def test_what_is_no_object_is_refused_in_plain_words(text: str, words: list[str]) -> None:
    with pytest.raises(ParseError) as caught:
        load(text)
    for word in words:
        assert word in str(caught.value)


def test_aliases_of_aliases_do_not_grow_without_end() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ParseError, match="too many values"):
        load("\n".join(lines))


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 5_000, "? " * 5_000])
def test_deep_nesting_is_refused_before_the_parser_sees_it(text: str) -> None:
    with pytest.raises(ParseError):
        load(text + "\n")


def test_a_name_that_is_one_of_the_course_says_how_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "manifests/03_x").mkdir(parents=True)
    (tmp_path / "manifests/03_x/random.yaml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    with pytest.raises(
        ParseError, match=r'next: the course has it: manifest\("03_x/random.yaml"\)'
    ):
        load("03_x/random.yaml")
    for other in ("03_x/other.yaml", "../03_x/random.yaml", "/03_x/random.yaml"):
        with pytest.raises(ParseError, match="next: ls "):
            load(other)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ParseError, match="no such file"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(ParseError, match=r"no \*\.yaml"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: \xff\n")
    with pytest.raises(ParseError, match="UTF-8"):
        load(tmp_path / "latin.yaml")
    with pytest.raises(ParseError, match="can't be a int"):
        load(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("api", "kind", "words"),
    [
        ("networking.istio.io/v1", "DestinationRules", "did you mean `DestinationRule`?"),
        ("networking.istio.io/v2", "VirtualService", "networking.istio.io/v1alpha3"),
        ("v1", "Deployment", "apiVersion: apps/v1"),
        ("networking.istio.io/v1", "gateway", "did you mean `Gateway`?"),
        ("v1", "StatefulSet", "StatefulSet belongs to apps"),
        ("v1", "Quark", "labkit checks ConfigMap"),
    ],
)
def test_a_kind_that_does_not_exist_is_named_with_what_is_meant(
    api: str, kind: str, words: str
) -> None:
    with pytest.raises(ParseError) as caught:
        load({"apiVersion": api, "kind": kind, "metadata": {"name": "x"}})
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        ("networking.istio.io/v1", "WorkloadGroup"),
        ("networking.istio.io/v1alpha3", "EnvoyFilter"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("apps/v1", "StatefulSet"),
    ],
)
def test_a_kind_that_exists_and_is_not_checked_says_where_it_works(api: str, kind: str) -> None:
    with pytest.raises(UnsupportedError, match="on a cluster: kubectl apply"):
        load(f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: x}}\n")


def test_check_goes_on_after_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: b: c\n")
    (tmp_path / "b.yaml").write_text(f"{RULE}---\nno: kind\n")
    first, second, third = check(tmp_path)
    assert first.error is not None
    assert first.file.endswith("a.yaml")
    assert second.accepted
    assert third.error is not None


def test_a_field_written_twice_is_a_warning_at_the_second_one() -> None:
    finding = check(RULE + "  host: other\n")[0].warnings[0]
    assert (finding.path, finding.line) == ("spec.host", 12)
    assert load(RULE + "  host: other\n")[0].spec["host"] == "other"


def test_load_text_names_the_text() -> None:
    source = load_text(RULE, "the cell above")[0].source
    assert source is not None
    assert source.name == "the cell above"


manifests = st.text(
    alphabet=st.sampled_from("abkind: -[]{}#&*!|>'\"%@`\n\t~?,0123.eE\\\x00é\ufeff😀"), max_size=60
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.one_of(manifests, st.text(max_size=60)))
@example("- - - - - - - - - - -")
@example("%YAML 9.9\n---\na: 1\n")
@example("? a\n: b\n")
@example("<<: 5\n")
@example("a: !!binary é\n")
def test_arbitrary_text_raises_nothing_but_our_own_errors(text: str) -> None:
    try:
        resources = load(text + "\n")
    except LabkitError:
        return
    assert all(isinstance(resource, Resource) for resource in resources)


@given(
    st.sampled_from(
        [
            "DestinationRule",
            "VirtualService",
            "Gateway",
            "Service",
            "Deployment",
            "Pod",
            "ConfigMap",
        ]
    ),
    json_values,
    json_values,
)
def test_arbitrary_objects_raise_nothing_but_our_own_errors(
    kind: str, metadata: object, spec: object
) -> None:
    api = {"Deployment": "apps/v1"}.get(
        kind, "v1" if kind in ("Service", "Pod", "ConfigMap") else "networking.istio.io/v1"
    )
    for verdict in check({"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}):
        assert verdict.error is None

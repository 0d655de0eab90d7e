"""Manifests as people bring them, from public reports: each has its right answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LabkitError, ParseError, UnsupportedError
from labkit.resources import check, load
from labkit.resources.lint import Diagnoses, lint
from labkit.resources.lint.headers import refused_at
from labkit.resources.lint.patterns import pattern_in
from labkit.resources.yaml.scalars import resolve
from labkit.translate import registry_of
from tests.each import assert_each

CASES = Path(__file__).parent / "data" / "cases"
MANIFESTS = Path(__file__).parents[2] / "manifests"
GALLERY = MANIFESTS / "11_mistake_gallery"
CONTEXT = [MANIFESTS / "hello-world.yaml", GALLERY / "gateway.yaml"]


def case(name: str) -> Path:
    return CASES / f"{name}.yaml"


def linted(name: str) -> Diagnoses:
    return lint(case(name), context=CONTEXT)


def hints(name: str) -> list[str]:
    return [finding.hint for verdict in check(case(name)) for finding in verdict.findings]


def test_a_percent_sign_that_envoy_refuses_is_explained() -> None:
    assert all(verdict.accepted for verdict in check(case("header-percent-vs")))
    (found,) = linted("header-percent-vs")
    assert found.code == "LAB10"
    assert "%%20CERT-----%%0AMII%%0A-----END%%20CERT-----" in found.fix


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("plain", None),
        ("100%% sure", None),
        ("%REQ(x-pod):3% and %PROTOCOL%", None),
        ("%START_TIME(%s)%", None),
        ("a%20b%20c", 1),
        ("%req(x)%", 0),
        ("%REQ%", 0),
        ("%PROTOCOL(x)%", 0),
        ("%DURATION:3%", 0),
        ("%REQ(x)%%20", 8),
        ("%%%PROTOCOL%", None),
    ],
)
def test_what_envoy_reads_as_a_command(value: str, place: int | None) -> None:
    assert refused_at(value) == place


def test_a_line_break_is_no_percent_sign() -> None:
    assert not check(case("header-percent-vs-multiline"))[0].accepted
    (hint,) = hints("header-percent-vs-multiline")
    assert "one line" in hint
    assert "%" not in hint


@pytest.mark.parametrize(
    "name", ["inject-annotation-a-annotation-false", "inject-annotation-b-disabled-label-true"]
)
def test_these_pods_get_no_sidecar(name: str) -> None:
    assert [pod.injected for pod in registry_of(load(case(name))).pods] == [False]


def test_a_port_that_is_to_pass_the_sidecar_by_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="excludeOutboundPorts"):
        registry_of(load(*CONTEXT, case("exclude-ports-all")))


def test_a_uri_that_is_text_is_refused_by_the_linter_too() -> None:
    assert linted("uri-not-a-list-a").codes == ("IST0106",)


def test_a_star_in_a_prefix_is_a_star() -> None:
    found = linted("uri-not-a-list-c-prefix-star")
    assert found.codes == ("LAB11",)
    assert [each.fix for each in found][:2] == [
        "prefix: /api/",
        "regex: /v2(/|$)(.*); it has to match the whole path",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/api/*", "*"),
        ("/v[0-9]+/x", "[0-9]+"),
        ("^/api", "^"),
        ("/api$", "$"),
        ("/a|b", ""),
        ("/(a|b)/", "(a|b)"),
        ("/wiki/Foo_(bar)", ""),
        ("/odata/$metadata", ""),
        ("/x.html", ""),
        ("/", ""),
    ],
)
def test_what_looks_like_a_pattern(text: str, part: str) -> None:
    assert pattern_in(text) == part


def test_a_replica_count_of_null_is_one_replica() -> None:
    assert [pod.name for pod in registry_of(load(case("replicas-null-app"))).pods] == ["idle-1"]


def test_a_null_is_a_field_that_was_not_written_for_kubernetes_own_kinds() -> None:
    (service,) = load(
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, creationTimestamp: null}\n"
        "spec:\n  clusterIP:\n  type:\n  ports: [{port: 80, targetPort: , name: null}]\n"
    )
    assert service.body["spec"] == {"ports": [{"port": 80}]}
    assert service.metadata == {"name": "a"}
    (port,) = registry_of([service]).services[0].ports
    assert (port.number, port.target) == (80, 80)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("1.10", "spec.subsets[0].labels.version"),
        ("0100", "spec.subsets[0].labels.version"),
        ("1234e5", "spec.subsets[0].labels.version"),
        ("0x1F", "spec.subsets[0].labels.version"),
        ("1_000", "spec.subsets[0].labels.version"),
        ("true", "spec.subsets[0].labels.version"),
    ],
)
def test_the_hint_quotes_what_was_written(written: str, path: str) -> None:
    text = case("yaml-types-h-version-1.10").read_text().replace("1.10", written)
    (finding,) = check(text)[0].findings
    assert (finding.path, finding.found) == (path, written)
    assert finding.hint == f'put it in quotes: "{written}"'


def test_a_word_that_yaml_reads_as_a_boolean_is_shown_as_it_was_written() -> None:
    text = case("yaml-types-h-version-1.10").read_text().replace("1.10", "yes")
    (finding,) = check(text)[0].findings
    assert finding.found == "yes"
    assert "YAML reads yes" in finding.hint


@pytest.mark.parametrize("digits", [400, 5000, 200_000])
@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Pod\nmetadata: {name: N}\n",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: N}]}\n",
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
        "spec: {host: a, trafficPolicy: {connectionPool: {tcp: {maxConnections: N}}}}\n",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {a: N}}\n",
    ],
)
def test_a_number_that_no_field_holds_is_refused_with_its_line(text: str, digits: int) -> None:
    for number in ("9" * digits, "-" + "9" * digits, "1." + "9" * digits + "e999"):
        verdict = check(text.replace("N", number, 1) if "{name: N}" in text else swap(text, number))
        assert verdict[0].verdict == "refused"
        error = verdict[0].error
        assert error is None
        assert verdict[0].errors[0].line in (3, 4)


def swap(text: str, number: str) -> str:
    before, _, after = text.rpartition("N")
    return before + number + after


def test_the_big_number_of_the_report() -> None:
    (verdict,) = check(case("big-integer"))
    assert verdict.verdict == "refused"
    assert verdict.errors[0].line == 3


def test_numbers_from_python() -> None:
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 10**5000}}
    assert isinstance(check(body)[0].error, ParseError)


def kind(api_version: str, name: str) -> str:
    (verdict,) = check(f"apiVersion: {api_version}\nkind: {name}\nmetadata: {{name: a}}\n")
    return verdict.verdict


@pytest.mark.parametrize(
    ("api_version", "name", "verdict"),
    [
        ("v1", "Namespace", "accepted"),
        ("v1", "Quark", "refused"),
        ("apps/v1", "Deploymnt", "refused"),
        ("apps/v1", "StatefulSet", "not checked"),
        ("networking.istio.io/v1beta1", "ProxyConfig", "not checked"),
        ("networking.istio.io/v1", "VirtualServices", "refused"),
        ("networking.istoi.io/v1", "VirtualService", "refused"),
        ("networking.k8s.io/v1", "VirtualService", "refused"),
        ("gateway.networking.k8s.io/v1", "ListenerSet", "not checked"),
        ("gateway.networking.k8s.io/v1", "HTTPRoutes", "refused"),
        ("serving.knative.dev/v1", "Service", "not checked"),
        ("argoproj.io/v1alpha1", "Rollout", "not checked"),
        ("monitoring.coreos.com/v1", "ServiceMonitor", "not checked"),
        ("example/v1", "Thing", "refused"),  # the group of a CRD has a dot
    ],
)
def test_three_verdicts(api_version: str, name: str, verdict: str) -> None:
    assert kind(api_version, name) == verdict


def test_rules_that_no_namespace_sees_both_of_do_not_conflict() -> None:
    assert linted("exportto-conflict-disjoint").codes == ()
    assert linted("exportto-conflict-star").codes == ("IST0109",)


def test_ports_whose_servers_speak_first_are_tcp() -> None:
    assert linted("mongo-port-svc").codes == ()


def test_no_protocol_is_advised_that_nobody_has_named() -> None:
    text = case("mongo-port-svc").read_text().replace("27017", "5432")
    (found,) = lint(text, context=CONTEXT)
    assert found.code == "IST0118"
    assert "http, grpc or tcp" in found.fix


def virtual_service(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"hosts": ["a.b"], **spec},
    }


def deployment(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": spec,
    }


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": value}
    return value


WRONG_TYPES = {
    "a list in tcp": virtual_service({"tcp": [[{}]]}),
    "a text as match": virtual_service({"http": [{"match": ["/api"]}]}),
    "a text as http": virtual_service({"http": "all"}),
    "a number as hosts": virtual_service({"hosts": 5}),
    "headers as a list": virtual_service({"http": [{"headers": [1]}]}),
    "a rewrite that is text": virtual_service(
        {"http": [{"rewrite": "/", "match": [{"uri": "/"}]}]}
    ),
    "a template that is text": deployment(template="x", selector="y", replicas=[1]),
    "containers that are none": deployment(template={"spec": {"containers": [1, None]}}),
    "labels that are a list": deployment(template={"metadata": {"labels": ["a"]}}),
    "a list as spec": {**deployment(), "spec": [1]},
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_what_has_the_wrong_types_is_refused_and_nothing_more_is_said(name: str) -> None:
    body = WRONG_TYPES[name]
    (verdict,) = check(body)
    assert verdict.verdict == "refused"
    assert lint(body, context=CONTEXT).codes == ("IST0106",)
    with pytest.raises(LabkitError):
        registry_of(load(body))


@pytest.mark.parametrize("depth", [150, 1000, 100_000])
def test_objects_that_are_nested_deep(depth: int) -> None:
    for body in (
        virtual_service({"http": [nested(depth)]}),
        deployment(template=nested(depth)),
    ):
        began = time.monotonic()
        assert check(body)[0].verdict == "refused"
        lint(body, context=CONTEXT)
        assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"]}, ""),
        ({"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7", "fd00::7"]}, ""),
        ({"clusterIPs": ["10.96.7.7"]}, "write `clusterIP: 10.96.7.7` too"),
        ({"clusterIPs": ["None"]}, "write `clusterIP: None` too"),
        ({"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7", "10.96.7.8"]}, "one address of a"),
    ],
)
def test_a_services_addresses_agree(spec: dict[str, Any], says: str) -> None:
    """As `ValidateServiceClusterIPsRelatedFields` of Kubernetes: no `clusterIPs` without the other,
    and of two one of each family."""
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    (verdict,) = check({**body, "spec": {"ports": [{"port": 80}], **spec}})
    assert verdict.accepted == (not says)
    assert says in " ".join(str(finding) for finding in verdict.findings)


NS = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n"
ODD_TEXTS: dict[str, tuple[str | bytes, list[str], str]] = {
    # name: (text, verdicts, what is said); what kubectl's own reader does, k8s.io/apimachinery 0.36
    "two JSON objects": (
        '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}\n'
        '{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"B"}}',
        ["accepted", "refused"],
        "2: metadata.name",
    ),
    "something after ---": (NS % "a" + "--- b\n" + NS % "b", ["accepted", "refused"], ":4: betw"),
    "four dashes": (NS % "a" + "----\n" + NS % "b", ["accepted", "refused"], ":4: between"),
    "a comment after ---": (NS % "a" + "--- # b\n" + NS % "b", ["accepted", "accepted"], ""),
    "something after ...": (NS % "a" + "...\n" + NS % "b", ["accepted", "refused"], ":5: what"),
    "nothing after ...": (NS % "a" + "...\n# b\n---\n" + NS % "b", ["accepted", "accepted"], ""),
    "a directive": ("# a\n%YAML 1.2\n---\n" + NS % "a", ["refused"], ":2: kubectl takes no line"),
    "UTF-16": ((NS % "a").encode("utf-16"), ["refused"], "iconv -f UTF-16 "),
    "UTF-16 without a mark": ((NS % "a").encode("utf-16-le"), ["refused"], "UTF-16LE"),
    "a null character": (NS % "a\0", ["refused"], ":3: a character that YAML does not take"),
    "a mark and CRLF": ("\ufeff" + (NS % "a").replace("\n", "\r\n"), ["accepted"], ""),
    "a list": ("apiVersion: v1\nkind: List\nitems:\n", ["refused"], ":3: the objects of a"),
    "a list of one kind": (
        "apiVersion: v1\nkind: NamespaceList\nitems: [{metadata: {name: a}}]\n",
        ["accepted"],
        "",
    ),
    "a number for a kind": ("apiVersion: v1\nkind: 1\n", ["refused"], ":2: `kind` is 1, which"),
    "a name that is made": (NS.replace("name", "generateName") % "a-", ["refused"], "l create"),
    "a template": ("{{- if .Values.a }}\n" + NS % "a", ["refused"], "helm template"),
    "a variable": (NS % "${NAME}", ["refused"], "envsubst"),
    "what can't be seen": (NS % '"a\\x01\\u202e"', ["refused"], r'"a\x01\u202e"'),
}  # fmt: skip


def test_texts_are_read_as_kubectl_reads_them(tmp_path: Path) -> None:
    def holds(case: tuple[str | bytes, list[str], str]) -> None:
        text, verdicts, said = case
        file = tmp_path / "a.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        found = check(file)
        assert [each.verdict for each in found] == verdicts
        words = [str(each.error or "") + " ".join(map(str, each.errors)) for each in found]
        assert said in "\n".join(words), words

    assert_each(ODD_TEXTS.items(), holds)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("._1", "._1"),
        ("0x123456789ABCDEF01", "0x123456789ABCDEF01"),
        ("0777777777777777777777777", 777777777777777777777777.0),
        ("0b" + "1" * 70, "0b" + "1" * 70),
        ("0o17", 15),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1__0", 10),
        (".5", 0.5),
    ],
)
def test_a_plain_scalar_is_what_go_takes_it_for(written: str, value: Any) -> None:
    found = resolve(written)
    assert (type(found), found) == (type(value), value)


def http(**fields: Any) -> dict[str, Any]:
    return virtual_service({"http": [{"route": [{"destination": {"host": "a"}}], **fields}]})


def hashed(**fields: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"host": "a", "trafficPolicy": {"loadBalancer": {"consistentHash": fields}}},
    }


BROKEN = "a\nb"
# What a real Envoy refused and what it took, of 46 fields and 54 texts of each (2,484 objects); for
# all of them the verdict was that of `istioctl validate`.
ENVOYS = {
    "name of a header": (http(headers={"request": {"set": {BROKEN: "x"}}}), ["LAB13"]),
    "header to remove": (http(headers={"response": {"remove": ["a", "a\rb"]}}), ["LAB13"]),
    "new path": (http(rewrite={"uri": BROKEN}), ["LAB13"]),
    "new authority": (http(rewrite={"authority": BROKEN}), ["LAB13"]),
    "substitution": (
        http(rewrite={"uriRegexRewrite": {"match": "a", "rewrite": BROKEN}}),
        ["LAB13"],
    ),
    "redirect": (virtual_service({"http": [{"redirect": {"uri": BROKEN}}]}), ["LAB13"]),
    "query": (http(match=[{"queryParams": {"": {"exact": "a"}}}]), ["LAB13"]),
    "long query": (http(match=[{"queryParams": {"a" * 1025: {"exact": "a"}}}]), ["LAB13"]),
    "hash": (hashed(httpHeaderName=BROKEN), ["LAB09", "LAB13"]),
    "attribute": (
        hashed(httpCookie={"name": "c", "attributes": [{"name": "x", "value": BROKEN}]}),
        ["LAB13"],
    ),
    "status": (http(fault={"abort": {"httpStatus": 600}}), ["LAB13"]),
    "answer": (virtual_service({"http": [{"directResponse": {"status": 600}}]}), ["LAB13"]),
    "ring": (hashed(useSourceIp=True, ringHash={"minimumRingSize": 8388609}), ["LAB13"]),
    "old ring": (hashed(useSourceIp=True, minimumRingSize=8388609), ["LAB13"]),
    "largest ring": (hashed(useSourceIp=True, ringHash={"minimumRingSize": 8388608}), []),
    "largest status": (http(fault={"abort": {"httpStatus": 599}}), []),
    "cookie": (hashed(httpCookie={"name": BROKEN, "ttl": "1s"}), []),
    "text to compare": (http(match=[{"headers": {"x": {"exact": BROKEN}}}]), []),
    "host": (http(headers={"request": {"set": {"Host": "%FOO%"}}}), []),
    "comma": (http(corsPolicy={"allowHeaders": ["a,b"]}), []),
}


def test_what_envoy_refuses_is_found_and_nothing_else() -> None:
    def holds(case: tuple[Any, list[str]]) -> None:
        body, codes = case
        assert check(body)[0].accepted
        assert [code for code in lint(body).codes if code.startswith("LAB")] == codes

    assert_each(ENVOYS.items(), holds)

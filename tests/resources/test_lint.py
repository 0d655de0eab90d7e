"""The linter's rules: each finds its mistake, and stays silent beside it. A row a case: wrong, and
right.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest

from labkit.resources import Resource
from labkit.resources.istio import EXPORT_TO
from labkit.resources.lint import CODES, lint

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
HELLO = MANIFESTS / "hello-world.yaml"


def istio(kind: str, spec: str, name: str = "x", namespace: str = "hello-world") -> str:
    head = f"apiVersion: networking.istio.io/v1\nkind: {kind}\n"
    return f"{head}metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"


def gateway(
    server: str,
    name: str = "gw",
    selector: str = "{istio: ingressgateway}",
    ns: str = "hello-world",
) -> str:
    return istio("Gateway", f"{{selector: {selector}, servers: [{server}]}}", name, ns)


def server(number: int = 80, host: str = "test.example.com") -> str:
    return f"{{port: {{number: {number}, name: http, protocol: HTTP}}, hosts: [{host}]}}"


def routes(
    http: str,
    *,
    gateways: str = "gateways: [gw], ",
    host: str = "test.example.com",
    name: str = "vs",
) -> str:
    return istio("VirtualService", f"{{hosts: [{host}], {gateways}http: {http}}}", name)


def rule(
    rest: str, name: str = "dr", host: str = "hello-world", namespace: str = "hello-world"
) -> str:
    return istio("DestinationRule", f"{{host: {host}, {rest}}}", name, namespace)


def service(port: str) -> str:
    return (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: hello-world}\n"
        f"spec: {{selector: {{app: hello-world}}, ports: [{port}]}}\n"
    )


def annotated(name: str) -> str:
    text = service("{name: http, port: 80}")
    return text.replace("hello-world}", f"hello-world, annotations: {{{name}: .}}}}", 1)


GATEWAY = gateway(server())
TO = "route: [{destination: {host: hello-world%s}}]"
PLAIN = "{" + TO % "" + "}"
V1 = "{" + TO % ", subset: v1" + "}"
SUBSETS = rule("subsets: [{name: v1, labels: {version: v1}}]")
RANDOM = "trafficPolicy: {loadBalancer: {simple: RANDOM}}"


def policy(text: str) -> str:
    return rule(f"trafficPolicy: {{{text}}}")


def of_subsets(outlier: str, of_v1: str = "") -> str:
    """A policy of three pods, two of them v1 and one v2."""
    v1, v2 = (
        f"{{name: {name}, labels: {{version: {name}}}{own}}}"
        for name, own in (("v1", of_v1), ("v2", ""))
    )
    return rule(f"trafficPolicy: {{outlierDetection: {{{outlier}}}}}, subsets: [{v1}, {v2}]")


def pool(most: int) -> str:
    return policy(f"connectionPool: {{tcp: {{maxConnections: {most}}}}}")


def outlier(rest: str) -> str:
    return policy(f"outlierDetection: {{consecutive5xxErrors: 7{rest}}}")


def hashed(header: str) -> str:
    return policy(f"loadBalancer: {{consistentHash: {{httpHeaderName: {header}}}}}")


def matched(match: str, rewrite: str = "") -> str:
    first = f"{{match: [{{uri: {match}}}], {rewrite}{TO % ''}}}"
    return routes(f"[{first}]")


SHARED = (
    "[{route: [{destination: {%s}, weight: 5}, {destination: {host: hello-world}, weight: 95}]}]"
)
WRONG_AND_RIGHT = {
    "gateway that is not there": (
        "IST0101",
        [GATEWAY, routes(f"[{PLAIN}]", gateways="gateways: [other], ")],
        [GATEWAY, routes(f"[{PLAIN}]")],
    ),
    "host that is not there": (
        "IST0101",
        [routes("[{route: [{destination: {host: hello}}]}]")],
        [routes("[{route: [{destination: {host: hello-world.hello-world.svc.cluster.local}}]}]")],
    ),
    "half a host name": (
        "IST0101",
        [routes("[{route: [{destination: {host: hello-world.hello-world}}]}]")],
        [routes("[{route: [{destination: {host: www.example.org}}]}]")],
    ),
    "mirror to nowhere": (
        "IST0101",
        [routes(f"[{{{TO % ''}, mirror: {{host: hello}}}}]")],
        [routes(f"[{{{TO % ''}, mirror: {{host: hello-world}}}}]")],
    ),
    "port that is not there": (
        "IST0101",
        [routes(f"[{{{TO % ', port: {number: 81}'}}}]")],
        [routes(f"[{{{TO % ', port: {number: 80}'}}}]")],
    ),
    "subset that is not there": (
        "IST0101",
        [SUBSETS, routes(f"[{{{TO % ', subset: v7'}}}]")],
        [SUBSETS, routes(f"[{V1}]")],
    ),
    "several ports": (
        "IST0112",
        [
            service("{name: http, port: 80}, {name: http-b, port: 81}"),
            routes("[{route: [{destination: {host: web}}]}]"),
        ],
        [service("{name: http, port: 80}"), routes("[{route: [{destination: {host: web}}]}]")],
    ),
    "port without a name": (
        "IST0118",
        [service("{port: 80}")],
        [service("{name: http, port: 80}")],
    ),
    "port name that says nothing": (
        "IST0118",
        [service("{name: web, port: 80}")],
        [service("{name: web, port: 80, appProtocol: http}")],
    ),
    "two without a match": (
        "IST0130",
        [routes(f"[{PLAIN}, {PLAIN}]")],
        [routes(f"[{{match: [{{uri: {{exact: /a}}}}], {TO % ''}}}, {PLAIN}]")],
    ),
    "rule behind one that takes all": (
        "IST0130",
        [routes(f"[{PLAIN}, {{match: [{{uri: {{exact: /a}}}}], {TO % ''}}}]")],
        [routes(f"[{{match: [{{uri: {{exact: /a}}}}], {TO % ''}}}, {PLAIN}]")],
    ),
    "one match of two": (
        "IST0131",
        [
            routes(
                f"[{{match: [{{uri: {{exact: /a}}}}], {TO % ''}}}, "
                f"{{match: [{{uri: {{exact: /a}}}}, {{uri: {{exact: /b}}}}], {TO % ''}}}]"
            )
        ],
        [routes(f"[{{match: [{{uri: {{exact: /a}}}}, {{uri: {{exact: /b}}}}], {TO % ''}}}]")],
    ),
    "host that the gateway does not have": (
        "IST0132",
        [GATEWAY, routes(f"[{PLAIN}]", host="www.example.com")],
        [gateway(server(host='"*.example.com"')), routes(f"[{PLAIN}]", host="www.example.com")],
    ),
    "two gateways for a host": (
        "IST0145",
        [GATEWAY, gateway(server(), name="gw-2")],
        [GATEWAY, gateway(server(host="www.example.com"), name="gw-2")],
    ),
    "two gateways with other pods": (
        "IST0145",
        [GATEWAY, gateway(server(), name="gw-2", ns="other")],
        [GATEWAY, gateway(server(), name="gw-2", selector="{istio: other}")],
    ),
    "port that the gateway's Service does not have": (
        "IST0162",
        [gateway(server(9090))],
        [gateway(server(9090), selector="{istio: mine}")],
    ),
    "port of the gateway's pod": ("LAB04", [gateway(server(8080))], [gateway(server(443))]),
    "subset of nobody": (
        "IST0173",
        [rule("subsets: [{name: v3, labels: {version: v3}}]")],
        [SUBSETS],
    ),
    "rule for nobody": ("IST0174", [rule(RANDOM, host="hello")], [rule(RANDOM)]),
    "rule in another namespace": (
        "IST0174",
        [rule(RANDOM, namespace="shop")],
        [rule(RANDOM, namespace="shop", host="hello-world.hello-world.svc.cluster.local")],
    ),
    "two rules": (
        "KIA0201",
        [rule(RANDOM), rule(RANDOM, name="dr-2")],
        [rule(RANDOM), rule("subsets: [{name: v1, labels: {version: v1}}]", name="dr-2")],
    ),
    "two rules by another name": (
        "KIA0201",
        [rule(RANDOM), rule(RANDOM, name="dr-2", host="hello-world.hello-world.svc.cluster.local")],
        [rule(RANDOM), rule(RANDOM, name="dr-2", host="'*.example.com'")],
    ),
    "one subset twice": (
        "KIA0201",
        [SUBSETS, rule("subsets: [{name: v1, labels: {version: v1}}]", name="dr-2")],
        [SUBSETS, rule("subsets: [{name: v2, labels: {version: v2}}]", name="dr-2")],
    ),
    "subset without labels": ("KIA0209", [rule("subsets: [{name: all}]")], [SUBSETS]),
    "weight of the only one": (
        "KIA1104",
        [routes("[{route: [{destination: {host: hello-world}, weight: 80}]}]")],
        [routes("[{route: [{destination: {host: hello-world}, weight: 100}]}]")],
    ),
    "one destination twice": (
        "KIA1105",
        [routes(SHARED % "host: hello-world")],
        [routes(SHARED % "host: hello-world, subset: v1")],
    ),
    "two VirtualServices": (
        "KIA1106",
        [GATEWAY, routes(f"[{PLAIN}]"), routes(f"[{PLAIN}]", name="vs-2")],
        [GATEWAY, routes(f"[{PLAIN}]")],
    ),
    "two VirtualServices in the mesh": (
        "IST0109",
        [
            routes(f"[{PLAIN}]", gateways="", host=h, name=n)
            for h, n in (("hello-world", "a"), ("hello-world", "b"))
        ],
        [
            routes(f"[{PLAIN}]", gateways="", host=h, name=n)
            for h, n in (("hello-world", "a"), ("web", "b"))
        ],
    ),
    "not at the gateway": (
        "LAB05",
        [GATEWAY, routes(f"[{PLAIN}]", gateways="")],
        [GATEWAY, routes(f"[{PLAIN}]", gateways="", host="hello-world")],
    ),
    "greedy prefix": ("LAB06", [matched("{prefix: /v2}")], [matched("{prefix: /v2/}")]),
    "prefix of everything": (
        "LAB06",
        [matched("{prefix: /v2}", "rewrite: {uri: /}, ")],
        [matched("{prefix: /}")],
    ),
    "no ejection": ("LAB07", [outlier("")], [outlier(", maxEjectionPercent: 34")]),
    "not quite one of three": (
        "LAB07",
        [outlier(", maxEjectionPercent: 33")],
        [outlier(", maxEjectionPercent: 100")],
    ),
    "not one of a subset's two": (
        "LAB07",
        [of_subsets("maxEjectionPercent: 34")],
        [
            of_subsets("maxEjectionPercent: 50"),
            of_subsets(
                "maxEjectionPercent: 34",
                ", trafficPolicy: {outlierDetection: {maxEjectionPercent: 50}}",
            ),
        ],
    ),
    "fewer connections than pods": ("LAB08", [pool(2)], [pool(3)]),
    "header that nobody sets": ("LAB09", [hashed("x-user")], [hashed("X-Forwarded-For")]),
    "header that a route sets": (
        "LAB09",
        [hashed("x-user")],
        [
            hashed("x-user"),
            routes(f"[{{{TO % ''}, headers: {{request: {{set: {{x-user: me}}}}}}}}]"),
        ],
    ),
    "table of one place": (
        "LAB14",
        [policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 1}}}")],
        [policy("loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 2}}}")],
    ),
    "percent sign": (
        "LAB10",
        [routes(f"[{{{TO % ''}, headers: {{request: {{set: {{x-user: a%20b%20c}}}}}}}}]")],
        [routes(f"[{{{TO % ''}, headers: {{request: {{set: {{x-user: a%%20b%%20c}}}}}}}}]")],
    ),
    "star in a prefix": (
        "LAB11",
        [matched("{prefix: /api/*}")],
        [matched("{prefix: /api/}"), matched("{regex: /api/.*}")],
    ),
    "regular expression in a path": (
        "LAB11",
        [matched("{exact: '^/v[0-9]+$'}")],
        [matched("{exact: /wiki/Foo_(bar)}")],
    ),
    "expression that becomes too large": (
        "LAB12",
        [matched("{regex: '[^/]{1000}[^/]{1000}[^/]{1000}[^/]{1000}[^/]{1000}'}")],
        [matched("{regex: '[^/]{1000}'}")],
    ),
    "line break in a path": (
        "LAB13",
        [matched("{prefix: /api/}", 'rewrite: {uri: "/v2/\\n"}, ')],
        [matched("{prefix: /api/}", "rewrite: {uri: /v2/}, ")],
    ),
    "reference in a rewrite": (
        "LAB11",
        [matched("{prefix: /api/}", "rewrite: {uri: /$2}, ")],
        [matched("{prefix: /api/}", "rewrite: {uri: /v2/}, ")],
    ),
    "misspelt field": ("IST0106", [policy("loadBalancr: {simple: RANDOM}")], [rule(RANDOM)]),
    "no duration": (
        "IST0106",
        [outlier(", interval: 5 minutes")],
        [outlier(", interval: 5m, maxEjectionPercent: 50")],
    ),
    "deprecated field": (
        "IST0133",
        [policy("outlierDetection: {consecutiveErrors: 7, maxEjectionPercent: 50}")],
        [outlier(", maxEjectionPercent: 50")],
    ),
    "not YAML": (
        "LAB01",
        ["apiVersion: v1\nkind: Service\n  name: x\n"],
        [service("{name: http, port: 80}")],
    ),
    "a kind that is not looked at": (
        "LAB02",
        [
            "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: x, "
            "namespace: a}\nspec: {}\n"
        ],
        [SUBSETS],
    ),
    "misplaced annotation": (
        "IST0107",
        [annotated("sidecar.istio.io/inject")],
        [annotated(EXPORT_TO)],
    ),
    "misspelt annotation": (
        "IST0108",
        [annotated(f"{EXPORT_TO}s")],
        [annotated(EXPORT_TO)],
    ),
    "no namespace": (
        "LAB03",
        [rule(RANDOM).replace(", namespace: hello-world", "")],
        [rule(RANDOM)],
    ),
}


@pytest.mark.parametrize("case", WRONG_AND_RIGHT)
def test_the_rule_finds_its_mistake_and_stays_silent_beside_it(case: str) -> None:
    code, wrong, right = WRONG_AND_RIGHT[case]
    found = [each for each in lint(*wrong, context=[HELLO, GATEWAY]) if each.code == code]
    assert found, lint(*wrong, context=[HELLO, GATEWAY])
    for each in found:
        assert each.file == "<text>"
        assert each.line > 0
        assert each.what
        assert each.why
        assert each.fix
    assert code not in lint(*right, context=[HELLO, GATEWAY]).codes


def test_each_code_has_a_case_here_or_on_the_mesh() -> None:
    on_a_mesh = {"IST0102", "IST0103"}
    assert {code for code, _, _ in WRONG_AND_RIGHT.values()} | on_a_mesh == set(CODES)


def test_what_could_be_in_another_file_is_not_missed() -> None:
    assert (
        lint(
            routes(f"[{V1}]"),
            SUBSETS,
            rule(RANDOM, name="other", host="elsewhere", namespace="shop"),
            context=[GATEWAY],
        )
        == ()
    )


def test_a_complete_world_has_nothing_elsewhere() -> None:
    assert lint(routes(f"[{V1}]"), complete=True).codes == ("IST0101", "IST0132")


def test_a_gateway_is_missing_where_it_is_not_known() -> None:
    found = lint(routes(f"[{PLAIN}]"), context=[HELLO])
    assert [(each.code, each.path) for each in found] == [
        ("IST0101", "spec.gateways[0]"),
        ("IST0132", "spec.gateways[0]"),
    ]


def test_of_two_rules_the_younger_one_is_told_of() -> None:
    old, young = rule(RANDOM, name="z"), rule(RANDOM, name="a")
    dated = old.replace("namespace:", "creationTimestamp: '2026-01-01T00:00:00Z', namespace:")
    assert [each.object for each in lint(young, context=[dated, HELLO])] == [
        "DestinationRule hello-world/a"
    ]
    assert lint(context=[dated, young, HELLO]) == ()  # the context is known, not reported on


def test_an_applied_rule_keeps_its_age_when_it_is_changed() -> None:
    dated = rule(RANDOM, name="z").replace(
        "namespace:", "creationTimestamp: '2026-01-01T00:00:00Z', namespace:"
    )
    other = rule(RANDOM, name="a").replace(
        "namespace:", "creationTimestamp: '2026-01-02T00:00:00Z', namespace:"
    )
    assert lint(rule(RANDOM, name="z"), context=[dated, other, HELLO]) == ()


def test_two_versions_of_an_object_are_both_looked_at() -> None:
    first, second = matched("{prefix: /v2}"), matched("{prefix: /v2/}")
    assert lint(first, second, context=[GATEWAY]).codes == ("LAB06",)


NAMESPACE: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
LABELLED = {**NAMESPACE, "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}}


def pod(*containers: str, labels: dict[str, str] | None = None) -> Resource:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7fj4zlpql", "uid": "1"}
    metadata = {
        "name": "web-1",
        "namespace": "shop",
        "labels": labels or {},
        "ownerReferences": [owner],
    }
    spec = {"containers": [{"name": name, "image": name} for name in containers]}
    return Resource(
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {}}
    )


def test_a_namespace_without_the_label_counts_once_it_has_pods() -> None:
    assert lint(NAMESPACE, complete=True) == ()
    assert lint(NAMESPACE, pod("web"), complete=True).codes == ("IST0102",)
    assert lint(LABELLED, pod("web", "istio-proxy"), complete=True) == ()


def test_a_pod_without_its_sidecar() -> None:
    (found,) = lint(LABELLED, pod("web"), complete=True)
    assert (found.code, found.fix) == ("IST0103", "kubectl rollout restart deployment web -n shop")
    assert found.where == "Pod shop/web-1"
    assert (
        lint(LABELLED, pod("web", labels={"sidecar.istio.io/inject": "false"}), complete=True) == ()
    )


def test_a_host_that_is_nearly_right_is_named() -> None:
    (found,) = lint(rule(RANDOM, host="helo-world"), context=[HELLO])
    assert found.fix == "did you mean hello-world.hello-world.svc.cluster.local?"
    (found,) = lint(rule(RANDOM, host="payments"), context=[HELLO])
    assert found.fix == "name a Service that is there: hello-world.hello-world.svc.cluster.local"


def test_findings_as_text_html_and_values() -> None:
    found = lint(rule(RANDOM, host="hello<world"), rule(RANDOM, host="hello"), context=[HELLO])
    text = str(found)
    assert "<text>:4: warning IST0174 UnknownDestinationRuleHost (KIA0202)" in text
    assert "what  there is no Service hello.hello-world.svc.cluster.local" in text
    assert "hello&lt;world" in found._repr_html_()
    assert found[-1].as_dict()["also"] == ["KIA0202"]
    assert found.serious
    assert not lint(hashed("x-user")).serious
    assert str(lint()) == "No findings."
    assert "No findings" in lint()._repr_html_()


def test_thirty_objects_without_a_namespace_are_one_mistake() -> None:
    text = "\n---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a{number}}}" for number in range(3)
    )
    cluster_wide = (
        "\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}"
        "\n---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
    )
    (found,) = [each for each in lint(text + cluster_wide) if each.code == "LAB03"]
    assert (found.line, found.object) == (3, "ConfigMap default/a0")
    assert found.what.endswith("So it is for 2 more objects of this file")


def test_a_notebook_shows_how_to_fix_it_for_a_click() -> None:
    found = lint(MANIFESTS / "as-published")
    cells = found._repr_html_().split("<tr>")[2:]
    assert len(cells) == len(found)
    for each, cell in zip(found, cells, strict=True):
        shown, hidden = cell.split("<details>")
        assert html.escape(each.what) in shown
        assert html.escape(each.fix) in hidden
        assert html.escape(each.fix) not in shown

"""What `explain` says, and the lines that it names."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from labkit.errors import TrafficError
from labkit.explain import Explanation, explain
from labkit.resources import load_text
from labkit.translate import Registry, registry_of

SHOP = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  selector: {app: web}
  ports:
    - {name: http, port: 80, targetPort: 8080}
    - {name: tcp-admin, port: 9000}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1, namespace: shop}
spec:
  selector: {matchLabels: {app: web, version: v1}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: [shop.example.com]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [shop.example.com, web]
  gateways: [gw, mesh]
  http:
    - name: canary
      match:
        - uri: {prefix: /v2}
          headers: {x-user: {exact: jane}}
        - uri: {prefix: /v2}
          sourceLabels: {app: tester}
      rewrite: {uri: /}
      timeout: 3s
      route:
        - destination: {host: web, subset: v1}
          weight: 90
        - destination: {host: web, subset: v3}
          weight: 10
    - match: [{uri: {exact: /old}}]
      redirect: {uri: /v2}
    - match: [{queryParams: {q: {regex: a|b}}, withoutHeaders: {x: {}}, method: {exact: PUT}}]
      delegate: {name: inner}
    - route:
        - destination: {host: web}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inner, namespace: shop}
spec:
  http:
    - match: [{uri: {prefix: /put}}]
      directResponse: {status: 202}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inside, namespace: shop}
spec:
  hosts: [admin.example.com]
  http: [{route: [{destination: {host: web}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
  subsets:
    - name: v1
      labels: {version: v1}
      trafficPolicy:
        connectionPool: {http: {http1MaxPendingRequests: 1}}
"""
V1 = "outbound|80|v1|web.shop.svc.cluster.local"
V3 = "outbound|80|v3|web.shop.svc.cluster.local"
WEB = "outbound|80||web.shop.svc.cluster.local"


@pytest.fixture(scope="module")
def shop() -> Registry:
    return registry_of(load_text(SHOP, "shop.yaml"))


def at_line(text: str) -> int:
    """The line of SHOP that has a text, which is there once."""
    [found] = [n for n, line in enumerate(SHOP.splitlines(), 1) if text in line]
    return found


def lines(found: Explanation, name: str) -> list[int]:
    return [place.line for step in found.find(name) for place in step.places]


def texts(found: Explanation, name: str) -> list[str]:
    return [step.text for step in found.find(name)]


def test_the_way_of_a_request_with_all_its_lines(shop: Registry) -> None:
    found = explain(shop, "http://shop.example.com/v2/x?a=1", headers={"X-User": "jane"})
    assert dict(found.outcome.clusters) == {V1: 90, V3: 10}
    assert found.outcome.unavailable == (V3,)
    assert found.outcome.path == "//x?a=1"  # what is behind the prefix begins with a slash itself
    assert found.find("near miss") == []
    assert lines(found, "listener") == [at_line("number: 80, name")]
    assert lines(found, "virtual host") == [at_line("hosts: [shop.example.com, web]")]
    assert lines(found, "route")[0] == at_line("exact: jane") - 1
    assert lines(found, "rewrite") == [at_line("rewrite:")]
    assert lines(found, "timeout") == [at_line("timeout: 3s")]
    assert lines(found, "cluster") == [at_line("subset: v1}"), at_line("subset: v3}")]
    assert lines(found, "subset") == [at_line("- name: v1"), at_line("  subsets:")]
    assert texts(found, "subset")[1] == "v3: the DestinationRule defines v1"
    assert texts(found, "trafficPolicy") == ["connectionPool", "loadBalancer"]
    assert lines(found, "trafficPolicy") == [at_line("connectionPool"), at_line("simple: RANDOM")]
    assert re.match(r"web-v1-1 at 10\.244\.", texts(found, "endpoint")[0])
    assert "90 %" in found.result
    assert "(10 %, to be answered with 503" in found.result


def test_near_misses_say_the_condition_that_failed(shop: Registry) -> None:
    found = explain(shop, "http://shop.example.com/v2")
    assert texts(found, "near miss") == [
        'VirtualService shop/web, http[0] "canary", match[0]: headers x-user exact: jane: '
        "it is not there",
        'VirtualService shop/web, http[0] "canary", match[1]: sourceLabels: it is for callers '
        "with app: tester, and this one has app: istio-ingressgateway",
        "VirtualService shop/web, http[1], match[0]: uri exact: /old: the path is /v2",
        "VirtualService shop/inner, http[0], match[0]: uri prefix: /put: the path is /v2 "
        "(nor does it meet method, queryParams q)",
    ]
    assert lines(found, "near miss")[:4] == [
        at_line("exact: jane"),
        at_line("app: tester"),
        at_line("exact: /old"),
        at_line("prefix: /put"),
    ]


@pytest.mark.parametrize(
    ("path", "headers", "said", "line"),
    [
        (
            "/put?q=a",
            {"x": "1"},
            'withoutHeaders x (that it is there): it is "1"',
            "withoutHeaders",
        ),
        ("/put?q=c", {}, 'queryParams q regex: a|b: it is "c"', "withoutHeaders"),
        ("/put", {}, "queryParams q regex: a|b: it is not there", "withoutHeaders"),
    ],
)
def test_a_condition_of_the_root_is_named_there(
    shop: Registry, path: str, headers: dict[str, str], said: str, line: str
) -> None:
    found = explain(shop, f"PUT http://shop.example.com{path}", headers=headers)
    assert texts(found, "near miss")[-1].endswith(said)
    assert lines(found, "near miss")[-1] == at_line(line)


def test_a_route_of_a_delegate_names_both_objects(shop: Registry) -> None:
    found = explain(shop, "PUT http://shop.example.com/put?q=b")
    assert (found.outcome.kind, found.outcome.status) == ("direct response", 202)
    assert lines(found, "route") == [at_line("prefix: /put"), at_line("withoutHeaders"),
                                     at_line("withoutHeaders")]  # fmt: skip
    assert lines(found, "direct response") == [at_line("status: 202")]


def test_a_redirect(shop: Registry) -> None:
    found = explain(shop, "http://shop.example.com/old?a=b")
    assert (found.outcome.status, found.outcome.location) == (
        301,
        "http://shop.example.com/v2?a=b",
    )
    assert lines(found, "redirect") == [at_line("redirect:")]


def test_a_host_that_another_gateway_has(shop: Registry) -> None:
    found = explain(shop, "http://admin.example.com/")
    assert found.outcome.status == 404
    assert texts(found, "virtual host") == [
        "none for admin.example.com; there are shop.example.com"
    ]
    assert texts(found, "near miss") == [
        "VirtualService shop/inside: gateways: it is bound to mesh, not to shop/gw"
    ]


def test_a_port_without_a_server(shop: Registry) -> None:
    found = explain(shop, "http://shop.example.com:443/")
    assert found.outcome.kind == "no listener"
    assert texts(found, "server") == ["shop/gw, port 80"]


def pod(shop: Registry) -> Any:
    return shop.pods[0]


OTHERS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other, namespace: shop}
spec:
  hosts: [other.example.com]
  gateways: [gw]
  http:
    - match: [{uri: {prefix: /short}}]
      route: [{destination: {host: web.shop}}]
    - match: [{uri: {prefix: /port}}]
      route: [{destination: {host: web, port: {number: 81}}}]
    - match: [{uri: {prefix: /rule}}]
      route: [{destination: {host: web, subset: v7}}]
    - match: [{uri: {prefix: /pods}}]
      route: [{destination: {host: web, subset: v9}}]
    - match: [{uri: {prefix: /empty}}]
      route: [{destination: {host: nobody}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: short, namespace: shop}
spec: {host: web.shop, subsets: [{name: v7, labels: {version: v7}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: more, namespace: shop}
spec: {host: web, subsets: [{name: v9, labels: {version: v9}}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {selector: {app: ghost}, ports: [{name: http, port: 80}]}
"""


@pytest.fixture(scope="module")
def wrong() -> Registry:
    text = SHOP.replace("[shop.example.com]", '["*"]') + "---\n" + OTHERS
    return registry_of(load_text(text, "shop.yaml"))


@pytest.mark.parametrize(
    ("path", "name", "said", "near"),
    [
        ("/short", "service", "web.shop: no Service that this proxy knows has that name",
         "Service shop/web is web.shop.svc.cluster.local"),
        ("/port", "port", "81: the Service has 80, 9000", ""),
        ("/rule", "subset", "v7: the DestinationRule defines v9, v1",
         "DestinationRule shop/short defines v7: host: it is for web.shop"),
        ("/pods", "endpoint", "none: no pod of the Service has version: v9", ""),
        ("/empty", "endpoint", "none: no pod of shop has app: ghost", ""),
    ],
)  # fmt: skip
def test_why_nobody_is_there(wrong: Registry, path: str, name: str, said: str, near: str) -> None:
    found = explain(wrong, f"http://other.example.com{path}")
    assert found.outcome.status == 503
    [cluster] = found.find("cluster")
    [step] = [each for each in cluster.find(name) if each.text.startswith(said)]
    assert [each.text for each in step.parts if each.name == "near miss"] == [near] * bool(near)
    assert all(place.line for each in cluster.find("near miss") for place in each.places)


def test_from_inside(shop: Registry) -> None:
    found = explain(shop, "http://web/", pod=pod(shop))
    assert dict(found.outcome.clusters) == {WEB: 100}
    assert lines(found, "listener") == [at_line("{name: http, port: 80")]


def test_a_port_that_is_not_http(shop: Registry) -> None:
    found = explain(shop, "http://web:9000/", pod=pod(shop))
    assert found.outcome.kind == "tcp"
    assert lines(found, "listener") == [at_line("tcp-admin")]


def test_a_host_that_nobody_has(shop: Registry) -> None:
    found = explain(shop, "http://example.org/", pod=pod(shop))
    assert dict(found.outcome.clusters) == {"PassthroughCluster": 100}
    assert texts(found, "name")


def test_another_host_than_that_of_the_url(shop: Registry) -> None:
    found = explain(shop, "http://any.test/v2", headers={"Host": "SHOP.example.com:8080"})
    assert dict(found.outcome.clusters) == {WEB: 100}
    assert found.request == "GET http://any.test/v2 with Host: SHOP.example.com:8080"


@pytest.mark.parametrize("wrong", ["https://a.b/", "GET http://a b/", "http:///x"])
def test_what_is_no_request(shop: Registry, wrong: str) -> None:
    with pytest.raises(TrafficError):
        explain(shop, wrong)


class Text(HTMLParser):
    """The words of a page, and its balance of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def test_the_page_says_what_the_text_says(shop: Registry) -> None:
    found = explain(shop, "http://shop.example.com/v2?<script>", headers={"x-user": "<b>"})
    page = Text()
    page.feed(found._repr_html_())
    assert page.open == []
    page.words = [word.rstrip(",") for word in page.words]
    named = re.sub(r"(?m)^\s*[a-zA-Z ]+: ", "", repr(found)).split()
    assert [word for word in named if word.rstrip(",") not in page.words] == []
    assert "var(--jp-ui-font-color1" in found._repr_html_()


def test_plain_values(shop: Registry) -> None:
    found = json.loads(json.dumps(explain(shop, "http://shop.example.com/").as_dict()))
    assert found["outcome"]["clusters"] == {WEB: 100}
    assert found["steps"][0]["places"][0]["line"] == at_line("number: 80, name")

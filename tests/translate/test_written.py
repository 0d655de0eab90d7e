"""Each route remembers where it was written, also where delegates were merged in and matches were
left out; as a message it is none the wiser.
"""

from __future__ import annotations

import json
from typing import Any

from labkit.resources import load
from labkit.translate import gateway_config, registry_of
from labkit.translate.routes.http_routes import Route

RULES = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: shop}
spec:
  hosts: [a.example.com]
  gateways: [gw]
  http:
    - match: [{uri: {prefix: /a}, gateways: [mesh]}, {uri: {prefix: /b}}]
      route: [{destination: {host: web}}]
    - match: [{uri: {prefix: /c}}, {uri: {prefix: /d}}]
      delegate: {name: inner}
    - redirect: {uri: /}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inner, namespace: shop}
spec:
  http:
    - match: [{uri: {exact: /other}}]
      route: [{destination: {host: web}}]
    - match: [{uri: {exact: /d/e}}, {headers: {x: {exact: jane}}}]
      route: [{destination: {host: web}}]
    - route: [{destination: {host: web}}]
"""


def routes() -> list[Any]:
    config = gateway_config(registry_of(load(RULES)))
    found: list[Any] = config.routes[0]["virtual_hosts"][0]["routes"]
    return found


def written(route: Route) -> list[str]:
    origin = route.vs.origins[route.http]
    parts = origin.route if route.match is None else origin.matches[route.match]
    return [f"{part.key[2]} {'.'.join(map(str, part.path[2:]))}" for part in parts]


def test_each_route_says_where_it_was_written() -> None:
    assert [written(route) for route in routes()] == [
        ["root 0.match.1"],
        ["inner 1.match.0", "root 1.match.1"],
        ["inner 1.match.1", "root 1.match.0"],
        ["inner 1.match.1", "root 1.match.1"],
        ["root 1.match.0"],
        ["root 1.match.1"],
        ["root 2"],
    ]


def test_the_message_has_nothing_more_than_before() -> None:
    for route in routes():
        assert route == dict(route)
        assert json.loads(json.dumps(route)) == dict(route)

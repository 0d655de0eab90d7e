"""Hosts outside of the mesh, and what a Sidecar leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.explain import explain
from labkit.mesh import Mesh
from labkit.resources import load_text
from labkit.translate import registry_of
from tests.mesh.embedded.test_outside import CLIENT, HELLO, HOST, ONLY, entry, outside

TEXT = (
    Path(HELLO).read_text()
    + "\n---\n"
    + """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: hello-world}
spec:
  hosts: [api.example.com]
  resolution: STATIC
  ports: [{name: http, number: 80, protocol: HTTP}]
  endpoints: [{address: 10.9.8.7, labels: {app: other}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: hello-world}
spec:
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  egress: [{hosts: ["./api.example.com"]}]
"""
)


def test_an_entry_and_a_sidecar_have_lines() -> None:
    registry = registry_of(load_text(TEXT, "all.yaml"))
    pod = registry.pods[0]
    lines = TEXT.splitlines()
    found = explain(registry, "http://api.example.com/", pod=pod)
    assert set(found.outcome.clusters) == {"outbound|80||api.example.com"}
    assert [each.text for each in found.find("endpoint")] == ["(no pod) at 10.9.8.7:80"]
    [listener] = found.find("listener")
    assert "ports: [{name: http, number: 80" in lines[listener.places[0].line - 1]

    hidden = explain(registry, "http://hello-world/", pod=pod)
    assert hidden.outcome.status == 502
    [miss] = hidden.find("near miss")
    assert miss.text.startswith("Sidecar hello-world/default: egress: it leaves hello-world.")
    assert lines[miss.places[0].line - 1].startswith("  egress:")


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh() as mesh:
        mesh.apply(HELLO, CLIENT, outside())
        yield mesh


@pytest.mark.embedded
def test_a_mesh_explains_where_hosts_outside_lead(mesh: Mesh) -> None:
    passed = mesh.explain(f"http://{HOST}/", source="client")
    assert set(passed.outcome.clusters) == {"PassthroughCluster"}
    assert mesh.curl(f"http://{HOST}/", source="client").codes == {200: 1}
    mesh.apply(ONLY)
    blocked = mesh.explain(f"http://{HOST}/", source="client")
    assert blocked.outcome.status == 502
    assert mesh.curl(f"http://{HOST}/", source="client").codes == {502: 1}
    mesh.apply(entry(resolution="DNS", location="MESH_EXTERNAL"))
    named = mesh.explain(f"http://{HOST}/", source="client")
    assert set(named.outcome.clusters) == {f"outbound|80||{HOST}"}
    assert named.outcome.status is None
    assert mesh.curl(f"http://{HOST}/", source="client").codes == {200: 1}


EGRESS = """\
apiVersion: v1
kind: Namespace
metadata: {name: out}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: egress, namespace: out}
spec:
  selector: {matchLabels: {istio: egress}}
  template:
    metadata:
      labels: {istio: egress, sidecar.istio.io/inject: "true"}
      annotations: {inject.istio.io/templates: gateway}
    spec: {containers: [{name: istio-proxy, image: auto}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: egress, namespace: out}
spec:
  selector: {istio: egress}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [api.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: egress, namespace: out}
spec:
  hosts: [api.example.com]
  gateways: [egress]
  http: [{directResponse: {status: 418}}]
"""


def test_a_gateway_of_its_own() -> None:
    registry = registry_of(load_text(EGRESS, "egress.yaml"))
    [pod] = registry.pods
    found = explain(registry, "http://api.example.com:8080/", pod=pod)
    assert (found.proxy, found.outcome.status) == ("the gateway egress-1", 418)
    other = explain(registry, "http://api.example.com:80/")
    assert other.outcome.kind == "no listener"

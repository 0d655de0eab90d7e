"""A mesh with the hello-world service, and the article's objects put right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.mesh import Mesh

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "manifests" / "hello-world.yaml"
CLIENT = ROOT / "manifests" / "client.yaml"
URL = "http://test.example.com/"
CLUSTER = "outbound|80||hello-world.hello-world.svc.cluster.local"

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: hello-world-gateway, namespace: hello-world}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [test.example.com]}]
"""


def virtual_service(http: str) -> str:
    """The VirtualService for test.example.com with these routes (YAML in flow style)."""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: hello-world-vs, namespace: hello-world}}
spec: {{hosts: [test.example.com], gateways: [hello-world-gateway], http: {http}}}
"""


def rule(policy: str = "", *, subsets: str = "", name: str = "hello-world-dr") -> str:
    """A DestinationRule for hello-world with this trafficPolicy and these subsets (YAML in flow
    style).
    """
    parts = ["host: hello-world"]
    parts += [f"trafficPolicy: {policy}"] if policy else []
    parts += [f"subsets: {subsets}"] if subsets else []
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: hello-world}}
spec: {{{", ".join(parts)}}}
"""


ROUTE = virtual_service("[{route: [{destination: {host: hello-world}}]}]")
SUBSETS = "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"


@pytest.fixture(scope="module")
def shared_mesh() -> Iterator[Mesh]:
    """One mesh a module: 2 + 1 pods with sidecars, and a client to call from."""
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(HELLO, CLIENT)
        yield mesh


@pytest.fixture
def mesh(shared_mesh: Mesh) -> Mesh:
    """The module's mesh with a Gateway and one route, and no DestinationRule; pods as first
    applied.
    """
    shared_mesh.reset()
    shared_mesh.apply(HELLO, GATEWAY, ROUTE)
    return shared_mesh

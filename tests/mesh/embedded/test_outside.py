"""Hosts outside of the mesh, for each of which a process of this machine stands."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import labkit
from labkit.errors import TrafficError, UnsupportedError
from labkit.mesh import Mesh
from labkit.resources import load

ROOT = Path(__file__).parents[3]
HELLO, CLIENT = ROOT / "manifests" / "hello-world.yaml", ROOT / "manifests" / "client.yaml"
HOST = "api.example.com"
pytestmark = pytest.mark.embedded


def outside() -> list[Any]:
    """The hello-world service as somebody else's: in a namespace without sidecars, at port 80."""
    found: list[Any] = []
    for each in load(HELLO):
        body = copy.deepcopy(each.body)
        if body["kind"] == "Deployment" and body["metadata"]["name"] != "hello-world-v2":
            continue
        if body["kind"] == "Namespace":
            body["metadata"] = {"name": "outside"}
        else:
            body["metadata"]["namespace"] = "outside"
        if body["kind"] == "Service":
            body["metadata"]["name"] = "api"
            body["metadata"]["annotations"] = {"labkit/host": HOST}
        found.append(body)
    return found


def istio(kind: str, name: str, **spec: Any) -> Any:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "hello-world"},
        "spec": spec,
    }


def entry(**spec: Any) -> Any:
    ports = [{"name": "http", "number": 80, "protocol": "HTTP"}]
    return istio("ServiceEntry", "api", **{"hosts": [HOST], "ports": ports, **spec})


ONLY = istio("Sidecar", "default", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})
MINE = istio("Sidecar", "default", egress=[{"hosts": ["istio-system/*", "./other.example.com"]}])


@pytest.fixture(scope="module")
def started() -> Iterator[Mesh]:
    with labkit.open_mesh() as mesh:
        mesh.apply(HELLO, CLIENT, outside())
        yield mesh


@pytest.fixture
def mesh(started: Mesh) -> Mesh:
    started.reset()
    return started


def call(mesh: Mesh, host: str = HOST) -> Any:
    return mesh.curl(f"http://{host}/", source="client")


def test_what_no_entry_speaks_of_is_passed_on(mesh: Mesh) -> None:
    assert status(mesh) == 200
    (pod,) = call(mesh).pods
    assert pod.startswith("hello-world-v2")


def test_with_registry_only_it_is_not_let_out(mesh: Mesh) -> None:
    mesh.apply(ONLY)
    assert status(mesh) == 502
    assert status(mesh, "hello-world") == 200
    mesh.apply(entry(resolution="DNS"))
    assert status(mesh) == 200
    mesh.delete("serviceentry", "api", namespace="hello-world")
    assert status(mesh) == 502


def status(mesh: Mesh, host: str = HOST) -> int:
    (found,) = call(mesh, host).column("status")
    return int(found)


@pytest.mark.parametrize(
    "more",
    [
        {"resolution": "DNS"},
        {"resolution": "DNS_ROUND_ROBIN"},
        {"resolution": "NONE"},
        {"resolution": "DNS", "endpoints": [{"address": "api.outside.svc.cluster.local"}]},
    ],
    ids=["DNS", "DNS_ROUND_ROBIN", "NONE", "another name"],
)
def test_an_entry_leads_to_who_stands_for_its_host(mesh: Mesh, more: Any) -> None:
    mesh.apply(ONLY, entry(**more))
    assert status(mesh) == 200


def test_rules_act_on_what_goes_out(mesh: Mesh) -> None:
    route = [{"destination": {"host": HOST}}]
    abort = {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}
    fault = istio("VirtualService", "api", hosts=[HOST], http=[{"fault": abort, "route": route}])
    mesh.apply(entry(resolution="DNS"), fault)
    assert status(mesh) == 418


def test_a_static_entry_leads_to_addresses_and_a_workload_entry_to_one(mesh: Mesh) -> None:
    address = next(p.ip for p in mesh.pods(namespace="outside"))
    endpoint = {"address": address, "ports": {"http": 8080}}
    mesh.apply(ONLY, entry(resolution="STATIC", endpoints=[endpoint]))
    assert status(mesh) == 200
    chosen = {"labels": {"app": "vm"}}
    one = istio("WorkloadEntry", "vm", labels={"app": "vm"}, **endpoint)
    mesh.apply(entry(resolution="STATIC", workloadSelector=chosen), one)
    assert status(mesh) == 200
    assert HOST in str(mesh.get("serviceentries"))
    assert address in str(mesh.get("workloadentries"))


def test_what_a_sidecar_does_not_know_of_is_passed_on_or_not(mesh: Mesh) -> None:
    route = [{"destination": {"host": "hello-world"}}]
    abort = {"abort": {"httpStatus": 418, "percentage": {"value": 100}}}
    http = [{"fault": abort, "route": route}]
    mesh.apply(istio("VirtualService", "hello", hosts=["hello-world"], http=http))
    assert status(mesh, "hello-world") == 418
    mesh.apply(MINE)  # neither the Service nor its rule: its address is called
    assert status(mesh, "hello-world") == 200
    only = {**MINE, "spec": {**MINE["spec"], **ONLY["spec"]}}
    mesh.apply(only)
    assert status(mesh, "hello-world") == 502


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"resolution": "DNS", "hosts": ["elsewhere.example.com"]}, "elsewhere.example.com"),
        ({"resolution": "STATIC", "endpoints": [{"address": "192.0.2.1"}]}, "192.0.2.1"),
        ({"resolution": "NONE", "hosts": ["*.example.com"]}, r"spec.hosts: \*.example.com"),
    ],
)
def test_a_host_that_nobody_stands_for_is_refused_by_name(
    mesh: Mesh, spec: Any, named: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"ServiceEntry hello-world/api, .*{named}"):
        mesh.apply(entry(**spec))
    assert status(mesh) == 200


def test_a_name_that_nobody_has_is_not_found(mesh: Mesh) -> None:
    with pytest.raises(TrafficError, match=r"could not resolve host: elsewhere\.example\.com"):
        call(mesh, "elsewhere.example.com")


def egress() -> list[Any]:
    """An egress gateway as Istio's documentation has it: a Deployment that injection fills in."""
    labels = {"istio": "egressgateway", "app": "istio-egressgateway"}
    metadata = {
        "labels": {**labels, "sidecar.istio.io/inject": "true"},
        "annotations": {"inject.istio.io/templates": "gateway"},
    }
    containers = [{"name": "istio-proxy", "image": "auto"}]
    place = {"name": "istio-egressgateway", "namespace": "istio-system"}
    template = {"metadata": metadata, "spec": {"containers": containers}}
    ports = [{"name": "http2", "port": 80, "targetPort": 8080}]
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": place,
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": place,
            "spec": {"selector": labels, "ports": ports},
        },
    ]


def test_an_egress_gateway_is_an_envoy_of_its_own(mesh: Mesh) -> None:
    mesh.apply(egress())
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [HOST]}
    gateway = istio("Gateway", "out", selector={"istio": "egressgateway"}, servers=[server])
    to_gateway = {"host": "istio-egressgateway.istio-system.svc.cluster.local"}
    http = [
        {"match": [{"gateways": ["mesh"]}], "route": [{"destination": to_gateway}]},
        {
            "match": [{"gateways": ["out"], "headers": {"x-no": {"exact": "yes"}}}],
            "directResponse": {"status": 418},
        },
        {"match": [{"gateways": ["out"]}], "route": [{"destination": {"host": HOST}}]},
    ]
    route = istio("VirtualService", "out", hosts=[HOST], gateways=["mesh", "out"], http=http)
    mesh.apply(ONLY, entry(resolution="DNS"), gateway, route)
    assert status(mesh) == 200
    (through,) = mesh.curl(f"http://{HOST}/", source="client", headers={"x-no": "yes"}).column(
        "status"
    )
    assert through == 418
    mesh.delete("deployment", "istio-egressgateway", namespace="istio-system")
    mesh.delete("service", "istio-egressgateway", namespace="istio-system")

"""Lesson 1's exercises: the number of listeners is that of the mesh at hand, and doors are
open or nearly so.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

import labkit
from labkit.lessons import CheckFailed, manifest
from labkit.lessons.content.exercises.lesson_01 import (
    TASKS,
    both_doors,
    door_for_nobody,
    door_is_open,
)
from labkit.mesh import Mesh

LESSON = "01_installation"


class Counted:
    """A mesh whose gateway has so many listeners: one on the embedded mesh, some
    more on a cluster.
    """

    def __init__(self, listeners: int) -> None:
        self.listeners = listeners

    def stats(self, proxy: str, match: str) -> pd.DataFrame:
        assert (proxy, match) == ("gateway", "total_listeners_active")
        return pd.DataFrame(
            {"proxy": ["gateway"], "stat": ["total_listeners_active"], "value": [self.listeners]}
        )


@pytest.mark.parametrize("there", [1, 4])
def test_the_answer_is_what_this_gateway_counts(there: int) -> None:
    judge = TASKS["01-1"].judge
    assert judge(there, Counted(there))
    for wrong in (there + 1, there - 1):
        with pytest.raises(CheckFailed):
            judge(wrong, Counted(there))
    counted = Counted(there)
    with pytest.raises(CheckFailed, match="the whole table; the number is in its column"):
        judge(counted.stats("gateway", "total_listeners_active"), counted)
    with pytest.raises(CheckFailed, match="a text; write the number without quotes"):
        judge(str(there), counted)


@pytest.fixture(scope="module")
def one_mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        yield mesh


@pytest.fixture
def mesh(one_mesh: Mesh) -> Mesh:
    """As the lesson has it: a namespace, and one door on port 80."""
    one_mesh.reset()
    one_mesh.apply(manifest(f"{LESSON}/namespace.yaml"), manifest(f"{LESSON}/gateway.yaml"))
    return one_mesh


def door(
    port: int,
    name: str = "hello-world-gateway",
    label: str = "istio: ingressgateway",
    host: str = "test.example.com",
) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: hello-world}}
spec:
  selector: {{{label}}}
  servers:
  - {{port: {{number: {port}, name: http-{port}, protocol: HTTP}}, hosts: [{host}]}}
"""


@pytest.mark.embedded
def test_two_doors(mesh: Mesh) -> None:
    exec(TASKS["01-2"].solution, {"mesh": mesh, "manifest": manifest})
    assert both_doors(mesh)


@pytest.mark.embedded
@pytest.mark.parametrize("port", [443, 8443], ids=["the Service's port", "the pod's"])
def test_a_second_gateway_is_as_good(mesh: Mesh, port: int) -> None:
    mesh.apply(door(port, name="second"))
    assert both_doors(mesh)


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("near", "words"),
    [
        (None, "port 80: they come in, port 443: nothing listens"),
        (door(443), "An object that has the name of another, hello-world-gateway, takes its"),
        (door(444, name="second"), "the gateway's Service has no port 444"),
        (door(443, name="second", label="app: gateway"), "no pod has the labels app: gateway"),
        (door(443, name="second", host="shop.example.com"), "port 443: a door, but not for this"),
    ],
    ids=["nothing done", "instead of port 80", "another port", "for no pod", "another host"],
)
def test_not_two_doors(mesh: Mesh, near: str | None, words: str) -> None:
    if near:
        mesh.apply(near)
    with pytest.raises(CheckFailed, match=words):
        both_doors(mesh)


@pytest.mark.embedded
@pytest.mark.parametrize(
    "right",
    [
        door(80),
        door(80, label="app: istio-ingressgateway"),
        door(80, label=""),
        door(80, name="another"),
        door(8080),
        door(80, host='"*"'),
    ],
    ids=[
        "its label",
        "another one that it carries",
        "for all gateways",
        "a second Gateway",
        "8080",
        "any host",
    ],
)
def test_the_door_is_open(mesh: Mesh, right: str) -> None:
    door_for_nobody(mesh)
    mesh.apply(right)
    assert door_is_open(mesh)


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("near", "words"),
    [
        (None, "no pod has the labels istio: ingress-gateway"),
        (
            door(8080, label="istio: ingress-gateway"),
            "no pod has the labels istio: ingress-gateway",
        ),
        (door(80, label="istio: ingressgateway, app: gateway"), "app: gateway"),
        (door(81), "the gateway's Service has no port 81"),
        (door(80, host="www.example.com"), "port 80: a door, but not for this host"),
        ("gone", "There is no Gateway any more"),
    ],
    ids=[
        "nothing done",
        "the pod's port",
        "a label too many",
        "another port",
        "another host",
        "deleted",
    ],
)
def test_the_door_is_shut(mesh: Mesh, near: str | None, words: str) -> None:
    door_for_nobody(mesh)
    if near == "gone":
        mesh.delete("Gateway", "hello-world-gateway", namespace="hello-world")
    elif near:
        mesh.apply(near)
    with pytest.raises(CheckFailed, match=words):
        door_is_open(mesh)


@pytest.mark.embedded
def test_begins_without_the_doors_of_before(mesh: Mesh) -> None:
    mesh.apply(manifest(f"{LESSON}/two-doors.yaml"), door(80, name="another"))
    door_for_nobody(mesh)
    with pytest.raises(CheckFailed):
        door_is_open(mesh)
    exec(TASKS["01-3"].solution, {"mesh": mesh, "manifest": manifest})
    assert door_is_open(mesh)

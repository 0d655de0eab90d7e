"""Who may tell the applications how to behave: the owner of the mesh, and nobody by the traffic."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from labkit.app import TOKEN_HEADER
from labkit.mesh import Mesh
from labkit.mesh.embedded import EmbeddedMesh
from tests.mesh.conftest import URL
from tests.trust import measured

pytestmark = pytest.mark.embedded
CONTROLS = ("fail?next=3", "delay?ms=60000", "gate?closed=true", "ready?ok=false", "reset")


def settings(mesh: Mesh) -> list[dict[str, Any]]:
    states = [mesh.app(p.name, "GET", "/control/state") for p in mesh.pods("hello-world")]
    counted = {"received", "served", "failed", "in_flight"}
    return [{k: v for k, v in state.items() if k not in counted} for state in states]


def received(mesh: Mesh) -> int:
    return int(mesh.states("hello-world")["received"].sum())


def request(port: int, method: str, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_through_the_gateway_a_control_is_a_path_like_any_other(mesh: Mesh) -> None:
    mesh.control("hello-world", fail_next=0, delay_ms=1, reset=True)
    before, count = settings(mesh), received(mesh)
    for control in CONTROLS:
        for method in ("POST", "GET"):
            assert mesh.curl(f"{URL}control/{control}", method=method, n=3).codes == {200: 3}
    assert settings(mesh) == before
    assert received(mesh) == count + 6 * len(CONTROLS)
    measured(
        "controls-by-traffic",
        "the application's controls asked for through the gateway and from a pod (`POST "
        "/control/fail?next=3` and others)",
        "a path like any other: 200, and nothing changes",
        requests=6 * len(CONTROLS),
        lost=0,
    )


def test_a_caller_in_the_mesh_reaches_no_controls(mesh: Mesh) -> None:
    before = settings(mesh)
    answer = mesh.curl("http://hello-world/control/fail?next=3", method="POST", source="client")
    assert answer.codes == {200: 1}
    assert settings(mesh) == before


def test_on_this_machine_only_the_mesh_has_the_secret(mesh: Mesh) -> None:
    assert isinstance(mesh, EmbeddedMesh)
    before = settings(mesh)
    tokens = set()
    for info in mesh.pods("hello-world"):
        controls = mesh._pod(info.name).controls
        assert controls is not None
        tokens.add(controls.token)
        for headers in ({}, {TOKEN_HEADER: "0" * 32}, {"Origin": "http://evil.example.com"}):
            assert request(controls.port, "POST", "/control/fail?next=3", **headers) == 403
        assert controls.token not in repr(controls)
    assert settings(mesh) == before
    (token,) = tokens
    assert len(token) == 32
    assert token not in mesh.describe("pod", mesh.pods("hello-world")[0].name)
    measured(
        "controls-without-secret",
        "the controls' own port asked without the mesh's secret, with another one, by a page of "
        "another site",
        "403, and nothing changes; with the secret taken out, the test sees it",
        got_through=0,
    )


def test_with_the_secret_taken_out_the_controls_obey(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(mesh, EmbeddedMesh)
    monkeypatch.setattr(mesh._controller, "control_token", "")
    before = {pod.name for pod in mesh.pods("hello-world-v2")}
    try:
        mesh.scale("hello-world-v2", 2)
        (new,) = {pod.name for pod in mesh.pods("hello-world-v2")} - before
        controls = mesh._pod(new).controls
        assert controls is not None
        assert request(controls.port, "POST", "/control/fail?next=3") == 200
    finally:
        mesh.scale("hello-world-v2", 1)

"""A pod's own address: the way in that is not the gateway's, and that no proxy sees."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from labkit.errors import MeshError, NotFound
from labkit.mesh import Mesh
from labkit.traffic import Target, curl
from tests.mesh.conftest import URL

pytestmark = pytest.mark.embedded


def test_a_pods_own_address_passes_no_proxy(mesh: Mesh) -> None:
    pod = mesh.pods("hello-world-v2")[0]
    address = urlsplit(mesh.pod_url(pod.name))
    assert address.hostname
    assert address.port
    straight = curl(Target(address.hostname, address.port, "any.name"), "/straight")
    assert straight.pods == {pod.name: 1}
    assert "server" not in straight[0].headers
    through = mesh.curl(URL + "through")
    assert through[0].headers["server"] == "istio-envoy"
    paths = list(mesh.access_log()["path"])
    assert "/through" in paths
    assert "/straight" not in paths


def test_only_applications_have_one(mesh: Mesh) -> None:
    with pytest.raises(NotFound, match="no pod 'nobody'"):
        mesh.pod_url("nobody")
    gateway = mesh.pods(namespace="istio-system")[0].name
    with pytest.raises(MeshError, match="no application"):
        mesh.pod_url(gateway)

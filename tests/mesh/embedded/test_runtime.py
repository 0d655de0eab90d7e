"""Every Envoy starts with Istio's own runtime settings, and what they are for holds here too."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

import pytest

from labkit.envoy.accesslog import DIRECTION, frame_of_log
from labkit.errors import ConfigRejected, UnsupportedError, ValidationError
from labkit.mesh import Mesh, open_mesh
from labkit.resources.mesh_config import config_map
from labkit.translate.runtime import RUNTIME
from tests.mesh.conftest import URL, virtual_service

pytestmark = pytest.mark.embedded


def test_a_path_with_a_fragment_is_answered_without_it(mesh: Mesh) -> None:
    gateway = urlsplit(mesh.gateway_url)
    connection = http.client.HTTPConnection(str(gateway.hostname), gateway.port, timeout=10)
    try:
        connection.request("GET", "/a#b", headers={"Host": "test.example.com"})
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    assert response.status == 200
    assert response.getheader("x-pod") in {pod.name for pod in mesh.pods("hello-world")}
    # Envoy writes its log a moment after the answer
    mesh.wait_for(
        lambda: list(mesh.access_log()["path"])[-1:] == ["/a"], "the path in the log", timeout_s=5
    )


def test_a_log_without_entries_has_its_columns() -> None:
    assert list(frame_of_log([])["path"]) == []
    full = frame_of_log([{"path": "/a", "status": 200, DIRECTION: "inbound"}])
    assert set(full) <= set(frame_of_log([]))


def to_204(regex: str) -> str:
    return virtual_service(
        f'[{{match: [{{uri: {{regex: "{regex}"}}}}], directResponse: {{status: 204}}}}, '
        "{route: [{destination: {host: hello-world}}]}]"
    )


def test_a_long_regular_expression_is_taken_and_one_without_end_is_not(mesh: Mesh) -> None:
    words = "|".join(f"item-{number}" for number in range(100))
    mesh.apply(to_204(f"/({words})"))
    codes = [mesh.curl(URL + path).codes for path in ("item-99", "item-100")]
    assert codes == [{204: 1}, {200: 1}]
    with pytest.raises(ConfigRejected, match="32768"):
        mesh.apply(to_204("/" + "[^a]{1000}" * 20))
    assert mesh.curl(URL + "item-99").codes == {204: 1}


def test_a_mesh_config_is_applied_and_taken_back(mesh: Mesh) -> None:
    mesh.apply(
        virtual_service(
            "[{match: [{uri: {exact: /a}}], directResponse: {status: 204}}, "
            "{route: [{destination: {host: hello-world}}]}]"
        )
    )
    assert mesh.curl(URL + "/a").codes == {200: 1}
    merged = config_map({"pathNormalization": {"normalization": "MERGE_SLASHES"}})
    mesh.apply(merged)
    assert mesh.curl(URL + "/a").codes == {204: 1}
    with pytest.raises(UnsupportedError, match="proxyHttpPort"):
        mesh.apply(config_map({"proxyHttpPort": 8888}))
    with pytest.raises(ValidationError, match="did you mean `pathNormalization`"):
        mesh.apply(config_map({"pathNormalisation": {}}))
    assert mesh.curl(URL + "/a").codes == {204: 1}
    mesh.delete(merged)
    assert mesh.curl(URL + "/a").codes == {200: 1}


def test_settings_that_are_wrong_are_said_before_a_mesh_is_made() -> None:
    with pytest.raises(ValidationError, match="outboundTrafficPolicy"):
        open_mesh("embedded", settings={"outboundTraficPolicy": {}})
    with pytest.raises(UnsupportedError, match="discoverySelectors"):
        open_mesh("embedded", settings={"discoverySelectors": [{"matchLabels": {"a": "b"}}]})
    with open_mesh("embedded", settings={"accessLogFile": "/dev/stdout"}) as found:
        assert "accessLogFile" in str([each.body for each in found.objects()])


def test_the_settings_are_in_the_bootstrap_that_envoy_holds(mesh: Mesh) -> None:
    client = mesh.pods("client")[0].name
    for proxy in ("gateway", client):
        (bootstrap,) = (
            part["bootstrap"]
            for part in mesh.config(proxy)["configs"]
            if part["@type"].endswith("BootstrapConfigDump")
        )
        first, second = bootstrap["layered_runtime"]["layers"]
        assert first == {"name": "global config", "static_layer": RUNTIME}
        assert second["name"] == "admin"

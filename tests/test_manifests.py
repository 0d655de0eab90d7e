"""manifests/hello-world.yaml and client.yaml: what the lessons and the meshes rely on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.app import CONTROL_PORT
from labkit.app.__main__ import MANIFEST, sources, with_app

MANIFESTS = Path(__file__).parents[1] / "manifests"


def objects(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all((MANIFESTS / name).read_text("utf-8"))
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.fixture(scope="module")
def hello_world() -> dict[tuple[str, str], dict[str, Any]]:
    return objects("hello-world.yaml")


def test_the_app_in_the_config_map_is_the_app(
    hello_world: dict[tuple[str, str], dict[str, Any]],
) -> None:
    found = hello_world["ConfigMap", "hello-world-app"]["data"]
    assert found == sources(), "stale: run `make docs`"
    text = MANIFEST.read_text("utf-8")
    assert with_app(text, sources()) == text
    assert len(text) < 1_000_000  # a ConfigMap holds at most 1 MiB


def test_what_is_in_it(hello_world: dict[tuple[str, str], dict[str, Any]]) -> None:
    assert list(hello_world) == [
        ("Namespace", "hello-world"),
        ("ConfigMap", "hello-world-app"),
        ("Service", "hello-world"),
        ("Deployment", "hello-world-v1"),
        ("Deployment", "hello-world-v2"),
    ]
    assert hello_world["Namespace", "hello-world"]["metadata"]["labels"] == {
        "istio-injection": "enabled"
    }
    for key, document in hello_world.items():
        if key[0] != "Namespace":
            assert document["metadata"]["namespace"] == "hello-world"


def test_the_service_leads_to_both_versions(
    hello_world: dict[tuple[str, str], dict[str, Any]],
) -> None:
    service = hello_world["Service", "hello-world"]["spec"]
    assert service["selector"] == {"app": "hello-world"}
    assert service["ports"] == [{"name": "http", "port": 80, "targetPort": 8080}]


def test_nothing_names_the_port_of_the_controls() -> None:
    found = [MANIFEST, *sorted((MANIFESTS / "12_capstone").rglob("*.yaml"))]
    assert len(found) > 5
    for path in found:
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            if document and document["kind"] != "ConfigMap":
                assert str(CONTROL_PORT) not in yaml.safe_dump(document), path


@pytest.mark.parametrize(("version", "replicas"), [("v1", 2), ("v2", 1)])
def test_a_deployment_for_each_version(
    hello_world: dict[tuple[str, str], dict[str, Any]], version: str, replicas: int
) -> None:
    deployment = hello_world["Deployment", f"hello-world-{version}"]
    labels = {"app": "hello-world", "version": version}
    spec = deployment["spec"]
    assert spec["replicas"] == replicas
    assert deployment["metadata"]["labels"] == spec["selector"]["matchLabels"] == labels
    assert spec["template"]["metadata"]["labels"] == labels
    (container,) = spec["template"]["spec"]["containers"]
    assert (container["name"], container["image"]) == ("hello-world", "python:3.13-alpine")
    assert container["command"] == ["python3", "-u", "/app/app.py"]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": 8080}
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert env == {"VERSION": version, "POD_NAME": None}


def test_the_deployments_differ_in_version_and_replicas_only(
    hello_world: dict[tuple[str, str], dict[str, Any]],
) -> None:
    one, two = (
        yaml.safe_dump(hello_world["Deployment", f"hello-world-{version}"])
        for version in ("v1", "v2")
    )
    assert one.replace("v1", "v2").replace("replicas: 2", "replicas: 1") == two.replace(
        "apps/v1", "apps/v2"
    )


def test_the_client() -> None:
    found = objects("client.yaml")
    assert list(found) == [("Deployment", "client")]
    deployment = found["Deployment", "client"]
    assert deployment["metadata"]["namespace"] == "hello-world"
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["command"]) == (
        "curlimages/curl:8.15.0",
        ["sleep", "infinity"],
    )


@pytest.mark.parametrize("name", ["hello-world.yaml", "client.yaml"])
def test_it_is_valid(name: str) -> None:
    from labkit.resources import load

    assert load(MANIFESTS / name)

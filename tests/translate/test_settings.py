"""MeshConfig: what istiod makes of it, and a fate for each of its fields."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.cli import main
from labkit.cli.manifests.translate import config_dump, pod_of
from labkit.errors import LabkitError, ParseError, UnsupportedError, ValidationError
from labkit.resources import Resource, mesh_config
from labkit.translate import gateway_config, registry_of, sidecar_config
from labkit.translate.settings import (
    DONE,
    HARMLESS,
    REFUSED,
    WITHOUT_EFFECT,
    settings,
    without_effect,
)
from tests.each import assert_each

from .recorded import filled
from .test_any_names import HTTP, parts, whole

RECORD = Path(__file__).parent / "data" / "mesh-config.json"


@cache
def record() -> Any:
    return json.loads(RECORD.read_text())


def further(dump: Any) -> dict[str, Any]:
    """What `whole` leaves out and a MeshConfig changes: HTTP options with their empty parts, how
    paths are normalised, how long a protocol is waited for."""
    found: dict[str, Any] = {}
    for item in parts(dump, "Clusters", "dynamic_active_clusters"):
        options = (item["cluster"].get("typed_extension_protocol_options") or {}).get(HTTP)
        if options and "|" in item["cluster"]["name"]:
            found[item["cluster"]["name"]] = {k: v for k, v in options.items() if k != "@type"}
    for item in parts(dump, "Listeners", "dynamic_listeners"):
        listener = item["active_state"]["listener"]
        managers = {json.dumps(each) for each in paths_of(listener)}
        timeout = listener.get("listener_filters_timeout")
        if managers:
            found[listener["name"]] = [sorted(managers), timeout]
    return found


def paths_of(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, dict):
        if "http_filters" in value:
            fields = ("normalize_path", "merge_slashes", "path_with_escaped_slashes_action")
            yield [value.get(field) for field in fields]
        for each in value.values():
            yield from paths_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from paths_of(each)


def ours(config: Any, proxy: str) -> dict[str, Any]:
    objects = [Resource(copy.deepcopy(body)) for body in record()["objects"]]
    registry = registry_of([*objects, mesh_config.config_map(mesh_config.checked(config))])
    made = (
        gateway_config(registry)
        if proxy == "gateway"
        else sidecar_config(registry, pod_of(registry, proxy))
    )
    dump = config_dump(made, registry)
    return {**whole(dump), "extra": further(dump)}


@pytest.mark.parametrize("proxy", ["gateway", "sidecar:shop/web"])
def test_a_mesh_config_does_what_it_does_in_istiod(proxy: str) -> None:
    def holds(case: Any) -> None:
        found = filled(ours(case["config"], proxy))
        assert found == filled(record()["proxies"][proxy], case["changes"], proxy)

    assert_each(record()["cases"].items(), holds)


def test_each_field_has_one_fate() -> None:
    known = mesh_config.schema()
    fields = set()
    for name, part in known.root["properties"].items():
        inner = known.resolve(part).get("properties", {})
        if name in ("defaultConfig", "outboundTrafficPolicy"):
            fields |= {f"{name}.{field}" for field in inner}
        else:
            fields.add(name)
    fates = [*DONE, *REFUSED, *WITHOUT_EFFECT]
    assert len(fates) == len(set(fates))
    assert set(fates) == fields
    assert set(HARMLESS) <= set(REFUSED)


def test_a_field_that_is_done_changes_what_proxies_get() -> None:
    changed = {path.split(".")[0] for path in DONE}
    tried = {
        next(iter(case["config"]))
        for case in record()["cases"].values()
        if case["changes"] and len(case["config"]) == 1
    }
    assert changed - {"dnsRefreshRate"} == tried  # nothing of the recording looks names up


def test_names_are_looked_up_as_often_as_the_mesh_says() -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "api", "namespace": "shop"},
        "spec": {
            "hosts": ["api.example.com"],
            "resolution": "DNS",
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
        },
    }
    mesh = mesh_config.config_map(mesh_config.checked({"dnsRefreshRate": "7s"}))
    (cluster,) = gateway_config(registry_of([Resource(entry), mesh])).clusters
    assert cluster["dns_refresh_rate"] == "7s"


def sample(part: Any) -> Any:
    """Some value of a field, of the type that its schema asks for."""
    part = mesh_config.schema().resolve(part)
    if "enum" in part:
        return part["enum"][-1]
    match part["type"]:
        case "string":
            return "7s" if "x-kubernetes-validations" in part else "some"
        case "boolean":
            return True
        case "array":
            return [sample(part["items"])]
        case "object":
            fields = part.get("properties", {})
            rest = part.get("additionalProperties", {"type": "string"})
            return {name: sample(inner) for name, inner in list(fields.items())[:1]} or {
                "a": sample(rest)
            }
        case _:
            return 7


def one_field(path: str) -> Any:
    *above, name = path.split(".")
    part = mesh_config.schema().root
    for step in (*above, name):
        part = mesh_config.schema().resolve(part)["properties"][step]
    config: Any = {name: sample(part)}
    for step in reversed(above):
        config = {step: config}
    return config


def test_a_field_that_is_refused_is_named_and_one_without_effect_too() -> None:
    def refused(path: str) -> None:
        config = mesh_config.checked(one_field(path))
        with pytest.raises(UnsupportedError, match=path):
            settings(config)

    def silent(path: str) -> None:
        config = mesh_config.checked(one_field(path))
        settings(config)
        (line,) = without_effect(config)
        assert line.startswith(f"{path}: without effect here: ")

    assert_each(((path, path) for path in REFUSED), refused)
    assert_each(((path, path) for path in WITHOUT_EFFECT), silent)
    for path, values in HARMLESS.items():
        *above, name = path.split(".")
        for value in values:
            config: Any = {name: value}
            for step in reversed(above):
                config = {step: config}
            settings(mesh_config.checked(config))


REGISTRY_ONLY = {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}}
FORMS = {
    "bare": REGISTRY_ONLY,
    "values of Helm": {"meshConfig": REGISTRY_ONLY, "pilot": {"cni": {"enabled": True}}},
    "operator": {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "spec": {
            "profile": "minimal",
            "values": {"meshConfig": {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}},
            "meshConfig": REGISTRY_ONLY,
        },
    },
    "Sail's Istio": {
        "apiVersion": "sailoperator.io/v1",
        "kind": "Istio",
        "spec": {"values": {"meshConfig": REGISTRY_ONLY}},
    },
    "ConfigMap": mesh_config.config_map(REGISTRY_ONLY).body,
    "as protocol buffers have it": {"outbound_traffic_policy": {"mode": "REGISTRY_ONLY"}},
    "with a null": {**REGISTRY_ONLY, "rootNamespace": None},
}


@pytest.mark.parametrize("form", FORMS)
def test_a_mesh_config_is_found_where_people_write_it(form: str) -> None:
    assert mesh_config.read(yaml.safe_dump(FORMS[form]), "mesh.yaml") == REGISTRY_ONLY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("outboundTraficPolicy: {}", "mesh.yaml:1: outboundTraficPolicy.*outboundTrafficPolicy"),
        ("meshConfig:\n  connectTimeout: 5", "mesh.yaml:2: connectTimeout.*did you mean `5s`"),
        ("a: 1\n---\nb: 2", "2 of them"),
        ("kind: Deployment", "0 of them"),
        ("[1]", "0 of them"),
        ("defaultConfig: {drainDuration: 1d}", "did you mean `24h`"),
        ("connectTimeout: 2h", "1ms to 1h"),
        ("protocolDetectionTimeout: 1us", "not whole milliseconds"),
        (
            "kind: ConfigMap\ndata:\n  mesh: |\n    a: 1\n    rootNamespace: 7\n",
            "mesh.yaml:5: root",
        ),
        ("kind: ConfigMap\ndata:\n  mesh: |\n    a: [\n", "mesh.yaml"),
        ("outboundTrafficPolicy: REGISTRY_ONLY", "a block of fields"),
    ],
)
def test_what_is_wrong_in_a_mesh_config_is_said(text: str, said: str) -> None:
    with pytest.raises((ParseError, ValidationError), match=said):
        mesh_config.read(text, "mesh.yaml")


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("connectTimeout=3s", {"connectTimeout": "3s"}),
        ("meshConfig.rootNamespace=0100", {"rootNamespace": "0100"}),
        ("enableTracing=false", {"enableTracing": False}),
        ("defaultServiceExportTo={., a}", {"defaultServiceExportTo": [".", "a"]}),
        ("defaultServiceExportTo=[a]", {"defaultServiceExportTo": ["a"]}),
        ("defaultServiceExportTo[1]=a", {"defaultServiceExportTo": [{}, "a"]}),
        (
            "defaultHttpRetryPolicy.attempts=4",
            {"defaultHttpRetryPolicy": {"attempts": 4}},
        ),
        (
            r"defaultConfig.proxyMetadata.A\.B=1",
            {"defaultConfig": {"proxyMetadata": {"A.B": "1"}}},
        ),
        ("access_log_file=/x=y", {"accessLogFile": "/x=y"}),
    ],
)
def test_set_writes_one_field(assignment: str, value: Any) -> None:
    assert mesh_config.with_setting({}, assignment) == value


@pytest.mark.parametrize("assignment", ["", "=", "a", "a..b=1", ".a=1", "a[99999]=1", "[0]=1"])
def test_what_is_no_assignment_is_refused(assignment: str) -> None:
    with pytest.raises(LabkitError):
        mesh_config.checked(mesh_config.with_setting({}, assignment))


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["translate", *words])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


HELLO = str(Path(__file__).parents[2] / "manifests" / "hello-world.yaml")
ROUTES = ("routes", "--proxy", "sidecar:hello-world-v1", HELLO)


def test_the_command_line_takes_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mode = "outboundTrafficPolicy.mode="
    file = tmp_path / "mesh.yaml"
    file.write_text(
        yaml.safe_dump({"meshConfig": {**REGISTRY_ONLY, "accessLogFile": "/dev/stdout"}})
    )
    assert "block_all" not in run(capsys, *ROUTES)[1]
    assert "block_all" in run(capsys, *ROUTES, "--set", f"{mode}REGISTRY_ONLY")[1]
    status, out, err = run(capsys, *ROUTES, "--mesh-config", str(file))
    assert (status, "block_all" in out) == (0, True)
    assert "accessLogFile: without effect here" in err
    later = ("--mesh-config", str(file), "--set", f"{mode}ALLOW_ANY")
    assert "block_all" not in run(capsys, *ROUTES, *later)[1]
    file.write_text(yaml.safe_dump(FORMS["ConfigMap"]))
    assert "block_all" in run(capsys, *ROUTES, str(file))[1]  # as among other manifests
    status, out, err = run(capsys, *ROUTES, "--set", f"{mode}REGISTRYONLY")
    assert (status, out) == (1, "")
    assert "did you mean `REGISTRY_ONLY`?" in err

"""`labkit translate` prints what a proxy is given, in the shape in which configurations are
compared.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from labkit.cli import main

DATA = Path(__file__).parent.parent / "translate" / "data" / "istiod"


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return found


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["translate", *words])
    return int(stop.value.code or 0)


@pytest.mark.parametrize("proxy", ["gateway", "sidecar:client", "sidecar:hello-world-v1"])
def test_a_json_list_of_objects(
    proxy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = record("canary")
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(case["objects"]))
    assert run("--proxy", proxy, str(file)) == 0
    assert json.loads(capsys.readouterr().out) == case["proxies"][proxy]


def test_yaml_from_several_files_and_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = record("subsets")
    folder = tmp_path / "rules"
    folder.mkdir()
    documents = [json.dumps(o) for o in case["objects"]]  # JSON is YAML
    (tmp_path / "base.yaml").write_text("\n---\n".join(documents[:6]) + "\n")
    (folder / "rest.yaml").write_text("\n---\n".join(documents[6:]) + "\n")
    assert run("--proxy", "gateway", str(tmp_path / "base.yaml"), str(folder)) == 0
    assert json.loads(capsys.readouterr().out) == case["proxies"]["gateway"]


@pytest.mark.parametrize("as_list", [True, False])
def test_standard_input(
    as_list: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = record("random")
    text = (
        json.dumps(case["objects"])
        if as_list
        else "\n---\n".join(map(json.dumps, case["objects"])) + "\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run("--proxy", "sidecar:client", "-") == 0
    assert json.loads(capsys.readouterr().out) == case["proxies"]["sidecar:client"]


@pytest.mark.parametrize("proxy", ["sidecar:nobody", "sidecar", "ingress", "sidecar:other/client"])
def test_an_unknown_proxy_is_named_with_those_that_exist(
    proxy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(record("random")["objects"]))
    assert run("--proxy", proxy, str(file)) == 1
    said = capsys.readouterr().err
    assert proxy in said
    assert "sidecar:hello-world-v1" in said


def test_a_namespace_may_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = record("random")
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(case["objects"]))
    assert run("--proxy", "sidecar:hello-world/client", str(file)) == 0
    assert json.loads(capsys.readouterr().out) == case["proxies"]["sidecar:client"]


def test_what_is_not_supported_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": "external", "namespace": "hello-world"},
        "spec": {
            "hosts": ["*.example.com"],
            "resolution": "DYNAMIC_DNS",
            "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
        },
    }
    file = tmp_path / "objects.json"
    file.write_text(json.dumps([*record("random")["objects"], entry]))
    assert run("--proxy", "gateway", str(file)) == 1
    assert "ServiceEntry hello-world/external, spec.resolution" in capsys.readouterr().err


def test_what_the_api_server_would_refuse_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = record("random")["objects"]
    objects[-1]["spec"]["trafficPolicy"]["loadBalancer"]["simple"] = "RANDOMLY"
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(objects))
    assert run("--proxy", "gateway", str(file)) == 1
    captured = capsys.readouterr()
    assert "RANDOMLY" in captured.err
    assert captured.out == ""


def test_broken_json_says_where_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "objects.json"
    file.write_text("[{]")
    assert run("--proxy", "gateway", str(file)) == 1
    assert "objects.json" in capsys.readouterr().err


def test_what_has_no_effect_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
        "spec: {sessionAffinity: ClientIP, ports: [{port: 80}]}\n"
    )
    assert run("--proxy", "gateway", str(file)) == 0
    told = capsys.readouterr().err
    assert "Service web, spec.sessionAffinity: without effect here: Envoy chooses the pod" in told

"""Inputs with ServiceEntry and Sidecar that a real istiod was given on a cluster.

Its pods were in three places, by the label `istio-locality`, which is refused here: it is left out,
and of the recording where an endpoint is.

And an egress gateway: a Deployment whose pods are gateways by injection, in a namespace of its own.
What istiod's own translation made of that is in `data/egress.json`, recorded by its program, which
takes a Deployment NAME-istio for the gateway NAMESPACE/NAME.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from labkit.cli import main
from labkit.cli.manifests.translate import config_dump
from labkit.errors import UnsupportedError
from labkit.resources import load
from labkit.translate import gateway_config, registry_of, sidecar_config
from tests.translate.recorded import differences
from tests.translate.test_any_names import whole

DATA = Path(__file__).parent / "data" / "domain"
NAMES = sorted(path.stem for path in DATA.glob("*.json"))
PLACE = "istio-locality"
EGRESS = json.loads((DATA.parent / "egress.json").read_text("utf-8"))


def in_one_place(objects: list[Any]) -> list[Any]:
    found = copy.deepcopy(objects)
    for each in found:
        if each["kind"] == "Deployment":
            each["spec"]["template"]["metadata"]["labels"].pop(PLACE, None)
    return found


def without_places(proxy: Any) -> Any:
    """What istiod gave a proxy, with the endpoints of a cluster in one group."""
    endpoints = {}
    for name, groups in proxy["endpoints"].items():
        assert not any(group.get("priority") for group in groups)
        pods = sorted(pod for group in groups for pod in group["pods"])
        whole_weight = sum(group["weight"] for group in groups)
        endpoints[name] = [{"pods": pods, "weight": whole_weight}] if pods else []
    return {**proxy, "endpoints": endpoints}


def test_there_are_recordings() -> None:
    assert len(NAMES) == 4


@pytest.mark.parametrize("name", NAMES)
def test_every_proxy_gets_what_istiod_gave_it(name: str) -> None:
    case = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    with pytest.raises(UnsupportedError, match=PLACE):
        registry_of(load(case["objects"]))
    registry = registry_of(load(in_one_place(case["objects"])))
    for proxy, expected in case["proxies"].items():
        workload = proxy.partition(":")[2]
        config = (
            sidecar_config(registry, next(p for p in registry.pods if p.workload == workload))
            if workload
            else gateway_config(registry)
        )
        found = whole(config_dump(config, registry))
        assert list(differences(without_places(expected), found)) == []


def translated(proxy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    file = tmp_path / "objects.json"
    file.write_text(json.dumps(EGRESS["objects"]))
    with pytest.raises(SystemExit):
        main(["translate", "--proxy", proxy, str(file), "-o", "config_dump"])
    said = capsys.readouterr()
    return said.out, said.err


@pytest.mark.parametrize("proxy", EGRESS["proxies"])
def test_an_egress_gateway_gets_what_istiod_gives_it(
    proxy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = translated(proxy, tmp_path, capsys)
    found = whole(json.loads(out))
    assert list(differences(EGRESS["proxies"][proxy], found)) == []
    assert found["routes"]


def test_an_egress_gateway_is_no_sidecar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, error = translated("sidecar:eg-istio", tmp_path, capsys)
    assert "gateway:eg-istio" in error

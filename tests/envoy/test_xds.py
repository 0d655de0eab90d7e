"""The files of a configuration: staged so that nothing is ever missing, moved whole."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labkit.envoy.admin import Held, parse_held
from labkit.envoy.xds import XdsFolder, file_name, files_of
from labkit.envoy.xds import subscriptions as subscriptions_of


@dataclass
class Config:
    clusters: list[dict[str, Any]] = field(default_factory=list)
    endpoints: list[dict[str, Any]] = field(default_factory=list)
    routes: list[dict[str, Any]] = field(default_factory=list)
    listeners: list[dict[str, Any]] = field(default_factory=list)


def config(*names: str, route: str = "r1", port: int = 1) -> Config:
    rds = {"route_config_name": "routes", "config_source": {"ads": {}}}
    listener = {"name": "l", "filter_chains": [{"filters": [{"typed_config": {"rds": rds}}]}]}
    return Config(
        clusters=[{"name": n, "type": "EDS"} for n in names],
        endpoints=[{"cluster_name": n, "endpoints": [{"port": port}]} for n in names],
        routes=[{"name": "routes", "virtual_hosts": [{"name": route}]}],
        listeners=[listener],
    )


def subscriptions(steps: list[list[Any]]) -> list[list[str]]:
    return [[f.subscription for f in step] for step in steps]


def test_at_first_clusters_and_endpoints_then_routes_and_listeners(tmp_path: Path) -> None:
    xds = XdsFolder(tmp_path)
    steps = xds.stage(config("a"))
    assert subscriptions(steps) == [["eds a", "cds"], ["rds routes", "lds"]]
    for step in steps:
        xds.move(step)
    assert json.loads((tmp_path / "cds.json").read_text())["version_info"] == "1"
    assert json.loads((tmp_path / file_name("rds", "routes")).read_text())["version_info"] == "2"
    assert not list(tmp_path.glob("*.new"))


def test_clusters_and_listeners_are_pointed_to_files_of_their_own(tmp_path: Path) -> None:
    asked = config("a", "b")
    before = copy.deepcopy(asked)
    asked.clusters.append({"name": "fixed", "type": "STATIC"})
    files = files_of(asked, tmp_path)
    assert subscriptions_of(asked) == files.keys()
    first, second, third = files["cds"].resources
    sources = [c["eds_cluster_config"]["eds_config"]["path_config_source"] for c in (first, second)]
    assert sources == [{"path": str(files[f"eds {name}"].path)} for name in ("a", "b")]
    assert files["eds a"].path != files["eds b"].path
    assert third == {"name": "fixed", "type": "STATIC"}
    (listener,) = files["lds"].resources
    rds = listener["filter_chains"][0]["filters"][0]["typed_config"]["rds"]
    assert rds["route_config_name"] == "routes"
    assert rds["config_source"]["path_config_source"] == {"path": str(files["rds routes"].path)}
    assert (asked.clusters[:2], asked.listeners) == (before.clusters, before.listeners)


def test_file_names_differ_where_names_differ() -> None:
    names = [
        "outbound|80|v1|a",
        "outbound|80|v1_a|",
        "outbound|80_v1|a|",
        "OUTBOUND|80|v1|a",
        "x" * 300,
        "x" * 301,
    ]
    files = {file_name("eds", name).lower() for name in names}
    assert len(files) == len(names)
    assert all("/" not in file and len(file) < 120 for file in files)


@pytest.fixture
def settled(tmp_path: Path) -> XdsFolder:
    xds = XdsFolder(tmp_path)
    for step in xds.stage(config("a", "b")):
        xds.move(step)
    return xds


def test_the_same_again_changes_nothing(settled: XdsFolder, tmp_path: Path) -> None:
    assert settled.stage(config("a", "b")) == []


def test_only_what_differs_is_moved(settled: XdsFolder, tmp_path: Path) -> None:
    assert subscriptions(settled.stage(config("a", "b", route="r2"))) == [["rds routes"]]
    assert subscriptions(settled.stage(config("a", "b", port=2))) == [["eds a", "eds b"]]


def test_a_cluster_leaves_only_after_the_routes_that_used_it(
    settled: XdsFolder, tmp_path: Path
) -> None:
    new = config("a", route="r2")
    steps = settled.stage(new)
    assert subscriptions(steps) == [["rds routes"], ["cds"]]
    for step in steps:
        settled.move(step)
    settled.forget(new)
    assert not (tmp_path / file_name("eds", "b")).exists()
    assert (tmp_path / file_name("eds", "a")).exists()
    assert settled.versions.keys() == {"cds", "lds", "eds a", "rds routes"}


def test_a_cluster_replaced_by_another_is_there_until_the_end(
    settled: XdsFolder, tmp_path: Path
) -> None:
    first, last = settled.stage(config("a", "c"))
    names = [
        [c["name"] for c in f.resources]
        for step in (first, last)
        for f in step
        if f.subscription == "cds"
    ]
    assert names == [["a", "c", "b"], ["a", "c"]]


def test_what_an_envoy_holds_is_read_from_its_statistics() -> None:
    text = """cluster.outbound|80||a.b.svc.cluster.local.version_text: "4"
cluster_manager.cds.version_text: "3"
http.outbound_0.0.0.0_8080.rds.http.8080.version_text: "5"
listener_manager.lds.version_text: ""
cluster.outbound|80||a.b.svc.cluster.local.update_rejected: 1
cluster_manager.cds.update_rejected: 2
cluster_manager.warming_clusters: 0
listener_manager.total_listeners_warming: 1
"""
    versions = {
        "eds outbound|80||a.b.svc.cluster.local": "4",
        "cds": "3",
        "rds http.8080": "5",
        "lds": "",
    }
    assert parse_held(text) == Held(versions, rejected=3, warming=1)

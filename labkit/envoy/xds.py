"""The files an Envoy reads its configuration from, replaced one whole file at a time.

Envoy takes a new file only when it is *moved* into place, and never sees half of one. Each file is
a DiscoveryResponse with a version; Envoy says which version of each it holds, and so a change can
be followed until it is in force.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Message = Mapping[str, Any]

TYPES = {
    "cds": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "eds": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "rds": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "lds": "type.googleapis.com/envoy.config.listener.v3.Listener",
}


class Config(Protocol):
    """The configuration of one proxy: Envoy's own messages, as JSON-able values."""

    @property
    def clusters(self) -> Sequence[Message]: ...
    @property
    def endpoints(self) -> Sequence[Message]: ...
    @property
    def routes(self) -> Sequence[Message]: ...
    @property
    def listeners(self) -> Sequence[Message]: ...


@dataclass(frozen=True)
class File:
    """One subscription: what Envoy calls it ("cds", "eds CLUSTER", "rds ROUTE", "lds"), its file
    and its content.
    """

    subscription: str
    path: Path
    resources: tuple[Message, ...]


def files_of(config: Config, folder: Path) -> dict[str, File]:
    """The files of a configuration by subscription. Endpoints and routes go where their cluster or
    listener says, one each: a subscription by file hands Envoy everything in the file, and Envoy
    wants just one there."""
    files = {
        "cds": File("cds", folder / "cds.json", tuple(config.clusters)),
        "lds": File("lds", folder / "lds.json", tuple(config.listeners)),
    }
    endpoints = {str(e["cluster_name"]): e for e in config.endpoints}
    for cluster in config.clusters:
        source = cluster.get("eds_cluster_config")
        if source:
            name = str(source.get("service_name") or cluster["name"])
            path = Path(source["eds_config"]["path_config_source"]["path"])
            files[f"eds {name}"] = File(
                f"eds {name}", path, (endpoints.get(name, {"cluster_name": name}),)
            )
    routes = {str(r["name"]): r for r in config.routes}
    for name, path in route_files(config.listeners):
        subscription = f"rds {stat_name(name)}"
        files[subscription] = File(subscription, path, (routes[name],))
    return files


def stat_name(name: str) -> str:
    """A name as Envoy's counters have it, where the version that it holds is found: a colon splits
    parts of them.

    >>> stat_name("hello-world.hello-world.svc.cluster.local:80")
    'hello-world.hello-world.svc.cluster.local_80'
    """
    return name.replace(":", "_")


def route_files(listeners: Sequence[Message]) -> Iterator[tuple[str, Path]]:
    """Each route configuration that a listener subscribes to, with its file."""
    for listener in listeners:
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})):
            for network_filter in chain.get("filters", ()):
                rds = network_filter["typed_config"].get("rds")
                if rds:
                    yield (
                        str(rds["route_config_name"]),
                        Path(rds["config_source"]["path_config_source"]["path"]),
                    )


@dataclass
class XdsFolder:
    """The xDS files of one Envoy.

    `stage` gives the steps of a change, in the order in which nothing is ever missing: new clusters
    with their endpoints first, then listeners and routes that use them, and only then are unused
    clusters left out.
    """

    folder: Path
    version: int = 0
    written: dict[str, File] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def stage(self, config: Config) -> list[list[File]]:
        """The files to move into place, in steps; [] when nothing differs from what is there."""
        new = files_of(config, self.folder)
        old_clusters = self.written["cds"].resources if "cds" in self.written else ()
        names = {c["name"] for c in config.clusters}
        leaving = tuple(c for c in old_clusters if c["name"] not in names)
        first = [f for s, f in new.items() if s.startswith("eds ")]
        cds = new["cds"]
        first.append(File("cds", cds.path, cds.resources + leaving) if leaving else cds)
        second = [f for s, f in new.items() if s.startswith("rds ")] + [new["lds"]]
        third = [cds] if leaving else []
        return [
            changed
            for step in (first, second, third)
            if (changed := [f for f in step if self.differs(f)])
        ]

    def differs(self, file: File) -> bool:
        there = self.written.get(file.subscription)
        return there is None or there.resources != file.resources or there.path != file.path

    def move(self, step: Sequence[File]) -> dict[str, str]:
        """Moves one step's files into place; returns the version that each subscription must come
        to hold.
        """
        self.version += 1
        version = str(self.version)
        for file in step:
            write(file, version)
            self.written[file.subscription] = file
            self.versions[file.subscription] = version
        return {file.subscription: version for file in step}

    def forget(self, config: Config) -> None:
        """Removes the files of clusters and routes that are no longer there."""
        keep = files_of(config, self.folder)
        for subscription in self.written.keys() - keep.keys():
            self.written.pop(subscription).path.unlink(missing_ok=True)
            self.versions.pop(subscription, None)


def write(file: File, version: str) -> None:
    """Writes beside the file and moves into place: Envoy watches for moves, and never reads half a
    file.
    """
    kind = TYPES[file.subscription.split(" ", 1)[0]]
    body = {"version_info": version, "resources": [{"@type": kind, **r} for r in file.resources]}
    beside = file.path.with_suffix(".new")
    beside.write_text(json.dumps(body), encoding="utf-8")
    os.replace(beside, file.path)

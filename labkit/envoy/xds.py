"""The files an Envoy reads its configuration from, replaced one whole file at a time.

A configuration says nothing of files: which there are, how they are called and which messages point
to which is decided here alone.

Envoy takes a new file only when it is *moved* into place, and never sees half of one. Each file is
a DiscoveryResponse with a version; Envoy says which version of each it holds, and so a change can
be followed until it is in force.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
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
    """The files of a configuration by subscription.

    Clusters of type EDS and listeners with `rds` are pointed to files in `folder`, whatever source
    of endpoints and routes they name themselves. Each has a file of its own: a subscription by file
    hands Envoy everything in the file, and Envoy wants just one resource there. Raises KeyError
    where a listener asks for routes that the configuration has not.
    """
    endpoints = {str(e["cluster_name"]): e for e in config.endpoints}
    routes = {str(r["name"]): r for r in config.routes}
    own: dict[str, File] = {}
    for name in eds_names(config.clusters):
        subscription = f"eds {name}"
        assignment = endpoints.get(name, {"cluster_name": name})
        own[subscription] = File(subscription, folder / file_name("eds", name), (assignment,))
    for name in rds_names(config.listeners):
        subscription = f"rds {stat_name(name)}"
        own[subscription] = File(subscription, folder / file_name("rds", name), (routes[name],))
    clusters = tuple(with_eds_file(cluster, folder) for cluster in config.clusters)
    listeners = tuple(with_rds_files(listener, folder) for listener in config.listeners)
    return {
        "cds": File("cds", folder / "cds.json", clusters),
        "lds": File("lds", folder / "lds.json", listeners),
        **own,
    }


def subscriptions(config: Config) -> set[str]:
    """What an Envoy subscribes to when it holds a configuration."""
    eds = (f"eds {name}" for name in eds_names(config.clusters))
    rds = (f"rds {stat_name(name)}" for name in rds_names(config.listeners))
    return {"cds", "lds", *eds, *rds}


@lru_cache(maxsize=4096)  # the same few names at each change
def file_name(kind: str, name: str) -> str:
    """The file of a cluster's endpoints ("eds") or of a route configuration ("rds"). Names that
    differ have files that differ, also where a file system takes "A" for "a".

    >>> file_name("eds", "outbound|80|v1|hello-world.hello-world.svc.cluster.local")
    'eds-outbound_80_v1_hello-world.hello-world.svc.cluster.local-….json'
    """
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:80]
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{kind}-{readable}-{digest}.json"


def source(path: Path) -> Message:
    """Envoy's ConfigSource for a file."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def eds_names(clusters: Sequence[Message]) -> Iterator[str]:
    """The clusters whose endpoints come on their own."""
    for cluster in clusters:
        if cluster.get("type") == "EDS":
            yield str(cluster["name"])


def with_eds_file(cluster: Message, folder: Path) -> Message:
    if cluster.get("type") != "EDS":
        return cluster
    name = str(cluster["name"])
    eds = {"service_name": name, "eds_config": source(folder / file_name("eds", name))}
    return {**cluster, "eds_cluster_config": eds}


def rds_names(listeners: Sequence[Message]) -> Iterator[str]:
    """The route configurations that listeners ask for."""
    for listener in listeners:
        for chain in (*listener.get("filter_chains", ()), listener.get("default_filter_chain", {})):
            for network_filter in chain.get("filters", ()):
                rds = network_filter["typed_config"].get("rds")
                if rds:
                    yield str(rds["route_config_name"])


def with_rds_files(listener: Message, folder: Path) -> Message:
    def pointed(network_filter: Message) -> Message:
        config = network_filter["typed_config"]
        if "rds" not in config:
            return network_filter
        name = str(config["rds"]["route_config_name"])
        path = folder / file_name("rds", name)
        rds = {"route_config_name": name, "config_source": source(path)}
        return {**network_filter, "typed_config": {**config, "rds": rds}}

    def chain(before: Message) -> Message:
        return {**before, "filters": [pointed(each) for each in before.get("filters", ())]}

    found = {**listener, "filter_chains": [chain(c) for c in listener.get("filter_chains", ())]}
    if "default_filter_chain" in listener:
        found["default_filter_chain"] = chain(listener["default_filter_chain"])
    return found


def stat_name(name: str) -> str:
    """A name as Envoy's counters have it, where the version that it holds is found: a colon splits
    parts of them.

    >>> stat_name("hello-world.hello-world.svc.cluster.local:80")
    'hello-world.hello-world.svc.cluster.local_80'
    """
    return name.replace(":", "_")


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
        return there is None or there.resources != file.resources

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
        for subscription in self.written.keys() - subscriptions(config):
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

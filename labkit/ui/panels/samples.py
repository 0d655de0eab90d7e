"""What a mesh says of itself at one moment: pods, one proxy's endpoints, its counters, and its
outlier detection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.envoy import dump
from labkit.envoy.admin import EJECTED
from labkit.mesh import Mesh, PodInfo
from labkit.resources.durations import protobuf_seconds
from labkit.waiting import steady_time

COUNTERS = {
    "waiting": "upstream_rq_pending_active",
    "active": "upstream_rq_active",
    "refused": "upstream_rq_pending_overflow",
    "retries": "upstream_rq_retry",
}
EJECTIONS = "outlier_detection.ejections_enforced_total"
PATTERN = (
    r"^cluster\.(outbound\|[^;]+?);?\.("
    + "|".join([*COUNTERS.values(), re.escape(EJECTIONS)])
    + ")$"
)
MEMBER = re.compile(PATTERN)
BASE_S, INTERVAL_S, MOST_S = 30.0, 10.0, 300.0  # Envoy's own, where Istio gives none


@dataclass(frozen=True)
class Endpoint:
    """A pod as one cluster of a proxy knows it, and how many requests it was sent."""

    cluster: str
    pod: str
    version: str
    health: str
    requests: int
    errors: int = 0
    """How many of them came to a 5xx or to no answer."""

    @property
    def ejected(self) -> bool:
        return EJECTED in self.health


@dataclass(frozen=True)
class MeshSample:
    """What a mesh says at one moment, and nothing that was made of it."""

    at: float
    pods: tuple[PodInfo, ...]
    endpoints: tuple[Endpoint, ...]
    counters: Mapping[str, int]
    """By the words in COUNTERS, summed over all clusters of the proxy."""
    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The same of each cluster, by its name and the word."""
    ejections: Mapping[str, int] = field(default_factory=dict)
    """How often a pod was ejected, by cluster."""
    p99_ms: Mapping[str, float] = field(default_factory=dict)
    """What the proxy waited for answers in the last seconds, by cluster."""


@dataclass(frozen=True)
class OutlierSettings:
    """A cluster's outlierDetection, as the proxy was told it."""

    base_s: float = BASE_S
    interval_s: float = INTERVAL_S
    most_s: float = MOST_S

    @property
    def cap_s(self) -> float:
        """The longest stay outside: max_ejection_time, or the base time where that is longer."""
        return max(self.most_s, self.base_s)


def sample(mesh: Mesh, proxy: str = "gateway") -> MeshSample:
    """Asks a mesh: its pods, one proxy's endpoints, and that proxy's counters.

    >>> sample(mesh).counters["refused"]
    0
    """
    stats = mesh.stats(proxy, match=PATTERN)
    words = {counter: word for word, counter in COUNTERS.items()}
    values = {
        (found[1], found[2]): int(value)
        for name, value in zip(stats["stat"], stats["value"], strict=True)
        if (found := MEMBER.match(name)) is not None
    }
    totals = {(cluster, words[name]): n for (cluster, name), n in values.items() if name in words}
    counters = {word: sum(n for (_, own), n in totals.items() if own == word) for word in COUNTERS}
    frame = mesh.endpoints(proxy)
    columns = [
        frame[name] for name in ("cluster", "pod", "version", "health", "requests", "errors")
    ]
    return MeshSample(
        steady_time(),
        tuple(mesh.pods()),
        tuple(
            Endpoint(str(cluster), str(pod), str(version), str(health), int(requests), int(errors))
            for cluster, pod, version, health, requests, errors in zip(*columns, strict=True)
            if pod
        ),
        counters,
        totals,
        {cluster: n for (cluster, name), n in values.items() if name == EJECTIONS},
        mesh.p99_ms(proxy),
    )


def outlier_settings(config: Mapping[str, Any]) -> dict[str, OutlierSettings]:
    """The outlier detection of each cluster in an Envoy's config_dump.

    >>> found = outlier_settings(mesh.config())
    >>> found["outbound|80||hello-world.hello-world.svc.cluster.local"].base_s
    30.0
    """
    found = {}
    for cluster in dump.clusters(config):
        told = cluster.get("outlier_detection")
        if told is not None:
            found[str(cluster.get("name"))] = OutlierSettings(
                seconds(told.get("base_ejection_time"), BASE_S),
                seconds(told.get("interval"), INTERVAL_S),
                seconds(told.get("max_ejection_time"), MOST_S),
            )
    return found


def seconds(text: str | None, default: float) -> float:
    """A field's duration, or what Envoy takes where it has none."""
    return default if text is None else protobuf_seconds(text)

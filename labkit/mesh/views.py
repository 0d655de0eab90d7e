"""What every mesh shows in the same words and columns, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.envoy.admin import HEALTH_FLAGS

if TYPE_CHECKING:
    import pandas as pd

ENDPOINT_COLUMNS = (
    "cluster",
    "subset",
    "pod",
    "version",
    "address",
    "health",
    "weight",
    "requests",
    "errors",
)


def pairs(labels: Mapping[str, str]) -> str:
    """Labels as `kubectl describe` lists them.

    >>> pairs({"app": "shop", "version": "v1"}), pairs({})
    ('app=shop, version=v1', '<none>')
    """
    return ", ".join(f"{k}={v}" for k, v in labels.items()) or "<none>"


@dataclass(frozen=True)
class Backing:
    """The pod behind an endpoint of an Envoy: its address in the mesh, such as "10.244.0.12:8080",
    its name and its version, both "" where no pod is known there.
    """

    address: str
    pod: str = ""
    version: str = ""


def endpoints_frame(
    clusters: Mapping[str, Any],
    backing: Callable[[str, int], Backing],
    shown: Callable[[str], bool] = lambda cluster: True,
) -> pd.DataFrame:
    """Envoy's list of hosts (`/clusters?format=json`) as the frame that `mesh.endpoints` returns.

    `backing` tells the pod behind an address and a port; `shown` which outbound clusters are of
    interest. One row an endpoint: columns ENDPOINT_COLUMNS, the last three as int.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for cluster in clusters.get("cluster_statuses", []):
        name = str(cluster["name"])
        if not name.startswith("outbound|") or not shown(name):
            continue
        for host in cluster.get("host_statuses", []):
            place = host["address"].get("socket_address", {})
            behind = backing(str(place.get("address", "")), int(place.get("port_value", 0)))
            rows.append(
                {
                    "cluster": name,
                    "subset": name.split("|")[2],
                    "pod": behind.pod,
                    "version": behind.version,
                    "address": behind.address,
                    "health": ",".join(against(host.get("health_status", {}))) or "healthy",
                    "weight": int(host.get("weight", 1)),
                    "requests": counted(host, "rq_total"),
                    "errors": counted(host, "rq_error"),
                }
            )
    return pd.DataFrame(rows, columns=list(ENDPOINT_COLUMNS))


def against(health_status: Mapping[str, Any]) -> Iterator[str]:
    """What an Envoy holds against one of its hosts, itself or by what it was told of it."""
    yield from (flag for flag in HEALTH_FLAGS if health_status.get(flag))
    if health_status.get("eds_health_status") not in (None, "HEALTHY"):
        yield str(health_status["eds_health_status"]).lower()


def counted(host: Mapping[str, Any], name: str) -> int:
    """One of the counters that an Envoy has of one of its hosts; each try counts."""
    return next(
        (int(stat.get("value", 0)) for stat in host.get("stats", []) if stat["name"] == name),
        0,
    )

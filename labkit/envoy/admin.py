"""A client of Envoy's administration interface."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from labkit.errors import EnvoyError

EJECTED = "failed_outlier_check"
"""What Envoy says of an ejected endpoint."""
# what an Envoy may hold against a host, by the names of its own flags
HEALTH_FLAGS = (
    EJECTED,
    "failed_active_health_check",
    "failed_active_degraded_check",
    "pending_dynamic_removal",
    "pending_active_hc",
    "excluded_via_immediate_hc_fail",
)

LIVE_S = 1.0  # as the kubelet gives a readiness probe


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class Held:
    """What one Envoy holds now: versions by subscription ("cds", "lds", "rds", or a cluster's name
    for its endpoints), how many updates it has refused, and how many clusters and listeners still
    warm up."""

    versions: dict[str, str]
    rejected: int
    warming: int


# One look says all: Envoy keeps the version of each subscription as a text, the same that its
# config_dump shows, and this costs 1 ms where a config_dump costs 12 (measured).
HELD = r"(version_text|update_rejected|cluster_manager\.warming_clusters|total_listeners_warming)$"


class Admin:
    """Asks one Envoy; keeps one connection open, opens it again when the Envoy was restarted.

    >>> Admin(folder / "admin.sock").held().versions["cds"]
    '3'
    """

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self.connection: UnixConnection | None = None
        self.lock = threading.Lock()

    def request(self, method: str, target: str, *, timeout_s: float | None = None) -> bytes:
        """The body of the answer. Raises OSError when nobody listens (TimeoutError when nobody
        answers in time), EnvoyError when the answer is not 200.
        """
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        # another thread may be waiting for an answer that does not come
        if not self.lock.acquire(timeout=timeout_s):
            raise TimeoutError("Envoy's administration is busy with another request")
        try:
            for fresh in (False, True):
                if self.connection is None or fresh:
                    self.drop()
                    self.connection = UnixConnection(str(self.path), timeout_s)
                elif self.connection.sock is not None:
                    self.connection.sock.settimeout(timeout_s)
                try:
                    self.connection.request(method, target)
                    response = self.connection.getresponse()
                    body = response.read()
                    break
                except TimeoutError:  # it listens and does not answer: a fresh one would wait too
                    self.drop()
                    raise
                except (OSError, http.client.HTTPException):
                    # a connection kept from before a restart is dead: one fresh try tells the truth
                    self.drop()
                    if fresh:
                        raise
            if response.status != 200:
                raise EnvoyError(
                    f"Envoy's administration answered {response.status} to {target}",
                    seen=body.decode(errors="replace"),
                )
            return body
        finally:
            self.lock.release()

    def close(self) -> None:
        """Closes the connection, once nobody is using it."""
        with self.lock:
            self.drop()

    def drop(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def live(self) -> bool:
        """Whether this Envoy has started and serves."""
        try:
            return self.request("GET", "/ready", timeout_s=LIVE_S).startswith(b"LIVE")
        except (OSError, http.client.HTTPException, EnvoyError):
            return False

    def held(self, *, timeout_s: float | None = None) -> Held:
        """What this Envoy holds now (see Held)."""
        target = f"/stats?filter={quote(HELD)}"
        return parse_held(self.request("GET", target, timeout_s=timeout_s).decode())

    def stats(self, match: str = "") -> dict[str, int]:
        """Counters and gauges by name; `match` is a regular expression for the names."""
        target = "/stats?format=json" + (f"&filter={quote(match)}" if match else "")
        rows = json.loads(self.request("GET", target))["stats"]
        return {row["name"]: row["value"] for row in rows if isinstance(row.get("value"), int)}

    def percentiles(self, match: str, percentile: float = 99.0) -> dict[str, float]:
        """One percentile of each histogram of the last five seconds by name, of those in which
        something was counted; `match` is a regular expression for the names.

        >>> admin.percentiles("upstream_rq_time$")
        {'cluster.outbound|80||shop.shop.svc.cluster.local.upstream_rq_time': 4.05}
        """
        target = f"/stats?format=json&type=Histograms&filter={quote(match)}"
        rows = json.loads(self.request("GET", target))["stats"]
        found: dict[str, float] = {}
        for told in (row["histograms"] for row in rows if "histograms" in row):
            levels = told.get("supported_quantiles") or []
            for one in told.get("computed_quantiles") or [] if percentile in levels else []:
                value = one["values"][levels.index(percentile)].get("interval")
                if value is not None:
                    found[str(one["name"])] = float(value)
        return found

    def clusters(self) -> dict[str, Any]:
        """Envoy's own list of clusters and their hosts, with health flags and ejections."""
        answer: dict[str, Any] = json.loads(self.request("GET", "/clusters?format=json"))
        return answer

    def config_dump(self) -> dict[str, Any]:
        """Everything this Envoy was told, with endpoints."""
        answer: dict[str, Any] = json.loads(self.request("GET", "/config_dump?include_eds"))
        return answer

    def runtime_modify(self, settings: Mapping[str, object]) -> None:
        """Overrides values of this Envoy's runtime until it ends; an empty text takes one back."""
        self.request(
            "POST",
            "/runtime_modify?" + urlencode({key: str(value) for key, value in settings.items()}),
        )


STAT = re.compile(r'^(?P<name>.+?): "?(?P<value>[^"]*)"?$')
RDS = re.compile(r"^http\..+?\.rds\.(?P<route>.+)\.version_text$")


def parse_held(text: str) -> Held:
    versions: dict[str, str] = {}
    rejected = warming = 0
    for line in text.splitlines():
        found = STAT.match(line)
        if not found:
            continue
        name, value = found["name"], found["value"]
        if name.endswith("version_text"):
            if name == "cluster_manager.cds.version_text":
                versions["cds"] = value
            elif name == "listener_manager.lds.version_text":
                versions["lds"] = value
            elif route := RDS.match(name):
                versions[f"rds {route['route']}"] = value
            elif name.startswith("cluster."):
                versions[f"eds {name.removeprefix('cluster.').removesuffix('.version_text')}"] = (
                    value
                )
        elif name.endswith("update_rejected"):
            rejected += int(value)
        else:
            warming += int(value)
    return Held(versions, rejected, warming)

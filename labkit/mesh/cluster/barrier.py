"""The config barrier: waits until Envoys hold what was applied. It stands in for the removed
`istioctl x wait`.

Istio has no call that says "this object has arrived". So labkit sends a marker after the objects: a
route of its own whose text carries a number. istiod gathers changes for 0.1 s and pushes them
together, to each proxy clusters first, then endpoints, listeners and routes; all routes of one push
come in one answer. A proxy whose routes have the new number therefore has everything that was
written before it.

The marker lives in the namespace of the run (see ledger.py): a Gateway on a port that no Service
leads to, and a VirtualService for that Gateway and for the sidecars, for a host that nobody calls.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import quote

from labkit.envoy import dump
from labkit.errors import ConfigRejected, TrafficError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.streams import PodClient
from labkit.mesh.cluster.proxies import PodAdmin, Proxies
from labkit.resources import Resource, istio, kinds
from labkit.traffic import ID_HEADER
from labkit.waiting import wait_until

PORT = 15999
DOMAIN = "labkit.internal"
# only the routes that the marker may be in, which takes half as long as all: the gateway's own, and
# the sidecars' for hosts that are no Service's
ROUTES = f"/config_dump?resource={dump.ROUTES}&name_regex=" + quote(rf"^(80|http\.{PORT})$")
REJECTED = "/stats?format=json&type=Counters&usedonly&filter=" + quote("update_rejected$")


def host_of(run: str) -> str:
    """The host of a run's marker."""
    return f"{run}.{DOMAIN}"


class Barrier:
    """The marker of one mesh, and the waiting for it."""

    def __init__(self, api: Api, proxies: Proxies, run: str, namespace: str) -> None:
        self.api, self.proxies, self.run, self.namespace = api, proxies, run, namespace
        self.host = host_of(run)
        self.number = 0
        self.rejected: dict[str, int] = {}
        self.knocker: PodClient | None = None

    def open(self) -> None:
        """Makes the marker's Gateway, and its first VirtualService."""
        self.api.apply(Resource(self.gateway()))
        self.mark()

    def close(self) -> None:
        """Ends the connection that `knock` keeps open."""
        if self.knocker is not None:
            self.knocker.drop()

    def gateway(self) -> Json:
        """The marker's Gateway: a port of its own, which no Service leads to."""
        port = {"number": PORT, "name": "http-labkit", "protocol": "HTTP"}
        return {
            "apiVersion": kinds.api_version("Gateway"),
            "kind": "Gateway",
            "metadata": {"name": "marker", "namespace": self.namespace},
            "spec": {
                "selector": dict(istio.GATEWAY_SELECTOR),
                "servers": [{"port": port, "hosts": [self.host]}],
            },
        }

    def token(self) -> str:
        """The text of the marker as it is now: the run and a number that grows."""
        return f"{self.run}.{self.number}."

    def mark(self) -> None:
        """Sends the next number."""
        self.number += 1
        answer = {"directResponse": {"status": 200, "body": {"string": self.token()}}}
        body = {
            "apiVersion": kinds.api_version("VirtualService"),
            "kind": "VirtualService",
            "metadata": {"name": "marker", "namespace": self.namespace},
            "spec": {"hosts": [self.host], "gateways": ["marker", "mesh"], "http": [answer]},
        }
        self.api.put(path_of("VirtualService", self.namespace, "marker"), body)

    def wait(
        self, concerned: Mapping[str, Json], began: float, timeout_s: float
    ) -> dict[str, float]:
        """Waits until all proxies concerned hold the present number; how long each took, in ms
        since `began`.

        Raises NotReady with the names of those that are late, ConfigRejected when one refused what
        it was sent.
        """
        token = self.token().encode()
        took: dict[str, float] = {}

        def holds(pod: Json) -> bool:
            return token in self.routes(self.proxies.admin(pod))

        def late() -> str:
            missing = [
                (name, pod)
                for name, pod in concerned.items()
                if name not in took and not holds(pod)
            ]
            return "late: " + ", ".join(
                f"{name} in {pod['metadata']['namespace']}" for name, pod in missing
            )

        def one(name: str, pod: Json) -> None:
            wait_until(
                lambda: holds(pod),
                timeout_s,
                "the proxies to hold it",
                longest_s=0.005,
                explain=late,
            )
            took[name] = (time.monotonic() - began) * 1000

        def other(name: str, pod: Json) -> None:
            one(name, pod)
            self.check_rejections(name, pod)

        # istiod pushes to all at the same time; so one is asked again and again, and the others
        # once it has its routes: to ask all of them all the time keeps the machine from the very
        # work that is waited for
        first, *others = concerned.items()
        one(*first)
        with ThreadPoolExecutor(max_workers=8) as side_by_side:
            pending = [side_by_side.submit(other, name, pod) for name, pod in others]
            pending.append(side_by_side.submit(self.check_rejections, *first))
            for done in pending:
                done.result()
        return took

    def knock(self, gateway: Json, id: str) -> None:
        """One request to the marker, with an x-labkit-id: its entry in the access log comes after
        all earlier ones.
        """
        metadata = gateway["metadata"]
        if self.knocker is None or self.knocker.where[1] != metadata["name"]:
            self.knocker = PodClient(self.api, metadata["namespace"], metadata["name"], PORT)
        self.knocker.request("GET", "/", {"Host": self.host, ID_HEADER: id})

    def routes(self, admin: PodAdmin) -> bytes:
        """The part of an Envoy's config_dump that the marker is in; b"" when it does not answer."""
        try:
            return admin.request("GET", ROUTES)
        except TrafficError:
            # a pod that was just replaced: whether it comes back is the wait's to decide
            return b""

    def check_rejections(self, name: str, pod: Json) -> None:
        """Envoy counts each update that it refused; the reason stands in its config_dump."""
        admin = self.proxies.admin(pod)
        stats = json.loads(admin.request("GET", REJECTED))["stats"]
        count = sum(row["value"] for row in stats if "value" in row)
        before = self.rejected.get(pod["metadata"]["uid"], 0)
        self.rejected[pod["metadata"]["uid"]] = count
        if count > before and (reasons := dump.refusals(admin.config_dump())):
            raise ConfigRejected(
                f"The Envoy of {name} refused the new configuration; the old one is still in force",
                seen="\n".join(reasons),
                try_next="undo or correct the object applied last",
            )

    def wait_endpoints(
        self,
        ready: Callable[[], Mapping[str, set[str]]],
        concerned: Mapping[str, Json],
        timeout_s: float,
    ) -> None:
        """Waits until each proxy sends to exactly the ready pods: `ready` tells, for a cluster,
        their addresses.

        It is asked again whenever a proxy knows others: on a busy machine a pod may fail a probe,
        and come back.
        """
        wanted, seen = ready(), dict[str, set[str]]()

        def right(name: str) -> bool:
            nonlocal wanted, seen
            try:
                seen = healthy(self.proxies.admin(concerned[name]).clusters())
            except TrafficError:
                return False
            if not wrong():
                return True
            wanted = ready()
            return not wrong()

        def wrong() -> list[str]:
            return [
                cluster
                for cluster, addresses in wanted.items()
                if seen.get(cluster, set()) != addresses
            ]

        def explain(name: str) -> str:
            return "\n".join(
                f"{name}, {c}: has {sorted(seen.get(c, set()))}, ready are {sorted(wanted[c])}"
                for c in wrong()
            )

        deadline = time.monotonic() + timeout_s
        for name in concerned:
            left = max(0.0, deadline - time.monotonic())
            wait_until(
                partial(right, name),
                left,
                f"{name} to know the pods",
                explain=partial(explain, name),
            )

    def without_marker(self, config: Json) -> Json:
        """A config_dump without labkit's own marker."""
        return dump.changed(dump.changed(config, dump.LISTENERS, no_marker), dump.ROUTES, no_routes)


def healthy(clusters: Json) -> dict[str, set[str]]:
    """The addresses that an Envoy may send to, by cluster: pods that are not ready stay listed, as
    unhealthy.

    What Envoy itself has ejected counts: it comes back without a word of istiod's.
    """
    found: dict[str, set[str]] = {}
    for cluster in clusters.get("cluster_statuses", []):
        addresses = found.setdefault(str(cluster["name"]), set())
        for host in cluster.get("host_statuses", []):
            if host.get("health_status", {}).get("eds_health_status", "HEALTHY") in (
                "HEALTHY",
                "UNKNOWN",
            ):
                addresses.add(str(host["address"].get("socket_address", {}).get("address", "")))
    return found


def no_marker(listener: Json) -> Json | None:
    """An entry of a config_dump, unless it is the marker's listener."""
    return None if listener["name"].endswith(f"_{PORT}") else listener


def no_routes(entry: Json) -> Json | None:
    """An entry of a config_dump without the virtual hosts of markers; None for the marker's own."""
    config = entry["route_config"]
    if config.get("name") == f"http.{PORT}":
        return None
    hosts = [h for h in config.get("virtual_hosts", []) if DOMAIN not in str(h.get("name"))]
    return {**entry, "route_config": {**config, "virtual_hosts": hosts}}

"""The Envoys of a cluster: which pods have one, and its administration interface through the API
server.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path

from labkit.envoy.admin import Admin
from labkit.errors import EnvoyError, NotFound
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.streams import PodClient
from labkit.mesh.cluster.pods import info, is_terminating
from labkit.mesh.proxies import GATEWAY
from labkit.resources import istio


class PodAdmin(Admin):
    """Envoy's administration interface in a pod; it listens there on loopback only, and a
    port-forward ends there.
    """

    def __init__(self, client: PodClient) -> None:
        super().__init__(Path())
        self.client = client

    def request(self, method: str, target: str, *, timeout_s: float | None = None) -> bytes:
        """As its base says; the time limit is the connection's own."""
        status, body = self.client.request(method, target)
        if status != 200:
            raise EnvoyError(
                f"Envoy's administration answered {status} to {target}",
                seen=body.decode(errors="replace"),
            )
        return body

    def close(self) -> None:
        """Ends the connection."""
        self.client.drop()


class Proxies:
    """Finds proxies by the names that a learner uses, and keeps a connection to each."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.admins: dict[tuple[str, str], PodAdmin] = {}
        self.lock = threading.Lock()

    def admin(self, pod: Json) -> PodAdmin:
        """The administration interface of a pod's Envoy; its connection is kept."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        with self.lock:
            if (namespace, name) not in self.admins:
                self.admins[namespace, name] = PodAdmin(
                    PodClient(self.api, namespace, name, istio.ADMIN_PORT)
                )
            return self.admins[namespace, name]

    def gateways(self) -> list[Json]:
        """The pods of ingress gateways, ready or not."""
        return self.api.list("Pod", labelSelector=istio.GATEWAY_QUERY)

    def gateway(self) -> Json:
        """The ingress gateway's pod; the youngest that is ready, should there be more."""
        pods = self.gateways()
        ready = [p for p in pods if info(p).is_ready and not is_terminating(p)]
        if not ready:
            raise NotFound(
                "This cluster has no ingress gateway that is ready",
                seen=", ".join(f"{p['metadata']['name']} {info(p).status}" for p in pods)
                or f"no pod has the label {istio.GATEWAY_QUERY}",
                try_next="istioctl install --set profile=demo, or kubectl -n istio-system get pods",
            )
        return max(ready, key=lambda p: str(p["metadata"]["creationTimestamp"]))

    def sidecars(self, namespaces: Iterable[str]) -> list[Json]:
        """The pods of these namespaces that have a sidecar and are ready."""
        return [
            pod
            for namespace in sorted(namespaces)
            for pod in self.api.list("Pod", namespace)
            if has_sidecar(pod) and info(pod).is_ready and not is_terminating(pod)
        ]

    def concerned(self, namespaces: Iterable[str]) -> dict[str, Json]:
        """The gateway and the sidecars of these namespaces, by the names that `Applied` shows."""
        return {
            GATEWAY: self.gateway(),
            **{p["metadata"]["name"]: p for p in self.sidecars(namespaces)},
        }

    def forget(self) -> None:
        """Closes every connection."""
        with self.lock:
            for admin in self.admins.values():
                admin.close()
            self.admins.clear()


def has_sidecar(pod: Json) -> bool:
    """Whether one of a pod's containers is Istio's proxy; the gateway's pod has nothing else."""
    spec = pod["spec"]
    return any(
        c["name"] == istio.PROXY for c in [*spec["containers"], *spec.get("initContainers", [])]
    )


def is_counter(name: str, admin: PodAdmin) -> bool:
    """Whether clusters have a counter of this name: that of istiod's own cluster has all but
    outlier detection's.
    """
    return name.startswith("outlier_detection.") or bool(
        admin.stats(rf"^cluster\.xds-grpc;?\.{re.escape(name)}$")
    )

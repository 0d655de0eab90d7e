"""What an apply waits for: rollouts, then the config barrier, then that every proxy knows exactly
the ready pods.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from labkit.jsontypes import Json
from labkit.mesh.cluster.barrier import Barrier
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.objects import ClusterObjects
from labkit.mesh.cluster.pods import info, is_terminating, rolled_out, why_not
from labkit.mesh.cluster.proxies import Proxies
from labkit.resources import istio, kinds
from labkit.resources.model import Key


class Readiness:
    """Waits for the cluster after a change."""

    def __init__(
        self, api: Api, objects: ClusterObjects, proxies: Proxies, barrier: Barrier
    ) -> None:
        self.api, self.objects, self.proxies, self.barrier = api, objects, proxies, barrier

    def settle(
        self, keys: Iterable[Key], began: float, *, wait: bool = True, timeout_s: float = 60.0
    ) -> dict[str, float]:
        """Until the change of these objects is in force; how long each proxy took, in ms since
        `began`.
        """
        keys = list(keys)
        deadline = time.monotonic() + timeout_s
        proxied = [key for key in keys if kinds.of(key[0]).role]
        rollouts = wait and any(kinds.of(key[0]).role in ("workload", "service") for key in proxied)
        if not rollouts and proxied:
            # at once: istiod has a tenth of a second to gather what belongs together
            self.barrier.mark()
        if wait:
            for kind, namespace, name in keys:
                if kind == "Deployment":
                    self.wait_rollout(namespace, name, max(1.0, deadline - time.monotonic()))
        if not proxied:
            return {}
        if rollouts:
            self.barrier.mark()
        concerned = self.proxies.concerned(self.objects.namespaces)
        took = self.barrier.wait(concerned, began, max(5.0, deadline - time.monotonic()))
        if rollouts:
            spaces, left = {key[1] for key in proxied}, max(5.0, deadline - time.monotonic())
            self.barrier.wait_endpoints(lambda: self.ready_addresses(spaces), concerned, left)
        return took

    def wait_rollout(self, namespace: str, name: str, timeout_s: float) -> None:
        """Until all pods of a Deployment are of its newest template and available; else says what
        keeps them.
        """

        def done(found: Mapping[str, Json]) -> bool:
            return name not in found or rolled_out(found[name])

        def explain() -> str:
            pods = self.api.list("Pod", namespace)
            return why_not({p["metadata"]["name"]: p for p in pods if info(p).workload == name})

        path, what = path_of("Deployment", namespace), f"deployment {name!r} to be ready"
        self.api.wait(path, done, timeout_s, what, explain, name=name)

    def ready_addresses(self, namespaces: Iterable[str]) -> dict[str, set[str]]:
        """For each cluster that proxies have of these namespaces' Services, the addresses of the
        ready pods.
        """
        wanted: dict[str, set[str]] = {}
        for namespace in namespaces:
            pods = [
                p
                for p in self.api.list("Pod", namespace)
                if info(p).is_ready and not is_terminating(p)
            ]
            for service in self.api.list("Service", namespace):
                spec, name = service["spec"], service["metadata"]["name"]
                if not spec.get("selector") or spec.get("clusterIP") == "None":
                    continue
                addresses = {p["status"]["podIP"] for p in pods if selects(spec["selector"], p)}
                for port in spec["ports"]:
                    host = istio.service_host(name, namespace)
                    wanted[istio.cluster_name(port["port"], "", host)] = addresses
        return wanted


def selects(selector: Mapping[str, str], pod: Json) -> bool:
    """Whether a Service's selector means this pod."""
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in selector.items())

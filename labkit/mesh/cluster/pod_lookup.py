"""Finding pods by the names that a learner uses, without a list of all pods for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.objects import ClusterObjects
from labkit.mesh.cluster.pods import info, is_terminating
from labkit.mesh.cluster.proxies import Proxies
from labkit.mesh.lookup import no_such_pod
from labkit.mesh.model import PodInfo
from labkit.mesh.proxies import GATEWAY


class PodLookup:
    """Remembers where a name led. The pod itself is always asked for anew: it may
    have gone since.
    """

    def __init__(self, api: Api, proxies: Proxies, store: ClusterObjects) -> None:
        self.api, self.proxies, self.store = api, proxies, store
        self.paths: dict[tuple[str, tuple[str, ...]], str] = {}
        self.by_address = PodsByAddress(store)

    def find(self, name: str, namespaces: Sequence[str]) -> Json:
        """A pod by its name, or the oldest of a Deployment's, or the gateway's. Raises NotFound."""
        key = (name, tuple(namespaces))
        known = self.api.find(self.paths[key]) if key in self.paths else None
        if known is not None and not is_terminating(known) and info(known).is_ready:
            return known
        pod = self.proxies.gateway() if name == GATEWAY else self.look(name, namespaces)
        self.paths[key] = path_of("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])
        return pod

    def look(self, name: str, namespaces: Sequence[str]) -> Json:
        """The pod of this name, or the oldest of a Deployment's, by a list. Raises NotFound."""
        there = [
            p for space in namespaces for p in self.api.list("Pod", space) if not is_terminating(p)
        ]
        for pod in sorted(there, key=lambda p: order(info(p))):
            if name in (pod["metadata"]["name"], info(pod).workload):
                return pod
        raise no_such_pod(name, (p["metadata"]["name"] for p in there))

    def forget(self) -> None:
        """What was applied may have moved everything."""
        self.paths.clear()
        self.by_address.clear()


class PodsByAddress(Mapping[str, Json]):
    """The course's pods by address; asks again when an address is new."""

    def __init__(self, store: ClusterObjects) -> None:
        self.store = store
        self.pods: dict[str, Json] = {}

    def __getitem__(self, address: str) -> Json:
        if address not in self.pods:
            self.pods = {p.get("status", {}).get("podIP", ""): p for p in self.store.all("Pod")}
        return self.pods[address]

    def __iter__(self) -> Iterator[str]:
        return iter(self.pods)

    def __len__(self) -> int:
        return len(self.pods)

    def clear(self) -> None:
        """Forgets all; the next question asks anew."""
        self.pods.clear()


def order(pod: PodInfo) -> tuple[str, float, str]:
    """By Deployment, then by age, as the embedded mesh lists pods."""
    return pod.workload, pod.created, pod.name

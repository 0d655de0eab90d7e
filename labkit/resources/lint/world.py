"""What the linter knows: all objects, indexed, and which pods stand behind which name.

A file seldom holds everything. So a reference to something that is not there is judged only where
it could be there: where an object of that kind and namespace is known, where one of that name is in
another namespace, or where the world is complete because it was read from a running mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labkit.resources.istio import SERVICE_DOMAIN, full_host, gateway_key, service_host
from labkit.resources.model import Resource
from labkit.resources.rules.shared import Fields, block, items
from labkit.resources.words import closest


@dataclass(frozen=True)
class PodFacts:
    """What the linter needs of a pod. `live` pods run; the others are what
    Deployments will make.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    containers: tuple[str, ...]
    live: bool
    resource: Resource

    def has(self, labels: Mapping[str, Any]) -> bool:
        return all(self.labels.get(key) == value for key, value in labels.items())


@dataclass(frozen=True)
class Lookup:
    """The answer to "which Service is this host?". `judged` says whether its absence is certain."""

    host: str
    service: Resource | None
    judged: bool
    elsewhere: Resource | None = None
    """A Service of that name in another namespace: most likely the one that is meant."""


class World:
    """All objects that are known, oldest first, as Istio sorts them.

    >>> World(load("manifests/hello-world.yaml")).lookup("hello-world", "hello-world").service
    <Service hello-world/hello-world>
    """

    def __init__(self, resources: Iterable[Resource], *, complete: bool = False) -> None:
        self.complete = complete
        self.resources = sorted(resources, key=age)
        self.services = {service_host(s.name, s.namespace): s for s in self.all("Service")}
        self.pods = list(_pods(self.resources))

    def all(self, kind: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.kind == kind]

    def knows(self, kind: str, namespace: str) -> bool:
        """Whether what is not here is not there at all."""
        return self.complete or any(
            r.kind == kind and r.namespace == namespace for r in self.resources
        )

    def lookup(self, host: str, namespace: str) -> Lookup:
        """The Service that a host means in an object of `namespace`: as Istio reads it, not as a
        resolver would.
        """
        full = full_host(host, namespace)
        service = self.services.get(full)
        name, _, rest = host.partition(".")
        home = (
            full.partition(".")[2].removesuffix(f".{SERVICE_DOMAIN}")
            if full.endswith(SERVICE_DOMAIN)
            else ""
        )
        elsewhere = next(
            (s for s in self.all("Service") if s.name == name and service is None), None
        )
        if rest and not home:  # a half name, or a host outside of the cluster: never a Service
            wanted = rest.removesuffix(".svc")
            half = next(
                (s for s in self.all("Service") if (s.name, s.namespace) == (name, wanted)), None
            )
            return Lookup(full, None, self.complete or half is not None, half)
        judged = self.knows("Service", home) or elsewhere is not None
        return Lookup(full, service, judged, elsewhere)

    def instead_of(self, host: str) -> str:
        """What to write in the place of a host that no Service has: the nearest name, or those that
        there are.

        >>> World(load("manifests/hello-world.yaml")).instead_of("helo-world.hello-world.svc.cluster.local")
        'did you mean hello-world.hello-world.svc.cluster.local?'
        """  # noqa: E501
        name, _, home = host.partition(".")
        neighbours = {
            s.name: full for full, s in self.services.items() if full.partition(".")[2] == home
        }
        near = closest(name, neighbours)
        if near:
            return f"did you mean {neighbours[near]}?"
        return "name a Service that is there" + (
            f": {', '.join(sorted(self.services))}" if self.services else ""
        )

    def pods_of(self, service: Resource, labels: Mapping[str, Any] | None = None) -> list[PodFacts]:
        """The pods behind a Service that have `labels` too."""
        selector = service.spec.get("selector") or {}
        if not selector:
            return []
        wanted = {**selector, **(labels or {})}
        return [pod for pod in self.pods if pod.namespace == service.namespace and pod.has(wanted)]

    def knows_pods(self, namespace: str) -> bool:
        return any(self.knows(kind, namespace) for kind in ("Deployment", "Pod"))

    def gateway(self, name: str, namespace: str) -> Resource | None:
        """The Gateway that a VirtualService of `namespace` names."""
        wanted = gateway_key(name, namespace)
        return next((g for g in self.all("Gateway") if (g.namespace, g.name) == wanted), None)


MOST_PODS = 1000  # of one Deployment: no rule tells more of them apart


def _pods(resources: list[Resource]) -> Iterator[PodFacts]:
    live = [
        pod_facts(r, r.body, r.name, live="status" in r.body) for r in resources if r.kind == "Pod"
    ]
    yield from live
    for deployment in resources:
        if deployment.kind != "Deployment":
            continue
        selector = (block(deployment.spec, "selector") or {}).get("matchLabels") or {}
        if any(pod.namespace == deployment.namespace and pod.has(selector) for pod in live):
            continue
        template = block(deployment.spec, "template") or {}
        replicas = deployment.spec.get("replicas")
        for number in range(min(1 if replicas is None else int(replicas), MOST_PODS)):
            yield pod_facts(deployment, template, f"{deployment.name}-{number + 1}", live=False)


def pod_facts(owner: Resource, body: Fields, name: str, *, live: bool) -> PodFacts:
    spec = block(body, "spec") or {}
    containers = [
        str(each.get("name"))
        for part in ("containers", "initContainers")
        for each in items(spec, part)
    ]
    labels = (block(body, "metadata") or {}).get("labels") or {}
    return PodFacts(name, owner.namespace, labels, tuple(containers), live, owner)


def age(resource: Resource) -> tuple[str, str, str]:
    """Istio's order of objects: by creation, then by name, then by namespace. What is not applied
    yet is youngest.
    """
    return (
        str(resource.metadata.get("creationTimestamp") or "~"),
        resource.name,
        resource.namespace,
    )

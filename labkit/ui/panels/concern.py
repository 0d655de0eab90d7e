"""What a node or a line of the mesh's picture is about: the objects that concern it, as YAML, and
what the proxy has for them.

Which rules those are is not guessed from hosts: Istio notes in each cluster and each route of an
Envoy which object it was made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.envoy import dump as envoy_dump
from labkit.lessons.files import written_by_hand
from labkit.mesh import Mesh
from labkit.resources import ISTIO_GROUP, Resource, dump
from labkit.resources.istio import SERVICE_DOMAIN
from labkit.ui.panels.config_dump import made_of, section
from labkit.ui.panels.samples import MeshSample

PROXY = "proxy"
"""The name of the part that is the proxy itself; a pod is "pod NAME", the way to it "way NAME"."""
RULES = {"virtual-service": "VirtualService", "destination-rule": "DestinationRule"}


@dataclass(frozen=True)
class Concern:
    """What to show of one part: its title, (kind and name, lines of YAML) of each object, and the
    lines of the proxy's configuration.
    """

    part: str
    title: str
    objects: tuple[tuple[str, tuple[str, ...]], ...]
    envoy: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For the view, as JSON has it."""
        return {
            "part": self.part,
            "title": self.title,
            "objects": [[name, "\n".join(lines)] for name, lines in self.objects],
            "envoy": "\n".join(self.envoy),
        }


def concern(mesh: Mesh, proxy: str, seen: MeshSample, part: str) -> Concern:
    """What concerns one part of the picture. Raises what the mesh raises; a pod that has gone has
    no objects of its own any more.

    >>> concern(mesh, "gateway", watch.last, "proxy").title
    'The gateway'
    """
    config = mesh.config(proxy)
    objects = mesh.objects()
    what, _, name = part.partition(" ")
    who = "gateway" if proxy == "gateway" else f"sidecar of {proxy}"
    if what == PROXY:
        clusters = {str(cluster["name"]) for cluster in envoy_dump.clusters(config)}
        routes = list(envoy_dump.routes(config))
        rules = [*gateways(objects), *named(objects, [route for _, route in routes])]
        lines = [line for where, route in routes for line in section(f"route of {where}", route)]
        return Concern(part, f"The {who}", written(rules), tuple(lines))
    clusters = {e.cluster for e in seen.endpoints if e.pod == name}
    own = [c for c in envoy_dump.clusters(config) if c.get("name") in clusters]
    routes = [
        (where, route)
        for where, route in envoy_dump.routes(config)
        if clusters & {target for target, _ in envoy_dump.targets(route)}
    ]
    rules = named(objects, [*own, *(route for _, route in routes)])
    title = f"From the {who} to {name}"
    if what == "pod":
        title = name
        workload = next((pod.workload for pod in seen.pods if pod.name == name), "")
        rules = [*workloads(objects, workload, clusters), *rules]
    lines = []
    for cluster in own:
        told = {key: value for key, value in cluster.items() if key != "name"}
        lines += section(f"cluster {cluster['name']}", told)
    for where, route in routes:
        lines += section(f"route of {where}", route)
    return Concern(part, title, written(rules), tuple(lines))


def named(objects: Sequence[Resource], messages: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """The rules of which Envoy's messages were made, each once."""
    wanted = []
    for message in messages:
        parts = str(made_of(message)).split("/")
        if len(parts) > 3 and parts[-2] in RULES:
            wanted.append((RULES[parts[-2]], parts[-3], parts[-1]))
    found = {(each.kind, each.namespace, each.name): each for each in objects}
    return [found[key] for key in dict.fromkeys(wanted) if key in found]


def gateways(objects: Iterable[Resource]) -> list[Resource]:
    return [o for o in objects if o.kind == "Gateway" and o.api_version.startswith(ISTIO_GROUP)]


def workloads(
    objects: Iterable[Resource], workload: str, clusters: Iterable[str]
) -> list[Resource]:
    """A pod's Deployment, and the Services by which the proxy knows the pod."""
    hosts = {name.rpartition("|")[2] for name in clusters}
    homes = {host.removesuffix(f".{SERVICE_DOMAIN}") for host in hosts}
    spaces = {home.partition(".")[2] for home in homes}
    return [
        each
        for each in objects
        if (
            each.kind == "Deployment"
            and each.name == workload
            and (not spaces or each.namespace in spaces)
        )
        or (each.kind == "Service" and f"{each.name}.{each.namespace}" in homes)
    ]


def written(rules: Iterable[Resource]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (f"{each.kind} {each.name}", tuple(dump(written_by_hand(each)).splitlines()))
        for each in rules
    )

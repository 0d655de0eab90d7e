"""What Envoy got, as YAML: the clusters and routes of a proxy that a DestinationRule or
VirtualService is about; and of a node or a line of the mesh's picture, with the objects that
concern it.

Which rules concern a pod is not guessed from hosts: Istio notes in each cluster and each route of
an Envoy which object it was made of.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from labkit.envoy import dump
from labkit.lessons.files import written_by_hand
from labkit.mesh import Mesh
from labkit.resources import ISTIO_GROUP, Resource
from labkit.resources import dump as as_yaml
from labkit.resources.istio import SERVICE_DOMAIN, full_host
from labkit.ui.panels.samples import MeshSample

NOISE = {"@type", "last_updated", "eds_cluster_config", "max_grpc_timeout"}
"""Says nothing of a policy: where endpoints come from, types of messages, when it was read."""

PROXY = "proxy"
"""The name of the part that is the proxy itself; a pod is "pod NAME", the way to it "way NAME"."""
RULES = {"virtual-service": "VirtualService", "destination-rule": "DestinationRule"}

UNWRITTEN = "# lb_policy is not written: Envoy's own default, ROUND_ROBIN"


def envoy_lines(config_dump: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    """The lines of YAML that a proxy has for one object; empty where it has none.

    >>> rule = mesh.resource("DestinationRule", "hello-world-dr")
    >>> envoy_lines(mesh.config("gateway"), rule.body)[:3]
    ['# cluster outbound|80||hello-world.hello-world.svc.cluster.local', 'type: EDS',
    'connect_timeout: 10s']
    """
    metadata, spec = body.get("metadata") or {}, body.get("spec") or {}
    namespace, name = str(metadata.get("namespace") or "default"), str(metadata.get("name") or "")
    lines: list[str] = []
    if body.get("kind") == "DestinationRule":
        host = full_host(str(spec.get("host") or ""), namespace)
        mine = {
            c["name"]: c
            for c in dump.clusters(config_dump)
            if c["name"].split("|")[::3] == ["outbound", host]
        }
        for number, cluster in mine.items():
            lines += section(f"cluster {number}", {k: v for k, v in cluster.items() if k != "name"})
            if "lb_policy" not in cluster:
                lines.append(UNWRITTEN)
        for where, route in dump.routes(config_dump):
            if mine.keys() & dict(dump.targets(route)).keys():
                lines += section(f"route of {where}", route)
    elif body.get("kind") == "VirtualService":
        path = f"/namespaces/{namespace}/virtual-service/{name}"
        for where, route in dump.routes(config_dump):
            if str(made_of(route)).endswith(path):
                lines += section(f"route of {where}", route)
    return lines


def made_of(route: Mapping[str, Any]) -> object:
    return route.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")


def section(title: str, value: Any) -> list[str]:
    text = yaml.safe_dump(
        quiet(value), sort_keys=False, default_flow_style=False, allow_unicode=True, width=200
    )
    return [f"# {title}", *text.splitlines()]


def quiet(value: Any) -> Any:
    """The value without what says nothing of a policy."""
    if isinstance(value, Mapping):
        return {key: quiet(item) for key, item in value.items() if key not in NOISE}
    return [quiet(item) for item in value] if isinstance(value, list) else value


def marked(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """Each line with its mark: "+" is new, "-" is gone, " " is as before.

    >>> marked(["a: 1", "b: 2"], ["a: 1", "b: 3"])
    [(' ', 'a: 1'), ('-', 'b: 2'), ('+', 'b: 3')]
    """
    rows: list[tuple[str, str]] = []
    for what, i, j, k, m in difflib.SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if what == "equal":
            rows += [(" ", line) for line in after[k:m]]
        else:
            rows += [("-", line) for line in before[i:j]] + [("+", line) for line in after[k:m]]
    return rows


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
        clusters = {str(cluster["name"]) for cluster in dump.clusters(config)}
        routes = list(dump.routes(config))
        rules = [*gateways(objects), *named(objects, [route for _, route in routes])]
        lines = [line for where, route in routes for line in section(f"route of {where}", route)]
        return Concern(part, f"The {who}", written(rules), tuple(lines))
    clusters = {e.cluster for e in seen.endpoints if e.pod == name}
    own = [c for c in dump.clusters(config) if c.get("name") in clusters]
    routes = [
        (where, route)
        for where, route in dump.routes(config)
        if clusters & {target for target, _ in dump.targets(route)}
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
        (f"{each.kind} {each.name}", tuple(as_yaml(written_by_hand(each)).splitlines()))
        for each in rules
    )

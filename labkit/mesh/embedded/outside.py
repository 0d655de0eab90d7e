"""What leads out of the mesh: on this machine a process stands for each host outside, and nothing
leaves it.

A Service with the annotation `labkit/host: api.example.com` (several, with commas, too) is who
stands for that host: its pods are what a name server would lead to. An endpoint of a ServiceEntry
may as well be the full name of a Service, the address of one or that of a pod. All other hosts are
refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from labkit.jsontypes import Json
from labkit.resources.hosts import is_wildcard
from labkit.resources.istio import service_host
from labkit.resources.model import Resource
from labkit.resources.names import ip_address
from labkit.translate import Pod, ProxyConfig, Registry
from labkit.translate.clusters import LOOKED_UP, PASSTHROUGH_CLUSTER
from labkit.translate.services.entries import services_of
from labkit.translate.services.service import NONE, Service
from labkit.translate.sidecar import other_names
from labkit.translate.support import refusal

STANDS_FOR = "labkit/host"
HOW = (
    f"no process of this mesh stands for it: a Service with the annotation `{STANDS_FOR}: HOST` "
    "does, or an endpoint that is a Service's full name"
)
Place = tuple[str, int]
"""An address and a port of a pod, as the mesh knows it."""


KINDS = ("ServiceEntry", "Sidecar")


def annotations_of(resource: Resource) -> Json:
    return resource.metadata.get("annotations") or {}


def hosts_of(service: Resource) -> list[str]:
    """The hosts outside that a Service stands for."""
    said = str(annotations_of(service).get(STANDS_FOR) or "")
    return [each.strip().lower() for each in said.split(",") if each.strip()]


@dataclass(frozen=True)
class Passage:
    """Where requests go that a sidecar passes on: a host at a port, and the pods behind it."""

    hosts: tuple[str, ...]
    port: int
    pods: tuple[Place, ...]


class Outside:
    """Who stands for the hosts outside of a mesh."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.by_host: dict[str, Service] = {}
        own = {s.host: s for s in registry.services if not s.entry}
        for resource in registry.resources:
            if resource.kind == "Service":
                service = own[service_host(resource.name, resource.namespace)]
                self.by_host.update(dict.fromkeys(hosts_of(resource), service))
        self.entries = [r for r in registry.resources if r.kind == "ServiceEntry"]
        self.has_sidecars = any(r.kind == "Sidecar" for r in registry.resources)
        self.own = own

    @classmethod
    def of(cls, registry: Registry) -> Outside | None:
        """Who stands for them; None where nothing of this mesh leads out of it, or is hidden from a
        part of it. Raises UnsupportedError for a host that no process stands for.
        """
        if not any(r.kind in KINDS or STANDS_FOR in annotations_of(r) for r in registry.resources):
            return None
        found = cls(registry)
        found.check()
        return found

    def pods_at(self, address: str, port: int) -> list[Place] | None:
        """The pods to which a connection to a name or an address goes; None where nobody knows."""
        name = address.lower().rstrip(".")
        service = self.by_host.get(name) or self.own.get(name)
        if service is None and ip_address(address):
            if any(pod.ip == address for pod in self.registry.pods):
                return [(address, port)]
            service = next((s for s in self.own.values() if s.address == address), None)
        if service is None:
            return None
        number = service.port(port)
        behind = [] if number is None else self.registry.backends(service, number, {})
        return [(each.address, each.port) for each in behind if each.ready]

    def check(self) -> None:
        """Raises UnsupportedError for the first host of an entry that no process stands for."""
        for entry in self.entries:
            for service in services_of(entry):
                self._check(entry, service)

    def _check(self, entry: Resource, service: Service) -> None:
        if service.resolution == NONE and not service.selector:
            if is_wildcard(service.host):
                why = "no connection is redirected here, so where it was going is not known"
                raise refusal(entry, f"spec.hosts: {service.host}", why)
            if self.pods_at(service.host, 0) is None:
                raise refusal(entry, f"spec.hosts: {service.host}", HOW)
        for each in self.registry.entry_backends.get((service.namespace, service.host), ()):
            if self.pods_at(each.address, each.port) is None:
                raise refusal(entry, f"address {each.address}", HOW)

    def passages(self, config: ProxyConfig, pod: Pod) -> Iterator[Passage]:
        """What a sidecar passes on to, though it has no route there: hosts outside, and Services
        that its Sidecar hides.
        """
        if not any(host["name"] == "allow_any" for host in virtual_hosts(config)):
            return
        named: dict[str, list[str]] = {}
        for host, service in self.by_host.items():
            named.setdefault(service.host, []).append(host)
        for service in self.own.values():
            names = named.get(service.host, [])
            if self.has_sidecars:
                names = [*names, service.host, *other_names(service.host, pod.namespace)]
            for port in service.ports if names else ():
                behind = self.registry.backends(service, port, {})
                pods = tuple((each.address, each.port) for each in behind if each.ready)
                yield Passage(tuple(names), port.number, pods)


def virtual_hosts(config: ProxyConfig) -> Iterator[Json]:
    for routes in config.routes:
        yield from routes.get("virtual_hosts", ())


def inside(config: ProxyConfig, outside: Outside) -> ProxyConfig:
    """The same configuration with every endpoint a pod of this mesh: names are looked up here, once
    and for all.
    """
    if not outside.entries:
        return config
    clusters, endpoints = [], {e["cluster_name"]: e for e in config.endpoints}
    originals = {e["cluster_name"]: e for e in config.original_destinations}
    for cluster in config.clusters:
        name = cluster["name"]
        if cluster["type"] in LOOKED_UP:
            endpoints[name] = with_pods(cluster["load_assignment"], outside)
            cluster = {k: v for k, v in cluster.items() if not k.startswith("dns_")}
            del cluster["load_assignment"], cluster["respect_dns_ttl"]
            cluster = {**cluster, "type": "EDS", "eds_cluster_config": eds(name)}
        elif name in endpoints:
            endpoints[name] = with_pods(endpoints[name], outside)
        elif name in originals:
            originals[name] = passed_on(cluster, originals[name], outside)
        clusters.append(cluster)
    return ProxyConfig(
        clusters=tuple(clusters),
        endpoints=tuple(endpoints.values()),
        routes=config.routes,
        listeners=config.listeners,
        original_destinations=tuple(originals.values()),
    )


def with_passages(config: ProxyConfig, passages: Iterable[Passage]) -> ProxyConfig:
    """The same configuration of a sidecar, in which what it passes on arrives: its
    `PassthroughCluster` has the pods of all passages, and a route for each host chooses among them.
    """
    known = list(passages)
    if not known:
        return config
    rows: dict[Place, list[str]] = {}
    for each in known:
        for place in each.pods:
            rows.setdefault(place, []).append(key_of(each))
    found = [
        placed({"metadata": {"filter_metadata": {"envoy.lb": {KEY: keys}}}}, place)
        for place, keys in rows.items()
    ]
    assignment = {
        "cluster_name": PASSTHROUGH_CLUSTER,
        "endpoints": [{"locality": {}, "lb_endpoints": found}],
    }
    return replace(
        config,
        clusters=tuple(
            chooses(each) if each["name"] == PASSTHROUGH_CLUSTER else each
            for each in config.clusters
        ),
        endpoints=(*config.endpoints, assignment),
        routes=tuple(with_hosts(each, known) for each in config.routes),
    )


KEY = "passage"


def key_of(passage: Passage) -> str:
    return f"{passage.hosts[0]}:{passage.port}"


def chooses(cluster: Json) -> Json:
    """A cluster that goes where connections were going as one that a route chooses in."""
    return {
        **cluster,
        "type": "EDS",
        "lb_policy": "RANDOM",
        "eds_cluster_config": eds(cluster["name"]),
        "lb_subset_config": {"list_as_any": True, "subset_selectors": [{"keys": [KEY]}]},
    }


def with_hosts(routes: Json, passages: Iterable[Passage]) -> Json:
    """Routes of a port with the hosts that are passed on to, before what takes all others."""
    hosts = routes.get("virtual_hosts", [])
    if not hosts or hosts[-1]["name"] != "allow_any":
        return routes
    taken = {domain.lower() for host in hosts for domain in host["domains"]}
    more = []
    for each in passages:
        domains = [host for host in each.hosts if host not in taken]
        if str(each.port) == routes["name"] and domains:
            taken.update(domains)
            more.append(passed(each, domains))
    return {**routes, "virtual_hosts": [*hosts[:-1], *more, hosts[-1]]}


def passed(passage: Passage, domains: list[str]) -> Json:
    match = {"filter_metadata": {"envoy.lb": {KEY: key_of(passage)}}}
    action = {"cluster": PASSTHROUGH_CLUSTER, "timeout": "0s", "metadata_match": match}
    return {
        "name": f"allow_any|{key_of(passage)}",
        "domains": domains,
        "routes": [{"name": "allow_any", "match": {"prefix": "/"}, "route": action}],
        "include_request_attempt_count": True,
    }


def eds(name: str) -> Json:
    config = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {"service_name": name, "eds_config": config}


def with_pods(assignment: Json, outside: Outside) -> Json:
    """A load assignment with the pods behind each name and address."""
    groups = []
    for group in assignment.get("endpoints", ()):
        rows = [
            placed(row, place)
            for row in group["lb_endpoints"]
            for place in outside.pods_at(*place_of(row)) or ()
        ]
        groups.append({**group, "lb_endpoints": rows})
    return {**assignment, "endpoints": groups}


def passed_on(cluster: Json, assignment: Json, outside: Outside) -> Json:
    """The pods to which connections of an entry without resolution go, which a client looks up."""
    _, number, _, host = cluster["name"].split("|")
    if outside.by_host.get(host.lower()) is None:
        return with_pods(assignment, outside)
    override = cluster.get("original_dst_lb_config", {}).get("upstream_port_override")
    rows = [placed({}, place) for place in outside.pods_at(host, int(override or number)) or ()]
    return {**assignment, "endpoints": [{"locality": {}, "lb_endpoints": rows}]}


def place_of(row: Json) -> Place:
    where = row["endpoint"]["address"]["socket_address"]
    return str(where["address"]), int(where["port_value"])


def placed(row: Json, place: Place) -> Json:
    address = {"address": place[0], "port_value": place[1]}
    return {
        "load_balancing_weight": 1,
        **row,
        "endpoint": {"address": {"socket_address": address}},
    }

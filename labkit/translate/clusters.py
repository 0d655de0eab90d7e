"""Envoy clusters: one for each port of each Service, and one more for each subset.

As istiod's `pilot/pkg/networking/core/cluster.go` and `cluster_builder.go` make them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labkit.jsontypes import Json
from labkit.resources import protocols
from labkit.resources.istio import cluster_name
from labkit.resources.names import ip_address
from labkit.resources.precedence import Rule
from labkit.translate.model import Pod
from labkit.translate.registry import Registry, Target
from labkit.translate.rules.destination_rules import port_policy, subset_policy
from labkit.translate.rules.traffic_policy import Draft, apply_inbound, apply_outbound
from labkit.translate.services.localities import groups_of
from labkit.translate.services.scope import Scope
from labkit.translate.services.service import DNS_ROUND_ROBIN, Service, ServicePort
from labkit.translate.settings import Settings
from labkit.translate.values import at, made_of

FOR_EVER = "9223372035s"
DRAINING = "istio.io/draining"
"""With any value, this label takes a pod out of service."""
PASSTHROUGH_CLUSTER = "PassthroughCluster"
BLACKHOLE_CLUSTER = "BlackHoleCluster"
HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class Cluster:
    """A cluster, and the pods behind it as a load assignment."""

    message: Json
    assignment: Json

    @property
    def is_original_dst(self) -> bool:
        """Whether Envoy goes where a redirected connection was going, and needs no endpoints."""
        return bool(self.message["type"] == "ORIGINAL_DST")

    @property
    def is_eds(self) -> bool:
        """Whether it is told its endpoints apart from itself."""
        return bool(self.message["type"] == "EDS")


def outbound(
    registry: Registry, scope: Scope, namespace: str, labels: Mapping[str, str], sidecar: bool
) -> Iterator[Cluster]:
    """All clusters of a proxy in `namespace` with `labels`: of each service that it may call, a
    cluster for each port (UDP aside) and, where a DestinationRule has subsets, for each of those.
    """
    for service in scope.called.values():
        rule = registry.destination_rules.find(service.host, service.namespace, namespace, labels)
        for port in service.ports:
            if port.protocol == protocols.UDP:
                continue
            yield from clusters_of_port(registry, service, port, rule, sidecar)


def clusters_of_port(
    registry: Registry, service: Service, port: ServicePort, rule: Rule | None, sidecar: bool
) -> Iterator[Cluster]:
    """The port's own cluster, then one for each subset of the rule that the proxy obeys. One that
    looks names up is not made where there is none to look up.
    """
    whole = rule.policy if rule else None

    def made(
        subset: str, kind: str, labels: Mapping[str, str], policy: Json | None, own: Json | None
    ) -> Cluster | None:
        name = cluster_name(port.number, subset, service.host)
        draft = new_cluster(name, kind, port, sidecar)
        of_kind(draft.message, service, port, registry.settings)
        draft.message.update(origin(rule, external=service.external and not subset))
        apply_outbound(draft, policy, registry.settings, http=protocols.is_http(port.protocol))
        message = finished(draft)
        dns = kind in LOOKED_UP
        cluster = Cluster(
            message,
            assignment(
                registry, message, service, port, labels, policy if dns else own, by_name=not dns
            ),
        )
        if dns and not cluster.assignment.get("endpoints"):
            return None
        if message["type"] in LOOKED_UP:
            message["load_assignment"] = cluster.assignment
        return cluster

    rules_own, _ = port_policy(whole, port.number)
    base = registry.settings.policy(rules_own)
    cluster = made("", kind_of(service, sidecar), {}, base, rules_own)
    if cluster is None:
        return
    yield cluster
    for subset in rule.subsets if rule else []:
        policy = subset_policy(base, subset, port.number)
        # What passes on as a whole does so in its subsets, whatever balancer these ask for; and a
        # subset that asks for it does so at every port.
        own = at(subset, "trafficPolicy", "loadBalancer", "simple")
        kind = "ORIGINAL_DST" if own == "PASSTHROUGH" else str(cluster.message["type"])
        labels = subset.get("labels") or {}
        of_rule = subset_policy(rules_own, subset, port.number)
        made_of_subset = made(str(subset.get("name") or ""), kind, labels, policy, of_rule)
        if made_of_subset is not None:
            yield made_of_subset


LOOKED_UP = ("STRICT_DNS", "LOGICAL_DNS")


def kind_of(service: Service, sidecar: bool) -> str:
    """Envoy's type of a service's clusters. A sidecar passes on to where the client wanted to go
    where that is not known here (a headless Service, an entry without resolution); a gateway has
    nothing to pass on.
    """
    if service.is_dns:
        return "LOGICAL_DNS" if service.resolution == DNS_ROUND_ROBIN else "STRICT_DNS"
    return "ORIGINAL_DST" if service.passes_on and sidecar else "EDS"


def of_kind(cluster: Json, service: Service, port: ServicePort, settings: Settings) -> None:
    """What a cluster of that type needs besides."""
    if cluster["type"] in LOOKED_UP:
        cluster.update(
            dns_lookup_family="V4_ONLY",
            dns_refresh_rate=settings.dns_refresh_rate,
            respect_dns_ttl=True,
            dns_jitter="0.100s",
        )
    elif cluster["type"] == "ORIGINAL_DST" and port.number in service.overrides:
        override = service.overrides[port.number]
        cluster["original_dst_lb_config"] = {"upstream_port_override": override}


def origin(rule: Rule | None, *, external: bool) -> Json:
    """Which DestinationRule a cluster was made of, for those who read a config_dump: it tells a
    rule that is in force from one that is not, where what it asks for is the default as well. And
    whether it leads out of the mesh.
    """
    found = made_of("DestinationRule", rule.namespace, rule.name) if rule is not None else {}
    if external:
        found.setdefault("filter_metadata", {}).setdefault("istio", {})["external"] = True
    return {"metadata": found} if found else {}


def new_cluster(name: str, kind: str, port: ServicePort, sidecar: bool) -> Draft:
    """A cluster of Envoy's type `kind` for a Service's port, with the protocol that the port asks
    for.
    """
    draft = Draft({"name": name, "type": kind, "common_lb_config": {}})
    if protocols.is_http2(port.protocol):
        draft.http["explicit_http_config"] = {"http2_protocol_options": {}}
    elif sidecar and port.protocol == protocols.UNKNOWN:
        draft.use_client_protocol()
    return draft


def finished(draft: Draft) -> Json:
    """The cluster as it goes out: its HTTP options typed, and complete."""
    cluster, options = draft.message, draft.http
    if options:
        if not options.keys() & {"explicit_http_config", "use_downstream_protocol_config"}:
            options["explicit_http_config"] = {"http_protocol_options": {}}
        cluster["typed_extension_protocol_options"] = {
            HTTP_PROTOCOL_OPTIONS: {
                "@type": f"type.googleapis.com/{HTTP_PROTOCOL_OPTIONS}",
                **options,
            }
        }
    if cluster["type"] == "EDS":
        cluster["eds_cluster_config"] = {
            "service_name": cluster["name"],
            "eds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        }
    return cluster


def assignment(
    registry: Registry,
    cluster: Json,
    service: Service,
    port: ServicePort,
    labels: Mapping[str, str],
    policy: Json | None,
    *,
    by_name: bool = True,
) -> Json:
    """The endpoints of a cluster.

    A pod that is not ready is sent too, as unhealthy, so that Envoy knows of it; but not where a
    `minHealthPercent` turns panic mode on, since panic would then send it traffic. A Service with
    `publishNotReadyAddresses` has no such pods; one that is labelled as draining is sent to nobody.
    The endpoints of an ORIGINAL_DST cluster, which a client chooses without regard to labels, are
    not sent to Envoy at all. Of a Service that is exported to nobody istiod takes no endpoints
    (`serviceNeedsPush` in `pilot/pkg/serviceregistry/kube/controller/endpointslice.go`). In EDS an
    endpoint that has a name in place of an address is left out.
    """
    if cluster["type"] == "ORIGINAL_DST" and by_name:
        labels = {}
    outlier = (policy or {}).get("outlierDetection")
    with_unready = not (outlier or {}).get("minHealthPercent")
    rows = [
        each
        for each in registry.backends(service, port, labels, by_name=by_name)
        if (each.ready or with_unready)
        and not each.labels.get(DRAINING)
        and (not by_name or not each.workload or ip_address(each.address))
    ]
    found: Json = {"cluster_name": cluster["name"]}
    if rows:
        said = at(policy, "loadBalancer", "localityLbSetting", "enabled")
        near = registry.settings.near_first if said is None else said is not False
        found["endpoints"] = groups_of(rows, by_distance=outlier is not None and near)
    return found


def inbound(registry: Registry, scope: Scope, pod: Pod) -> Iterator[Json]:
    """One cluster for each port of the pod that a Service leads to: from the sidecar to its
    application.

    Of the DestinationRule only `connectionPool` counts here, so that a server takes what its
    clients may send.
    """
    first: dict[int, Target] = {}
    for target in registry.targets_of(pod):
        first.setdefault(target.number, target)
    for number, target in first.items():
        service, rule = target.service, None
        if service.host in scope.called:
            rules = registry.destination_rules
            rule = rules.find(service.host, service.namespace, pod.namespace, None)
        policy, _ = port_policy(rule.policy if rule else None, target.port.number)
        draft = new_cluster(f"inbound|{number}||", "ORIGINAL_DST", target.port, sidecar=True)
        of_kind(draft.message, service, target.port, registry.settings)
        draft.message.pop("common_lb_config")
        draft.message["cleanup_interval"] = FOR_EVER
        draft.message["upstream_bind_config"] = {
            "source_address": {"address": "127.0.0.6", "port_value": 0}
        }
        apply_inbound(draft, policy, registry.settings)
        yield finished(draft)


def catch_alls(settings: Settings) -> list[Json]:
    """The clusters for what no Service owns: none at all, or wherever the client meant it to go."""
    blackhole: Json = {
        "name": BLACKHOLE_CLUSTER,
        "type": "STATIC",
        "connect_timeout": settings.connect_timeout,
    }
    return [blackhole, passthrough(settings)]


def passthrough(settings: Settings) -> Json:
    """Where a sidecar sends what no Service owns: on to wherever the client meant it to go."""
    draft = Draft({"name": PASSTHROUGH_CLUSTER, "type": "ORIGINAL_DST"})
    draft.use_client_protocol()
    draft.http["common_http_protocol_options"] = {"idle_timeout": "300s"}
    apply_inbound(draft, None, settings)
    return finished(draft)

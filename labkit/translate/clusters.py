"""Envoy clusters: one for each port of each Service, and one more for each subset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labkit.translate import protocols
from labkit.translate.destination_rules import Rule, port_policy, subset_policy
from labkit.translate.model import Json, Pod
from labkit.translate.registry import Registry, Service, ServicePort, Target
from labkit.translate.traffic_policy import (
    HTTP_OPTIONS,
    apply_inbound,
    apply_outbound,
    use_client_protocol,
)

FOR_EVER = "9223372035s"
PASSTHROUGH_CLUSTER = "PassthroughCluster"
HTTP_PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster_name(port: int, subset: str, host: str) -> str:
    """Istio's name of a cluster: direction, port, subset, host.

    >>> cluster_name(80, "v1", "hello-world.hello-world.svc.cluster.local")
    'outbound|80|v1|hello-world.hello-world.svc.cluster.local'
    """
    return f"outbound|{port}|{subset}|{host}"


def outbound(
    registry: Registry, namespace: str, labels: Mapping[str, str], sidecar: bool
) -> Iterator[tuple[Json, Json]]:
    """All clusters of a proxy, each with its load assignment."""
    for service in registry.visible_services(namespace):
        rule = registry.destination_rules.find(service.host, service.namespace, namespace, labels)
        for port in service.ports:
            if port.protocol == protocols.UDP:
                continue
            yield from clusters_of_port(registry, service, port, rule, sidecar)


def clusters_of_port(
    registry: Registry, service: Service, port: ServicePort, rule: Rule | None, sidecar: bool
) -> Iterator[tuple[Json, Json]]:
    # A sidecar passes on to a headless Service's pod as the client chose it; a gateway has nothing
    # to pass on.
    kind = "ORIGINAL_DST" if service.headless and sidecar else "EDS"
    policy, _ = port_policy(rule.policy if rule else None, port.number)
    cluster = {
        **new_cluster(cluster_name(port.number, "", service.host), kind, port, sidecar),
        **origin(rule),
    }
    apply_outbound(cluster, policy)
    yield finished(cluster), assignment(registry, cluster, service, port, {}, policy)
    for subset in rule.subsets if rule else []:
        name = str(subset.get("name") or "")
        own = subset_policy(rule.policy if rule else None, subset, port.number)
        cluster = {
            **new_cluster(cluster_name(port.number, name, service.host), kind, port, sidecar),
            **origin(rule),
        }
        apply_outbound(cluster, own)
        yield (
            finished(cluster),
            assignment(registry, cluster, service, port, subset.get("labels") or {}, own),
        )


def origin(rule: Rule | None) -> Json:
    """Which DestinationRule a cluster was made of, for those who read a config_dump: it tells a
    rule that is in force from one that is not, where what it asks for is the default as well."""
    if rule is None:
        return {}
    path = f"/apis/networking.istio.io/v1/namespaces/{rule.namespace}/destination-rule/{rule.name}"
    return {"metadata": {"filter_metadata": {"istio": {"config": path}}}}


def new_cluster(name: str, kind: str, port: ServicePort, sidecar: bool) -> Json:
    cluster: Json = {"name": name, "type": kind, "common_lb_config": {}}
    if protocols.is_http2(port.protocol):
        cluster[HTTP_OPTIONS] = {"explicit_http_config": {"http2_protocol_options": {}}}
    elif sidecar and port.protocol == protocols.UNKNOWN:
        use_client_protocol(cluster)
    return cluster


def finished(cluster: Json) -> Json:
    """The cluster as it goes out: its HTTP options typed, and complete."""
    options = cluster.pop(HTTP_OPTIONS, None)
    if options is not None:
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
) -> Json:
    """The endpoints of a cluster.

    A pod that is not ready is sent too, as unhealthy, so that Envoy knows of it; but not where a
    `minHealthPercent` turns panic mode on, since panic would then send it traffic. The endpoints of
    an ORIGINAL_DST cluster, which a client chooses without regard to labels, are not sent to Envoy
    at all.
    """
    if cluster["type"] != "EDS":
        labels = {}
    with_unready = not ((policy or {}).get("outlierDetection") or {}).get("minHealthPercent")
    rows = [
        endpoint(pod, number)
        for pod, number in registry.pods_of(service, port, labels)
        if pod.ready or with_unready
    ]
    found: Json = {"cluster_name": cluster["name"]}
    if rows:
        found["endpoints"] = [
            {"locality": {}, "lb_endpoints": rows, "load_balancing_weight": len(rows)}
        ]
    return found


def endpoint(pod: Pod, port: int) -> Json:
    return {
        "endpoint": {"address": {"socket_address": {"address": pod.ip, "port_value": port}}},
        "health_status": "HEALTHY" if pod.ready else "UNHEALTHY",
        "load_balancing_weight": 1,
    }


def inbound(registry: Registry, pod: Pod) -> Iterator[Json]:
    """One cluster for each port of the pod that a Service leads to: from the sidecar to its
    application.

    Of the DestinationRule only `connectionPool` counts here, so that a server takes what its
    clients may send.
    """
    first: dict[int, Target] = {}
    for target in registry.targets_of(pod):
        first.setdefault(target.number, target)
    for number, target in first.items():
        rule = registry.destination_rules.find(
            target.service.host, target.service.namespace, pod.namespace, None
        )
        policy, _ = port_policy(rule.policy if rule else None, target.port.number)
        cluster = new_cluster(f"inbound|{number}||", "ORIGINAL_DST", target.port, sidecar=True)
        cluster.pop("common_lb_config")
        cluster["cleanup_interval"] = FOR_EVER
        cluster["upstream_bind_config"] = {
            "source_address": {"address": "127.0.0.6", "port_value": 0}
        }
        apply_inbound(cluster, policy)
        yield finished(cluster)


def passthrough() -> Json:
    """Where a sidecar sends what no Service owns: on to wherever the client meant it to go."""
    cluster: Json = {"name": PASSTHROUGH_CLUSTER, "type": "ORIGINAL_DST"}
    use_client_protocol(cluster)
    cluster[HTTP_OPTIONS]["common_http_protocol_options"] = {"idle_timeout": "300s"}
    apply_inbound(cluster, None)
    return finished(cluster)

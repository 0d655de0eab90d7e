"""A ProxyConfig in the shape of Envoy's own `config_dump?include_eds`.

So whatever reads a proxy's dump reads a translation: `istioctl proxy-config … --file`, for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.jsontypes import Json
from labkit.translate.model import Pod, ProxyConfig

INBOUND_PORT = 15006
NO_ADDRESS = "0.0.0.0"
_ADMIN = "type.googleapis.com/envoy.admin.v3."
_TYPES = {
    "cluster": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "endpoint_config": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "listener": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "route_config": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
}


def config_dump(config: ProxyConfig, pods: Iterable[Pod] = ()) -> Json:
    """`{"configs": […]}` with clusters, listeners, routes and endpoints; the endpoints of `pods`
    say whose they are, as Istio's do.

    >>> [part["@type"].rpartition(".")[2] for part in config_dump(config)["configs"]]
    ['ClustersConfigDump', 'ListenersConfigDump', 'RoutesConfigDump', 'EndpointsConfigDump']
    """
    workloads = {pod.ip: workload_of(pod) for pod in pods}
    endpoints = [_told(each, workloads) for each in config.endpoints]
    listeners = [
        {"name": listener["name"], "active_state": _item("listener", listener)}
        for listener in as_on_a_cluster(config.listeners)
    ]
    return {
        "configs": [
            _part("Clusters", "dynamic_active_clusters", _items("cluster", config.clusters)),
            _part("Listeners", "dynamic_listeners", listeners),
            _part("Routes", "dynamic_route_configs", _items("route_config", config.routes)),
            _part("Endpoints", "dynamic_endpoint_configs", _items("endpoint_config", endpoints)),
        ]
    }


def as_on_a_cluster(listeners: Iterable[Json]) -> list[Json]:
    """Listeners with those of incoming connections made into one, at port 15006: on a cluster all
    of them arrive there, and each chain says for which port of the pod it is.
    """
    out: list[Json] = []
    inbound: list[Json] = []
    for listener in listeners:
        if listener.get("traffic_direction") != "INBOUND":
            out.append(listener)
            continue
        port = listener["address"]["socket_address"]["port_value"]
        for chain in listener.get("filter_chains", ()):
            match = {**chain.get("filter_chain_match", {}), "destination_port": port}
            inbound.append({**chain, "filter_chain_match": match})
    if inbound:
        address = {"socket_address": {"address": NO_ADDRESS, "port_value": INBOUND_PORT}}
        out.append(
            {
                "name": "virtualInbound",
                "address": address,
                "traffic_direction": "INBOUND",
                "filter_chains": inbound,
            }
        )
    return out


def _part(kind: str, field: str, items: list[Json]) -> Json:
    return {"@type": f"{_ADMIN}{kind}ConfigDump", field: items}


def _items(field: str, messages: Iterable[Json]) -> list[Json]:
    return [_item(field, message) for message in messages]


def _item(field: str, message: Json) -> Json:
    return {field: {"@type": _TYPES[field], **message}}


def workload_of(pod: Pod) -> str:
    """What Istio writes of a pod into the metadata of its endpoints: workload, namespace, service,
    version and cluster.

    >>> workload_of(Pod("web-v1-1", "shop", {"app": "web"}, "10.244.0.12", workload="web-v1"))
    'web-v1;shop;web;latest;Kubernetes'
    """
    name = pod.workload or pod.name
    service = next((pod.labels[key] for key in _SERVICE if key in pod.labels), name)
    version = next((pod.labels[key] for key in _VERSION if key in pod.labels), "latest")
    return f"{name};{pod.namespace};{service};{version};Kubernetes"


_SERVICE = ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app")
_VERSION = ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version")


def _told(assignment: Json, workloads: Mapping[str, str]) -> Json:
    """A ClusterLoadAssignment whose endpoints say which workload is behind them."""
    groups = []
    for group in assignment.get("endpoints", ()):
        rows = []
        for row in group.get("lb_endpoints", ()):
            address = row["endpoint"]["address"].get("socket_address", {}).get("address")
            metadata = {"filter_metadata": {"istio": {"workload": workloads.get(address)}}}
            rows.append({**row, "metadata": metadata} if address in workloads else row)
        groups.append({**group, "lb_endpoints": rows})
    return {**assignment, "endpoints": groups}

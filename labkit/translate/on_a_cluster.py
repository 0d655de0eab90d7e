"""What a cluster's proxy has otherwise than ours, for those who read or compare configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labkit.jsontypes import Json
from labkit.resources.istio import INBOUND_PORT
from labkit.translate.model import Pod
from labkit.translate.services.service import NO_ADDRESS


def as_on_a_cluster(listeners: Iterable[Json]) -> list[Json]:
    """Listeners with those of incoming connections made into one: on a cluster all
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


def with_workloads(endpoints: Iterable[Json], pods: Iterable[Pod]) -> list[Json]:
    """ClusterLoadAssignments whose endpoints say which workload is behind them, as Istio's do."""
    workloads = {pod.ip: workload_of(pod) for pod in pods}
    return [_told(each, workloads) for each in endpoints]


def workload_of(pod: Pod) -> str:
    """What Istio writes of a pod into the metadata of its endpoints: workload, namespace, service,
    version and cluster.

    >>> workload_of(Pod("web-v1-1", "shop", {"app": "web"}, "10.244.0.12", workload="web-v1"))
    'web-v1;shop;web;latest;Kubernetes'
    """
    name = pod.labels.get("service.istio.io/workload-name") or pod.workload or pod.name
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
            told = "metadata" in row or address not in workloads
            rows.append(row if told else {**row, "metadata": metadata})
        groups.append({**group, "lb_endpoints": rows})
    return {**assignment, "endpoints": groups}

"""From Istio's addresses to this machine's: the one place where the embedded mesh differs from a
cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labkit.envoy.accesslog import file_access_log
from labkit.jsontypes import Json
from labkit.translate.clusters import PASSTHROUGH_CLUSTER
from labkit.translate.listeners import HTTP_CONNECTION_MANAGER
from labkit.translate.model import ProxyConfig

LOOPBACK = "127.0.0.1"
MOST_WATCHED = 40  # clusters of one Envoy whose endpoints have a file of their own


@dataclass(frozen=True)
class Addresses:
    """Where things really listen on this machine, all at 127.0.0.1.

    `listeners`: listener name → port. `endpoints`: (pod's address, its port) → the port where that
    pod takes traffic. `applications`, for a sidecar: port of its pod → port of the application.
    `access_log`: the file of the proxy's access log. `inline_endpoints`: see point 8 of
    `to_loopback`.
    """

    listeners: Mapping[str, int]
    endpoints: Mapping[tuple[str, int], int]
    applications: Mapping[int, int]
    access_log: str
    inline_endpoints: bool = False


def to_loopback(config: ProxyConfig, addresses: Addresses) -> ProxyConfig:
    """The same configuration for an Envoy of the embedded mesh. What changes, all of it:

    1. A listener binds 127.0.0.1 and a port of this machine in place of 0.0.0.0 (or a Service's
       address) and the port of its name, which it keeps. It binds for real: nothing is redirected
       here, so there is no `bind_to_port: false`, and no port is shared between processes. A
       listener that `addresses` does not know is left out.
    2. An outbound listener takes all its traffic for HTTP: the filter chain for other traffic goes,
       as a redirected connection's first destination is not known here. So does the inspector that
       chose.
    3. An endpoint is 127.0.0.1 and the port where that pod takes traffic, in place of the pod's
       address and port. An endpoint that `addresses` does not know (a pod that is not up) is left
       out.
    4. A sidecar's cluster to its application (`inbound|8080||`) is STATIC, at the application's
       port, in place of ORIGINAL_DST. It needs no address to bind to: nothing is redirected here.
    5. Each HTTP connection manager writes an access log, one JSON object a line
       (`ACCESS_LOG_FORMAT`).
    6. A host that no Service and no VirtualService has: on a cluster a sidecar passes the
       connection on (`PassthroughCluster`); here there is nowhere to pass it to, and it answers
       502, as a mesh does whose `outboundTrafficPolicy` is REGISTRY_ONLY. Hosts that some process
       stands for have routes of their own (`outside`).
    7. A sidecar's ORIGINAL_DST cluster (`loadBalancer.simple: PASSTHROUGH`, a headless Service)
       sends a request where the client's connection was going. No connection is redirected here, so
       it becomes EDS with RANDOM over all pods of the Service: as kube-proxy chooses for a
       Service's address, and DNS for a headless one. The gateway's stays as it is: nothing is
       redirected there on a cluster either, and it answers 503.
    8. With `inline_endpoints` (sidecars that only receive, as most do) a cluster has its endpoints
       in itself and is STATIC, in place of EDS. Envoy takes an inotify instance for each file it
       watches, one for each cluster's endpoints, and Linux gives a user 128 of them by default:
       nine Envoys that know eight clusters each need 99, and Envoy aborts when there are none left.
       The gateway, and a sidecar that is called through or looked into, use EDS; of more than
       MOST_WATCHED clusters, those without an endpoint are STATIC all the same, and all of them
       where that is not enough.
    """
    sidecar = any(cluster["name"] == PASSTHROUGH_CLUSTER for cluster in config.clusters)
    clusters = [
        loopback_cluster(cluster, addresses, sidecar)
        for cluster in config.clusters
        if cluster["name"] != PASSTHROUGH_CLUSTER or cluster["type"] != "ORIGINAL_DST"
    ]
    assignments = (*config.endpoints, *(config.original_destinations if sidecar else ()))
    endpoints = [loopback_endpoints(e, addresses) for e in assignments]
    watched = {c["name"] for c in clusters if c["type"] == "EDS"}
    if addresses.inline_endpoints:
        watched = set()
    elif len(watched) > MOST_WATCHED:
        watched &= {e["cluster_name"] for e in endpoints if e["endpoints"]}
        watched = watched if len(watched) <= MOST_WATCHED else set()
    rows = {e["cluster_name"]: e for e in endpoints}
    clusters = [c if c["name"] in watched else with_endpoints(c, rows) for c in clusters]
    endpoints = [e for e in endpoints if e["cluster_name"] in watched]
    return ProxyConfig(
        clusters=tuple(clusters),
        endpoints=tuple(endpoints),
        routes=tuple(loopback_routes(r) for r in config.routes),
        listeners=tuple(
            loopback_listener(listener, addresses)
            for listener in config.listeners
            if listener["name"] in addresses.listeners
        ),
    )


def address(port: int) -> Json:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def loopback_cluster(cluster: Json, addresses: Addresses, sidecar: bool) -> Json:
    name = cluster["name"]
    if name.startswith("inbound|"):
        return to_application(cluster, addresses)
    if cluster["type"] == "ORIGINAL_DST" and sidecar:
        return {**cluster, "type": "EDS", "lb_policy": "RANDOM"}
    return cluster


def with_endpoints(cluster: Json, rows: Mapping[str, Json]) -> Json:
    """An EDS cluster with its endpoints in itself; any other as it is."""
    if cluster["type"] != "EDS":
        return cluster
    name = cluster["name"]
    inline = {k: v for k, v in cluster.items() if k != "eds_cluster_config"}
    return {
        **inline,
        "type": "STATIC",
        "load_assignment": rows.get(name, {"cluster_name": name, "endpoints": []}),
    }


def to_application(cluster: Json, addresses: Addresses) -> Json:
    name = cluster["name"]
    found = {
        k: v for k, v in cluster.items() if k not in ("cleanup_interval", "upstream_bind_config")
    }
    port = addresses.applications.get(int(name.split("|")[1]))
    rows = [] if port is None else [{"endpoint": {"address": address(port)}}]
    found.update(type="STATIC", lb_policy="ROUND_ROBIN")
    found["load_assignment"] = {"cluster_name": name, "endpoints": [{"lb_endpoints": rows}]}
    return found


def loopback_endpoints(assignment: Json, addresses: Addresses) -> Json:
    localities = []
    for locality in assignment.get("endpoints", []):
        rows = []
        for row in locality["lb_endpoints"]:
            where = row["endpoint"]["address"]["socket_address"]
            port = addresses.endpoints.get((where["address"], where["port_value"]))
            if port is not None:
                rows.append({**row, "endpoint": {"address": address(port)}})
        if rows:
            localities.append(
                {**locality, "lb_endpoints": rows, "load_balancing_weight": len(rows)}
            )
    return {"cluster_name": assignment["cluster_name"], "endpoints": localities}


def loopback_routes(route_config: Json) -> Json:
    hosts = [nowhere(h) if h["name"] == "allow_any" else h for h in route_config["virtual_hosts"]]
    return {**route_config, "virtual_hosts": hosts}


def nowhere(host: Json) -> Json:
    text = "No Service and no VirtualService of this mesh has this host.\n"
    answer = {"status": 502, "body": {"inline_string": text}}
    return {**host, "routes": [{"match": {"prefix": "/"}, "direct_response": answer}]}


def loopback_listener(listener: Json, addresses: Addresses) -> Json:
    name = listener["name"]
    direction = "inbound" if listener["traffic_direction"] == "INBOUND" else "outbound"
    chain = chain_of(listener)
    filters = [
        loopback_manager(f, addresses, direction) if f["name"] == HTTP_CONNECTION_MANAGER else f
        for f in chain["filters"]
    ]
    return {
        "name": name,
        "address": address(addresses.listeners[name]),
        "traffic_direction": listener["traffic_direction"],
        "filter_chains": [{"filters": filters}],
        # by default two Envoys may share a port, and a second mesh would get half of the first
        # one's requests
        "enable_reuse_port": False,
    }


def chain_of(listener: Json) -> Json:
    """The filter chain that takes all traffic here: the one that speaks HTTP, or else the first."""
    chains: list[Json] = listener["filter_chains"]
    for chain in chains:
        if any(each["name"] == HTTP_CONNECTION_MANAGER for each in chain["filters"]):
            return chain
    return chains[0]


def loopback_manager(manager: Json, addresses: Addresses, direction: str) -> Json:
    config: dict[str, Any] = dict(manager["typed_config"])
    if "rds" in config and config["rds"]["route_config_name"].startswith("http."):
        direction = "gateway"
    config["access_log"] = [file_access_log(addresses.access_log, direction=direction)]
    return {**manager, "typed_config": config}

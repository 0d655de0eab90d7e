"""Listeners and their HTTP connection managers, set as Istio sets them."""

from __future__ import annotations

from labkit.jsontypes import Json
from labkit.translate.routes.retries import inbound_retry_policy
from labkit.translate.settings import Settings
from labkit.translate.values import at, duration

HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"
TYPE = "type.googleapis.com/"
HTTP_CONNECTION_MANAGER_TYPE = (
    f"{TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
FILTERS: tuple[Json, ...] = tuple(
    {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{TYPE}{message}"}}
    for name, message in (
        ("fault", "envoy.extensions.filters.http.fault.v3.HTTPFault"),
        ("cors", "envoy.extensions.filters.http.cors.v3.Cors"),
        ("router", "envoy.extensions.filters.http.router.v3.Router"),
    )
)
ADS: Json = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
HTTP_INSPECTOR: Json = {
    "name": "envoy.filters.listener.http_inspector",
    "typed_config": {
        "@type": f"{TYPE}envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
    },
}
TLS_INSPECTOR: Json = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {
        "@type": f"{TYPE}envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
    },
}
LOOKS_LIKE_HTTP: Json = {
    "transport_protocol": "raw_buffer",
    "application_protocols": ["http/1.1", "h2c"],
}


NORMALIZATIONS: dict[str, Json] = {
    "NONE": {"normalize_path": False},
    "MERGE_SLASHES": {"merge_slashes": True},
    "DECODE_AND_MERGE_SLASHES": {
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD",
    },
}
"""MeshConfig's `pathNormalization` as a connection manager has it, where it is not the default."""


def connection_manager(stat_prefix: str, settings: Settings, **own: object) -> Json:
    """A network filter that speaks HTTP. `own` has what differs: where routes come from, and the
    class.
    """
    return {
        "name": HTTP_CONNECTION_MANAGER,
        "typed_config": {
            "@type": HTTP_CONNECTION_MANAGER_TYPE,
            "stat_prefix": stat_prefix,
            "http_filters": list(FILTERS),
            "proxy_100_continue": True,
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            "stream_idle_timeout": "0s",
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            **NORMALIZATIONS.get(settings.normalization, {}),
            **own,
        },
    }


def rds(route_config: str) -> Json:
    """A connection manager's subscription to the route configuration of that name."""
    return {"config_source": dict(ADS), "route_config_name": route_config}


def listener(bind: str, port: int, direction: str, name: str = "") -> Json:
    """What all listeners have. `direction` is Envoy's: INBOUND or OUTBOUND."""
    return {
        "name": name or f"{bind}_{port}",
        "address": {"socket_address": {"address": bind, "port_value": port}},
        "traffic_direction": direction,
    }


def gateway(bind: str, port: int, route_config: str, settings: Settings) -> Json:
    """A gateway's listener. It is the first hop: it trusts no X-Forwarded-For, and says it is
    `istio-envoy`.
    """
    found = listener(bind, port, "OUTBOUND")
    manager = connection_manager(
        f"outbound_{bind}_{port}",
        settings,
        rds=rds(route_config),
        server_name="istio-envoy",
        use_remote_address=True,
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"subject": True, "cert": True, "dns": True, "uri": True},
    )
    return {**found, "filter_chains": [{"filters": [manager]}]}


def outbound(
    bind: str,
    port: int,
    chains: list[tuple[Json, str | Json]],
    other_traffic: Json,
    settings: Settings,
) -> Json:
    """A sidecar's listener for what its application sends. `chains` are what each takes and where
    it leads: the name of a route configuration, or a filter that passes connections on. What none
    takes goes to `other_traffic`.
    """
    found = listener(bind, port, "OUTBOUND")
    made: list[Json] = []
    last: Json | None = None
    for match, target in chains:
        if isinstance(target, str):
            target = connection_manager(
                f"outbound_{bind}_{port}", settings, rds=rds(target), use_remote_address=False
            )
        chain: Json = {"filters": [target]}
        if match:
            made.append({"filter_chain_match": match, **chain})
        else:
            last = chain
    if last is not None and not made:
        found["filter_chains"] = [last]
    else:
        found["filter_chains"] = made
        found["default_filter_chain"] = {
            "filter_chain_match": {},
            **(last or {"filters": [other_traffic]}),
        }
    looks = any("application_protocols" in match for match, _ in chains)
    inspectors = [TLS_INSPECTOR] if any("server_names" in match for match, _ in chains) else []
    inspectors += [HTTP_INSPECTOR] if looks else []
    if inspectors:
        found["listener_filters"] = inspectors
        found["listener_filters_timeout"] = settings.detection_timeout if looks else "0s"
        found["continue_on_listener_filters_timeout"] = True
    return {**found, "bind_to_port": False}


def inbound(port: int, service_port: int, settings: Settings) -> Json:
    """A sidecar's listener for what reaches one port of its pod.

    Istio has one listener (`virtualInbound`) with a filter chain a port; here each port has a
    listener of its own.
    """
    cluster = f"inbound|{port}||"
    route: Json = {
        "name": "default",
        "match": {"prefix": "/"},
        "route": {
            "cluster": cluster,
            "timeout": "0s",
            "retry_policy": inbound_retry_policy(),
            "max_stream_duration": {"max_stream_duration": "0s", "grpc_timeout_header_max": "0s"},
        },
    }
    hosts = [{"name": f"inbound|http|{service_port}", "domains": ["*"], "routes": [route]}]
    found = listener("0.0.0.0", port, "INBOUND", name=f"inbound_{port}")
    manager = connection_manager(
        f"inbound_0.0.0.0_{port}",
        settings,
        route_config={"name": cluster, "virtual_hosts": hosts, "validate_clusters": False},
        server_name="istio-envoy",
        use_remote_address=False,
        forward_client_cert_details="APPEND_FORWARD",
        set_current_client_cert_details={"subject": True, "dns": True, "uri": True},
    )
    return {**found, "filter_chains": [{"filters": [manager]}]}


def inbound_tcp(port: int) -> Json:
    """A sidecar's listener for a port of its pod that says it is not HTTP."""
    found = listener("0.0.0.0", port, "INBOUND", name=f"inbound_{port}")
    return {**found, "filter_chains": [{"filters": [tcp_proxy(f"inbound|{port}||")]}]}


def tcp_proxy(cluster: str, policy: Json | None = None) -> Json:
    """A network filter that passes connections on to `cluster`, as the trafficPolicy of the whole
    Service says; what it says of single ports does not count here.
    """
    config: Json = {
        "@type": f"{TYPE}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": cluster,
        "cluster": cluster,
    }
    pool = at(policy, "connectionPool", "tcp") or {}
    for name, field in (
        ("idleTimeout", "idle_timeout"),
        ("maxConnectionDuration", "max_downstream_connection_duration"),
    ):
        if pool.get(name) is not None:
            config[field] = duration(pool[name])
    if at(policy, "loadBalancer", "consistentHash", "useSourceIp"):
        config["hash_policy"] = [{"source_ip": {}}]
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def route_configuration(name: str, virtual_hosts: list[Json]) -> Json:
    """A RouteConfiguration as istiod sets it."""
    return {
        "name": name,
        "virtual_hosts": virtual_hosts,
        "validate_clusters": False,
        "max_direct_response_body_size_bytes": 1048576,
        "ignore_port_in_host_matching": True,
    }

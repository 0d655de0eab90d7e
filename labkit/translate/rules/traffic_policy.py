"""A DestinationRule's trafficPolicy as fields of an Envoy cluster.

As istiod's `pilot/pkg/networking/core/cluster_traffic_policy.go` does it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from labkit.jsontypes import Json
from labkit.translate.settings import Settings
from labkit.translate.values import at, double_percent, duration, whole_seconds

UNLIMITED = 4294967295
_UINT32 = 2**32
"""What istiod puts into 32 bits begins again at 0."""


@dataclass(frozen=True)
class Draft:
    """A cluster in the making. What is decided bit by bit is kept beside the message: `http` are
    its HttpProtocolOptions, empty where the cluster needs none.
    """

    message: Json
    http: Json = dataclasses.field(default_factory=dict)

    def upgrade_to_http2(self) -> None:
        """HTTP/2 to the upstream, unless its protocol is settled already."""
        if not self.http.keys() & {"explicit_http_config", "use_downstream_protocol_config"}:
            self.http["explicit_http_config"] = {"http2_protocol_options": {}}

    def use_client_protocol(self) -> None:
        """The protocol that the downstream speaks, whatever was settled before."""
        self.http.pop("explicit_http_config", None)
        self.http["use_downstream_protocol_config"] = {
            "http_protocol_options": {},
            "http2_protocol_options": {},
        }


def apply_outbound(draft: Draft, policy: Json | None, settings: Settings, *, http: bool) -> None:
    """Everything that a policy says of traffic to a service; `http` is whether its port says that
    it is HTTP.
    """
    cluster = draft.message
    if upgrades(at(policy, "connectionPool", "http") or {}, settings.h2_upgrade and http):
        draft.upgrade_to_http2()
    apply_connection_pool(draft, policy, settings)
    apply_outlier_detection(cluster, at(policy, "outlierDetection"))
    apply_load_balancer(cluster, at(policy, "loadBalancer") or {})
    if cluster["type"] == "ORIGINAL_DST":
        cluster["lb_policy"] = "CLUSTER_PROVIDED"


def upgrades(http: Json, by_default: bool) -> bool:
    """Whether a connection pool asks for HTTP/2 towards HTTP/1.1 ports."""
    wanted = http.get("h2UpgradePolicy")
    if wanted in (None, "DEFAULT"):
        wanted = "UPGRADE" if by_default else ""
    return wanted == "UPGRADE" and not http.get("useClientProtocol")


def apply_inbound(draft: Draft, policy: Json | None, settings: Settings) -> None:
    """What a policy says of traffic from a sidecar to its own application: the connection pool
    alone.
    """
    apply_connection_pool(draft, settings.policy(policy), settings)
    draft.message["lb_policy"] = "CLUSTER_PROVIDED"


def apply_connection_pool(draft: Draft, policy: Json | None, settings: Settings) -> None:
    """Circuit breakers, timeouts and connection options. Zero means "not set", as it does to
    Istio.
    """
    pool, retry_budget = at(policy, "connectionPool") or {}, at(policy, "retryBudget")
    cluster, tcp, http = draft.message, pool.get("tcp") or {}, pool.get("http") or {}
    cluster["connect_timeout"] = (
        duration(tcp["connectTimeout"]) if tcp.get("connectTimeout") else settings.connect_timeout
    )
    thresholds: Json = {
        "max_connections": tcp.get("maxConnections") or UNLIMITED,
        "max_pending_requests": http.get("http1MaxPendingRequests") or UNLIMITED,
        "max_requests": http.get("http2MaxRequests") or UNLIMITED,
        "max_retries": http.get("maxRetries") or UNLIMITED,
    }
    if retry_budget is not None:
        thresholds["retry_budget"] = retry_budget_of(retry_budget)
    cluster["circuit_breakers"] = {"thresholds": [thresholds]}
    keepalives = [k for k in (settings.tcp_keepalive, tcp.get("tcpKeepalive")) if k is not None]
    if keepalives:
        kept: Json = {}
        for keepalive in keepalives:
            kept.update(tcp_keepalive(keepalive))
        cluster["upstream_connection_options"] = {"tcp_keepalive": kept}
    apply_http_options(draft, tcp, http)
    if http.get("useClientProtocol"):
        draft.use_client_protocol()


def apply_http_options(draft: Draft, tcp: Json, http: Json) -> None:
    """The part of the connection pool that is HttpProtocolOptions."""
    common: Json = {}
    idle = http.get("idleTimeout") or tcp.get("idleTimeout")
    if idle:
        common["idle_timeout"] = duration(idle)
    if http.get("maxRequestsPerConnection"):
        common["max_requests_per_connection"] = http["maxRequestsPerConnection"]
    if tcp.get("maxConnectionDuration"):
        common["max_connection_duration"] = duration(tcp["maxConnectionDuration"])
    streams, keepalive = http.get("maxConcurrentStreams"), http.get("http2KeepAlive")
    if common or streams or keepalive is not None:
        draft.http.setdefault("common_http_protocol_options", {}).update(common)
    http2 = at(draft.http, "explicit_http_config", "http2_protocol_options")
    if http2 is not None and streams:
        http2["max_concurrent_streams"] = streams
    if http2 is not None and keepalive is not None:
        http2["connection_keepalive"] = {
            key: duration(keepalive[key]) for key in ("interval", "timeout") if keepalive.get(key)
        }


def retry_budget_of(budget: Json) -> Json:
    """A retryBudget with Istio's defaults: 20 %, at least 3."""
    percent = budget.get("percent")
    found: Json = {
        "budget_percent": double_percent(20 if percent is None else percent),
        "min_retry_concurrency": budget.get("minRetryConcurrency") or 3,
    }
    if budget.get("budgetInterval"):
        found["budget_interval"] = duration(budget["budgetInterval"])
    return found


def tcp_keepalive(keepalive: Json) -> Json:
    """`tcpKeepalive` as Envoy's, in whole seconds."""
    found: Json = {}
    if keepalive.get("probes"):
        found["keepalive_probes"] = keepalive["probes"]
    if keepalive.get("time"):
        found["keepalive_time"] = whole_seconds(keepalive["time"]) % _UINT32
    if keepalive.get("interval"):
        found["keepalive_interval"] = whole_seconds(keepalive["interval"]) % _UINT32
    return found


def apply_outlier_detection(cluster: Json, outlier: Json | None) -> None:
    """Ejection of failing hosts.

    Envoy's panic mode is off unless `minHealthPercent` turns it on. Two fields are admitted by
    Istio's schema and read by nobody, in istiod 1.31 as here: the deprecated `consecutiveErrors`
    (such a rule ejects after Envoy's own default of 5 errors) and `outlierDetectionHttpErrorCodes`.
    Both are among the recorded inputs.
    """
    if outlier is None:
        return
    found: Json = {"enforcing_success_rate": 0}
    for field, count, enforcing in (
        ("consecutive5xxErrors", "consecutive_5xx", "enforcing_consecutive_5xx"),
        (
            "consecutiveGatewayErrors",
            "consecutive_gateway_failure",
            "enforcing_consecutive_gateway_failure",
        ),
    ):
        if outlier.get(field) is not None:
            found[count] = outlier[field]
            found[enforcing] = 100 if outlier[field] else 0
    for field, name in (("interval", "interval"), ("baseEjectionTime", "base_ejection_time")):
        if outlier.get(field):
            found[name] = duration(outlier[field])
    if outlier.get("maxEjectionPercent"):
        found["max_ejection_percent"] = outlier["maxEjectionPercent"]
    if outlier.get("splitExternalLocalOriginErrors"):
        found["split_external_local_origin_errors"] = True
        if outlier.get("consecutiveLocalOriginFailures"):
            found["consecutive_local_origin_failure"] = outlier["consecutiveLocalOriginFailures"]
            found["enforcing_consecutive_local_origin_failure"] = 100
        found["enforcing_local_origin_success_rate"] = 0
    cluster["outlier_detection"] = found
    threshold = double_percent(outlier.get("minHealthPercent") or 0)
    cluster["common_lb_config"]["healthy_panic_threshold"] = threshold


def apply_load_balancer(cluster: Json, settings: Json) -> None:
    """The way of choosing a host. LEAST_REQUEST where nothing is said; Envoy does not write
    ROUND_ROBIN.
    """
    cluster["common_lb_config"].setdefault("healthy_panic_threshold", {})
    if cluster["type"] == "ORIGINAL_DST":
        return
    simple = settings.get("simple")
    if simple == "PASSTHROUGH":
        cluster["type"] = "ORIGINAL_DST"
    elif simple == "RANDOM":
        cluster["lb_policy"] = "RANDOM"
    elif simple == "ROUND_ROBIN":
        cluster["lb_policy"] = "ROUND_ROBIN"
        apply_warmup(cluster, settings, "round_robin_lb_config")
    else:
        cluster["lb_policy"] = "LEAST_REQUEST"
        apply_warmup(cluster, settings, "least_request_lb_config")
    consistent = settings.get("consistentHash")
    if consistent is not None:
        apply_consistent_hash(cluster, consistent)
    if cluster.get("lb_policy") == "ROUND_ROBIN":
        del cluster["lb_policy"]


def apply_warmup(cluster: Json, settings: Json, key: str) -> None:
    """Slow start, as `warmup` or as the older `warmupDurationSecs` says; `key` is the policy's
    settings.
    """
    warmup = settings.get("warmup")
    if warmup is not None:
        aggression, least = warmup.get("aggression"), warmup.get("minimumPercent")
        start: Json = {
            "slow_start_window": duration(warmup["duration"]),
            "aggression": {
                "default_value": 1 if aggression is None else aggression,
                "runtime_key": "(",
            },
            "min_weight_percent": double_percent(10 if least is None else least),
        }
    elif settings.get("warmupDurationSecs"):
        start = {"slow_start_window": duration(settings["warmupDurationSecs"])}
    else:
        return
    cluster[key] = {"slow_start_config": start}


def apply_consistent_hash(cluster: Json, consistent: Json) -> None:
    """A ring or a Maglev table. What is hashed (a header, a cookie …) is said by the routes, not
    here.
    """

    def size(number: Any) -> str:
        return str(int(number))  # 64-bit numbers are strings in the JSON of protocol buffers

    for key in ("round_robin_lb_config", "least_request_lb_config"):
        replaced = cluster.pop(key, None)  # the table's settings take the place of the warm-up's
        if replaced is not None and not table_is_set(consistent):
            cluster[key] = replaced
    if consistent.get("maglev") is not None:
        cluster["lb_policy"] = "MAGLEV"
        if consistent["maglev"].get("tableSize"):
            cluster["maglev_lb_config"] = {"table_size": size(consistent["maglev"]["tableSize"])}
    elif consistent.get("ringHash") is not None:
        cluster["lb_policy"] = "RING_HASH"
        if consistent["ringHash"].get("minimumRingSize"):
            least = consistent["ringHash"]["minimumRingSize"]
            cluster["ring_hash_lb_config"] = {"minimum_ring_size": size(least)}
    else:
        cluster["lb_policy"] = "RING_HASH"
        least = consistent.get("minimumRingSize") or 1024
        cluster["ring_hash_lb_config"] = {"minimum_ring_size": size(least)}


def table_is_set(consistent: Json) -> bool:
    """True when the rule itself sizes its ring or table (the plain form always does)."""
    if consistent.get("maglev") is not None:
        return bool(consistent["maglev"].get("tableSize"))
    if consistent.get("ringHash") is not None:
        return bool(consistent["ringHash"].get("minimumRingSize"))
    return True

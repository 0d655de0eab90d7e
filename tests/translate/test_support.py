"""What can't be done is refused by name, and what stands beside it is not. That no field is left
out is in `test_fates`.
"""

from __future__ import annotations

from typing import Any

import pytest

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.resources.model import Resource
from labkit.translate import check_supported, fates

RULE: Json = {"kind": "DestinationRule", "metadata": {"name": "rule", "namespace": "hello-world"}}
VS: Json = {"kind": "VirtualService", "metadata": {"name": "vs", "namespace": "hello-world"}}
GATEWAY: Json = {"kind": "Gateway", "metadata": {"name": "gw", "namespace": "hello-world"}}
SERVICE: Json = {"kind": "Service", "metadata": {"name": "svc", "namespace": "hello-world"}}


def policy(**fields: Any) -> Json:
    return {**RULE, "spec": {"host": "hello-world", "trafficPolicy": fields}}


def route(**fields: Any) -> Json:
    return {**VS, "spec": {"hosts": ["a.example.com"], "http": [fields]}}


def server(protocol: str, **fields: Any) -> Json:
    port = {"number": 443, "name": "x", "protocol": protocol}
    return {**GATEWAY, "spec": {"servers": [{"port": port, "hosts": ["*"], **fields}]}}


def annotated(name: str, value: str) -> Json:
    metadata = {"name": "pod", "namespace": "a", "annotations": {name: value}}
    return {"kind": "Pod", "metadata": metadata}


def captures(**annotations: str) -> Json:
    own = {f"traffic.sidecar.istio.io/{name}": value for name, value in annotations.items()}
    return {"kind": "Pod", "metadata": {"name": "pod", "namespace": "a", "annotations": own}}


REFUSED = [
    ({"kind": "WorkloadGroup", "metadata": {"name": "x", "namespace": "a"}}, "WorkloadGroup a/x"),
    ({"kind": "EnvoyFilter", "metadata": {"name": "x", "namespace": "a"}}, "EnvoyFilter a/x"),
    ({"kind": "ProxyConfig", "metadata": {"name": "x", "namespace": "a"}}, "ProxyConfig a/x"),
    (
        {"kind": "PeerAuthentication", "metadata": {"name": "x", "namespace": "a"}},
        "PeerAuthentication a/x",
    ),
    (policy(tls={"mode": "SIMPLE"}), "spec.trafficPolicy.tls"),
    (policy(tls={"mode": "ISTIO_MUTUAL"}), "spec.trafficPolicy.tls"),
    (policy(tunnel={"targetHost": "x", "targetPort": 1}), "spec.trafficPolicy.tunnel"),
    (policy(proxyProtocol={"version": "V2"}), "spec.trafficPolicy.proxyProtocol"),
    (
        policy(loadBalancer={"localityLbSetting": {"failoverPriority": ["a"]}}),
        "loadBalancer.localityLbSetting",
    ),
    (policy(loadBalancer={"zoneAwareLbSetting": {}}), "loadBalancer.zoneAwareLbSetting"),
    (
        policy(portLevelSettings=[{"port": {"number": 80}, "tls": {"mode": "MUTUAL"}}]),
        "portLevelSettings[0].tls",
    ),
    (
        {
            **RULE,
            "spec": {"host": "a", "subsets": [{"trafficPolicy": {"tls": {"mode": "SIMPLE"}}}]},
        },
        "spec.subsets[0]",
    ),
    ({**VS, "spec": {"hosts": ["a"], "tcp": [{"route": []}]}}, "spec.tcp"),
    ({**VS, "spec": {"hosts": ["a"], "tls": [{"route": []}]}}, "spec.tls"),
    (
        route(fault={"delay": {"exponentialDelay": "1s"}}),
        "spec.http[0].fault.delay.exponentialDelay",
    ),
    (route(fault={"abort": {"http2Error": "x"}}), "spec.http[0].fault.abort.http2Error"),
    (
        route(match=[{"headers": {"@request.auth.claims.sub": {"exact": "a"}}}]),
        "@request.auth.claims.sub",
    ),
    (server("HTTPS", tls={"mode": "SIMPLE"}), "spec.servers[0].port.protocol: HTTPS"),
    (server("TCP"), "spec.servers[0].port.protocol: TCP"),
    (server("HTTP", tls={"mode": "SIMPLE"}), "spec.servers[0].tls"),
    (
        {**SERVICE, "spec": {"type": "ExternalName", "externalName": "example.com"}},
        "spec.type: ExternalName",
    ),
    ({**SERVICE, "spec": {"internalTrafficPolicy": "Local"}}, "spec.internalTrafficPolicy"),
    ({**SERVICE, "spec": {"trafficDistribution": "PreferClose"}}, "spec.trafficDistribution"),
    # an empty list is a list as well: no port, and no address
    (captures(includeInboundPorts=""), "includeInboundPorts"),
    (captures(includeOutboundIPRanges=""), "includeOutboundIPRanges"),
    (captures(excludeOutboundPorts="3306"), "excludeOutboundPorts"),
    (annotated("proxy.istio.io/config", "proxyMetadata: {A: b}"), "proxy.istio.io/config"),
    (annotated("proxy.istio.io/config", "{no yaml"), "proxy.istio.io/config"),
]


@pytest.mark.parametrize(("body", "named"), REFUSED, ids=[named for _, named in REFUSED])
def test_what_can_not_be_done_is_refused_by_name(body: Json, named: str) -> None:
    with pytest.raises(UnsupportedError) as refusal:
        check_supported([Resource(body)])
    assert named in refusal.value.message
    assert refusal.value.seen
    assert "cluster" in refusal.value.try_next


@pytest.mark.parametrize(
    "body",
    [
        policy(tls={"mode": "DISABLE"}),
        policy(loadBalancer={"localityLbSetting": {"enabled": False}}),
        server("HTTP", tls={"httpsRedirect": True}),
        server("GRPC"),
        {**SERVICE, "spec": {"internalTrafficPolicy": "Cluster"}},
        annotated("proxy.istio.io/config", "holdApplicationUntilProxyStarts: true"),
        captures(includeInboundPorts="*", includeOutboundIPRanges="*", excludeOutboundPorts=""),
    ],
)
def test_neighbours_of_what_is_refused_are_fine(body: Json) -> None:
    check_supported([Resource(body)])


def test_a_kind_that_nothing_translates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row in the table of kinds makes no translation: it would be ignored in silence."""
    rule = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"host": "a"},
    }
    check_supported([Resource(rule)])
    monkeypatch.delitem(fates.TABLE, "DestinationRule")
    with pytest.raises(UnsupportedError, match="kind DestinationRule are not translated"):
        check_supported([Resource(rule)])

"""Istio's own names and ports, as its installation makes them: the one home of these facts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from labkit.resources.kinds import ISTIO_GROUP
from labkit.resources.names import ip_address

NAMESPACE = "istio-system"
"""Where istiod and the ingress gateway are."""
ROOT_NAMESPACE = NAMESPACE
"""What is applied here counts for all namespaces."""
MESH = "mesh"
"""What a VirtualService names among its gateways for all sidecars."""
CLUSTER_DOMAIN = "cluster.local"
SERVICE_DOMAIN = f"svc.{CLUSTER_DOMAIN}"

GATEWAY = "istio-ingressgateway"
"""The ingress gateway: its Service, its Deployment and its Helm release have this name."""
GATEWAY_SELECTOR: Mapping[str, str] = MappingProxyType({"istio": "ingressgateway"})
"""What a Gateway has as its selector."""
GATEWAY_LABELS: Mapping[str, str] = MappingProxyType({"app": GATEWAY, **GATEWAY_SELECTOR})
GATEWAY_QUERY = ",".join(f"{key}={value}" for key, value in GATEWAY_SELECTOR.items())
"""The selector as kubectl and the API server take it."""

PROXY = "istio-proxy"
"""The container of a sidecar."""
INJECTION, INJECTED = "istio-injection", "enabled"
"""The label of a namespace whose pods get a sidecar, and its value."""
REVISION = "istio.io/rev"
"""The label that asks for the sidecars of one istiod by its revision, in place of `INJECTION`."""
OWN_REVISION = "default"
"""The revision of an istiod that was installed without one."""
INJECT_POD = "sidecar.istio.io/inject"
"""The label by which one pod says for itself whether it gets a sidecar."""
EXPORT_TO = f"{ISTIO_GROUP}/exportTo"
"""The annotation of a Service that says which namespaces may know of it."""

ADMIN_PORT = 15000
"""Envoy's administration, inside a pod."""
OUTBOUND_PORT = 15001
"""Where everything arrives that goes out of one."""
INBOUND_PORT = 15006
"""Where everything arrives that comes in to a pod with a sidecar."""
STATUS_PORT = 15021
METRICS_PORT = 15090
PROXY_PORTS = range(15000, 15100)
"""What a proxy keeps for itself; no application listens there."""
TRAFFIC_PORTS: Mapping[int, int] = MappingProxyType({80: 8080, 443: 8443})
"""A port of the gateway's Service that is for callers → the port at which its pod listens. So it is
with istioctl; with Helm only where the chart is told to (`setup.installers`).
"""
GATEWAY_PORTS: Mapping[int, int] = MappingProxyType({STATUS_PORT: STATUS_PORT, **TRAFFIC_PORTS})
"""All ports of that Service."""


MOST_REGEX_INSTRUCTIONS = 32768
"""Istio starts its Envoys so that they refuse a route whose regular expression is larger than this
as a program of RE2; Envoy's own limit is 100.
"""


def service_host(name: str, namespace: str) -> str:
    """The full name of a Service.

    >>> service_host("hello-world", "shop")
    'hello-world.shop.svc.cluster.local'
    """
    return f"{name}.{namespace}.{SERVICE_DOMAIN}"


GATEWAY_HOST = service_host(GATEWAY, NAMESPACE)


def full_host(host: str, namespace: str) -> str:
    """The host that a rule means: a name without a dot is a Service of the rule's own namespace.

    A name with a dot is taken as it is written: `hello-world.hello-world` does *not* become a full
    name.

    >>> full_host("hello-world", "hello-world")
    'hello-world.hello-world.svc.cluster.local'
    """
    if not host or host == "*" or "." in host or ip_address(host):
        return host
    return service_host(host, namespace)


def gateway_key(name: str, namespace: str) -> tuple[str, str]:
    """(namespace, name) of a Gateway as a VirtualService of `namespace` names it.

    >>> gateway_key("shop-gateway", "shop"), gateway_key("gw.infra.svc.cluster.local", "shop")
    (('shop', 'shop-gateway'), ('infra', 'gw'))
    """
    before, slash, after = name.partition("/")
    if slash:
        return (namespace if before == "." else before, after)
    short, dot, rest = name.partition(".")
    return (rest.partition(".")[0], short) if dot else (namespace, name)


def cluster_name(port: int, subset: str, host: str) -> str:
    """Istio's name of the Envoy cluster that leads to a Service; the subset may be "".

    >>> cluster_name(80, "v1", "hello-world.hello-world.svc.cluster.local")
    'outbound|80|v1|hello-world.hello-world.svc.cluster.local'
    """
    return f"outbound|{port}|{subset}|{host}"

"""The fates of the annotations and labels that Istio has names for.

Its own list is in istio.io/api (`annotation/annotations.yaml`, `label/labels.yaml`); a few more
that istiod reads are from its source. Those of kinds that are refused as a whole are in
`OF_REFUSED_KINDS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from labkit.errors import LabkitError
from labkit.resources import mesh_config
from labkit.resources.injection import TEMPLATES
from labkit.resources.istio import EXPORT_TO, INJECT_POD, INJECTION, REVISION
from labkit.translate import settings
from labkit.translate.fates.row import EMPTY, ONE_PLACE, Row, refused_keys

Field = Literal["annotations", "labels"]

_AMBIENT = "pods here have sidecars: there is no ambient mode and no waypoint"
_ONE_NETWORK = "there is one network and one cluster"
_CAPTURE = "each sidecar here gets all connections of its pod"
_NO_CONTAINER = "a sidecar here is a process, the Envoy of this installation"
_METRICS = "the mesh reads Envoy's own statistics, all of them"
_READY = "the mesh asks Envoy itself whether it is ready"
_PLAIN = "proxies here speak plain text, without identities"
_WRITTEN = "Istio itself writes it"
_NEAR = ("preferclose", "prefersamezone", "prefersamenode")


def prefers_near(value: Any) -> bool:
    """Whether traffic is to stay near, as istiod reads the annotation."""
    return str(value).lower() in _NEAR


_OF_PROXIES = [
    path.partition(".")[2] for path in settings.REFUSED if path.startswith("defaultConfig.")
]


def changes_a_proxy(text: Any) -> bool:
    """Whether a ProxyConfig, as a text, says what a MeshConfig's `defaultConfig` may not say
    here."""
    try:
        config = mesh_config.of_annotation(str(text or ""))
    except LabkitError:
        return True
    return any(True for _ in settings.refused_fields(config))


def internal(field: Field) -> Row:
    """Names of istiod's own, which it goes by when somebody else writes them."""
    return refused_keys(
        field,
        "`internal.istio.io/…`",
        why="istiod writes these on what it makes of the Gateway API",
        keys=lambda name: name.startswith("internal.istio.io/"),
    )


def _rows(fate: Any, field: Field, names: str, why: str = "", **more: Any) -> list[Row]:
    return [Row(fate, f"{field}[{name}]", why=why, **more) for name in names.split()]


def _done(field: Field, names: str) -> list[Row]:
    return _rows("done", field, names)


def _no_effect(field: Field, names: str, why: str) -> list[Row]:
    return _rows("no effect", field, names, why)


def _refused(field: Field, names: str, why: str, *unless: str) -> list[Row]:
    """Refused, whatever the value is, except those and none."""
    harmless = (*EMPTY, *unless)
    return _rows("refused", field, names, why, asks=lambda value: value not in harmless)


def _refused_when(field: Field, name: str, why: str, words: str, asks: Any) -> list[Row]:
    """Some values refused, and the others without effect."""
    value = Row("refused", f"{field}[{name}]", (), why, asks, words)
    return [*_no_effect(field, name, why), value]


_WAYPOINTS = "istio.io/use-waypoint istio.io/use-waypoint-namespace"
_CANARY = "istio.io/use-waypoint-canary istio.io/use-waypoint-canary-namespace"

OF_PODS = [
    *_done("annotations", INJECT_POD),
    *_done("labels", f"{INJECT_POD} {REVISION} istio.io/draining"),
    *_done(
        "labels",
        "service.istio.io/canonical-name service.istio.io/canonical-revision "
        "service.istio.io/workload-name",
    ),
    *(
        # an empty list here is a list, of nothing
        row
        for name in ("includeOutboundIPRanges", "includeInboundPorts")
        for row in _rows(
            "refused",
            "annotations",
            f"traffic.sidecar.istio.io/{name}",
            _CAPTURE,
            asks=lambda value: value not in (None, "*"),
        )
    ),
    *_refused(
        "annotations",
        "traffic.sidecar.istio.io/excludeInboundPorts traffic.sidecar.istio.io/excludeInterfaces "
        "traffic.sidecar.istio.io/excludeOutboundIPRanges "
        "traffic.sidecar.istio.io/excludeOutboundPorts "
        "traffic.sidecar.istio.io/includeOutboundPorts "
        "traffic.sidecar.istio.io/kubevirtInterfaces istio.io/reroute-virtual-interfaces",
        _CAPTURE,
    ),
    *_refused("annotations", "sidecar.istio.io/interceptionMode", _CAPTURE, "REDIRECT"),
    *_refused(
        "annotations",
        "sidecar.istio.io/bootstrapOverride sidecar.istio.io/discoveryAddress",
        "each sidecar here is started as the mesh does it",
    ),
    *_refused_when(
        "annotations",
        "proxy.istio.io/config",
        "each sidecar here is started as the mesh does it",
        f"with {', '.join(_OF_PROXIES)}",
        changes_a_proxy,
    ),
    *_done("annotations", TEMPLATES),
    Row(
        "refused",
        f"annotations[{TEMPLATES}]",
        (),
        "a pod here gets a sidecar, or is a gateway",
        lambda value: value not in (*EMPTY, "sidecar", "gateway"),
        "other than sidecar and gateway",
    ),
    *_refused("annotations", "ambient.istio.io/redirection", _AMBIENT, "disabled"),
    *_refused("labels", "istio.io/dataplane-mode", _AMBIENT, "none"),
    *_refused("labels", _WAYPOINTS, _AMBIENT, "none"),
    *_refused("labels", "gateway.istio.io/managed", "there are no gateways of the Gateway API"),
    *_refused("labels", "networking.istio.io/tunnel", _AMBIENT),
    *_refused("labels", "istio.io/test-vm", "Istio's own tests mark with it what stands for a VM"),
    *_refused("labels", "topology.istio.io/network", _ONE_NETWORK),
    *_refused("labels", "topology.istio.io/locality istio-locality", ONE_PLACE),
    *_no_effect("labels", "topology.istio.io/cluster", _ONE_NETWORK),
    *_no_effect(
        "labels",
        "gateway.networking.k8s.io/gateway-name gateway.networking.k8s.io/gateway-class-name",
        "there are no gateways of the Gateway API",
    ),
    *_no_effect("labels", "security.istio.io/tlsMode", _PLAIN),
    *_no_effect(
        "annotations",
        "ambient.istio.io/bypass-inbound-capture ambient.istio.io/dns-capture",
        _AMBIENT,
    ),
    *_no_effect(
        "annotations",
        f"{REVISION} proxy.istio.io/overrides sidecar.istio.io/status",
        _WRITTEN,
    ),
    *_no_effect(
        "annotations",
        "prometheus.istio.io/merge-metrics sidecar.istio.io/extraStatTags "
        "sidecar.istio.io/statsCompression sidecar.istio.io/statsEvictionInterval "
        "sidecar.istio.io/statsFlushInterval sidecar.istio.io/statsHistogramBins "
        "sidecar.istio.io/statsHistogramBuckets sidecar.istio.io/statsInclusionPrefixes "
        "sidecar.istio.io/statsInclusionRegexps sidecar.istio.io/statsInclusionSuffixes",
        _METRICS,
    ),
    *_no_effect(
        "annotations",
        "sidecar.istio.io/agentLogLevel sidecar.istio.io/componentLogLevel "
        "sidecar.istio.io/logLevel sidecar.istio.io/nativeSidecar sidecar.istio.io/proxyCPU "
        "sidecar.istio.io/proxyCPULimit sidecar.istio.io/proxyImage "
        "sidecar.istio.io/proxyImageType sidecar.istio.io/proxyMemory "
        "sidecar.istio.io/proxyMemoryLimit sidecar.istio.io/userVolume "
        "sidecar.istio.io/userVolumeMount",
        _NO_CONTAINER,
    ),
    *_no_effect(
        "annotations",
        "readiness.status.sidecar.istio.io/applicationPorts "
        "readiness.status.sidecar.istio.io/failureThreshold "
        "readiness.status.sidecar.istio.io/initialDelaySeconds "
        "readiness.status.sidecar.istio.io/periodSeconds "
        "sidecar.istio.io/rewriteAppHTTPProbers status.sidecar.istio.io/port",
        _READY,
    ),
]

OF_SERVICES = [
    *_done("annotations", EXPORT_TO),
    *_refused_when(
        "annotations",
        "networking.istio.io/traffic-distribution",
        ONE_PLACE,
        "PreferClose, PreferSameZone, PreferSameNode",
        prefers_near,
    ),
    *_refused("labels", f"{_WAYPOINTS} {_CANARY}", _AMBIENT, "none"),
    *_refused("labels", "istio.io/ingress-use-waypoint", _AMBIENT, "false"),
    *_no_effect("annotations", "istio.io/use-waypoint-canary-weight", _AMBIENT),
    *_refused("labels", "topology.istio.io/network", _ONE_NETWORK),
    *_refused(
        "labels",
        "istio.io/persistent-session istio.io/persistent-session-header",
        "istiod's persistent sessions are off, as they are by default",
    ),
    internal("labels"),
    *_no_effect("labels", "networking.istio.io/gatewayPort", _ONE_NETWORK),
    *_no_effect("annotations", "traffic.istio.io/nodeSelector", _ONE_NETWORK),
    *_no_effect(
        "annotations",
        "alpha.istio.io/canonical-serviceaccounts alpha.istio.io/kubernetes-serviceaccounts",
        _PLAIN,
    ),
    *_no_effect(
        "labels",
        "gateway.istio.io/managed gateway.networking.k8s.io/gateway-name "
        "gateway.networking.k8s.io/gateway-class-name",
        "there are no gateways of the Gateway API",
    ),
]

OF_ENTRIES = [
    *_refused("labels", f"{_WAYPOINTS} {_CANARY}", _AMBIENT, "none"),
    *_refused("labels", "istio.io/ingress-use-waypoint", _AMBIENT, "false"),
    *_no_effect("annotations", "istio.io/use-waypoint-canary-weight", _AMBIENT),
    *_refused_when(
        "annotations",
        "networking.istio.io/traffic-distribution",
        ONE_PLACE,
        "PreferClose, PreferSameZone, PreferSameNode",
        prefers_near,
    ),
    *_refused_when(
        "annotations",
        "istio.io/connect-strategy",
        "of several addresses of a name the first that Envoy gets counts",
        "RACE_FIRST_TCP_CONNECT",
        lambda value: str(value).upper() == "RACE_FIRST_TCP_CONNECT",
    ),
    *_no_effect(
        "labels",
        "networking.istio.io/enable-autoallocate-ip",
        "such an address is for sidecars that answer DNS themselves, which none does here",
    ),
]

OF_WORKLOADS = [
    *_refused("labels", _WAYPOINTS, _AMBIENT, "none"),
    *_refused("labels", "topology.istio.io/network", _ONE_NETWORK),
    *_done(
        "labels",
        "istio.io/draining service.istio.io/canonical-name service.istio.io/canonical-revision "
        "service.istio.io/workload-name",
    ),
    *_done("annotations", "istio.io/autoRegistrationGroup"),
    *_no_effect("labels", "security.istio.io/tlsMode", _PLAIN),
    *_no_effect(
        "annotations",
        "istio.io/connectedAt istio.io/disconnectedAt istio.io/workloadController",
        _WRITTEN,
    ),
]

OF_DEPLOYMENTS = _no_effect(
    "labels",
    "gateway.istio.io/managed gateway.networking.k8s.io/gateway-name "
    "gateway.networking.k8s.io/gateway-class-name",
    "there are no gateways of the Gateway API",
)

OF_NAMESPACES = [
    *_done("labels", f"{INJECTION} {REVISION}"),
    *_refused("labels", "istio.io/dataplane-mode", _AMBIENT, "none"),
    *_refused("labels", f"{_WAYPOINTS} {_CANARY}", _AMBIENT, "none"),
    *_refused("labels", "istio.io/ingress-use-waypoint", _AMBIENT, "false"),
    *_no_effect("annotations", "istio.io/use-waypoint-canary-weight", _AMBIENT),
    *_refused("labels", "topology.istio.io/network", _ONE_NETWORK),
    *_no_effect("annotations", "topology.istio.io/controlPlaneClusters", _ONE_NETWORK),
    *_refused_when(
        "annotations",
        "networking.istio.io/traffic-distribution",
        ONE_PLACE,
        "PreferClose, PreferSameZone, PreferSameNode",
        prefers_near,
    ),
]

OF_POLICIES = [
    *_done("labels", REVISION),
    internal("annotations"),
]
"""What DestinationRules, VirtualServices and Gateways may have."""

OF_ANY = [
    *_no_effect("annotations", "galley.istio.io/analyze-suppress", "no proxy hears of it"),
    *_no_effect(
        "labels",
        "operator.istio.io/component operator.istio.io/managed operator.istio.io/version",
        "installers write it on what they install",
    ),
]

OF_REFUSED_KINDS = {
    "ambient.istio.io/waypoint-inbound-binding": "GatewayClass Gateway",
    "gateway.istio.io/controller-version": "Gateway",
    "gateway.istio.io/name-override": "Gateway",
    "gateway.istio.io/service-account": "Gateway",
    "istio.io/dry-run": "AuthorizationPolicy",
    "istio.io/tag": "MutatingWebhookConfiguration",
    "istio.io/waypoint-for": "GatewayClass Gateway",
    "kubernetes.io/ingress.class": "Ingress",
    "networking.istio.io/service-type": "Gateway",
    "topology.istio.io/subzone": "Node",
}
"""Names that only objects of these kinds have (the Gateway of the Gateway API is meant)."""


def in_metadata(*parts: Iterable[Row], at: str = "metadata") -> tuple[Row, ...]:
    """Rows of names, each where the metadata of an object is."""
    return tuple(row.below(at) for rows in parts for row in rows)

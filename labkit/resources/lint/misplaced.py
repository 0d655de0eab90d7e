"""Annotations of Istio's that do not exist, or not on such an object: nothing reads them.

As Istio's `annotations.K8sAnalyzer`, which looks at the objects themselves; here the template of a
Deployment's pods is looked at too, as the annotations of a Pod.
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.resources.istio import EXPORT_TO, REVISION
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis
from labkit.resources.lint.world import World
from labkit.resources.model import Path, Resource
from labkit.resources.rules.shared import Fields, block
from labkit.resources.words import closest

_DOMAIN = "istio.io"
_ANY = "Any"
_POD = "Pod"
# name: the kinds that it is for, of istio.io/api 1.31 (annotation/annotations.gen.go)
_OF_PODS = """
    ambient.istio.io/bypass-inbound-capture ambient.istio.io/dns-capture
    ambient.istio.io/redirection inject.istio.io/templates istio.io/reroute-virtual-interfaces
    istio.io/rev prometheus.istio.io/merge-metrics proxy.istio.io/config proxy.istio.io/overrides
    readiness.status.sidecar.istio.io/applicationPorts
    readiness.status.sidecar.istio.io/failureThreshold
    readiness.status.sidecar.istio.io/initialDelaySeconds
    readiness.status.sidecar.istio.io/periodSeconds sidecar.istio.io/agentLogLevel
    sidecar.istio.io/bootstrapOverride sidecar.istio.io/componentLogLevel
    sidecar.istio.io/discoveryAddress sidecar.istio.io/extraStatTags sidecar.istio.io/inject
    sidecar.istio.io/interceptionMode sidecar.istio.io/logLevel sidecar.istio.io/nativeSidecar
    sidecar.istio.io/proxyCPU sidecar.istio.io/proxyCPULimit sidecar.istio.io/proxyImage
    sidecar.istio.io/proxyImageType sidecar.istio.io/proxyMemory sidecar.istio.io/proxyMemoryLimit
    sidecar.istio.io/rewriteAppHTTPProbers sidecar.istio.io/statsCompression
    sidecar.istio.io/statsEvictionInterval sidecar.istio.io/statsFlushInterval
    sidecar.istio.io/statsHistogramBins sidecar.istio.io/statsHistogramBuckets
    sidecar.istio.io/statsInclusionPrefixes sidecar.istio.io/statsInclusionRegexps
    sidecar.istio.io/statsInclusionSuffixes sidecar.istio.io/status sidecar.istio.io/userVolume
    sidecar.istio.io/userVolumeMount status.sidecar.istio.io/port
    traffic.sidecar.istio.io/excludeInboundPorts traffic.sidecar.istio.io/excludeInterfaces
    traffic.sidecar.istio.io/excludeOutboundIPRanges traffic.sidecar.istio.io/excludeOutboundPorts
    traffic.sidecar.istio.io/includeInboundPorts traffic.sidecar.istio.io/includeOutboundIPRanges
    traffic.sidecar.istio.io/includeOutboundPorts traffic.sidecar.istio.io/kubevirtInterfaces
"""
KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_OF_PODS.split(), (_POD,)),
    "alpha.istio.io/canonical-serviceaccounts": ("Service",),
    "alpha.istio.io/kubernetes-serviceaccounts": ("Service",),
    "ambient.istio.io/waypoint-inbound-binding": ("GatewayClass", "Gateway"),
    "galley.istio.io/analyze-suppress": (_ANY,),
    "gateway.istio.io/controller-version": (_ANY,),
    "gateway.istio.io/name-override": ("Gateway",),
    "gateway.istio.io/service-account": ("Gateway",),
    "istio.io/autoRegistrationGroup": ("WorkloadEntry",),
    "istio.io/connectedAt": ("WorkloadEntry",),
    "istio.io/disconnectedAt": ("WorkloadEntry",),
    "istio.io/dry-run": ("AuthorizationPolicy",),
    "istio.io/use-waypoint-canary-weight": ("Service", "ServiceEntry", "Namespace"),
    "istio.io/workloadController": ("WorkloadEntry",),
    "kubernetes.io/ingress.class": ("Ingress",),
    EXPORT_TO: ("Service",),
    "networking.istio.io/service-type": ("Gateway",),
    "networking.istio.io/traffic-distribution": ("Namespace", "Service", "ServiceEntry"),
    "topology.istio.io/controlPlaneClusters": ("Namespace",),
    "traffic.istio.io/nodeSelector": ("Service",),
}
_WRITTEN_BY_ISTIO = {
    "gateway.istio.io/controller-version",
    REVISION,
    "sidecar.istio.io/status",
}


def unknown_or_misplaced(world: World) -> Iterator[Diagnosis]:
    """IST0108 and IST0107: an annotation of Istio's that nothing reads."""
    for kind in ("Namespace", "Service", "Pod", "Deployment"):
        for resource in world.all(kind):
            yield from _judged(resource, kind, ("metadata", "annotations"), resource.metadata)
            if kind == "Deployment":
                template = block(block(resource.spec, "template"), "metadata") or {}
                path = ("spec", "template", "metadata", "annotations")
                yield from _judged(resource, _POD, path, template)


def _judged(resource: Resource, kind: str, path: Path, metadata: Fields) -> Iterator[Diagnosis]:
    for name in block(metadata, "annotations") or {}:
        if not str(name).partition("/")[0].endswith(_DOMAIN) and name not in KINDS:
            continue
        places = KINDS.get(name)
        if places is None:
            near = closest(str(name), KINDS)
            fix = f"did you mean {near}?" if near else "remove it, or look for its name"
            yield diagnosis("IST0108", resource, (*path, str(name)), f"{name} is none", fix)
        elif name not in _WRITTEN_BY_ISTIO and kind not in places and _ANY not in places:
            where = " or ".join(places)
            what = f"{name} is for a {where}, not for a {kind}"
            fix = f"move it to a {where}"
            if kind == "Deployment" and _POD in places:
                fix = "move it to spec.template.metadata.annotations"
            yield diagnosis("IST0107", resource, (*path, str(name)), what, fix)

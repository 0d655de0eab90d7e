"""What a MeshConfig says that translation depends on, and the fate of each of its fields.

istiod reads it from the ConfigMap `istio`; so does a `Registry`, if it is given one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.resources import istio, mesh_config
from labkit.resources.model import Resource
from labkit.translate.values import at, duration

DONE = (
    "connectTimeout",
    "defaultDestinationRuleExportTo",
    "defaultHttpRetryPolicy",
    "defaultServiceExportTo",
    "defaultTrafficPolicy",
    "defaultVirtualServiceExportTo",
    "dnsRefreshRate",
    "h2UpgradePolicy",
    "outboundTrafficPolicy.mode",
    "pathNormalization",
    "protocolDetectionTimeout",
    "rootNamespace",
    "tcpKeepalive",
)
"""The fields that change what proxies get, here as in istiod."""

_ONE_PLACE = "all pods here are in one place"
_BOOTSTRAP = "Envoys here start with Istio's own bootstrap, and nothing is added to it"
REFUSED = {
    "configSources": "objects come from the manifests alone",
    "defaultConfig.connectionSettings": "connections have Istio's defaults here",
    "defaultConfig.customConfigFile": _BOOTSTRAP,
    "defaultConfig.gatewayTopology": "no proxy stands before the gateway here",
    "defaultConfig.interceptionMode": "no connection is redirected here",
    "defaultConfig.proxyBootstrapTemplatePath": _BOOTSTRAP,
    "defaultConfig.proxyHeaders": "proxies set the headers that they set by default",
    "defaultConfig.proxyMetadata": "istiod decides by it what to send; here it does not",
    "defaultConfig.runtimeValues": _BOOTSTRAP,
    "discoverySelectors": "every namespace here is one that istiod watches",
    "inboundTrafficPolicy": "a sidecar here has its application at loopback anyway",
    "localityLbSetting": _ONE_PLACE,
    "outboundTrafficPolicy.tls": "names outside the mesh are not looked up",
    "proxyHttpPort": "only transparent proxies are translated",
    "proxyInboundListenPort": "proxies listen at Istio's usual ports",
    "proxyListenPort": "proxies listen at Istio's usual ports",
    "serviceEntryVisibility": "what an entry's `exportTo` says is all that counts here",
    "zoneAwareLbSetting": _ONE_PLACE,
}
"""Fields that would change what proxies get, each with the reason why it is refused."""

HARMLESS: dict[str, tuple[Any, ...]] = {
    "configSources": ([],),
    "defaultConfig.connectionSettings": ({},),
    "defaultConfig.gatewayTopology": ({}, {"numTrustedProxies": 0}),
    "defaultConfig.interceptionMode": ("REDIRECT", "TPROXY"),
    "defaultConfig.proxyHeaders": ({},),
    "defaultConfig.proxyMetadata": ({},),
    "defaultConfig.runtimeValues": ({},),
    "discoverySelectors": ([],),
    "inboundTrafficPolicy": ({}, {"mode": "PASSTHROUGH"}),
    "localityLbSetting": ({}, {"enabled": False}, {"enabled": True}),
    "outboundTrafficPolicy.tls": ({"mode": "DISABLE"},),
    "proxyHttpPort": (0,),
    "proxyInboundListenPort": (istio.INBOUND_PORT,),
    "proxyListenPort": (istio.OUTBOUND_PORT,),
    "zoneAwareLbSetting": ({}, {"enabled": False}),
}
"""Values by which such a field asks for nothing."""

_LOGS = "access logs are not translated; the mesh on this machine always writes its own"
_CERTIFICATES = "proxies here speak plain text to each other, without certificates"
_INGRESS = "objects of kind Ingress are refused"
_TELEMETRY = "statistics and traces are not translated"
_NAMES = "the names of statistics are not translated"
_AGENT = "there is no agent of Istio's beside an Envoy here"
_AMBIENT = "ambient mode is not translated"
WITHOUT_EFFECT = {
    "accessLogEncoding": _LOGS,
    "accessLogFile": _LOGS,
    "accessLogFormat": _LOGS,
    "ca": _CERTIFICATES,
    "caCertificates": _CERTIFICATES,
    "certificates": _CERTIFICATES,
    "defaultConfig.availabilityZone": _ONE_PLACE,
    "defaultConfig.binaryPath": _AGENT,
    "defaultConfig.caCertificatesPem": _CERTIFICATES,
    "defaultConfig.concurrency": "each Envoy here has one worker, so that counts are exact",
    "defaultConfig.configPath": _AGENT,
    "defaultConfig.controlPlaneAuthPolicy": _CERTIFICATES,
    "defaultConfig.discoveryAddress": _AGENT,
    "defaultConfig.discoveryRefreshDelay": _AGENT,
    "defaultConfig.drainDuration": _AGENT,
    "defaultConfig.envoyAccessLogService": _LOGS,
    "defaultConfig.envoyMetricsService": _TELEMETRY,
    "defaultConfig.envoyMetricsServiceAddress": _TELEMETRY,
    "defaultConfig.extraStatTags": _NAMES,
    "defaultConfig.fileFlushInterval": _LOGS,
    "defaultConfig.fileFlushMinSizeKb": _LOGS,
    "defaultConfig.holdApplicationUntilProxyStarts": "the sidecar is always up first here",
    "defaultConfig.image": _AGENT,
    "defaultConfig.meshId": _TELEMETRY,
    "defaultConfig.privateKeyProvider": _CERTIFICATES,
    "defaultConfig.proxyAdminPort": _AGENT,
    "defaultConfig.proxyStatsMatcher": _NAMES,
    "defaultConfig.readinessProbe": "probes are those of the pods",
    "defaultConfig.sds": _CERTIFICATES,
    "defaultConfig.serviceCluster": _TELEMETRY,
    "defaultConfig.statNameLength": _NAMES,
    "defaultConfig.statsCompression": _TELEMETRY,
    "defaultConfig.statsdUdpAddress": _TELEMETRY,
    "defaultConfig.statusPort": _AGENT,
    "defaultConfig.terminationDrainDuration": _AGENT,
    "defaultConfig.tracing": _TELEMETRY,
    "defaultConfig.tracingServiceName": _TELEMETRY,
    "defaultConfig.zipkinAddress": _TELEMETRY,
    "defaultProviders": _TELEMETRY,
    "disableEnvoyListenerLog": _LOGS,
    "enableAutoMtls": _CERTIFICATES,
    "enableEnvoyAccessLogService": _LOGS,
    "enablePrometheusMerge": _TELEMETRY,
    "enableTracing": _TELEMETRY,
    "extensionProviders": "only Telemetry and AuthorizationPolicy name them: both are refused",
    "hboneIdleTimeout": _AMBIENT,
    "inboundClusterStatName": _NAMES,
    "ingressClass": _INGRESS,
    "ingressControllerMode": _INGRESS,
    "ingressSelector": _INGRESS,
    "ingressService": _INGRESS,
    "meshMTLS": _CERTIFICATES,
    "outboundClusterStatName": _NAMES,
    "serviceScopeConfigs": _AMBIENT,
    "serviceSettings": "there is one cluster",
    "tlsDefaults": _CERTIFICATES,
    "trustDomain": _CERTIFICATES,
    "trustDomainAliases": _CERTIFICATES,
    "verifyCertificateAtClient": _CERTIFICATES,
}
"""Fields that change nothing here, each with the reason."""


@dataclass(frozen=True)
class Settings:
    """The settings of a mesh, with Istio's defaults. Durations are Envoy's (`10s`), `retries` and
    the two parts of `default_policy` are as a VirtualService and a DestinationRule write them.
    """

    connect_timeout: str = "10s"
    default_policy: Json = field(default_factory=dict)
    detection_timeout: str = "0s"
    dns_refresh_rate: str = "60s"
    h2_upgrade: bool = False
    near_first: bool = True
    normalization: str = "DEFAULT"
    private_destination_rules: bool = False
    registry_only: bool = False
    retries: Json | None = None
    root_namespace: str = istio.ROOT_NAMESPACE
    service_export_to: frozenset[str] = frozenset()
    tcp_keepalive: Json | None = None
    virtual_service_export_to: frozenset[str] = frozenset()

    def policy(self, written: Json | None) -> Json | None:
        """A trafficPolicy with the mesh's own connectionPool and outlierDetection where it has
        none."""
        missing = {k: v for k, v in self.default_policy.items() if (written or {}).get(k) is None}
        return {**(written or {}), **missing} if missing else written


def settings_of(resources: Iterable[Resource]) -> Settings:
    """The settings of the mesh that these objects make: those of the ConfigMap `istio`, if it is
    among them. Raises UnsupportedError for a field that is refused, ValidationError for what is no
    MeshConfig.
    """
    found = [resource for resource in resources if mesh_config.is_config_map(resource)]
    return settings(mesh_config.of_config_map(found[-1])) if found else Settings()


def settings(config: Json) -> Settings:
    """The settings of a MeshConfig that was checked. Raises UnsupportedError."""
    check_supported_settings(config)
    mode = at(config, "outboundTrafficPolicy", "mode")
    normalization = at(config, "pathNormalization", "normalization")
    return Settings(
        connect_timeout=duration(config.get("connectTimeout") or "10s"),
        default_policy=config.get("defaultTrafficPolicy") or {},
        detection_timeout=duration(config.get("protocolDetectionTimeout") or "0s"),
        dns_refresh_rate=duration(config.get("dnsRefreshRate") or "60s"),
        h2_upgrade=config.get("h2UpgradePolicy") == "UPGRADE",
        near_first=at(config, "localityLbSetting", "enabled") is not False,
        normalization=normalization or "DEFAULT",
        private_destination_rules="." in (config.get("defaultDestinationRuleExportTo") or ()),
        # without a mode it is the first of them, as in all of Istio's protocol buffers
        registry_only="outboundTrafficPolicy" in config and mode != "ALLOW_ANY",
        retries=config.get("defaultHttpRetryPolicy"),
        root_namespace=config.get("rootNamespace") or istio.ROOT_NAMESPACE,
        service_export_to=frozenset(config.get("defaultServiceExportTo") or ()),
        tcp_keepalive=config.get("tcpKeepalive"),
        virtual_service_export_to=frozenset(config.get("defaultVirtualServiceExportTo") or ()),
    )


def check_supported_settings(config: Json) -> None:
    """Raises UnsupportedError for the first field of a MeshConfig that is refused."""
    for path, why in refused_fields(config):
        raise refusal(path, why)
    mode = at(config, "outboundTrafficPolicy", "mode")
    if mode == "ALLOW_ANY_DYNAMIC_DNS":
        raise refusal(f"outboundTrafficPolicy.mode: {mode}", REFUSED["outboundTrafficPolicy.tls"])


def refused_fields(config: Json) -> Iterator[tuple[str, str]]:
    """(path, why) of the fields of a MeshConfig that are refused."""
    for path, why in REFUSED.items():
        value = at(config, *path.split("."))
        if value is not None and value not in HARMLESS.get(path, ()):
            yield path, why


def without_effect(config: Json) -> list[str]:
    """A line for each field of a MeshConfig that changes nothing here, with the reason."""
    return [
        f"{path}: without effect here: {why}"
        for path, why in WITHOUT_EFFECT.items()
        if at(config, *path.split(".")) is not None
    ]


def refusal(path: str, why: str) -> UnsupportedError:
    """The error for a field of MeshConfig."""
    return UnsupportedError(
        f"MeshConfig, {path}, is not supported here",
        seen=why,
        try_next='leave it out, or do it on a cluster: labkit.open_mesh("cluster")',
    )

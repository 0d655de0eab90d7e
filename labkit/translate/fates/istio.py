"""The fates of the fields of Istio's kinds: DestinationRule, VirtualService, Gateway."""

from __future__ import annotations

from typing import Any

from labkit.resources import protocols
from labkit.translate.fates.row import (
    ONE_PLACE,
    Row,
    done,
    no_effect,
    refused,
    refused_keys,
    refused_values,
    told,
)

PLACES = ("topology.kubernetes.io/", "topology.istio.io/", "kubernetes.io/hostname")
"""istiod gives such labels to every pod and proxy, by the node that it is on."""


def of_a_place(key: str) -> bool:
    """Whether a label says where a pod is."""
    return key.startswith(PLACES)


def no_places(place: str) -> Row:
    return refused_keys(place, "labels of a place", why=ONE_PLACE, keys=of_a_place)


STATUS = no_effect(
    "status",
    "conditions[].lastProbeTime conditions[].lastTransitionTime conditions[].message "
    "conditions[].observedGeneration conditions[].reason conditions[].status conditions[].type "
    "observedGeneration validationMessages[].documentationUrl validationMessages[].level "
    "validationMessages[].type.code validationMessages[].type.name",
    why="a control plane writes it, and none reads it",
)

_TLS = (
    "caCertificates caCrl clientCertificate credentialName insecureSkipVerify mode privateKey sni "
    "subjectAltNames[]"
)
_NOWHERE = "istiod reads it nowhere: use consecutive5xxErrors"
_LOCALITY = "failover[].from failover[].to failoverPriority[]"

PORT_POLICY = (
    done(
        "connectionPool.http",
        "h2UpgradePolicy http1MaxPendingRequests http2KeepAlive.interval http2KeepAlive.timeout "
        "http2MaxRequests idleTimeout maxConcurrentStreams maxRequestsPerConnection maxRetries "
        "useClientProtocol",
    ),
    done(
        "connectionPool.tcp",
        "connectTimeout idleTimeout maxConnectionDuration maxConnections tcpKeepalive.interval "
        "tcpKeepalive.probes tcpKeepalive.time",
    ),
    done("loadBalancer", "simple warmupDurationSecs"),
    done("loadBalancer.warmup", "aggression duration minimumPercent"),
    done(
        "loadBalancer.consistentHash",
        "httpCookie.attributes[].name httpCookie.attributes[].value httpCookie.name "
        "httpCookie.path httpCookie.ttl httpHeaderName httpQueryParameterName maglev.tableSize "
        "minimumRingSize ringHash.minimumRingSize useSourceIp",
    ),
    refused_values(
        "loadBalancer.consistentHash.maglev.tableSize",
        "1",
        why="it ends every Envoy, which divides by the size less one: take a larger prime",
        asks=lambda size: size == 1,
    ),
    done(
        "outlierDetection",
        "baseEjectionTime consecutive5xxErrors consecutiveGatewayErrors "
        "consecutiveLocalOriginFailures interval maxEjectionPercent minHealthPercent "
        "splitExternalLocalOriginErrors",
    ),
    told("outlierDetection.consecutiveErrors", why=_NOWHERE),
    told("outlierDetection.outlierDetectionHttpErrorCodes", "[]", why=_NOWHERE),
    refused(
        "loadBalancer.localityLbSetting",
        f"distribute[].from distribute[].to{{}} {_LOCALITY}",
        why=ONE_PLACE,
        unless=({}, {"enabled": False}, {"enabled": True}),
    ),
    no_effect("loadBalancer.localityLbSetting", "enabled", why=ONE_PLACE),
    refused(
        "loadBalancer.zoneAwareLbSetting", f"enabled {_LOCALITY} minClusterSize", why=ONE_PLACE
    ),
    refused(
        "tls",
        _TLS,
        why="the mesh on this machine speaks plain text between proxies (`mode: DISABLE` alone is "
        "fine)",
        unless=({}, {"mode": "DISABLE"}),
    ),
)
"""What a trafficPolicy and the settings of one port have in common."""

POLICY = (
    *PORT_POLICY,
    *(row.below("portLevelSettings[]") for row in PORT_POLICY),
    done("portLevelSettings[]", "port.number"),
    done("retryBudget", "budgetInterval minRetryConcurrency percent"),
    refused(
        "tunnel",
        "protocol targetHost targetPort",
        why="tunnels carry TCP, and only HTTP is translated",
    ),
    refused("proxyProtocol", "version", why="the PROXY protocol is not spoken here"),
)

DESTINATION_RULE = (
    done(
        "spec", "exportTo[] host subsets[].labels{} subsets[].name workloadSelector.matchLabels{}"
    ),
    no_places("spec.subsets[].labels"),
    no_places("spec.workloadSelector.matchLabels"),
    *(row.below("spec.trafficPolicy") for row in POLICY),
    *(row.below("spec.subsets[].trafficPolicy") for row in POLICY),
    STATUS,
)

_TEXT = "exact prefix regex"
_CHANGES = "add{} remove[] set{}"


def each(names: str, parts: str) -> str:
    """Every name with every part: "a.x a.y b.x b.y"."""
    return " ".join(f"{name}.{part}" for name in names.split() for part in parts.split())


_HEADERS = each("headers.request headers.response", _CHANGES)
_DESTINATION = "destination.host destination.port.number destination.subset"
_OF_CONNECTIONS = "match[].gateways[] match[].port match[].sourceLabels{} match[].sourceNamespace"

VIRTUAL_SERVICE = (
    done("spec", "exportTo[] gateways[] hosts[]"),
    done("spec.http[]", "name timeout delegate.name delegate.namespace"),
    done(
        "spec.http[].match[]",
        each("authority headers{} method queryParams{} scheme uri withoutHeaders{}", _TEXT)
        + " gateways[] ignoreUriCase name port sourceLabels{} sourceNamespace statPrefix",
    ),
    no_places("spec.http[].match[].sourceLabels"),
    *(
        refused_keys(
            f"spec.http[].match[].{field}",
            "`@request.…`",
            why="claims of a JWT need RequestAuthentication",
            keys=lambda name: name.lower().startswith("@request."),
        )
        for field in ("headers", "withoutHeaders")
    ),
    done("spec.http[].route[]", f"{_DESTINATION} {_HEADERS} weight"),
    done("spec.http[]", _HEADERS),
    done(
        "spec.http[]",
        "mirror.host mirror.port.number mirror.subset mirrorPercent mirrorPercentage.value "
        f"mirror_percent {each('mirrors[]', _DESTINATION)} mirrors[].percentage.value",
    ),
    done(
        "spec.http[].corsPolicy",
        "allowCredentials allowHeaders[] allowMethods[] allowOrigin[] allowOrigins[].exact "
        "allowOrigins[].prefix allowOrigins[].regex exposeHeaders[] maxAge unmatchedPreflights",
    ),
    done("spec.http[].directResponse", "body.bytes body.string status"),
    done("spec.http[].fault.abort", "grpcStatus httpStatus percentage.value"),
    done("spec.http[].fault.delay", "fixedDelay percent percentage.value"),
    refused("spec.http[].fault.abort.http2Error", why="Istio itself does not support it"),
    refused("spec.http[].fault.delay.exponentialDelay", why="Istio itself does not support it"),
    done(
        "spec.http[].redirect",
        "authority derivePort port prefixRewrite redirectCode scheme uri",
    ),
    done(
        "spec.http[].retries",
        "attempts backoff perTryTimeout retryIgnorePreviousHosts retryOn retryRemoteLocalities",
    ),
    done(
        "spec.http[].rewrite",
        "authority uri uriRegexRewrite.match uriRegexRewrite.rewrite",
    ),
    *(
        refused(
            f"spec.{field}",
            " ".join(
                f"[].{part}"
                for part in f"match[].destinationSubnets[] {_OF_CONNECTIONS} {own} "
                f"{each('route[]', _DESTINATION)} route[].weight".split()
            ),
            why="only HTTP routes are translated",
        )
        for field, own in (("tcp", "match[].sourceSubnet"), ("tls", "match[].sniHosts[]"))
    ),
    STATUS,
)


def is_no_http(protocol: Any) -> bool:
    """Whether a Gateway's server speaks something else."""
    return not protocols.is_http(protocols.parse(str(protocol or "")))


def has_certificates(tls: Any) -> bool:
    """Whether a server's `tls` asks for more than a redirect."""
    return isinstance(tls, dict) and bool(tls.keys() - {"httpsRedirect"})


def fails_istiod(hosts: Any) -> bool:
    """Whether a host with `./` or `*/` comes after `*/*`: that makes istiod's list of hosts one
    long, and the next such host is put behind its end (`sanitizeServerHostNamespace` in
    `pilot/pkg/model/gateway.go`).
    """
    known = hosts if isinstance(hosts, list) else []
    after = known[known.index("*/*") + 1 :] if "*/*" in known else []
    return any(str(host).startswith(("./", "*/")) and host != "*/*" for host in after)


GATEWAY = (
    done("spec", "selector{}"),
    no_places("spec.selector"),
    done("spec.servers[]", "bind hosts[] port.number tls.httpsRedirect"),
    no_effect("spec.servers[].port.protocol", why="the gateway takes HTTP/1.1 and HTTP/2 alike"),
    refused_values(
        "spec.servers[].port.protocol",
        "HTTPS, TLS, TCP and what is none",
        why="the gateway here serves HTTP, HTTP2 and GRPC",
        asks=is_no_http,
    ),
    refused(
        "spec.servers[].tls",
        "caCertCredentialName caCertificates caCrl cipherSuites[] credentialName "
        "credentialNames[] insecureSkipVerify maxProtocolVersion minProtocolVersion mode "
        "privateKey serverCertificate subjectAltNames[] tlsCertificates[].caCertificates "
        "tlsCertificates[].privateKey tlsCertificates[].serverCertificate "
        "verifyCertificateHash[] verifyCertificateSpki[]",
        why="the gateway here has no certificates (httpsRedirect alone is fine)",
        asks=has_certificates,
    ),
    refused_values(
        "spec.servers[].hosts",
        "`./` or `*/` after `*/*`",
        why="istiod itself fails on these hosts: leave out those after `*/*`",
        asks=fails_istiod,
    ),
    no_effect("spec.servers[]", "name port.name", why="istiod needs them for TLS alone"),
    told("spec.servers[].defaultEndpoint", why="istiod reads it nowhere"),
    refused("spec.servers[].port.targetPort", why="Istio itself refuses it: it does nothing"),
    STATUS,
)

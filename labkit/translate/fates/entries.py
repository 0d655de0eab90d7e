"""The fates of the fields of ServiceEntry, WorkloadEntry and Sidecar."""

from __future__ import annotations

from typing import Any

from labkit.translate.fates.istio import STATUS, no_places
from labkit.translate.fates.kubernetes import BOOKKEEPING, NO_NAME
from labkit.translate.fates.row import Row, done, no_effect, refused, refused_values

_PLAIN = "proxies here speak plain text, without identities"
_ONE_NETWORK = "there is one network and one cluster"
_ONE_LISTENER = "a sidecar's listeners are those of its services (`hosts` alone is fine)"
_SOCKETS = "an endpoint here has an address and a port"


def is_socket(address: Any) -> bool:
    """Whether an address is that of a Unix socket."""
    return str(address).startswith("unix:")


def _workload(place: str) -> tuple[Row, ...]:
    """What a WorkloadEntry and an endpoint in a ServiceEntry have in common."""
    return (
        done(place, "address labels{} locality ports{} weight"),
        refused_values(f"{place}.address", "a Unix socket's", why=_SOCKETS, asks=is_socket),
        no_places(f"{place}.labels"),
        refused(f"{place}.network", why=_ONE_NETWORK),
        no_effect(place, "serviceAccount", why=_PLAIN),
    )


SERVICE_ENTRY = (
    done(
        "spec",
        "addresses[] exportTo[] hosts[] location resolution workloadSelector.labels{}",
    ),
    done("spec.ports[]", "name number protocol targetPort"),
    refused_values(
        "spec.resolution",
        "DYNAMIC_DNS",
        why="a proxy here looks no name up while a request waits for it",
        asks=lambda value: value == "DYNAMIC_DNS",
    ),
    refused_values(
        "spec.addresses",
        "more than one",
        why="which of them routes name is chance in istiod: write an entry for each",
        asks=lambda value: isinstance(value, list) and len(value) > 1,
    ),
    no_places("spec.workloadSelector.labels"),
    *_workload("spec.endpoints[]"),
    no_effect("spec", "subjectAltNames[]", why=_PLAIN),
    STATUS,
)

WORKLOAD_ENTRY = (*_workload("spec"), STATUS)

_HTTP_POOL = (
    "h2UpgradePolicy http1MaxPendingRequests http2KeepAlive.interval http2KeepAlive.timeout "
    "http2MaxRequests idleTimeout maxConcurrentStreams maxRequestsPerConnection maxRetries "
    "useClientProtocol"
)
_TCP_POOL = (
    "connectTimeout idleTimeout maxConnectionDuration maxConnections tcpKeepalive.interval "
    "tcpKeepalive.probes tcpKeepalive.time"
)
_POOL = " ".join(
    [*(f"http.{each}" for each in _HTTP_POOL.split()), *(f"tcp.{e}" for e in _TCP_POOL.split())]
)
_PORT = "port.name port.number port.protocol port.targetPort"
_TLS = (
    "caCertCredentialName caCertificates caCrl cipherSuites[] credentialName credentialNames[] "
    "httpsRedirect insecureSkipVerify maxProtocolVersion minProtocolVersion mode privateKey "
    "serverCertificate subjectAltNames[] tlsCertificates[].caCertificates "
    "tlsCertificates[].privateKey tlsCertificates[].serverCertificate verifyCertificateHash[] "
    "verifyCertificateSpki[]"
)

SIDECAR = (
    done("spec", "egress[].hosts[] outboundTrafficPolicy.mode workloadSelector.labels{}"),
    no_places("spec.workloadSelector.labels"),
    refused("spec.egress[].port", "name number protocol targetPort", why=_ONE_LISTENER),
    refused("spec.egress[].bind", why=_ONE_LISTENER),
    refused("spec.egress[].captureMode", why=_ONE_LISTENER, unless=("DEFAULT", "IPTABLES")),
    refused(
        "spec.ingress",
        " ".join(
            f"[].{each}"
            for each in (
                f"bind captureMode defaultEndpoint {_PORT} "
                + " ".join(f"connectionPool.{each}" for each in _POOL.split())
                + " "
                + " ".join(f"tls.{each}" for each in _TLS.split())
            ).split()
        ),
        why="a sidecar takes what Services lead to at its pod, and nothing else",
    ),
    refused(
        "spec.inboundConnectionPool",
        _POOL,
        why="a pool towards the application is that of a DestinationRule",
    ),
    refused(
        "spec.outboundTrafficPolicy.egressProxy",
        "host port.number subset",
        why="what no service has goes on, or nowhere (`mode` says which)",
    ),
    STATUS,
    done("metadata", "namespace creationTimestamp"),
    no_effect("metadata", "name", why="nothing speaks of a Sidecar"),
    no_effect("metadata", "labels{}", why=NO_NAME),
    no_effect("metadata", "annotations{}", why=NO_NAME),
    BOOKKEEPING,
)

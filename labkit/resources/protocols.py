"""The protocol that Istio takes a Service's port to speak, from `appProtocol`
or the port's name.

As istiod's `pkg/config/kube/conversion.go` reads it. And the status codes of gRPC, which a fault
may name.
"""

from __future__ import annotations

HTTP = "HTTP"
HTTP2 = "HTTP2"
GRPC = "GRPC"
GRPC_WEB = "GRPC-Web"
HTTPS = "HTTPS"
TCP = "TCP"
UDP = "UDP"
UNKNOWN = ""
"""No protocol is said: a sidecar looks at the first bytes, a gateway takes it for HTTP/1.1."""

BY_PREFIX = {
    "tcp": TCP,
    "udp": UDP,
    "grpc": GRPC,
    "grpc-web": GRPC_WEB,
    "http": HTTP,
    "http_proxy": "HTTP_PROXY",
    "http2": HTTP2,
    "https": HTTPS,
    "tls": "TLS",
    "mongo": "Mongo",
    "redis": "Redis",
    "mysql": "MySQL",
}
BY_APP_PROTOCOL = {"kubernetes.io/h2c": HTTP2, "kubernetes.io/ws": HTTP, "kubernetes.io/wss": HTTPS}
SERVER_SPEAKS_FIRST = {25, 53, 3306, 27017}
"""Ports at which waiting for the client's first bytes would never end."""

SERVER_ALWAYS_FIRST = frozenset({"Mongo", "MySQL"})
"""Protocols for which Istio adds no look at the first bytes to a listener that is there."""


def parse(text: str) -> str:
    """A protocol's name, whatever its case."""
    return BY_PREFIX.get(text.lower(), UNKNOWN)


def of_port(number: int, name: str, transport: str, app_protocol: str | None) -> str:
    """The protocol of a Service's port.

    >>> of_port(80, "http-web", "TCP", None), of_port(9000, "metrics", "TCP", None)
    ('HTTP', '')
    """
    if transport == UDP:
        return UDP
    said = app_protocol if app_protocol is not None else name
    if app_protocol in BY_APP_PROTOCOL:
        return BY_APP_PROTOCOL[app_protocol]
    if said.lower().startswith("grpc-web"):
        return GRPC_WEB
    found = parse(said.partition("-")[0])
    return TCP if found == UNKNOWN and number in SERVER_SPEAKS_FIRST else found


def is_http2(protocol: str) -> bool:
    """Whether upstream connections speak HTTP/2."""
    return protocol in (HTTP2, GRPC, GRPC_WEB)


def is_http(protocol: str) -> bool:
    """Whether a port says that it is HTTP, so that routes apply to it."""
    return protocol in (HTTP, "HTTP_PROXY") or is_http2(protocol)


def is_tls(protocol: str) -> bool:
    """Whether a port says that its connections begin with TLS."""
    return protocol in (HTTPS, "TLS")


def is_http_or_unknown(protocol: str) -> bool:
    """Whether traffic may be HTTP: a sidecar looks at it where the port says nothing."""
    return protocol == UNKNOWN or is_http(protocol)


GRPC_CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The names of gRPC's status codes, each at the place of its number."""

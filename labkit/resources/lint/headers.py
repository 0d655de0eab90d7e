"""What Istio takes and Envoy refuses: `%20` in the value of a header, line breaks, some numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from labkit.resources.finding import shown
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis
from labkit.resources.lint.sections import policies_of, routes_of
from labkit.resources.lint.world import World
from labkit.resources.model import Path, Resource
from labkit.resources.rules.shared import Fields, block, items

_COMMAND = re.compile(r"%([A-Z0-9_]+)(\([^)]*\))?(:[0-9]+)?%")


_PLAIN = """
    ACCESS_LOG_TYPE BYTES_RECEIVED BYTES_RETRANSMITTED BYTES_SENT CONNECTION_ID
    CONNECTION_TERMINATION_DETAILS CUSTOM_FLAGS DOWNSTREAM_CX_RTT
    DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT
    DOWNSTREAM_DETECTED_CLOSE_TYPE DOWNSTREAM_DIRECT_LOCAL_ADDRESS
    DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_DIRECT_LOCAL_PORT
    DOWNSTREAM_DIRECT_REMOTE_ADDRESS DOWNSTREAM_DIRECT_REMOTE_PORT DOWNSTREAM_HANDSHAKE_DURATION
    DOWNSTREAM_HEADER_BYTES_RECEIVED DOWNSTREAM_HEADER_BYTES_SENT DOWNSTREAM_LOCAL_ADDRESS
    DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID DOWNSTREAM_LOCAL_CLOSE_REASON DOWNSTREAM_LOCAL_DNS_SAN
    DOWNSTREAM_LOCAL_EMAIL_SAN DOWNSTREAM_LOCAL_IP_SAN DOWNSTREAM_LOCAL_OTHERNAME_SAN
    DOWNSTREAM_LOCAL_PORT DOWNSTREAM_LOCAL_SUBJECT DOWNSTREAM_LOCAL_URI_SAN DOWNSTREAM_PEER_CERT
    DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1 DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256
    DOWNSTREAM_PEER_CHAIN_SERIALS DOWNSTREAM_PEER_DNS_SAN DOWNSTREAM_PEER_EMAIL_SAN
    DOWNSTREAM_PEER_FINGERPRINT_1 DOWNSTREAM_PEER_FINGERPRINT_256 DOWNSTREAM_PEER_IP_SAN
    DOWNSTREAM_PEER_ISSUER DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256 DOWNSTREAM_PEER_ISSUER_SERIAL
    DOWNSTREAM_PEER_OTHERNAME_SAN DOWNSTREAM_PEER_SERIAL DOWNSTREAM_PEER_SUBJECT
    DOWNSTREAM_PEER_URI_SAN DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_REMOTE_PORT
    DOWNSTREAM_TLS_CIPHER DOWNSTREAM_TLS_GROUP DOWNSTREAM_TLS_SESSION_ID DOWNSTREAM_TLS_VERSION
    DOWNSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_WIRE_BYTES_RECEIVED
    DOWNSTREAM_WIRE_BYTES_SENT DURATION FILTER_CHAIN_NAME GRPC_STATUS_NUMBER HOSTNAME
    LOCAL_REPLY_BODY PROTOCOL REQUEST_DURATION REQUEST_HEADERS_BYTES REQUEST_TX_DURATION
    RESPONSE_CODE RESPONSE_DURATION RESPONSE_FLAGS RESPONSE_FLAGS_LONG RESPONSE_HEADERS_BYTES
    RESPONSE_TRAILERS_BYTES RESPONSE_TX_DURATION ROUNDTRIP_DURATION ROUTE_NAME
    ROUTE_RESOLUTION_COUNT ROUTE_RESOLUTION_TIME_US SPAN_ID STREAM_ID TLS_JA3_FINGERPRINT
    TLS_JA4_FINGERPRINT TRACE_ID UNIQUE_ID UPSTREAM_CLUSTER UPSTREAM_CLUSTER_RAW
    UPSTREAM_CONNECTION_ID UPSTREAM_CONNECTION_IDS_ATTEMPTED
    UPSTREAM_CONNECTION_POOL_READY_DURATION UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED
    UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT UPSTREAM_DETECTED_CLOSE_TYPE
    UPSTREAM_HEADER_BYTES_RECEIVED UPSTREAM_HEADER_BYTES_SENT UPSTREAM_HOST
    UPSTREAM_HOSTS_ATTEMPTED UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT UPSTREAM_HOST_NAME
    UPSTREAM_HOST_NAMES_ATTEMPTED UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT
    UPSTREAM_HOST_NAME_WITHOUT_PORT UPSTREAM_LOCAL_ADDRESS UPSTREAM_LOCAL_CLOSE_REASON
    UPSTREAM_LOCAL_DNS_SAN UPSTREAM_LOCAL_IP_SAN UPSTREAM_LOCAL_PORT UPSTREAM_LOCAL_URI_SAN
    UPSTREAM_PEER_CERT UPSTREAM_PEER_DNS_SAN UPSTREAM_PEER_IP_SAN UPSTREAM_PEER_ISSUER
    UPSTREAM_PEER_SUBJECT UPSTREAM_PEER_URI_SAN UPSTREAM_PROTOCOL UPSTREAM_REMOTE_ADDRESS
    UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID UPSTREAM_REMOTE_PORT UPSTREAM_REQUEST_ATTEMPT_COUNT
    UPSTREAM_SERVER_NAME UPSTREAM_TLS_CIPHER UPSTREAM_TLS_GROUP UPSTREAM_TLS_SESSION_ID
    UPSTREAM_TLS_VERSION UPSTREAM_TRANSPORT_FAILURE_REASON UPSTREAM_WIRE_BYTES_RECEIVED
    UPSTREAM_WIRE_BYTES_SENT VIRTUAL_CLUSTER_NAME
"""
PLAIN = frozenset(_PLAIN.split())
"""Commands of Envoy 1.36 that take nothing in parentheses, and no length."""
_OPTIONAL = """
    DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT
    DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT EMIT_TIME
    EMIT_TIME_LOCAL GRPC_STATUS PATH QUERY_PARAMS REQUESTED_SERVER_NAME RESPONSE_CODE_DETAILS
    START_TIME START_TIME_LOCAL UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT
    UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT
"""
OPTIONAL = frozenset(_OPTIONAL.split())
"""Those that may have something in parentheses."""
_WITH_ARGUMENTS = """
    CEL CLUSTER_METADATA COALESCE COMMON_DURATION DYNAMIC_METADATA ENVIRONMENT FILTER_STATE
    METADATA PER_REQUEST_STATE QUERY_PARAM REQ REQUEST_HEADER RESP RESPONSE_HEADER
    RESPONSE_TRAILER STREAM_INFO_REQ TRAILER UPSTREAM_FILTER_STATE UPSTREAM_METADATA
"""
WITH_ARGUMENTS = frozenset(_WITH_ARGUMENTS.split())
"""Those that need something in parentheses."""
_WITH_LENGTH = WITH_ARGUMENTS | {"PATH", "QUERY_PARAMS"}


def unknown_commands(world: World) -> Iterator[Diagnosis]:
    """LAB10: a percent sign that begins no command of Envoy's."""
    for service in world.all("VirtualService"):
        for path, route in routes_of(service):
            yield from _of(service, path, route)
            for index, destination in enumerate(items(route, "route")):
                yield from _of(service, (*path, "route", index), destination)


def _of(service: Resource, path: Path, owner: Fields) -> Iterator[Diagnosis]:
    headers = block(owner, "headers")
    for side in ("request", "response"):
        operations = block(headers, side)
        for operation in ("set", "add"):
            for name, value in (block(operations, operation) or {}).items():
                if side == "request" and str(name).lower() in ("host", ":authority"):
                    continue  # the host of the request, in which nothing is replaced
                place = refused_at(str(value or ""))
                if place is not None:
                    where: Path = (*path, "headers", side, operation, name)
                    part = str(value)[place : place + 12]
                    what = f"no command of Envoy begins at {shown(part)} in {shown(value)}"
                    fix = (
                        f"write %% for a percent sign that stands for itself: {_mended(str(value))}"
                    )
                    yield diagnosis("LAB10", service, where, what, fix)


_BROKEN = re.compile(r"[\n\r\0]")
_ONE_LINE = (
    ("headers", "request", "remove"),
    ("headers", "response", "remove"),
    ("rewrite", "uri"),
    ("rewrite", "authority"),
    ("rewrite", "uriRegexRewrite", "rewrite"),
    ("redirect", "uri"),
    ("redirect", "authority"),
)
"""Of a route, what Envoy takes only without line breaks and Istio does not look at, beside the
names of headers."""
_LONGEST_PARAMETER = 1024  # bytes


def refused_texts(world: World) -> Iterator[Diagnosis]:
    """LAB13: line breaks where Envoy takes none, and names of query parameters that it refuses."""
    for service in world.all("VirtualService"):
        for path, route in routes_of(service):
            owners = [(path, route)]
            for index, destination in enumerate(items(route, "route")):
                owners.append(((*path, "route", index), destination))
            for place, owner in owners:
                for where, text in _lines_of(owner):
                    yield from _broken(service, (*place, *where), text)
            for index, match in enumerate(items(route, "match")):
                for name in block(match, "queryParams") or {}:
                    if not 0 < len(str(name).encode()) <= _LONGEST_PARAMETER:
                        where = (*path, "match", index, "queryParams", str(name))
                        what = f"the name of the parameter is {'long' if name else 'empty'}"
                        fix = f"a name has 1 to {_LONGEST_PARAMETER} bytes"
                        yield diagnosis("LAB13", service, where, what, fix)
    for rule in world.all("DestinationRule"):
        for path, policy in policies_of(rule):
            hashed = block(block(policy, "loadBalancer"), "consistentHash") or {}
            where = (*path, "loadBalancer", "consistentHash")
            yield from _broken(rule, (*where, "httpHeaderName"), hashed.get("httpHeaderName"))
            for index, each in enumerate(items(block(hashed, "httpCookie"), "attributes")):
                for name in ("name", "value"):
                    place = (*where, "httpCookie", "attributes", index, name)
                    yield from _broken(rule, place, each.get(name))


_LARGEST_RING = 8388608
_NO_STATUS = 600


def refused_numbers(world: World) -> Iterator[Diagnosis]:
    """LAB13: numbers that are just beyond what Envoy takes, or far beyond."""
    for service in world.all("VirtualService"):
        for path, route in routes_of(service):
            for where, name in (
                (("fault", "abort"), "httpStatus"),
                (("directResponse",), "status"),
            ):
                owner: Any = route
                for step in where:
                    owner = block(owner, step)
                if owner and owner.get(name) == _NO_STATUS:
                    what = f"{_NO_STATUS} is no status of HTTP"
                    yield diagnosis("LAB13", service, (*path, *where, name), what, "at most 599")
    for rule in world.all("DestinationRule"):
        for path, policy in policies_of(rule):
            hashed = block(block(policy, "loadBalancer"), "consistentHash")
            for place, owner in (((), hashed), (("ringHash",), block(hashed, "ringHash"))):
                size = (owner or {}).get("minimumRingSize")
                if isinstance(size, int) and size > _LARGEST_RING:
                    where = (*path, "loadBalancer", "consistentHash", *place, "minimumRingSize")
                    what = f"a ring of {size:,} entries"
                    yield diagnosis("LAB13", rule, where, what, f"at most {_LARGEST_RING}")


def _lines_of(owner: Fields) -> Iterator[tuple[Path, Any]]:
    """(path, text) of each text of a route or a destination that is to be one line."""
    for where in _ONE_LINE:
        inner: Any = owner
        for step in where:
            inner = inner.get(step) if isinstance(inner, dict) else None
        for index, text in enumerate(inner) if isinstance(inner, list) else [(None, inner)]:
            yield (where if index is None else (*where, index)), text
    for side in ("request", "response"):
        for operation in ("set", "add"):
            names = block(block(block(owner, "headers"), side), operation) or {}
            yield from ((("headers", side, operation, name), name) for name in names)


def _broken(resource: Resource, path: Path, text: Any) -> Iterator[Diagnosis]:
    if isinstance(text, str) and _BROKEN.search(text):
        what = f"there is a line break in {shown(text)}"
        yield diagnosis("LAB13", resource, path, what, "write it in one line; `>-` joins several")


def refused_at(value: str) -> int | None:
    """Where Envoy stops reading a value that Istio accepts; None where it takes it all.

    >>> refused_at("100%% of %REQ(x-pod)%"), refused_at("a%20b%20c")
    (None, 1)
    """
    at = value.find("%")
    while at >= 0:
        if value.startswith("%%", at):
            at += 2
        else:
            command = _COMMAND.match(value, at)
            if command is None or not _takes(command[1], bool(command[2]), bool(command[3])):
                return at
            at = command.end()
        at = value.find("%", at)
    return None


def _mended(value: str) -> str:
    """The value with the percent signs doubled that begin no command."""
    while (place := refused_at(value)) is not None:
        value = value[:place] + "%" + value[place:]
    return shown(value)


def _takes(name: str, arguments: bool, length: bool) -> bool:
    """Whether Envoy knows a command in this form."""
    if length and name not in _WITH_LENGTH:
        return False
    return name in OPTIONAL or name in (WITH_ARGUMENTS if arguments else PLAIN)

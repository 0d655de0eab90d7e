"""What a route says to HTTP filters, and to the headers that pass: faults, CORS,
header operations.

As istiod's `pilot/pkg/networking/core/route/route.go` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from labkit.jsontypes import Json
from labkit.resources.protocols import GRPC_CODES
from labkit.translate.values import (
    at,
    duration,
    hundred_percent,
    million_percent,
    string_match,
    whole_seconds,
)

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"


@dataclass(frozen=True)
class HeaderOperations:
    """Envoy's four lists of header changes, and the Host that the changes ask for ("" for none)."""

    fields: Json = field(default_factory=dict)
    authority: str = ""


NO_OPERATIONS = HeaderOperations()


def header_operations(headers: Json | None) -> HeaderOperations:
    """`set` overwrites, `add` appends; the names are sorted within each. Host can't be changed as a
    header.
    """
    if headers is None:
        return NO_OPERATIONS
    request, response = headers.get("request") or {}, headers.get("response") or {}
    fields = {
        "request_headers_to_add": changes(request),
        "request_headers_to_remove": [n for n in request.get("remove") or [] if not is_internal(n)],
        "response_headers_to_add": changes(response),
        "response_headers_to_remove": [
            n for n in response.get("remove") or [] if not is_internal(n)
        ],
    }
    authority = ""
    for operation in ("add", "set"):
        for name, value in (request.get(operation) or {}).items():
            if name.lower() in (":authority", "host"):
                authority = str(value)
    return HeaderOperations({key: values for key, values in fields.items() if values}, authority)


def changes(operations: Json) -> list[Json]:
    """HeaderValueOptions: what is set, then what is added; internal names left out."""
    found: list[Json] = []
    for operation, action in (("set", "OVERWRITE_IF_EXISTS_OR_ADD"), ("add", None)):
        for name, value in sorted((operations.get(operation) or {}).items()):
            if is_internal(name):
                continue
            header: Json = {"key": name}
            if str(value):
                header["value"] = str(value)
            found.append(
                {"header": header, "append_action": action} if action else {"header": header}
            )
    return found


def is_internal(name: str) -> bool:
    """Whether it is no header that Envoy lets be changed: Host, `:path` and their like."""
    return name.startswith(":") or name.lower() == "host"


def per_filter_config(http: Json) -> Json:
    """`typed_per_filter_config` of a route: its fault and its CORS policy."""
    found: Json = {}
    if http.get("fault") is not None:
        found[FAULT] = {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            **fault(http["fault"]),
        }
    if http.get("corsPolicy") is not None:
        found[CORS] = {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
            **cors(http["corsPolicy"]),
        }
    return found


def fault(wanted: Json) -> Json:
    """Injected delays and aborts. A share that is not said is 0: such a fault never happens."""
    found: Json = {}
    delay, abort = wanted.get("delay"), wanted.get("abort")
    if delay is not None and delay.get("fixedDelay"):
        share = delay.get("percentage")
        found["delay"] = {
            "percentage": million_percent(share)
            if share is not None
            else hundred_percent(delay.get("percent") or 0),
            "fixed_delay": duration(delay["fixedDelay"]),
        }
    if abort is not None:
        kind: Json = {}
        if abort.get("httpStatus") is not None:
            kind["http_status"] = abort["httpStatus"]
        elif abort.get("grpcStatus"):
            kind["grpc_status"] = GRPC_CODES.index(str(abort["grpcStatus"]).upper())
        if at(abort, "percentage") is not None:
            kind["percentage"] = million_percent(abort["percentage"])
        found["abort"] = kind
    return found


def cors(wanted: Json) -> Json:
    """A CorsPolicy as the CORS filter's."""
    found: Json = {
        "filter_enabled": {"default_value": hundred_percent(100)},
        "forward_not_matching_preflights": wanted.get("unmatchedPreflights") != "IGNORE",
    }
    if wanted.get("allowOrigins") is not None:
        origins = [
            match for match in map(string_match, wanted["allowOrigins"]) if match is not None
        ]
    else:
        origins = [{"exact": origin} for origin in wanted.get("allowOrigin") or []]
    if origins:
        found["allow_origin_string_match"] = origins
    for field_name, name in (
        ("allowMethods", "allow_methods"),
        ("allowHeaders", "allow_headers"),
        ("exposeHeaders", "expose_headers"),
    ):
        if wanted.get(field_name):
            found[name] = ",".join(wanted[field_name])
    if wanted.get("maxAge"):
        found["max_age"] = str(whole_seconds(wanted["maxAge"]))
    if wanted.get("allowCredentials") is not None:
        found["allow_credentials"] = wanted["allowCredentials"]
    return found

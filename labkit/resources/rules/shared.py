"""Rules that several of Istio's kinds share: hosts, ports, durations, labels, exportTo, TLS towards
a service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labkit.resources import names
from labkit.resources.durations import EXAMPLES, MILLISECOND, nanoseconds
from labkit.resources.finding import Report
from labkit.resources.model import Path

Fields = Mapping[str, Any]


def block(fields: Fields | None, name: str) -> Fields | None:
    """A field that is a block, or None where it is not written, or where `fields` is no block."""
    value = fields.get(name) if isinstance(fields, Mapping) else None
    return value if isinstance(value, Mapping) else None


def items(fields: Fields | None, name: str) -> list[Any]:
    """A field that is a list; empty where it is not written, or where `fields` is no block."""
    value = fields.get(name) if isinstance(fields, Mapping) else None
    return value if isinstance(value, list) else []


def port(value: Any, path: Path, report: Report) -> None:
    """A port number from 1 to 65535."""
    if not 1 <= (value or 0) <= 65535:
        report.error(path, "not a port number", found=value or 0, allowed="1 to 65535")


def duration(fields: Fields, name: str, path: Path, report: Report, *, zero: bool = False) -> None:
    """A duration of at least a millisecond, in whole milliseconds; with `zero`, 0s turns the
    feature off.
    """
    value = fields.get(name)
    if not isinstance(value, str):
        return
    length = nanoseconds(value)
    place = (*path, name)
    if length is None:
        report.error(place, "not a duration", found=value, allowed=EXAMPLES)
    elif zero and -MILLISECOND < length < MILLISECOND:
        return
    elif length < MILLISECOND:
        report.error(place, "the duration is too short", found=value, allowed="at least 1ms")
    elif length % MILLISECOND:
        report.error(
            place,
            "the duration is finer than a millisecond",
            found=value,
            allowed="whole milliseconds",
        )


def any_duration(fields: Fields, name: str, path: Path, report: Report) -> None:
    """A duration of any length, 0s and less included."""
    value = fields.get(name)
    if isinstance(value, str) and nanoseconds(value) is None:
        report.error((*path, name), "not a duration", found=value, allowed=EXAMPLES)


def host(value: str, path: Path, report: Report) -> None:
    """A host that may begin with a wildcard."""
    problem = names.host_problem(value)
    if problem:
        report.error(path, f"not a host: {problem}", found=value, allowed=names.HOST_FORM)


def subset_name(value: str, path: Path, report: Report) -> None:
    if not names.istio_label(value):
        report.error(
            path,
            "not a name for a subset",
            found=value,
            allowed="letters, digits and '-', at most 63 characters, with a letter or digit at "
            "both ends",
        )


def labels(values: Any, path: Path, report: Report) -> None:
    """Labels that select pods."""
    for key, value in (values or {}).items():
        if not names.istio_label_key(key):
            report.error(
                (*path, key),
                "not a name for a label",
                found=key,
                allowed="letters, digits, '-', '_', '.'",
            )
        if not names.istio_label_value(value or ""):
            report.error(
                (*path, key),
                "not a value for a label",
                found=value,
                allowed="letters, digits, '-', '_', '.'",
            )


def destination(fields: Fields | None, path: Path, report: Report) -> None:
    """Where a route sends requests: host, subset, port."""
    if fields is None:
        return
    value = fields.get("host") or ""
    if value == "*":
        report.error(
            (*path, "host"),
            "a destination can't be `*`",
            found=value,
            allowed="the name of a service",
        )
    else:
        host(value, (*path, "host"), report)
    if fields.get("subset"):
        subset_name(fields["subset"], (*path, "subset"), report)
    selector = block(fields, "port")
    if selector is not None:
        port(selector.get("number"), (*path, "port", "number"), report)


def export_to(spec: Fields, report: Report, *, selects_workloads: bool = False) -> None:
    """To which namespaces an object applies: `.`, `*` or names, without doubles."""
    values = items(spec, "exportTo")
    path: Path = ("spec", "exportTo")
    namespace = report.resource.namespace
    seen: set[str] = set()
    for index, value in enumerate(values):
        name = namespace if value == "." else value
        if name in seen:
            report.error((*path, index), "the same namespace twice", found=value)
        elif name != "*" and not names.istio_label(name):
            report.error(
                (*path, index),
                "not a namespace",
                found=value,
                allowed="., * or the name of a namespace",
            )
        else:
            seen.add(name)
    if "*" in seen and len(values) > 1:
        report.error(
            path, "`*` stands for all namespaces, so that it can't be one of several", found=values
        )
    if selects_workloads and seen and (namespace not in seen or len(seen) > 1):
        report.error(
            path,
            "a rule with a workloadSelector can be exported to its own namespace only",
            found=values,
            allowed=".",
        )


def client_tls(tls: Fields | None, path: Path, report: Report) -> None:
    """TLS from a proxy to a service."""
    if tls is None:
        return
    mode = tls.get("mode", "DISABLE")
    credential = tls.get("credentialName") or ""
    files = [
        name
        for name in ("clientCertificate", "caCertificates", "privateKey", "caCrl")
        if tls.get(name)
    ]
    if credential.startswith("configmap://"):
        namespace, slash, _ = credential.removeprefix("configmap://").partition("/")
        if not slash or namespace != report.resource.namespace:
            report.error(
                (*path, "credentialName"),
                "a configmap:// credential must be in the namespace of the rule",
                found=credential,
                allowed=f"configmap://{report.resource.namespace}/NAME",
            )
    if tls.get("insecureSkipVerify"):
        refused = ["caCertificates", "subjectAltNames"] if mode in ("SIMPLE", "MUTUAL") else []
        refused += ["credentialName"] if mode == "SIMPLE" else []
        for name in refused:
            if tls.get(name):
                report.error(
                    (*path, name), "not allowed together with insecureSkipVerify", found=tls[name]
                )
    if mode in ("SIMPLE", "MUTUAL") and credential:
        for name in files:
            report.error((*path, name), "not allowed together with credentialName", found=tls[name])
    elif mode == "MUTUAL":
        for name in ("clientCertificate", "privateKey"):
            if not tls.get(name):
                report.error((*path, name), "mutual TLS requires this field")


def own_annotations(report: Report) -> None:
    """Annotations that Istio keeps for itself."""
    for name in report.resource.metadata.get("annotations") or {}:
        if name == "istio.io/dry-run":
            report.error(
                ("metadata", "annotations", name), "only an AuthorizationPolicy can be a dry run"
            )
        elif name in (
            "internal.istio.io/webhook-always-reject",
            "internal.istio.io/parents",
            "internal.istio.io/parent-namespace",
        ):
            report.error(
                ("metadata", "annotations", name), "an annotation that only Istio itself may set"
            )


def weights(destinations: list[Fields], path: Path, report: Report) -> None:
    """The weights of the destinations of one route: none negative, and not all of them zero."""
    total = 0
    for index, item in enumerate(destinations):
        weight = item.get("weight") or 0
        if weight < 0:
            report.error(
                (*path, index, "weight"),
                "the weight can't be negative",
                found=weight,
                allowed="0 or more",
            )
        total += weight
    if len(destinations) > 1 and _int32(total) == 0:
        report.error(
            path,
            "the weights add up to 0",
            found=total,
            allowed="more than 0",
            hint="give each a `weight`",
        )


def _int32(number: int) -> int:
    """As Istio adds: in 32 bits, with overflow."""
    return (number + 2**31) % 2**32 - 2**31


def regex(text: str, path: Path, report: Report) -> None:
    """A regular expression of RE2, of at most 1024 bytes."""
    if text == "":
        report.error(path, "the regular expression is empty", found="")
        return
    if len(text.encode()) > 1024:
        report.error(path, "the regular expression is too long", allowed="at most 1024 bytes")
        return
    from labkit.resources.regex.parser import problem  # a large table, for few manifests

    wrong = problem(text)
    if wrong:
        report.error(path, f"not a regular expression of RE2: {wrong}", found=text)

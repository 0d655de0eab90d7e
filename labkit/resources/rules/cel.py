"""The CEL rules of Istio's schemas, as functions: what a schema's types can't say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from labkit.resources.durations import EXAMPLES, MILLISECOND, nanoseconds
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import istio_label


def _duration(value: str, path: Path, report: Report, least: int | None = None) -> None:
    length = nanoseconds(value)
    if length is None:
        number = re.fullmatch(
            r"\s*(\d+(?:\.\d+)?)\s*(d|days?|sec|seconds?|min|minutes?|hours?)?\s*", value
        )
        hint = ""
        if number:
            unit = (number[2] or "s")[0]
            hint = (
                f"did you mean `{int(float(number[1]) * 24)}h`?"
                if unit == "d"
                else f"did you mean `{number[1]}{unit}`?"
            )
        report.error(path, "not a duration", found=value, allowed=EXAMPLES, hint=hint)
    elif least is not None and length < least:
        report.error(path, "the duration is too short", found=value, allowed="at least 1ms")


def _at_least_one_ms(value: str, path: Path, report: Report) -> None:
    _duration(value, path, report, MILLISECOND)


def _no_wildcard_value(value: str, path: Path, report: Report) -> None:
    if "*" in value:
        report.error(path, "a wildcard is not allowed in the value of a label", found=value)


def _no_wildcard_key(value: Mapping[str, str], path: Path, report: Report) -> None:
    for key in value:
        if "*" in key:
            report.error(
                (*path, key), "a wildcard is not allowed in the name of a label", found=key
            )


def _no_empty_key(value: Mapping[str, str], path: Path, report: Report) -> None:
    if "" in value:
        report.error((*path, ""), "the name of a label is empty")


def _not_both(one: str, other: str) -> Callable[[Any, Path, Report], None]:
    def rule(value: Mapping[str, Any], path: Path, report: Report) -> None:
        if one in value and other in value:
            report.error(
                (*path, other),
                f"only one of {one} and {other} may be set",
                found=f"{one} and {other}",
            )

    return rule


def _list(value: Mapping[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def _numbers_differ(value: list[Any], path: Path, report: Report) -> None:
    seen: set[Any] = set()
    for index, each in enumerate(value):
        number = each.get("number") if isinstance(each, dict) else None
        if isinstance(number, int) and number in seen:
            report.error((*path, index, "number"), "two ports of the same number", found=number)
        seen.add(number if isinstance(number, int) else None)


def _port_names(value: Mapping[str, Any], path: Path, report: Report) -> None:
    for name in value:
        if len(name) >= 63 or not istio_label(name):
            report.error((*path, name), "not a name for a port", found=name, allowed=_PORT_NAME)


_PORT_NAME = "letters, digits and '-', at most 62 characters, with a letter or digit at both ends"


def _port(value: Any, path: Path, report: Report) -> None:
    if not isinstance(value, bool) and not 0 < value <= 65535:
        report.error(path, "not a port number", found=value, allowed="1 to 65535")


def _no_star(value: str, path: Path, report: Report) -> None:
    if value == "*":
        report.error(path, "a host can't be `*` here", found=value, allowed="such as *.example.com")


def _absolute_socket(value: str, path: Path, report: Report) -> None:
    if value.startswith("unix://") and value[7:8] not in ("/", "@"):
        report.error(path, "not the absolute path of a socket", found=value)


def _no_folder(value: str, path: Path, report: Report) -> None:
    if value.startswith("unix://") and value.endswith("/"):
        report.error(path, "a folder is no socket", found=value)


def _address_or_network(value: Mapping[str, Any], path: Path, report: Report) -> None:
    if "address" not in value and "network" not in value:
        report.error((*path, "address"), "an address is needed")


def _socket_without_ports(value: Mapping[str, Any], path: Path, report: Report) -> None:
    if str(value.get("address", "")).startswith("unix://") and "ports" in value:
        report.error((*path, "ports"), "a Unix socket has no ports")


def _range_with_addresses(value: Mapping[str, Any], path: Path, report: Report) -> None:
    ranges = [each for each in _list(value, "addresses") if "/" in str(each)]
    if ranges and value.get("resolution", "NONE") not in ("STATIC", "NONE"):
        report.error(
            (*path, "addresses"),
            "a range of addresses is for the resolutions STATIC and NONE",
            found=ranges[0],
        )


def _none_without_endpoints(value: Mapping[str, Any], path: Path, report: Report) -> None:
    if value.get("resolution", "NONE") == "NONE" and "endpoints" in value:
        hint = "write `resolution: STATIC`, or DNS where the endpoints have names"
        report.error((*path, "endpoints"), "the resolution NONE has no endpoints", hint=hint)


def _one_of_round_robin(value: Mapping[str, Any], path: Path, report: Report) -> None:
    if value.get("resolution") == "DNS_ROUND_ROBIN" and len(_list(value, "endpoints")) > 1:
        report.error((*path, "endpoints"), "DNS_ROUND_ROBIN takes one endpoint at most")


_RESOLUTION = '(has(self.resolution) ? self.resolution : "NONE")'
_ADDRESS = '(has(self.address) ? self.address : "")'

CEL_RULES: dict[str, Callable[[Any, Path, Report], None]] = {
    "duration(self) >= duration('1ms')": _at_least_one_ms,
    "duration(self)": _duration,  # of a MeshConfig
    '!self.contains("*")': _no_wildcard_value,
    'self.all(key, !key.contains("*"))': _no_wildcard_key,
    "self.all(key, key.size() != 0)": _no_empty_key,
    "(has(self.tlsCertificates) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1": _not_both(
        "tlsCertificates", "credentialNames"
    ),
    "(has(self.credentialName) ? 1 : 0) + (has(self.credentialNames) ? 1 : 0) <= 1": _not_both(
        "credentialName", "credentialNames"
    ),
    "0 < self && self <= 65535": _port,
    'self != "*"': _no_star,
    "self.all(l1, self.exists_one(l2, l1.number == l2.number))": _numbers_differ,
    "self.all(key, size(key) < 63 && "
    'key.matches("^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$"))': _port_names,
    'self.startsWith("unix://") ? (self.substring(7, 8) == "/" || self.substring(7, 8) == "@") '
    ": true": _absolute_socket,
    'self.startsWith("unix://") ? !self.endsWith("/") : true': _no_folder,
    "has(self.address) || has(self.network)": _address_or_network,
    f'{_ADDRESS}.startsWith("unix://") ? !has(self.ports) : true': _socket_without_ports,
    "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1": _not_both(
        "workloadSelector", "endpoints"
    ),
    '!((has(self.addresses) ? self.addresses : []).exists(k, k.contains("/")) && '
    f'!({_RESOLUTION} in ["STATIC", "NONE"]))': _range_with_addresses,
    f'({_RESOLUTION} == "NONE") ? !has(self.endpoints) : true': _none_without_endpoints,
    '((has(self.resolution) ? self.resolution : "") == "DNS_ROUND_ROBIN") ? '
    "((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true": _one_of_round_robin,
    # As in Istio's CRD: the message there speaks of credentialName, the rule looks at
    # credentialNames.
    "(has(self.credentialNames) ? 1 : 0) + (has(self.tlsCertificates) ? 1 : 0) <= 1": _not_both(
        "tlsCertificates", "credentialNames"
    ),
}
"""The CEL rules of the schemas, by their text. A test fails when a schema holds a rule that is not
here.
"""

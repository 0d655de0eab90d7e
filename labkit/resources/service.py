"""What the API server checks of a Service, beyond its schema."""

from __future__ import annotations

import ipaddress
from typing import Any

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.metadata import check_labels
from labkit.resources.model import Path
from labkit.resources.shared_rules import Fields, block, items, port
from labkit.resources.words import closest

_TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
_CHOICES = {
    "type": _TYPES,
    "sessionAffinity": ("ClientIP", "None"),
    "internalTrafficPolicy": ("Cluster", "Local"),
    "externalTrafficPolicy": ("Cluster", "Local"),
    "ipFamilyPolicy": ("SingleStack", "PreferDualStack", "RequireDualStack"),
}
_NODE_PORTS = (30000, 32767)
_MOST_AFFINITY_S = 86400


def check_service(spec: Fields, report: Report) -> None:
    """Adds what the API server would say of a Service's `spec`."""
    for name, allowed in _CHOICES.items():
        choice((*("spec", name),), spec.get(name), allowed, report)
    kind = spec.get("type") or "ClusterIP"
    headless = spec.get("clusterIP") == "None"
    check_labels(spec.get("selector"), ("spec", "selector"), report)
    ports = items(spec, "ports")
    if kind == "ExternalName":
        name = spec.get("externalName") or ""
        if not names.dns_subdomain(name.removesuffix(".")):
            report.error(("spec", "externalName"), "not a host name", found=name, allowed=names.SUBDOMAIN_FORM)
    elif not ports and not headless:
        report.error(("spec", "ports"), "a Service needs at least one port")
    _ports(ports, kind, headless, report)
    _addresses(spec, kind, report)
    _affinity(spec, report)
    external = kind in ("NodePort", "LoadBalancer") or items(spec, "externalIPs")
    if spec.get("externalTrafficPolicy") and not external:
        report.error(
            ("spec", "externalTrafficPolicy"),
            "only for a Service that is reached from outside",
            allowed=", ".join(_TYPES[1:3]),
        )


def choice(path: Path, value: Any, allowed: tuple[str, ...], report: Report) -> None:
    """One of a few words, where something is written."""
    if value not in (None, "", *allowed):
        near = closest(value, allowed)
        report.error(
            path,
            "not a known value",
            found=value,
            allowed=", ".join(allowed),
            hint=f"did you mean `{near}`?" if near else "",
        )


def _ports(ports: list[Fields], kind: str, headless: bool, report: Report) -> None:
    seen: set[str] = set()
    for index, fields in enumerate(ports):
        path: Path = ("spec", "ports", index)
        name = fields.get("name") or ""
        if not name and len(ports) > 1:
            report.error((*path, "name"), "each of several ports needs a name")
        elif name and not names.dns_label(name):
            report.error((*path, "name"), "not a name for a port", found=name, allowed=names.LABEL_FORM)
        elif name in seen:
            report.error((*path, "name"), "two ports of the same name", found=name)
        seen.add(name)
        port(fields.get("port"), (*path, "port"), report)
        choice((*path, "protocol"), fields.get("protocol"), ("TCP", "UDP", "SCTP"), report)
        target_port(fields.get("targetPort"), (*path, "targetPort"), report)
        if fields.get("appProtocol") and not names.label_key(fields["appProtocol"]):
            report.error((*path, "appProtocol"), "not the name of a protocol", found=fields["appProtocol"])
        node_port = fields.get("nodePort") or 0
        if node_port and kind not in ("NodePort", "LoadBalancer"):
            report.error((*path, "nodePort"), "not for this type of Service", found=node_port, hint="type: NodePort")
        elif node_port and not _NODE_PORTS[0] <= node_port <= _NODE_PORTS[1]:
            report.error((*path, "nodePort"), "out of range", found=node_port, allowed="30000 to 32767")


def target_port(value: Any, path: Path, report: Report) -> None:
    """A number, or the name of a container's port."""
    if isinstance(value, int):
        if not 1 <= value <= 65535:
            report.error(path, "not a port number", found=value, allowed="1 to 65535")
    elif isinstance(value, str) and value and not names.port_name(value):
        report.error(
            path,
            "not the name of a port",
            found=value,
            allowed="at most 15 lower-case letters, digits and '-', with at least one letter",
            hint="remove the quotes" if value.isdigit() else "",
        )


def _addresses(spec: Fields, kind: str, report: Report) -> None:
    address = spec.get("clusterIP") or ""
    if address not in ("", "None") and not names.ip_address(address):
        report.error(("spec", "clusterIP"), "not an address", found=address, allowed="an address, or None")
    for index, value in enumerate(items(spec, "externalIPs")):
        if not names.ip_address(value) or ipaddress.ip_address(value).is_loopback:
            report.error(("spec", "externalIPs", index), "not an address from outside", found=value)
    for index, family in enumerate(items(spec, "ipFamilies")):
        choice(("spec", "ipFamilies", index), family, ("IPv4", "IPv6"), report)
    if spec.get("loadBalancerClass") and kind != "LoadBalancer":
        report.error(("spec", "loadBalancerClass"), "only for type LoadBalancer", found=spec["loadBalancerClass"])


def _affinity(spec: Fields, report: Report) -> None:
    config = block(spec, "sessionAffinityConfig")
    if config is None:
        return
    path: Path = ("spec", "sessionAffinityConfig")
    if spec.get("sessionAffinity") != "ClientIP":
        report.error(path, "only with sessionAffinity: ClientIP")
        return
    seconds = (block(config, "clientIP") or {}).get("timeoutSeconds")
    if seconds is not None and not 0 < seconds <= _MOST_AFFINITY_S:
        report.error((*path, "clientIP", "timeoutSeconds"), "out of range", found=seconds, allowed="1 to 86400")

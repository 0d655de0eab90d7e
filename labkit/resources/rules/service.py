"""What the API server checks of a Service, beyond its schema."""

from __future__ import annotations

from typing import Any

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.rules.metadata import check_labels
from labkit.resources.rules.shared import Fields, block, items, port
from labkit.resources.words import closest

_NODE_PORTS = (30000, 32767)
_MOST_AFFINITY_S = 86400


def check_service(spec: Fields, report: Report) -> None:
    """Adds what the API server would say of a Service's `spec`."""
    kind = spec.get("type") or "ClusterIP"
    headless = spec.get("clusterIP") == "None"
    check_labels(spec.get("selector"), ("spec", "selector"), report)
    ports = items(spec, "ports")
    if not ports and not headless and kind != "ExternalName":
        report.error(("spec", "ports"), "a Service needs at least one port")
    _ports(ports, kind, report)
    _external_name(spec, kind, report)
    _cluster_ip(spec, kind, headless, report)
    _load_balancer(spec, kind, report)
    _affinity(spec, report)
    if spec.get("externalTrafficPolicy") and kind == "ClusterIP" and not items(spec, "externalIPs"):
        report.error(
            ("spec", "externalTrafficPolicy"),
            "only for a Service that is reached from outside",
            allowed="type NodePort or LoadBalancer",
        )
    choices = ("PreferClose", "PreferSameZone", "PreferSameNode")
    choice(("spec", "trafficDistribution"), spec.get("trafficDistribution"), choices, report)
    if spec.get("trafficDistribution") == "PreferClose":
        report.warning(
            ("spec", "trafficDistribution"), "PreferClose is deprecated", hint="use PreferSameZone"
        )


def choice(path: Path, value: Any, allowed: tuple[str, ...], report: Report) -> None:
    """One of a few words, where something is written."""
    if value not in (None, "", *allowed):
        near = closest(value, allowed)
        hint = f"did you mean `{near}`?" if near else ""
        report.error(path, "not a known value", found=value, allowed=", ".join(allowed), hint=hint)


def _ports(ports: list[Fields], kind: str, report: Report) -> None:
    seen: set[str] = set()
    node_ports: set[tuple[int, str]] = set()
    for index, fields in enumerate(ports):
        path: Path = ("spec", "ports", index)
        name = fields.get("name") or ""
        if not name and len(ports) > 1:
            report.error((*path, "name"), "each of several ports needs a name")
        elif name and not names.dns_label(name):
            report.error(
                (*path, "name"), "not a name for a port", found=name, allowed=names.LABEL_FORM
            )
        elif name in seen:
            report.error((*path, "name"), "two ports of the same name", found=name)
        seen.add(name)
        port(fields.get("port"), (*path, "port"), report)
        target_port(fields.get("targetPort"), (*path, "targetPort"), report)
        if fields.get("appProtocol") and not names.label_key(fields["appProtocol"]):
            report.error(
                (*path, "appProtocol"), "not the name of a protocol", found=fields["appProtocol"]
            )
        number = fields.get("nodePort") or 0
        if not number:
            continue
        key = (number, fields.get("protocol") or "TCP")
        if kind not in ("NodePort", "LoadBalancer"):
            report.error(
                (*path, "nodePort"),
                "not for this type of Service",
                found=number,
                hint="type: NodePort",
            )
        elif not _NODE_PORTS[0] <= number <= _NODE_PORTS[1]:
            report.error(
                (*path, "nodePort"), "out of range", found=number, allowed="30000 to 32767"
            )
        elif key in node_ports:
            report.error((*path, "nodePort"), "the same port twice", found=number)
        node_ports.add(key)


def target_port(value: Any, path: Path, report: Report) -> None:
    """A number, or the name of a container's port; 0 counts as not written."""
    if isinstance(value, int):
        if not 0 <= value <= 65535:
            report.error(path, "not a port number", found=value, allowed="1 to 65535")
    elif isinstance(value, str) and value and not names.port_name(value):
        report.error(
            path,
            "not the name of a port",
            found=value,
            allowed="at most 15 lower-case letters, digits and '-', with at least one letter",
            hint="remove the quotes" if value.isdigit() else "",
        )


def _external_name(spec: Fields, kind: str, report: Report) -> None:
    name = spec.get("externalName") or ""
    if kind != "ExternalName":
        if name:
            report.warning(
                ("spec", "externalName"), "ignored where the type is not ExternalName", found=name
            )
    elif not names.dns_subdomain(name.removesuffix(".")):
        report.error(
            ("spec", "externalName"), "not a host name", found=name, allowed=names.SUBDOMAIN_FORM
        )


def _cluster_ip(spec: Fields, kind: str, headless: bool, report: Report) -> None:
    address = spec.get("clusterIP") or ""
    if address and kind == "ExternalName":
        report.error(
            ("spec", "clusterIP"), "not for type ExternalName", found=address, hint="remove it"
        )
    elif headless and kind != "ClusterIP":
        report.error(
            ("spec", "clusterIP"), f"a Service of type {kind} needs an address", found=address
        )
    elif address and not headless and not names.ip_address(address):
        report.error(
            ("spec", "clusterIP"), "not an address", found=address, allowed="an address, or None"
        )
    others = items(spec, "clusterIPs")
    if others and not address:
        report.error(
            ("spec", "clusterIPs"),
            "not without clusterIP",
            found=others,
            hint=f"write `clusterIP: {others[0]}` too, or neither",
        )
    elif others and others[0] != address:
        report.error(
            ("spec", "clusterIPs", 0),
            "must be the same as clusterIP",
            found=others[0],
            allowed=address,
        )
    elif len(others) > 1 and len({":" in str(other) for other in others}) < len(others):
        report.error(
            ("spec", "clusterIPs"), "one address of a kind", found=others, allowed="IPv4 and IPv6"
        )
    for index, value in enumerate(items(spec, "externalIPs")):
        if not names.ip_address(value) or names.loopback(value):
            report.error(("spec", "externalIPs", index), "not an address from outside", found=value)
    if items(spec, "externalIPs"):
        message = (
            "ignored for a headless Service"
            if headless
            else "deprecated; some clusters do without it"
        )
        report.warning(("spec", "externalIPs"), message)


def _load_balancer(spec: Fields, kind: str, report: Report) -> None:
    for name in ("loadBalancerClass", "loadBalancerSourceRanges", "allocateLoadBalancerNodePorts"):
        if spec.get(name) not in (None, "", []) and kind != "LoadBalancer":
            report.error(("spec", name), "only for type LoadBalancer", found=spec[name])
    if spec.get("loadBalancerClass") and not names.label_key(spec["loadBalancerClass"]):
        report.error(("spec", "loadBalancerClass"), "not a name", found=spec["loadBalancerClass"])
    for index, value in enumerate(items(spec, "loadBalancerSourceRanges")):
        if "/" not in value or not names.ip_subnet(value.strip()):
            report.error(
                ("spec", "loadBalancerSourceRanges", index),
                "not a subnet",
                found=value,
                allowed="10.9.8.0/24",
            )
    local = kind == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    if spec.get("healthCheckNodePort") and not local:
        report.error(
            ("spec", "healthCheckNodePort"),
            "only for type LoadBalancer with externalTrafficPolicy: Local",
            found=spec["healthCheckNodePort"],
        )


def _affinity(spec: Fields, report: Report) -> None:
    config = block(block(spec, "sessionAffinityConfig"), "clientIP")
    seconds = (config or {}).get("timeoutSeconds")
    if (
        spec.get("sessionAffinity") == "ClientIP"
        and seconds is not None
        and not 0 < seconds <= _MOST_AFFINITY_S
    ):
        path = ("spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds")
        report.error(path, "out of range", found=seconds, allowed="1 to 86400")

"""What Istio's webhook checks of a ServiceEntry and of a WorkloadEntry, beyond their schemas."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from labkit.resources import protocols
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.names import (
    HOST_FORM,
    fqdn_problem,
    host_problem,
    ip_address,
    ip_subnet,
    istio_label,
)
from labkit.resources.rules.shared import (
    Fields,
    block,
    export_to,
    items,
    labels,
    own_annotations,
    port,
)
from labkit.resources.words import closest

DNS = ("DNS", "DNS_ROUND_ROBIN")


def check_service_entry(report: Report) -> None:
    """Adds what the webhook would say to the report. The structure must be right already."""
    own_annotations(report)
    spec = report.resource.spec
    resolution = str(spec.get("resolution") or "NONE")
    hosts, endpoints = items(spec, "hosts"), items(spec, "endpoints")
    selector = block(spec, "workloadSelector")
    if selector is not None:
        _selector(selector, report)
    for index, host in enumerate(hosts):
        _host(host, ("spec", "hosts", index), resolution, report)
    for index, address in enumerate(items(spec, "addresses")):
        _address(address, ("spec", "addresses", index), report)
    names = _ports(items(spec, "ports"), report)
    path: Path = ("spec", "endpoints")
    if resolution in DNS:
        if not endpoints:
            _names_to_look_up(hosts, resolution, report)
        for index, endpoint in enumerate(endpoints):
            _named(endpoint, names, (*path, index), report)
    elif resolution == "STATIC":
        for index, endpoint in enumerate(endpoints):
            workload(endpoint, names, (*path, index), report, name=False)
    elif resolution == "DYNAMIC_DNS":
        _dynamic(spec, hosts, report)
    if resolution != "NONE" and len(hosts) > 1:
        _told_apart(items(spec, "ports"), report)
    _exported(spec, report)


def _selector(selector: Fields, report: Report) -> None:
    path: Path = ("spec", "workloadSelector", "labels")
    if not selector.get("labels"):
        report.warning(path, "without labels it chooses every workload of the namespace")
    if "" in (selector.get("labels") or {}):
        report.error(path, "the name of a label is empty")


def _host(host: str, path: Path, resolution: str, report: Report) -> None:
    problem = host_problem(host)
    if problem:
        report.error(path, f"not a host: {problem}", found=host, allowed=HOST_FORM)
    elif "*" in host and not host.startswith("*.") and resolution != "DYNAMIC_DNS":
        report.warning(
            path, "a wildcard stands for whole parts of a name", found=host, allowed="*.example.com"
        )


def _address(address: str, path: Path, report: Report) -> None:
    good = ip_subnet(address) if address.count("/") == 1 else ip_address(address)
    if not good:
        report.error(
            path, "not an address", found=address, allowed="such as 10.1.2.3 or 10.1.0.0/16"
        )


def _ports(ports: list[Any], report: Report) -> set[str]:
    """Checks the ports; returns their names."""
    names: set[str] = set()
    for index, each in enumerate(ports):
        path: Path = ("spec", "ports", index)
        name = str(each.get("name") or "")
        names.add(name)
        _port_name(name, (*path, "name"), report)
        protocol = str(each.get("protocol") or "")
        if protocol and protocols.parse(protocol) == protocols.UNKNOWN:
            known = sorted({value.upper() for value in protocols.BY_PREFIX.values()})
            near = closest(protocol.upper(), known)
            report.error(
                (*path, "protocol"),
                "not a known protocol",
                found=protocol,
                allowed=", ".join(known),
                hint=f"did you mean `{near}`?" if near else "",
            )
    return names


def _port_name(name: str, path: Path, report: Report) -> None:
    if not istio_label(name):
        report.error(
            path,
            "not a name for a port",
            found=name,
            allowed="letters, digits and '-', at most 63 characters, with a letter or digit at "
            "both ends",
        )


def _names_to_look_up(hosts: list[str], resolution: str, report: Report) -> None:
    for index, host in enumerate(hosts):
        problem = fqdn_problem(host)
        if problem:
            report.error(
                ("spec", "hosts", index),
                f"a host that is looked up ({resolution}) can't be {host}: {problem}",
                found=host,
                hint="give the entry `endpoints`, or another resolution",
            )
            return


def _named(endpoint: Fields, names: Collection[str], path: Path, report: Report) -> None:
    """An endpoint whose address is looked up."""
    address = str(endpoint.get("address") or "")
    if not ip_address(address) and fqdn_problem(address):
        report.error((*path, "address"), "neither a full name nor an address", found=address)
    _endpoint_ports(endpoint, names, path, report)
    labels(endpoint.get("labels"), (*path, "labels"), report)


def _endpoint_ports(
    endpoint: Fields, names: Collection[str] | None, path: Path, report: Report
) -> None:
    for name, number in (endpoint.get("ports") or {}).items():
        place = (*path, "ports", name)
        if names is not None and name not in names:
            allowed = ", ".join(sorted(names))
            report.error(place, "the entry has no port of that name", found=name, allowed=allowed)
        _port_name(name, place, report)
        port(number, place, report)


def _told_apart(ports: list[Any], report: Report) -> None:
    for index, each in enumerate(ports):
        protocol = protocols.parse(str(each.get("protocol") or ""))
        if not protocols.is_http(protocol) and not protocols.is_tls(protocol):
            report.error(
                ("spec", "ports", index, "protocol"),
                "several hosts can't be told apart at a port that is neither HTTP nor TLS",
                found=each.get("protocol") or "nothing",
                hint="write an entry for each host",
            )
            return


def _dynamic(spec: Fields, hosts: list[str], report: Report) -> None:
    for index, host in enumerate(hosts):
        if not host.startswith("*"):
            report.error(("spec", "hosts", index), "DYNAMIC_DNS is for wildcards", found=host)
    for name in ("addresses", "endpoints"):
        if spec.get(name):
            report.error(("spec", name), f"DYNAMIC_DNS can't have {name}")
    for index, each in enumerate(items(spec, "ports")):
        protocol = protocols.parse(str(each.get("protocol") or ""))
        if protocol not in (protocols.HTTP, protocols.HTTP2, protocols.GRPC, "TLS"):
            report.error(
                ("spec", "ports", index, "protocol"),
                "DYNAMIC_DNS is for HTTP, HTTP2, GRPC and TLS",
                found=each.get("protocol"),
            )


def _exported(spec: Fields, report: Report) -> None:
    """Beside what other kinds may export to, `~` is nobody."""
    values = items(spec, "exportTo")
    if "~" in values:
        if len(values) > 1:
            report.error(("spec", "exportTo"), "`~` stands alone: for nobody", found=values)
        return
    export_to(spec, report)


def check_workload_entry(report: Report) -> None:
    """Adds what the webhook would say of a WorkloadEntry."""
    own_annotations(report)
    workload(report.resource.spec, None, ("spec",), report, name=True)


def workload(
    entry: Fields, names: Collection[str] | None, path: Path, report: Report, *, name: bool
) -> None:
    """A WorkloadEntry, or an endpoint of a STATIC entry with ports of these names; with `name` its
    address may be a name that is looked up.
    """
    address = str(entry.get("address") or "")
    if not address:
        if not entry.get("network"):
            report.error((*path, "address"), "an address is needed", found="nothing")
    elif address.startswith("unix://"):
        if entry.get("ports"):
            report.error((*path, "ports"), "a Unix socket has no ports")
        if names is not None and len(names) != 1:
            report.error((*path, "address"), "a Unix socket is for an entry with one port")
    elif not ip_address(address) and (not name or fqdn_problem(address)):
        report.error(
            (*path, "address"),
            "not an address",
            found=address,
            allowed="an address, or a full name" if name else "an address such as 10.1.2.3",
        )
    _endpoint_ports(entry, names, path, report)
    labels(entry.get("labels"), (*path, "labels"), report)

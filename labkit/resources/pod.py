"""What the API server checks of a pod's spec, alone or in a Deployment's template, beyond its schema."""

from __future__ import annotations

import re
from typing import Any

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.metadata import check_labels
from labkit.resources.model import Path
from labkit.resources.quantity import amount
from labkit.resources.service import choice
from labkit.resources.shared_rules import Fields, block, items, port
from labkit.resources.volumes import check_mounts, check_volumes

_ENV_NAME = re.compile(r"[ -<>-~]+")
_FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
_FIELD_OF_MAP = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def check_pod_spec(spec: Fields, path: Path, report: Report) -> None:
    """Adds what the API server would say of a pod's `spec`."""
    containers, before = items(spec, "containers"), items(spec, "initContainers")
    if not containers:
        report.error((*path, "containers"), "a pod needs at least one container")
    volumes = check_volumes(items(spec, "volumes"), (*path, "volumes"), report)
    seen: set[str] = set()
    for field, group in (("initContainers", before), ("containers", containers)):
        for index, container in enumerate(group):
            place = (*path, field, index)
            name = container.get("name") or ""
            if name in seen and field == "containers":
                report.error((*place, "name"), "two containers of the same name", found=name)
            seen.add(name)
            _Container(container, place, report).check(volumes, first=field == "initContainers")
    choice((*path, "restartPolicy"), spec.get("restartPolicy"), ("Always", "OnFailure", "Never"), report)
    choice(
        (*path, "dnsPolicy"),
        spec.get("dnsPolicy"),
        ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        report,
    )
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        report.error((*path, "terminationGracePeriodSeconds"), "can't be negative", found=grace, allowed="0 or more")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2**31 - 1:
        report.error((*path, "activeDeadlineSeconds"), "out of range", found=deadline, allowed="1 or more")
    for name, good in (("hostname", names.dns_label), ("subdomain", names.dns_label)):
        if spec.get(name) and not good(spec[name]):
            report.error((*path, name), "not a host name", found=spec[name], allowed=names.LABEL_FORM)
    for name in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(name) and not names.dns_subdomain(spec[name]):
            report.error((*path, name), "not a name", found=spec[name], allowed=names.SUBDOMAIN_FORM)
    check_labels(spec.get("nodeSelector"), (*path, "nodeSelector"), report)
    for index, alias in enumerate(items(spec, "hostAliases")):
        if not names.ip_address(alias.get("ip") or ""):
            report.error((*path, "hostAliases", index, "ip"), "not an address", found=alias.get("ip"))
    for index, toleration in enumerate(items(spec, "tolerations")):
        _toleration(toleration, (*path, "tolerations", index), report)


def _toleration(toleration: Fields, path: Path, report: Report) -> None:
    operator = toleration.get("operator") or "Equal"
    choice((*path, "operator"), operator, ("Equal", "Exists", "Lt", "Gt"), report)
    if operator == "Exists" and toleration.get("value"):
        report.error((*path, "value"), "the operator Exists takes no value", found=toleration["value"])
    if not toleration.get("key") and operator != "Exists":
        report.error((*path, "operator"), "must be Exists where there is no key", found=operator)


class _Container:
    """The checks of one container."""

    def __init__(self, fields: Fields, path: Path, report: Report) -> None:
        self.fields = fields
        self.path = path
        self.report = report

    def check(self, volumes: set[str], *, first: bool) -> None:
        """`first`: it runs before the others (an init container)."""
        fields, path, report = self.fields, self.path, self.report
        name = fields.get("name") or ""
        if name and not names.dns_label(name):
            report.error((*path, "name"), "not a name for a container", found=name, allowed=names.LABEL_FORM)
        elif not name:
            report.error((*path, "name"), "a container needs a name")
        image = fields.get("image") or ""
        if not image:
            report.error((*path, "image"), "a container needs an image")
        elif image != image.strip():
            report.error((*path, "image"), "spaces around the name of the image", found=image)
        pulls = ("Always", "IfNotPresent", "Never")
        choice((*path, "imagePullPolicy"), fields.get("imagePullPolicy"), pulls, report)
        policies = ("File", "FallbackToLogsOnError")
        choice((*path, "terminationMessagePolicy"), fields.get("terminationMessagePolicy"), policies, report)
        self.ports()
        self.environment()
        check_mounts(items(fields, "volumeMounts"), volumes, (*path, "volumeMounts"), report)
        self.probes(first and fields.get("restartPolicy") != "Always")
        self.resources()
        user = (block(fields, "securityContext") or {}).get("runAsUser")
        if user is not None and user < 0:
            report.error((*path, "securityContext", "runAsUser"), "can't be negative", found=user, allowed="0 or more")
        for hook in ("postStart", "preStop"):
            handler = block(block(fields, "lifecycle"), hook)
            if handler is not None:
                self.handler(handler, (*path, "lifecycle", hook), ("exec", "httpGet", "tcpSocket", "sleep"))

    def ports(self) -> None:
        seen: set[str] = set()
        for index, fields in enumerate(items(self.fields, "ports")):
            path = (*self.path, "ports", index)
            port(fields.get("containerPort"), (*path, "containerPort"), self.report)
            name = fields.get("name") or ""
            if name and not names.port_name(name):
                self.report.error(
                    (*path, "name"),
                    "not a name for a port",
                    found=name,
                    allowed="at most 15 lower-case letters, digits and '-', with at least one letter",
                )
            elif name in seen and name:
                self.report.error((*path, "name"), "two ports of the same name", found=name)
            seen.add(name)
            choice((*path, "protocol"), fields.get("protocol"), ("TCP", "UDP", "SCTP"), self.report)
            if fields.get("hostPort"):
                port(fields["hostPort"], (*path, "hostPort"), self.report)
            if fields.get("hostIP") and not names.ip_address(fields["hostIP"]):
                self.report.error((*path, "hostIP"), "not an address", found=fields["hostIP"])

    def environment(self) -> None:
        for index, variable in enumerate(items(self.fields, "env")):
            path = (*self.path, "env", index)
            name = variable.get("name") or ""
            if not _ENV_NAME.fullmatch(name):
                self.report.error((*path, "name"), "not a name for a variable", found=name, allowed="no '='")
            source = block(variable, "valueFrom")
            if source is None:
                continue
            kinds = [key for key, value in source.items() if value is not None]
            if variable.get("value"):
                self.report.error((*path, "valueFrom"), "only one of value and valueFrom may be set")
            elif len(kinds) != 1:
                self.report.error((*path, "valueFrom"), "needs exactly one source", found=", ".join(kinds))
            else:
                self.field_reference(block(source, "fieldRef"), (*path, "valueFrom", "fieldRef"))
        for index, source in enumerate(items(self.fields, "envFrom")):
            if sum(block(source, name) is not None for name in ("configMapRef", "secretRef")) != 1:
                self.report.error((*self.path, "envFrom", index), "needs one of configMapRef and secretRef")

    def field_reference(self, reference: Fields | None, path: Path) -> None:
        if reference is None:
            return
        field = reference.get("fieldPath") or ""
        if field not in _FIELDS and not _FIELD_OF_MAP.fullmatch(field):
            self.report.error((*path, "fieldPath"), "not a field of a pod", found=field, allowed=", ".join(_FIELDS))

    def probes(self, refused: bool) -> None:
        for name in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = block(self.fields, name)
            path = (*self.path, name)
            if probe is None:
                continue
            if refused:
                self.report.error(path, "an init container has no probes", hint="remove it, or restartPolicy: Always")
                continue
            self.handler(probe, path, ("exec", "httpGet", "tcpSocket", "grpc"))
            numbers = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
            for number in numbers:
                if (probe.get(number) or 0) < 0:
                    self.report.error((*path, number), "can't be negative", found=probe[number], allowed="0 or more")
            if name != "readinessProbe" and (probe.get("successThreshold") or 1) != 1:
                self.report.error(
                    (*path, "successThreshold"),
                    "must be 1 for this probe",
                    found=probe["successThreshold"],
                    allowed="1",
                )

    def handler(self, handler: Fields, path: Path, kinds: tuple[str, ...]) -> None:
        """What a probe or a hook does: exactly one thing."""
        present = [kind for kind in kinds if block(handler, kind) is not None]
        if len(present) != 1:
            self.report.error(path, "needs exactly one action", found=", ".join(present), allowed=", ".join(kinds))
        for kind in present:
            action, place = block(handler, kind) or {}, (*path, kind)
            if kind == "exec" and not items(action, "command"):
                self.report.error((*place, "command"), "the field is required and missing")
            if kind in ("httpGet", "tcpSocket", "grpc"):
                self.action_port(action.get("port"), (*place, "port"))
            if kind == "httpGet":
                choice((*place, "scheme"), action.get("scheme"), ("HTTP", "HTTPS"), self.report)
                for index, header in enumerate(items(action, "httpHeaders")):
                    if not re.fullmatch(r"[-A-Za-z0-9]+", header.get("name") or ""):
                        where = (*place, "httpHeaders", index, "name")
                        self.report.error(where, "not the name of a header", found=header.get("name"))

    def action_port(self, value: Any, path: Path) -> None:
        if isinstance(value, str):
            if not names.port_name(value):
                self.report.error(path, "not the name of a port", found=value, allowed="a number, or a port's name")
        else:
            port(value, path, self.report)

    def resources(self) -> None:
        resources = block(self.fields, "resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        for field, values in (("limits", limits), ("requests", requests)):
            for name, value in values.items():
                self.resource(name, value, (*self.path, "resources", field, name))
        for name, value in requests.items():
            path = (*self.path, "resources", "requests", name)
            extended = name not in _RESOURCES
            asked, allowed = amount(value), amount(limits[name]) if name in limits else None
            if extended and asked != allowed:
                self.report.error(path, "request and limit must be the same for this resource", found=value)
            elif allowed is not None and asked is not None and asked > allowed:
                self.report.error(path, "the request is more than the limit", found=value, allowed=f"<= {limits[name]}")

    def resource(self, name: str, value: Any, path: Path) -> None:
        known = name in _RESOURCES or name.startswith("hugepages-") or "/" in name
        if not known:
            self.report.error(path, "not a resource", found=name, allowed=", ".join(_RESOURCES))
            return
        number = amount(value)
        if number is not None and number < 0:
            self.report.error(path, "the amount can't be negative", found=value, allowed="0 or more")
        elif number is not None and "/" in name and number != int(number):
            self.report.error(path, "must be a whole number for this resource", found=value)

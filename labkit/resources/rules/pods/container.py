"""What the API server checks of one container: ports, variables, probes, resources."""

from __future__ import annotations

import re
from typing import Any

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.quantity import WHOLE, amount
from labkit.resources.rules.pods.volumes import check_mounts
from labkit.resources.rules.shared import Fields, block, items, port

_MOST_ID = 2**31 - 1
_ENV_NAME = re.compile(r"[ -<>-~]+")
_PROBE_HEADER = re.compile(r"[-A-Za-z0-9]+")
_FIELDS = (
    *(
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
    ),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
_FIELD_OF_MAP = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def check_container(
    fields: Fields, path: Path, report: Report, *, volumes: set[str], grace_s: int, first: bool
) -> None:
    """Adds what the API server would say. `first`: it runs before the others (an
    init container).
    """
    name, image = fields.get("name") or "", fields.get("image") or ""
    if not names.dns_label(name):
        report.error(
            (*path, "name"), "not a name for a container", found=name, allowed=names.LABEL_FORM
        )
    if not image:
        report.error((*path, "image"), "a container needs an image")
    elif image != image.strip():
        report.error((*path, "image"), "spaces around the name of the image", found=image)
    _ports(fields, path, report)
    _environment(fields, path, report)
    check_mounts(items(fields, "volumeMounts"), volumes, (*path, "volumeMounts"), report)
    for index, device in enumerate(items(fields, "volumeDevices")):
        if device.get("name") not in volumes:
            place = (*path, "volumeDevices", index, "name")
            report.error(place, "there is no such volume", found=device.get("name"))
    _probes(fields, path, report, refused=first and fields.get("restartPolicy") != "Always")
    _resources(fields, path, report)
    _security(block(fields, "securityContext") or {}, (*path, "securityContext"), report)
    for hook in ("postStart", "preStop"):
        handler, place = block(block(fields, "lifecycle"), hook), (*path, "lifecycle", hook)
        if handler is not None:
            _handler(handler, place, ("exec", "httpGet", "tcpSocket", "sleep"), report)
            seconds = (block(handler, "sleep") or {}).get("seconds") or 0
            if not 0 <= seconds <= grace_s:
                where = (*place, "sleep", "seconds")
                report.error(
                    where,
                    "out of range",
                    found=seconds,
                    allowed=f"0 to {grace_s} (the grace period)",
                )


def check_ids(context: Fields | None, path: Path, report: Report) -> None:
    """Numbers of users and groups in a securityContext."""
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        number = (context or {}).get(name)
        if number is not None and not 0 <= number <= _MOST_ID:
            report.error((*path, name), "out of range", found=number, allowed=f"0 to {_MOST_ID}")


def _security(context: Fields, path: Path, report: Report) -> None:
    check_ids(context, path, report)
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        report.error(
            (*path, "allowPrivilegeEscalation"),
            "can't be false for a privileged container",
            found=False,
        )


def _ports(container: Fields, path: Path, report: Report) -> None:
    seen: set[str] = set()
    for index, fields in enumerate(items(container, "ports")):
        place = (*path, "ports", index)
        port(fields.get("containerPort"), (*place, "containerPort"), report)
        name = fields.get("name") or ""
        if name and not names.port_name(name):
            allowed = "at most 15 lower-case letters, digits and '-', with at least one letter"
            report.error((*place, "name"), "not a name for a port", found=name, allowed=allowed)
        elif name in seen and name:
            report.error((*place, "name"), "two ports of the same name", found=name)
        seen.add(name)
        if fields.get("hostPort"):
            port(fields["hostPort"], (*place, "hostPort"), report)
        elif fields.get("hostIP"):
            report.warning(
                (*place, "hostIP"), "hostIP does nothing without hostPort", found=fields["hostIP"]
            )


def _environment(container: Fields, path: Path, report: Report) -> None:
    for index, variable in enumerate(items(container, "env")):
        place = (*path, "env", index)
        name = variable.get("name") or ""
        if not _ENV_NAME.fullmatch(name):
            report.error(
                (*place, "name"), "not a name for a variable", found=name, allowed="no '='"
            )
        source = block(variable, "valueFrom")
        if source is None:
            continue
        kinds = [key for key, value in source.items() if value is not None]
        if variable.get("value"):
            report.error((*place, "valueFrom"), "only one of value and valueFrom may be set")
        elif len(kinds) != 1:
            report.error((*place, "valueFrom"), "needs exactly one source", found=", ".join(kinds))
        reference = block(source, "fieldRef")
        field = (reference or {}).get("fieldPath") or ""
        if reference is not None and field not in _FIELDS and not _FIELD_OF_MAP.fullmatch(field):
            where = (*place, "valueFrom", "fieldRef", "fieldPath")
            report.error(where, "not a field of a pod", found=field, allowed=", ".join(_FIELDS))
    for index, source in enumerate(items(container, "envFrom")):
        if sum(block(source, name) is not None for name in ("configMapRef", "secretRef")) != 1:
            report.error((*path, "envFrom", index), "needs one of configMapRef and secretRef")


def _probes(container: Fields, path: Path, report: Report, *, refused: bool) -> None:
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe, place = block(container, name), (*path, name)
        if probe is None:
            continue
        if refused:
            report.error(
                place, "an init container has no probes", hint="remove it, or restartPolicy: Always"
            )
            continue
        _handler(probe, place, ("exec", "httpGet", "tcpSocket", "grpc"), report)
        numbers = (
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        )
        for number in numbers:
            if (probe.get(number) or 0) < 0:
                report.error(
                    (*place, number), "can't be negative", found=probe[number], allowed="0 or more"
                )
        successes = probe.get("successThreshold") or 1
        if name != "readinessProbe" and successes != 1:
            report.error(
                (*place, "successThreshold"),
                "must be 1 for this probe",
                found=successes,
                allowed="1",
            )


def _handler(handler: Fields, path: Path, kinds: tuple[str, ...], report: Report) -> None:
    """What a probe or a hook does: exactly one thing."""
    present = [kind for kind in kinds if block(handler, kind) is not None]
    if len(present) != 1:
        report.error(
            path, "needs exactly one action", found=", ".join(present), allowed=", ".join(kinds)
        )
    for kind in present:
        action, place = block(handler, kind) or {}, (*path, kind)
        if kind == "exec" and not items(action, "command"):
            report.error((*place, "command"), "the field is required and missing")
        if kind in ("httpGet", "tcpSocket", "grpc"):
            _action_port(action.get("port"), (*place, "port"), report)
        for index, header in enumerate(items(action, "httpHeaders")):
            if not _PROBE_HEADER.fullmatch(header.get("name") or ""):
                where = (*place, "httpHeaders", index, "name")
                report.error(where, "not the name of a header", found=header.get("name"))


def _action_port(value: Any, path: Path, report: Report) -> None:
    if not isinstance(value, str):
        port(value, path, report)
    elif not names.port_name(value):
        report.error(
            path, "not the name of a port", found=value, allowed="a number, or a port's name"
        )


def _resources(container: Fields, path: Path, report: Report) -> None:
    resources = block(container, "resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            _resource(name, value, (*path, "resources", field, name), report)
    both = {*limits, *requests}
    if any(name.startswith("hugepages-") for name in both) and not both & {"cpu", "memory"}:
        report.error(
            (*path, "resources"),
            "huge pages need cpu or memory beside them",
            found=", ".join(sorted(both)),
        )
    for name, value in requests.items():
        place = (*path, "resources", "requests", name)
        asked, allowed = amount(value), amount(limits[name]) if name in limits else None
        if name not in _RESOURCES and asked != allowed:
            report.error(place, "request and limit must be the same for this resource", found=value)
        elif allowed is not None and asked is not None and asked > allowed:
            report.error(
                place,
                "the request is more than the limit",
                found=value,
                allowed=f"at most {limits[name]}",
            )


def _resource(name: str, value: Any, path: Path, report: Report) -> None:
    number = amount(value)
    if name not in _RESOURCES and not name.startswith("hugepages-") and "/" not in name:
        report.error(path, "not a resource", found=name, allowed=", ".join(_RESOURCES))
    elif number is None:
        return
    elif number < 0:
        report.error(path, "the amount can't be negative", found=value, allowed="0 or more")
    elif number % WHOLE and "/" in name:
        report.error(path, "must be a whole number for this resource", found=value)
    elif number % WHOLE and name != "cpu":
        report.warning(path, "a fraction of a byte", found=value, hint="did you mean Mi?")

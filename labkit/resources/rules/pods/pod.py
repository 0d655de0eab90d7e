"""What the API server checks of a pod's spec, alone or in a Deployment's template, beyond its
schema.
"""

from __future__ import annotations

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.rules.metadata import check_labels
from labkit.resources.rules.pods.container import check_container, check_ids
from labkit.resources.rules.pods.volumes import check_volumes
from labkit.resources.rules.shared import Fields, block, items

_MOST_ID = 2**31 - 1


def check_pod_spec(spec: Fields, path: Path, report: Report) -> None:
    """Adds what the API server would say of a pod's `spec`."""
    if not items(spec, "containers"):
        report.error((*path, "containers"), "a pod needs at least one container")
    volumes = check_volumes(items(spec, "volumes"), (*path, "volumes"), report)
    grace = spec.get("terminationGracePeriodSeconds")
    grace = 30 if grace is None else max(grace, 1)
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(items(spec, field)):
            place = (*path, field, index)
            name = container.get("name") or ""
            if name in seen and field == "containers":
                report.error((*place, "name"), "two containers of the same name", found=name)
            seen.add(name)
            check_container(
                container,
                place,
                report,
                volumes=volumes,
                grace_s=grace,
                first=field == "initContainers",
            )
    _names(spec, path, report)
    _security(spec, path, report)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MOST_ID:
        report.error(
            (*path, "activeDeadlineSeconds"), "out of range", found=deadline, allowed="1 or more"
        )
    if spec.get("overhead") and not spec.get("runtimeClassName"):
        report.error(
            (*path, "overhead"),
            "comes from a RuntimeClass, and can't be set here",
            hint="remove it",
        )
    for index, toleration in enumerate(items(spec, "tolerations")):
        _toleration(toleration, (*path, "tolerations", index), report)
    for index, constraint in enumerate(items(spec, "topologySpreadConstraints")):
        skew = constraint.get("maxSkew") or 0
        if skew <= 0:
            place = (*path, "topologySpreadConstraints", index, "maxSkew")
            report.error(place, "out of range", found=skew, allowed="1 or more")


def _names(spec: Fields, path: Path, report: Report) -> None:
    for name in ("hostname", "subdomain"):
        if spec.get(name) and not names.dns_label(spec[name]):
            report.error(
                (*path, name), "not a host name", found=spec[name], allowed=names.LABEL_FORM
            )
    for name in ("serviceAccountName", "nodeName", "priorityClassName"):
        if spec.get(name) and not names.dns_subdomain(spec[name]):
            report.error(
                (*path, name), "not a name", found=spec[name], allowed=names.SUBDOMAIN_FORM
            )
    check_labels(spec.get("nodeSelector"), (*path, "nodeSelector"), report)
    for index, alias in enumerate(items(spec, "hostAliases")):
        if not names.ip_address(alias.get("ip") or ""):
            report.error(
                (*path, "hostAliases", index, "ip"), "not an address", found=alias.get("ip")
            )
    for index, gate in enumerate(items(spec, "readinessGates")):
        condition = gate.get("conditionType") or ""
        if not names.label_key(condition):
            place = (*path, "readinessGates", index, "conditionType")
            report.error(place, "not a name for a condition", found=condition)


def _security(spec: Fields, path: Path, report: Report) -> None:
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        report.error(
            (*path, "shareProcessNamespace"),
            "can't be set together with hostPID",
            hint="remove one",
        )
    check_ids(block(spec, "securityContext"), (*path, "securityContext"), report)


def _toleration(toleration: Fields, path: Path, report: Report) -> None:
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists" and toleration.get("value"):
        report.error(
            (*path, "value"), "the operator Exists takes no value", found=toleration["value"]
        )
    if not toleration.get("key") and operator != "Exists":
        report.error((*path, "operator"), "must be Exists where there is no key", found=operator)

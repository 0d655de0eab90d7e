"""What the API server checks of Kubernetes' own kinds, beyond their schemas."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.model import Path
from labkit.resources.rules.metadata import check_annotations, check_labels
from labkit.resources.rules.pods.pod import check_pod_spec
from labkit.resources.rules.service import check_service
from labkit.resources.rules.shared import Fields, block, items

_MOST_DATA = 2**20
_PERCENT = re.compile(r"[0-9]+%")


def check_kubernetes(report: Report) -> None:
    """Adds what the API server would say to the report. The structure must be right already."""
    resource = report.resource
    if resource.kind == "ConfigMap":
        _config_map(resource.body, report)
    elif resource.kind == "Service":
        check_service(resource.spec, report)
    elif resource.kind == "Pod":
        check_pod_spec(resource.spec, ("spec",), report)
    elif resource.kind == "Deployment":
        _deployment(resource.spec, report)


def _config_map(body: Fields, report: Report) -> None:
    data, binary = body.get("data") or {}, body.get("binaryData") or {}
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (body.get(field) or {}).items():
            size += len((value or "").encode())
            if not names.config_key(key):
                report.error(
                    (field, key),
                    "not a key for a ConfigMap",
                    found=key,
                    allowed="letters, digits, '-', '_', '.'",
                )
    for key, value in binary.items():
        if key in data:
            report.error(("binaryData", key), "the same key is in `data`", found=key)
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError):
            report.error(("binaryData", key), "not base64", found=value)
    if size > _MOST_DATA:
        report.error(
            ("data",), "the data are too large", found=size, allowed="at most 1 MiB in all"
        )


def _deployment(spec: Fields, report: Report) -> None:
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        if (spec.get(name) or 0) < 0:
            report.error(
                ("spec", name),
                "the number can't be negative",
                found=spec[name],
                allowed="0 or more",
            )
    ready, deadline = spec.get("minReadySeconds") or 0, spec.get("progressDeadlineSeconds", 600)
    if deadline is not None and 0 <= deadline <= ready:
        report.error(
            ("spec", "progressDeadlineSeconds"),
            "must be more than minReadySeconds",
            found=deadline,
            allowed=f"> {ready}",
        )
    _strategy(block(spec, "strategy"), report)
    template = block(spec, "template") or {}
    metadata = block(template, "metadata") or {}
    path: Path = ("spec", "template")
    check_labels(metadata.get("labels"), (*path, "metadata", "labels"), report)
    check_annotations(metadata.get("annotations"), (*path, "metadata", "annotations"), report)
    _selector(block(spec, "selector"), metadata.get("labels") or {}, report)
    pod = block(template, "spec") or {}
    check_pod_spec(pod, (*path, "spec"), report)
    if (pod.get("terminationGracePeriodSeconds") or 0) < 0:
        report.warning(
            (*path, "spec", "terminationGracePeriodSeconds"),
            "a negative number counts as 1",
            found=pod["terminationGracePeriodSeconds"],
        )
    if pod.get("restartPolicy") not in (None, "", "Always"):
        report.error(
            (*path, "spec", "restartPolicy"),
            "not for a Deployment",
            found=pod["restartPolicy"],
            allowed="Always",
        )
    if pod.get("activeDeadlineSeconds") is not None:
        report.error(
            (*path, "spec", "activeDeadlineSeconds"), "not for a Deployment", hint="remove it"
        )


def _selector(selector: Fields | None, labels: dict[str, str], report: Report) -> None:
    path: Path = ("spec", "selector")
    wanted: dict[str, Any] = (selector or {}).get("matchLabels") or {}
    expressions = items(selector, "matchExpressions")
    if not wanted and not expressions:
        report.error(
            path,
            "a selector needs at least one label",
            allowed="matchLabels with a label of the template",
        )
        return
    check_labels(wanted, (*path, "matchLabels"), report)
    before = len(report.findings)
    for index, expression in enumerate(expressions):
        _expression(expression, (*path, "matchExpressions", index), report)
    if len(report.findings) > before:
        return
    fits = all(labels.get(key) == (value or "") and key in labels for key, value in wanted.items())
    if not fits or not all(_holds(expression, labels) for expression in expressions):
        report.error(
            ("spec", "template", "metadata", "labels"),
            "the labels of the template do not fit spec.selector",
            found=labels,
            allowed=", ".join(f"{key}: {value}" for key, value in wanted.items()),
            hint="a Deployment must select the pods that it makes",
        )


def _expression(expression: Fields, path: Path, report: Report) -> None:
    operator, values = expression.get("operator") or "", items(expression, "values")
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
        report.error(
            (*path, "operator"),
            "not a known value",
            found=operator,
            allowed="In, NotIn, Exists, DoesNotExist",
        )
    elif operator in ("In", "NotIn") and not values:
        report.error((*path, "values"), f"the operator {operator} needs values")
    elif operator in ("Exists", "DoesNotExist") and values:
        report.error((*path, "values"), f"the operator {operator} takes no values", found=values)
    if not names.label_key(expression.get("key") or ""):
        report.error((*path, "key"), "not a name for a label", found=expression.get("key"))


def _holds(expression: Fields, labels: dict[str, str]) -> bool:
    key, values = expression["key"], items(expression, "values")
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": key not in labels or labels[key] not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[str(expression["operator"])]


def _strategy(strategy: Fields | None, report: Report) -> None:
    if strategy is None:
        return
    path: Path = ("spec", "strategy")
    kind, rolling = strategy.get("type") or "RollingUpdate", block(strategy, "rollingUpdate")
    if kind == "Recreate" and rolling is not None:
        report.error((*path, "rollingUpdate"), "not allowed with type Recreate", hint="remove it")
    elif rolling is not None:
        for name in ("maxSurge", "maxUnavailable"):
            _share(
                rolling.get(name),
                (*path, "rollingUpdate", name),
                report,
                most=100 if name != "maxSurge" else None,
            )
        if all(
            str(rolling.get(name, "25%")) in ("0", "0%") for name in ("maxSurge", "maxUnavailable")
        ):
            report.error((*path, "rollingUpdate"), "maxSurge and maxUnavailable can't both be 0")


def _share(value: Any, path: Path, report: Report, *, most: int | None) -> None:
    """A number, or a percentage."""
    if isinstance(value, int) and value < 0:
        report.error(path, "the number can't be negative", found=value, allowed="0 or more")
    elif isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            report.error(
                path, "not a number or a percentage", found=value, allowed="such as 1 or 25%"
            )
        elif most is not None and int(value[:-1]) > most:
            report.error(
                path, "the percentage is too large", found=value, allowed=f"at most {most}%"
            )

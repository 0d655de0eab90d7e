"""What the API server checks of every object's metadata: names, namespaces, labels, annotations."""

from __future__ import annotations

from typing import Any

from labkit.resources import names
from labkit.resources.finding import Report
from labkit.resources.model import Path

_MOST_ANNOTATIONS = 256 * 1024


def check_metadata(report: Report) -> None:
    """Adds what is wrong with `metadata` to the report."""
    resource = report.resource
    metadata = resource.metadata
    name = metadata.get("name") or ""
    if not name:
        hint = ""
        if metadata.get("generateName"):
            hint = "kubectl apply takes no generateName; kubectl create would make a name of it"
        report.error(("metadata", "name"), "every object needs a name", hint=hint)
    else:
        _name(resource.kind, name, ("metadata", "name"), report)
    namespace = metadata.get("namespace")
    # A Namespace's own `namespace` plays no part.
    if resource.kind != "Namespace" and namespace and not names.dns_label(namespace):
        report.error(
            ("metadata", "namespace"),
            "not a name for a namespace",
            found=namespace,
            allowed=names.LABEL_FORM,
        )
    check_labels(metadata.get("labels"), ("metadata", "labels"), report)
    check_annotations(metadata.get("annotations"), ("metadata", "annotations"), report)
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        if not names.label_key(finalizer):
            report.error(
                ("metadata", "finalizers", index), "not a name for a finalizer", found=finalizer
            )
        elif "/" not in finalizer and finalizer not in (
            "orphan",
            "foregroundDeletion",
            "kubernetes",
        ):
            report.warning(
                ("metadata", "finalizers"), "a name with a domain is better here", found=finalizer
            )


def _name(kind: str, name: str, path: Path, report: Report) -> None:
    if kind in ("Namespace", "Service"):
        good, allowed = names.dns_label(name), names.LABEL_FORM
    else:
        good, allowed = names.dns_subdomain(name), names.SUBDOMAIN_FORM
    if not good:
        report.error(
            path, f"not a name for a {kind}", found=name, allowed=allowed, hint=_better(name)
        )
    elif kind in ("Pod", "Deployment") and not names.dns_label(name):
        report.warning(
            path,
            "the name becomes part of host names",
            found=name,
            allowed=names.LABEL_FORM,
            hint="choose one that fits",
        )


def _better(name: str) -> str:
    """A name that would do, where capital letters or underscores are all that is wrong."""
    better = name.lower().replace("_", "-").replace(" ", "-").strip("-.")
    return f"did you mean `{better}`?" if better != name and names.dns_subdomain(better) else ""


def check_labels(labels: Any, path: Path, report: Report) -> None:
    """Labels of an object, a pod template or a selector."""
    for key, value in (labels or {}).items():
        if not names.label_key(key):
            report.error(
                (*path, key),
                "not a name for a label",
                found=key,
                allowed="letters, digits, '-', '_', '.', with an optional prefix such as "
                "example.com/",
            )
        if not names.label_value(value or ""):
            report.error(
                (*path, key),
                "not a value for a label",
                found=value,
                allowed="at most 63 letters, digits, '-', '_', '.', with a letter or digit at "
                "both ends, or nothing",
            )


def check_annotations(annotations: Any, path: Path, report: Report) -> None:
    """Annotations may hold any text; only their names and their size are limited."""
    size = 0
    for key, value in (annotations or {}).items():
        size += len(key.encode()) + len((value or "").encode())
        if not names.label_key(key.lower()):
            report.error((*path, key), "not a name for an annotation", found=key)
    if size > _MOST_ANNOTATIONS:
        report.error(
            path, "the annotations are too large", found=size, allowed="at most 256 KiB in all"
        )

"""A fate for every field: what this package translates, what it refuses, and what changes nothing
here.

One table, from which `labkit.translate.support` refuses and of which docs/fields.md is made. A kind
that has no entry is refused as a whole, and so are all of its fields.

>>> fate_of("Service", "spec.sessionAffinity").fate
'no effect'
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from labkit.translate.fates import names
from labkit.translate.fates.entries import SERVICE_ENTRY, SIDECAR, WORKLOAD_ENTRY
from labkit.translate.fates.istio import DESTINATION_RULE, GATEWAY, VIRTUAL_SERVICE
from labkit.translate.fates.kubernetes import DEPLOYMENT, NAMESPACE, POD, SERVICE, metadata
from labkit.translate.fates.names import OF_REFUSED_KINDS, in_metadata
from labkit.translate.fates.row import Fate, Row, segments
from labkit.translate.fates.search import Search

_POLICIES = (*metadata(dated=True), *in_metadata(names.OF_POLICIES, names.OF_ANY))
_PODS = (names.OF_PODS, names.OF_ANY)

TABLE: dict[str, tuple[Row, ...]] = {
    "DestinationRule": (*DESTINATION_RULE, *_POLICIES),
    "VirtualService": (*VIRTUAL_SERVICE, *_POLICIES),
    "Gateway": (*GATEWAY, *_POLICIES),
    "ServiceEntry": (
        *SERVICE_ENTRY,
        *metadata(dated=True),
        *in_metadata(names.OF_ENTRIES, names.OF_POLICIES, names.OF_ANY),
    ),
    "WorkloadEntry": (
        *WORKLOAD_ENTRY,
        *metadata(dated=False, labels=True),
        *in_metadata(names.OF_WORKLOADS, names.OF_POLICIES, names.OF_ANY),
    ),
    "Sidecar": (*SIDECAR, *in_metadata(names.OF_POLICIES, names.OF_ANY)),
    "Service": (*SERVICE, *in_metadata(names.OF_SERVICES, names.OF_ANY)),
    "Deployment": (
        *DEPLOYMENT,
        *in_metadata(names.OF_DEPLOYMENTS, names.OF_ANY),
        *in_metadata(*_PODS, at="spec.template.metadata"),
    ),
    "Pod": (*POD, *in_metadata(*_PODS)),
    "Namespace": (*NAMESPACE, *in_metadata(names.OF_NAMESPACES, names.OF_ANY)),
}
"""The rows of each kind that is translated."""

_BY_PATH = {
    kind: {segments(path): row for row in rows for path in row.paths}
    for kind, rows in TABLE.items()
}
_REFUSED = {
    (kind, when_run): Search(
        row for row in rows if row.fate == "refused" and row.when_run == when_run
    )
    for kind, rows in TABLE.items()
    for when_run in (False, True)
}


_TOLD = {kind: Search(row for row in rows if row.told) for kind, rows in TABLE.items()}


def fate_of(kind: str, path: str) -> Row | None:
    """The row of a field, or of what it is a part of; None where the table has none."""
    rows, steps = _BY_PATH.get(kind, {}), segments(path)
    while steps and steps not in rows:
        steps = steps[:-1]
    return rows.get(steps)


def refused_in(kind: str, body: Any, *, when_run: bool = False) -> Iterator[tuple[str, str]]:
    """(path, why) for each field of an object that is refused: before anything is translated, or
    with `when_run` when the mesh on this machine is to run its pod."""
    search = _REFUSED.get((kind, when_run))
    for path, row in search.found(body) if search else ():
        yield path, row.why


def without_effect(kind: str, body: Any) -> Iterator[str]:
    """A line for each field of an object that changes nothing here though one would think so, with
    the reason.

    >>> list(without_effect("Service", {"spec": {"sessionAffinity": "ClientIP"}}))
    ["spec.sessionAffinity: without effect here: Envoy chooses the pod …"]
    """
    search = _TOLD.get(kind)
    for path, row in search.found(body) if search else ():
        yield f"{path}: without effect here: {row.why}"


__all__ = ["OF_REFUSED_KINDS", "TABLE", "Fate", "Row", "fate_of", "refused_in", "without_effect"]

"""What a cluster shows of itself, in kubectl's words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import yaml

from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.pods import condition, info, stays
from labkit.mesh.table import Table, age, table
from labkit.mesh.views import pairs

AS_TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"


def get(api: Api, kind: str, name: str | None, namespaces: Iterable[str]) -> Table:
    """The API server's own table, which is what kubectl prints."""
    columns: list[str] = []
    rows: list[tuple[str, ...]] = []
    spaces = [None] if kind == "Namespace" else sorted(namespaces)
    for namespace in spaces:
        query: dict[str, Any] = {"fieldSelector": f"metadata.name={name}"} if name else {}
        path = path_of(kind, namespace)
        found = api.parsed(path, api.send("GET", path, accept=AS_TABLE, **query).data)
        shown = [
            i
            for i, c in enumerate(found["columnDefinitions"])
            if not c["priority"] or (kind, c["name"]) == ("Pod", "IP")
        ]
        columns = [str(found["columnDefinitions"][i]["name"]).upper() for i in shown]
        for row in found.get("rows") or []:
            cells = [cell(row["cells"][i], columns[n]) for n, i in enumerate(shown)]
            if kind == "Namespace":
                labels = row["object"]["metadata"].get("labels", {})
                cells.append(",".join(f"{k}={v}" for k, v in labels.items()) or "<none>")
            rows.append(tuple(cells))
    if kind == "Namespace":
        columns.append("LABELS")
    return table(columns, rows)


def cell(value: Any, column: str) -> str:
    """One cell; the API server gives the age of Istio's objects as a time, and kubectl as how long
    ago it was.
    """
    if column == "AGE" and isinstance(value, str) and value.endswith("Z"):
        return age(datetime.fromisoformat(value).timestamp())
    if isinstance(value, list | dict):
        return json.dumps(value)
    return str(value)


def describe(body: Json, events: Iterable[Json], addresses: Iterable[str] = ()) -> str:
    """An object in detail. kubectl makes this text itself, so it is shorter here."""
    metadata = body["metadata"]
    lines = [
        f"Name:         {metadata['name']}",
        f"Namespace:    {metadata.get('namespace', '<none>')}",
        f"Kind:         {body['kind']} ({body['apiVersion']})",
        f"Labels:       {pairs(metadata.get('labels', {}))}",
        f"Created:      {metadata['creationTimestamp']}",
    ]
    if body["kind"] == "Pod":
        lines += pod_lines(body)
    else:
        if body["kind"] == "Service":
            lines.append(f"IP:           {body['spec'].get('clusterIP', '<none>')}")
            lines.append(f"Endpoints:    {', '.join(addresses) or '<none>'}")
        if body.get("spec"):
            lines.append(
                yaml.safe_dump(
                    {"Spec": body["spec"]}, sort_keys=False, default_flow_style=False
                ).rstrip()
            )
    last = [f"  {e.get('type', '')}  {e.get('reason', '')}  {e.get('message', '')}" for e in events]
    return "\n".join([*lines, *(["Events:", *last[-10:]] if last else [])])


def pod_lines(pod: Json) -> list[str]:
    """What `describe` says of a pod: its state, and each container's."""
    seen, spec, status = info(pod), pod["spec"], pod.get("status", {})
    lines = [
        f"Status:       {condition(pod)}",
        f"IP:           {seen.ip or '<none>'}",
        f"Node:         {spec.get('nodeName', '<none>')}",
        f"Controlled By:  {seen.workload}",
    ]
    states = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found = {s["name"]: s for s in states}
    parts = {"Init Containers:": spec.get("initContainers", []), "Containers:": spec["containers"]}
    for title, containers in parts.items():
        if not containers:
            continue
        lines.append(title)
        for one in containers:
            state = found.get(one["name"], {})
            phase = next(iter(state.get("state", {})), "waiting")
            note = "  (the sidecar, started before the others)" if stays(one) else ""
            ports = ", ".join(str(p["containerPort"]) for p in one.get("ports", [])) or "<none>"
            lines += [
                f"  {one['name']}:{note}",
                f"    Image:    {one['image']}",
                f"    Port:     {ports}",
                f"    State:    {phase.capitalize()}",
                f"    Ready:    {state.get('ready', False)}",
                f"    Restarts: {state.get('restartCount', 0)}",
            ]
    return lines

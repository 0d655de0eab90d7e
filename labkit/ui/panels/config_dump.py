"""What Envoy got: the clusters and routes of a proxy that a DestinationRule or VirtualService is
about, as YAML.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import yaml

from labkit.envoy import dump
from labkit.resources.istio import full_host

NOISE = {"@type", "last_updated", "eds_cluster_config", "max_grpc_timeout"}
"""Says nothing of a policy: where endpoints come from, types of messages, when it was read."""

UNWRITTEN = "# lb_policy is not written: Envoy's own default, ROUND_ROBIN"


def envoy_lines(config_dump: Mapping[str, Any], body: Mapping[str, Any]) -> list[str]:
    """The lines of YAML that a proxy has for one object; empty where it has none.

    >>> rule = mesh.resource("DestinationRule", "hello-world-dr")
    >>> envoy_lines(mesh.config("gateway"), rule.body)[:3]
    ['# cluster outbound|80||hello-world.hello-world.svc.cluster.local', 'type: EDS',
    'connect_timeout: 10s']
    """
    metadata, spec = body.get("metadata") or {}, body.get("spec") or {}
    namespace, name = str(metadata.get("namespace") or "default"), str(metadata.get("name") or "")
    lines: list[str] = []
    if body.get("kind") == "DestinationRule":
        host = full_host(str(spec.get("host") or ""), namespace)
        mine = {
            c["name"]: c
            for c in dump.clusters(config_dump)
            if c["name"].split("|")[::3] == ["outbound", host]
        }
        for number, cluster in mine.items():
            lines += section(f"cluster {number}", {k: v for k, v in cluster.items() if k != "name"})
            if "lb_policy" not in cluster:
                lines.append(UNWRITTEN)
        for where, route in dump.routes(config_dump):
            if mine.keys() & dict(dump.targets(route)).keys():
                lines += section(f"route of {where}", route)
    elif body.get("kind") == "VirtualService":
        path = f"/namespaces/{namespace}/virtual-service/{name}"
        for where, route in dump.routes(config_dump):
            if str(made_of(route)).endswith(path):
                lines += section(f"route of {where}", route)
    return lines


def made_of(route: Mapping[str, Any]) -> object:
    return route.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")


def section(title: str, value: Any) -> list[str]:
    text = yaml.safe_dump(
        quiet(value), sort_keys=False, default_flow_style=False, allow_unicode=True, width=200
    )
    return [f"# {title}", *text.splitlines()]


def quiet(value: Any) -> Any:
    """The value without what says nothing of a policy."""
    if isinstance(value, Mapping):
        return {key: quiet(item) for key, item in value.items() if key not in NOISE}
    return [quiet(item) for item in value] if isinstance(value, list) else value


def marked(before: list[str], after: list[str]) -> list[tuple[str, str]]:
    """Each line with its mark: "+" is new, "-" is gone, " " is as before.

    >>> marked(["a: 1", "b: 2"], ["a: 1", "b: 3"])
    [(' ', 'a: 1'), ('-', 'b: 2'), ('+', 'b: 3')]
    """
    rows: list[tuple[str, str]] = []
    for what, i, j, k, m in difflib.SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if what == "equal":
            rows += [(" ", line) for line in after[k:m]]
        else:
            rows += [("-", line) for line in before[i:j]] + [("+", line) for line in after[k:m]]
    return rows

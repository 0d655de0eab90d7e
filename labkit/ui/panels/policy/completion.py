"""What the editor of the PolicyPanel offers while one types: the fields of each kind and their
values, as the schemas have them.

The index is made once and goes to the browser with the editor, so that a completion needs no answer
of a kernel that may be busy.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from labkit.resources import kinds
from labkit.resources.rules.schemas import Schema, schema_of_kind
from labkit.ui.panels.policy import fields

Node = dict[str, Any]
"""`fields` by name, `item` of a list, `values`, `type`, `about`; or `is`, the name of a shared
node.
"""


@functools.cache
def index() -> dict[str, Any]:
    """{"kinds": {kind: node}, "any": node of a document that has no kind yet, "shared": {name:
    node}}.

    >>> index()["kinds"]["DestinationRule"]["fields"]["spec"]["fields"]["host"]
    {'type': 'string'}
    """
    shared: dict[str, Node] = {}
    found = {}
    for row in kinds.RUN:
        schema = schema_of_kind(row)
        # Kubernetes writes `status`
        own_part = {k: v for k, v in schema.root["properties"].items() if k != "status"}
        root = node({"properties": own_part}, schema, shared)
        # the schema says "a string": here it can be one thing only
        own = {"apiVersion": {"values": [row.api_version]}, "kind": {"values": [row.kind]}}
        found[row.kind] = {"fields": {**root["fields"], **own}}
    told(found["DestinationRule"])
    start = {
        "apiVersion": {"values": sorted({row.api_version for row in kinds.RUN})},
        "kind": {"values": sorted(found)},
        "metadata": found["DestinationRule"]["fields"]["metadata"],
    }
    return {"kinds": found, "any": {"fields": start}, "shared": shared}


def node(part: Mapping[str, Any], schema: Schema, shared: dict[str, Node]) -> Node:
    """One schema as the editor needs it: what may stand there, and nothing of what is refused."""
    name = part.get("$ref")
    if name:
        if name not in shared:
            shared[name] = {}  # first: a definition may name itself
            shared[name].update(node(schema.resolve(part), schema, shared))
        return {"is": name}
    if "properties" in part:
        inner = part["properties"].items()
        return {"fields": {key: node(value, schema, shared) for key, value in inner}}
    if "items" in part:
        return {"item": node(part["items"], schema, shared)}
    if "enum" in part:
        return {"values": [str(value) for value in part["enum"]]}
    kind = str(part.get("type", ""))
    if kind == "boolean":
        return {"values": ["true", "false"]}
    if any(
        "duration" in str(rule.get("rule")) for rule in part.get("x-kubernetes-validations", ())
    ):
        return {"type": "duration: 30s, 1m"}
    return {"type": kind}


def told(rule: Node) -> None:
    """Puts the controls' own line of help beside the fields that have a control."""
    spec = rule["fields"]["spec"]["fields"]
    with_help = (
        *fields.OUTLIER,
        *fields.POOL,
        *(f for each in fields.OF_HASH.values() for f in each),
    )
    for policy in (spec["trafficPolicy"], spec["subsets"]["item"]["fields"]["trafficPolicy"]):
        for field in with_help:
            here: Node = policy
            for key in field.path.split("."):
                here = here["fields"][key]
            here["about"] = field.help

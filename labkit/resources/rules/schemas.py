"""The kinds that labkit checks, with their schemas; and the kinds that exist but are not checked
here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from labkit.errors import LabkitError, ParseError, UnsupportedError
from labkit.resources import kinds
from labkit.resources.model import Resource
from labkit.resources.words import closest

_DATA = FilePath(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Schema:
    """The schema of one kind; `definitions` holds what its `$ref`s name."""

    kind: str
    root: Mapping[str, Any]
    definitions: Mapping[str, Any]
    custom: bool
    """Defined by a CRD: the API server checks it by the schema alone. Kubernetes' own kinds are
    checked by code.
    """

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Follows a `$ref`."""
        name = schema.get("$ref")
        found: Mapping[str, Any] = self.definitions[name] if name else schema
        return found


def schema_of(resource: Resource) -> Schema:
    """The schema of a resource's kind. Raises LabkitError where there is none, and says what is
    meant or possible.
    """
    group, _, version = resource.api_version.rpartition("/")
    kind = resource.kind
    row = kinds.find(kind, group)
    if row is None:
        if _may_exist(kind, group):
            raise _unchecked(resource)
        raise _unknown(resource)
    if not row.runs:
        raise _unchecked(resource)
    if kind in _istio():
        versions = _istio()[kind]["versions"]
        if version in versions:
            return _istio_schema(kind)
        raise _refusal(
            resource, f'there is no {kind} in version "{version}"', _versions(group, versions)
        )
    if row.version == version:
        return _kubernetes_schema(kind)
    raise _unknown(resource)


def schema_of_kind(row: kinds.Kind) -> Schema:
    """The schema of one of `kinds.RUN`.

    >>> sorted(schema_of_kind(kinds.of("DestinationRule")).root["properties"])
    ['apiVersion', 'kind', 'metadata', 'spec', 'status']
    """
    return _istio_schema(row.kind) if row.kind in _istio() else _kubernetes_schema(row.kind)


def _unchecked(resource: Resource) -> UnsupportedError:
    """The error for a kind that a cluster has, or may have, and that labkit says nothing about."""
    return UnsupportedError(
        f"{_where(resource)}labkit does not check or run the kind {resource.kind} "
        f"({resource.api_version})",
        try_next=f"apply it on a cluster: kubectl apply --dry-run=server -f {_file(resource)}",
    )


def _may_exist(kind: str, group: str) -> bool:
    """Whether some cluster may have a kind that is in no row of the table.

    A CRD brings kinds of any name, in a group that is a domain. Of the groups of Kubernetes and
    Istio themselves the table has all kinds, and what is only a slip away from a known name is
    taken for that.
    """
    if "." not in group or group in kinds.COMPLETE:
        return False
    own = [row.kind for row in kinds.TABLE if row.group == group]
    return not (closest(kind, own) if own else _misspelt(group))


def _misspelt(group: str) -> bool:
    """Whether a group is a known one with a letter or two wrong."""
    from difflib import SequenceMatcher  # only wrong manifests need it

    known = {row.group for row in kinds.TABLE if "." in row.group}
    return any(SequenceMatcher(None, group, other).ratio() >= 0.93 for other in known)


def _unknown(resource: Resource) -> LabkitError:
    """The error for a kind or an apiVersion that does not exist."""
    kind = resource.kind
    homes = {row.kind: row for row in kinds.RUN}
    others = {row.kind: row for row in kinds.TABLE if row.kind not in homes}
    if kind in homes:
        return _refusal(
            resource,
            f'there is no {kind} in "{resource.api_version}"',
            f"write `apiVersion: {homes[kind].api_version}`",
        )
    if kind in others:
        group_name = others[kind].group or "the core of Kubernetes (v1)"
        return _refusal(
            resource,
            f'there is no {kind} in "{resource.api_version}"',
            f"{kind} belongs to {group_name}",
        )
    near = closest(kind, [*homes, *others])
    advice = f"did you mean `{near}`?" if near else "labkit checks " + ", ".join(sorted(homes))
    return _refusal(resource, f'there is no kind "{kind}" in "{resource.api_version}"', advice)


def _refusal(resource: Resource, message: str, advice: str) -> ParseError:
    return ParseError(f"{_where(resource)}{message}", try_next=advice)


def _versions(group: str, versions: list[str]) -> str:
    return "write `apiVersion: " + "` or `".join(f"{group}/{version}" for version in versions) + "`"


def _where(resource: Resource) -> str:
    if resource.source is None:
        return ""
    return f"{resource.source.name}:{resource.source.line_of(('kind',))}: "


def _file(resource: Resource) -> str:
    return resource.source.name if resource.source and resource.source.name != "<text>" else "FILE"


@functools.cache
def _istio() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_DATA / "istio-schemas.json").read_bytes())
    return loaded


@functools.cache
def _kubernetes() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_DATA / "kubernetes-schemas.json").read_bytes())
    return loaded


@functools.cache
def _istio_schema(kind: str) -> Schema:
    # A CRD says nothing of apiVersion, kind and metadata: those are the same for all objects.
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"$ref": "ObjectMeta"},
        **_istio()[kind]["schema"]["properties"],
    }
    return Schema(
        kind, {"type": "object", "properties": properties}, _kubernetes()["definitions"], True
    )


@functools.cache
def _kubernetes_schema(kind: str) -> Schema:
    loaded = _kubernetes()
    return Schema(
        kind, loaded["definitions"][loaded["kinds"][kind]["schema"]], loaded["definitions"], False
    )

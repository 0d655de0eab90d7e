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
from labkit.resources.model import ISTIO_GROUP, Resource
from labkit.resources.words import closest

_DATA = FilePath(__file__).parents[1] / "data"

ISTIO_KINDS = ("DestinationRule", "Gateway", "VirtualService")
KUBERNETES_KINDS = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Namespace": "v1",
    "Pod": "v1",
    "Service": "v1",
}

# Kinds a learner may well have on a cluster. They are named, so that the refusal can say that they
# exist.
_ELSEWHERE = {
    ISTIO_GROUP: (
        "EnvoyFilter",
        "ProxyConfig",
        "ServiceEntry",
        "Sidecar",
        "WorkloadEntry",
        "WorkloadGroup",
    ),
    "security.istio.io": ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
    "telemetry.istio.io": ("Telemetry",),
    "extensions.istio.io": ("TrafficExtension", "WasmPlugin"),
    "gateway.networking.k8s.io": (
        "BackendTLSPolicy",
        "Gateway",
        "GatewayClass",
        "GRPCRoute",
        "HTTPRoute",
        "ReferenceGrant",
        "TCPRoute",
        "TLSRoute",
        "UDPRoute",
    ),
    "": (
        "Endpoints",
        "Event",
        "LimitRange",
        "Node",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "PodTemplate",
        "ReplicationController",
        "ResourceQuota",
        "Secret",
        "ServiceAccount",
    ),
    "apps": ("ControllerRevision", "DaemonSet", "ReplicaSet", "StatefulSet"),
    "batch": ("CronJob", "Job"),
    "autoscaling": ("HorizontalPodAutoscaler",),
    "policy": ("PodDisruptionBudget",),
    "networking.k8s.io": ("Ingress", "IngressClass", "NetworkPolicy"),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "discovery.k8s.io": ("EndpointSlice",),
    "storage.k8s.io": ("StorageClass",),
    "admissionregistration.k8s.io": (
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "coordination.k8s.io": ("Lease",),
}


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
    if group == ISTIO_GROUP and kind in ISTIO_KINDS:
        entry = _istio()[kind]
        if version in entry["versions"]:
            return _istio_schema(kind)
        raise _refusal(
            resource,
            f'there is no {kind} in version "{version}"',
            _versions(ISTIO_GROUP, entry["versions"]),
        )
    if KUBERNETES_KINDS.get(kind) == resource.api_version:
        return _kubernetes_schema(kind)
    if kind in _ELSEWHERE.get(group, ()):
        raise UnsupportedError(
            f"{_where(resource)}labkit does not check or run the kind {kind} "
            f"({resource.api_version})",
            try_next=f"apply it on a cluster: kubectl apply --dry-run=server -f {_file(resource)}",
        )
    raise _unknown(resource, group)


def _unknown(resource: Resource, group: str) -> LabkitError:
    """The error for a kind or an apiVersion that does not exist."""
    kind = resource.kind
    homes = dict.fromkeys(ISTIO_KINDS, f"{ISTIO_GROUP}/v1") | KUBERNETES_KINDS
    others = {name: home for home, names in _ELSEWHERE.items() for name in names}
    if kind in homes and not (kind == "Gateway" and group == "gateway.networking.k8s.io"):
        return _refusal(
            resource,
            f'there is no {kind} in "{resource.api_version}"',
            f"write `apiVersion: {homes[kind]}`",
        )
    if kind in others:
        group_name = others[kind] or "the core of Kubernetes (v1)"
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

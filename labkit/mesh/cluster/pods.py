"""Pods as kubectl shows them, and waiting for a Deployment to be what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from labkit.errors import MeshError
from labkit.jsontypes import Json
from labkit.mesh.model import PodInfo
from labkit.resources import istio


def is_terminating(pod: Json) -> bool:
    """Whether a pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def stays(container: Json) -> bool:
    """Whether an init container runs as long as its pod: that is how newer Istios
    add the sidecar.
    """
    return container.get("restartPolicy") == "Always"


def statuses(pod: Json) -> list[Json]:
    """The state of each container that stays, a native sidecar's too."""
    status = pod.get("status", {})
    native = {c["name"] for c in pod["spec"].get("initContainers", []) if stays(c)}
    init = [s for s in status.get("initContainerStatuses", []) if s["name"] in native]
    return [*init, *status.get("containerStatuses", [])]


def condition(pod: Json) -> str:
    """kubectl's column STATUS."""
    if is_terminating(pod):
        return "Terminating"
    status = pod.get("status", {})
    for one in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        reason = one.get("state", {}).get("waiting", {}).get("reason", "")
        if reason and reason != "PodInitializing":
            return str(reason)
    return str(status.get("reason") or status.get("phase", "Unknown"))


def info(pod: Json) -> PodInfo:
    """A pod of the API server's as kubectl shows it."""
    metadata, found = pod["metadata"], statuses(pod)
    labels = metadata.get("labels", {})
    containers = len(pod["spec"]["containers"]) + sum(
        stays(c) for c in pod["spec"].get("initContainers", [])
    )
    return PodInfo(
        metadata["name"],
        metadata["namespace"],
        workload(pod),
        labels.get("version", ""),
        f"{sum(s['ready'] for s in found)}/{containers}",
        condition(pod),
        sum(s["restartCount"] for s in found),
        pod.get("status", {}).get("podIP", ""),
        datetime.fromisoformat(metadata["creationTimestamp"]).timestamp(),
    )


def workload(pod: Json) -> str:
    """The Deployment that a pod belongs to, or what else owns it, or its own name."""
    metadata = pod["metadata"]
    owner = next(iter(metadata.get("ownerReferences", [])), None)
    if owner is None:
        return str(metadata["name"])
    suffix = metadata.get("labels", {}).get("pod-template-hash", "")
    return str(owner["name"]).removesuffix(f"-{suffix}") if suffix else str(owner["name"])


def application(pod: Json) -> Json:
    """The container that is not Istio's."""
    containers: list[Json] = pod["spec"]["containers"]
    return next((c for c in containers if c["name"] != istio.PROXY), containers[0])


def application_port(pod: Json) -> int:
    """The port at which a pod's application listens. Raises MeshError where there is none."""
    ports = application(pod).get("ports") or []
    if not ports:
        raise MeshError(f"The pod {pod['metadata']['name']!r} runs no application with controls")
    return int(ports[0]["containerPort"])


def rolled_out(deployment: Json) -> bool:
    """Whether all pods of a Deployment are of its newest template, and available."""
    spec, status = deployment["spec"], deployment.get("status", {})
    wanted = spec.get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def why_not(pods: Mapping[str, Json]) -> str:
    """What keeps pods from being ready, in a line each."""
    lines = []
    for name, pod in pods.items():
        waiting = [
            f"{s['name']}: {state.get('reason', '')} {state.get('message', '')}".strip()
            for s in statuses(pod)
            for state in s.get("state", {}).values()
            if not s["ready"]
        ]
        lines.append(f"{name} {info(pod).ready} {condition(pod)} {'; '.join(waiting)}".strip())
    return "\n".join(lines) or "no pods"

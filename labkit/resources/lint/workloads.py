"""Mistakes around pods: namespaces without the label, pods without a sidecar, ports without a
protocol.
"""

from __future__ import annotations

from collections.abc import Iterator

from labkit.resources import protocols
from labkit.resources.injection import gets_sidecar
from labkit.resources.istio import INJECTED, INJECTION, PROXY, REVISION, ROOT_NAMESPACE
from labkit.resources.lint.diagnosis import Diagnosis, diagnosis
from labkit.resources.lint.world import World
from labkit.resources.model import Resource
from labkit.resources.rules.shared import items


def not_injected(world: World) -> Iterator[Diagnosis]:
    """IST0102: a namespace that has pods, and says neither yes nor no."""
    for namespace in world.all("Namespace"):
        labels = namespace.labels
        if namespace.name == ROOT_NAMESPACE or INJECTION in labels or REVISION in labels:
            continue
        if any(pod.namespace == namespace.name for pod in world.pods):
            yield diagnosis(
                "IST0102",
                namespace,
                ("metadata", "labels"),
                f"the namespace {namespace.name} has pods and no label {INJECTION}",
                f"kubectl label namespace {namespace.name} {INJECTION}={INJECTED}, "
                "then restart its Deployments",
            )


def without_proxy(world: World) -> Iterator[Diagnosis]:
    """IST0103: a running pod without a sidecar that would get one if it were made now."""
    namespaces = {n.name: n.labels for n in world.all("Namespace")}
    for pod in world.pods:
        if not pod.live or PROXY in pod.containers:
            continue
        if not gets_sidecar(pod.namespace, namespaces.get(pod.namespace), pod.resource.body):
            continue
        owner = _owner(pod.resource)
        yield diagnosis(
            "IST0103",
            pod.resource,
            (),
            f"the pod {pod.name} has no container {PROXY}, and would get one now",
            f"kubectl rollout restart deployment {owner} -n {pod.namespace}"
            if owner
            else "make the pod anew",
        )


def _owner(pod: Resource) -> str:
    """The Deployment of a pod: its ReplicaSet's name without the hash."""
    for owner in items(pod.metadata, "ownerReferences"):
        name, kind = str(owner.get("name")), owner.get("kind")
        return name.rpartition("-")[0] if kind == "ReplicaSet" else name
    return ""


def port_names(world: World) -> Iterator[Diagnosis]:
    """IST0118: a port of which neither name nor appProtocol says the protocol."""
    for service in world.all("Service"):
        if service.namespace == ROOT_NAMESPACE:
            continue
        for index, port in enumerate(items(service.spec, "ports")):
            name = str(port.get("name") or "")
            number, app = port.get("port") or 0, port.get("appProtocol")
            transport = port.get("protocol") or protocols.TCP
            if protocols.of_port(number, name, transport, app) != protocols.UNKNOWN:
                continue
            said = f'the name "{name}" of port' if name else "port"
            if app is not None:
                said = f'appProtocol "{app}" of port'
            yield diagnosis(
                "IST0118",
                service,
                ("spec", "ports", index),
                f"{said} {number} does not say the protocol",
                "name it for what it speaks, such as http, grpc or tcp, alone or with a dash and "
                "a word after it; or set appProtocol to that",
            )

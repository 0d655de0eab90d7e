"""What the embedded mesh shows of itself, in kubectl's words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml

from labkit.errors import NotFound
from labkit.mesh.embedded.outside import hosts_of
from labkit.mesh.embedded.store import Store
from labkit.mesh.model import PodInfo
from labkit.mesh.table import Table, age, table
from labkit.mesh.views import pairs
from labkit.resources import Resource, istio, kinds, mesh_config, validate
from labkit.resources.names import ip_address
from labkit.translate import fates
from labkit.translate.settings import without_effect

if TYPE_CHECKING:
    from labkit.mesh.embedded.controller import Controller
    from labkit.mesh.embedded.pod import RunningPod


def info(pod: RunningPod) -> PodInfo:
    """A running pod as kubectl shows it."""
    facts = pod.spec.facts
    version = facts.labels.get("version", "")
    return PodInfo(
        pod.spec.name,
        pod.spec.namespace,
        pod.spec.workload,
        version,
        pod.containers_ready,
        pod.status,
        pod.restarts,
        facts.ip,
        pod.spec.created,
    )


def warnings(resource: Resource) -> Iterator[str]:
    """What an API server would warn of while it accepts an object, and what of it, or of a
    MeshConfig, has no effect here.
    """
    yield from (found.message for found in validate(resource) if found.level == "warning")
    yield from fates.without_effect(resource.kind, resource.body)
    if mesh_config.is_config_map(resource):
        yield from without_effect(mesh_config.of_config_map(resource))


def service_names(store: Store, namespace: str) -> set[str]:
    """The host names that a pod of this namespace can resolve: of Services, and of hosts outside
    that one of them stands for. The addresses of ServiceEntries need none to.
    """
    names = {
        name for service in store.all("Service") for name in names_of(store, service, namespace)
    }
    return names.union(*(entry.spec.get("addresses") or () for entry in store.all("ServiceEntry")))


def names_of(store: Store, service: Resource, namespace: str) -> set[str]:
    """All that a pod of this namespace may call one Service: names short and long,
    and its address.
    """
    long = f"{service.name}.{service.namespace}"
    names = {long, f"{long}.svc", f"{long}.{istio.SERVICE_DOMAIN}"}
    if service.namespace == namespace:
        names.add(service.name)
    names.update(hosts_of(service))
    return names | {store.service_ips.get((service.namespace, service.name), long)}


def service_address(store: Store, host: str, namespace: str) -> str:
    """The address of the Service that a pod of this namespace means by a host; "" where there is
    none.
    """
    for service in store.all("Service"):
        if host in names_of(store, service, namespace):
            return store.service_ips.get((service.namespace, service.name), "")
    return host if ip_address(host) else ""


def since(resource: Resource) -> float:
    """When an object was made, in seconds since 1970."""
    return datetime.fromisoformat(str(resource.metadata["creationTimestamp"])).timestamp()


# kubectl get

COLUMNS: dict[str, tuple[str, ...]] = {
    "Namespace": ("NAME", "STATUS", "AGE", "LABELS"),
    "ConfigMap": ("NAME", "DATA", "AGE"),
    "Service": ("NAME", "TYPE", "CLUSTER-IP", "PORT(S)", "AGE"),
    "Deployment": ("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"),
    "Pod": ("NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP"),
    "Gateway": ("NAME", "AGE"),
    "VirtualService": ("NAME", "GATEWAYS", "HOSTS", "AGE"),
    "DestinationRule": ("NAME", "HOST", "AGE"),
    "ServiceEntry": ("NAME", "HOSTS", "LOCATION", "RESOLUTION", "AGE"),
    "WorkloadEntry": ("NAME", "AGE", "ADDRESS"),
    "Sidecar": ("NAME", "AGE"),
}


def get(controller: Controller, kind: str, name: str | None, namespace: str | None) -> Table:
    """The table that `kubectl get` prints. Raises NotFound."""
    if kind == "Pod":
        there = [*controller.running.values(), controller.gateway]
        pods = [
            info(p)
            for p in there
            if name in (None, p.spec.name) and shown(controller, p, namespace)
        ]
        if name and not pods:
            raise NotFound(f"There is no pod {name!r}", try_next="mesh.get('pods')")
        return table(
            COLUMNS[kind],
            [(p.name, p.ready, p.status, p.restarts, age(p.created), p.ip) for p in pods],
        )
    found = (
        [controller.store.find(kind, name, namespace)]
        if name
        else list(controller.store.all(kind, namespace))
    )
    return table(COLUMNS[kind], [row(controller, r) for r in found])


def shown(controller: Controller, pod: RunningPod, namespace: str | None) -> bool:
    """The gateway is in istio-system, which is shown when asked for, as with kubectl."""
    return pod is not controller.gateway if namespace is None else pod.spec.namespace == namespace


def row(controller: Controller, resource: Resource) -> tuple[Any, ...]:
    """One object as a row of that table."""
    old, spec = age(since(resource)), resource.spec
    match resource.kind:
        case "Namespace":
            labels = ",".join(f"{k}={v}" for k, v in resource.labels.items())
            return (resource.name, "Active", old, labels or "<none>")
        case "ConfigMap":
            return (resource.name, len(resource.body.get("data") or {}), old)
        case "Service":
            ports = ",".join(
                f"{p['port']}/{p.get('protocol', 'TCP')}" for p in spec.get("ports") or []
            )
            address = controller.store.service_ips.get(
                (resource.namespace, resource.name), "<none>"
            )
            return (resource.name, spec.get("type", "ClusterIP"), address, ports, old)
        case "Deployment":
            pods = controller.pods_of(resource)
            ready = sum(p.ready for p in pods)
            return (resource.name, f"{ready}/{spec.get('replicas', 1)}", len(pods), ready, old)
        case "VirtualService":
            return (
                resource.name,
                json.dumps(spec.get("gateways") or []),
                json.dumps(spec.get("hosts") or []),
                old,
            )
        case "DestinationRule":
            return (resource.name, spec.get("host", ""), old)
        case "ServiceEntry":
            hosts = json.dumps(spec.get("hosts") or [])
            return (
                resource.name,
                hosts,
                spec.get("location", ""),
                spec.get("resolution", ""),
                old,
            )
        case "WorkloadEntry":
            return (resource.name, old, spec.get("address", ""))
        case _:
            return (resource.name, old)


def objects(controller: Controller) -> list[Resource]:
    """Every object as it is now. Of pods, those that run: what a manifest says of one is only where
    it began.
    """
    running = [p for p in (*controller.running.values(), controller.gateway) if not p.terminating]
    applied = [r for r in controller.store.objects.values() if r.kind != "Pod"]
    return [*applied, *(pod_object(pod) for pod in running)]


def pod_object(pod: RunningPod) -> Resource:
    """A running pod as `kubectl get pod -o yaml` shows it, in short."""
    facts, program = pod.spec.facts, pod.spec.program
    metadata: dict[str, Any] = {
        "name": facts.name,
        "namespace": facts.namespace,
        "labels": dict(facts.labels),
    }
    if pod.spec.template_hash:
        owner = f"{pod.spec.workload}-{pod.spec.template_hash}"
        metadata["ownerReferences"] = [
            {"apiVersion": kinds.api_version("ReplicaSet"), "kind": "ReplicaSet", "name": owner}
        ]
    containers = [{"name": program.container, "image": program.image}] if program else []
    if pod.sidecar is not None:
        containers.append({"name": istio.PROXY, "image": "envoy"})
    status = {"phase": pod.status, "podIP": facts.ip}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
    return Resource({**body, "spec": {"containers": containers}, "status": status})


# kubectl describe


def describe(controller: Controller, kind: str, name: str, namespace: str | None) -> str:
    """An object in detail, as `kubectl describe` prints it, in short. Raises NotFound."""
    if kind == "Pod":
        found = [
            p for p in (*controller.running.values(), controller.gateway) if p.spec.name == name
        ]
        if not found:
            raise NotFound(f"There is no pod {name!r}", try_next="mesh.get('pods')")
        return describe_pod(controller, found[0])
    resource = controller.store.find(kind, name, namespace)
    lines = [
        f"Name:         {resource.name}",
        f"Namespace:    {resource.namespace or '<none>'}",
        f"Kind:         {resource.kind} ({resource.api_version})",
        f"Labels:       {pairs(resource.labels)}",
        f"Created:      {resource.metadata['creationTimestamp']}",
    ]
    if kind == "Service":
        lines.append(
            "IP:           "
            f"{controller.store.service_ips.get((resource.namespace, resource.name), '<none>')}"
        )
        ready = [p.spec.facts.ip for p in controller.selected(resource) if p.ready]
        lines.append(f"Endpoints:    {', '.join(ready) or '<none>'}")
    if resource.spec:
        text = yaml.safe_dump({"Spec": resource.spec}, sort_keys=False, default_flow_style=False)
        lines.append(text.rstrip())
    return "\n".join(lines)


def describe_pod(controller: Controller, pod: RunningPod) -> str:
    """A pod in detail, with the processes and ports of this machine that it really is."""
    facts, program = pod.spec.facts, pod.spec.program
    started = time.strftime("%a, %d %b %Y %H:%M:%S", time.localtime(pod.spec.created))
    lines = [
        f"Name:         {pod.spec.name}",
        f"Namespace:    {pod.spec.namespace}",
        f"Labels:       {pairs(facts.labels)}",
        f"Status:       {pod.status}",
        f"IP:           {facts.ip}",
        f"Start Time:   {started}",
        f"Controlled By:  {'Deployment' if pod.spec.template_hash else 'none'}/{pod.spec.workload}",
        "Containers:",
    ]
    if program is not None:
        port = f"{facts.ip}:{program.port} in the mesh, 127.0.0.1:{pod.app_port} on this machine"
        lines += [
            f"  {program.container}:",
            f"    Image:    {program.image}",
            f"    Port:     {port if program.port else '<none>'}",
            f"    Process:  {pod.app.pid if pod.app else '<none>'}",
            f"    Ready:    {pod.app_ready}",
            f"    Restarts: {pod.backoff['app'].restarts}",
        ]
        if program.env:
            lines += ["    Environment:", *(f"      {k}: {v}" for k, v in program.env.items())]
    if pod.sidecar is not None:
        proxy = controller.plane.proxies.get(pod.spec.name) or controller.plane.proxies["gateway"]
        process = pod.sidecar.process.pid if pod.sidecar.process else "<none>"
        lines += [
            f"  {istio.PROXY}:  (the sidecar: a real Envoy)"
            if program
            else f"  {istio.PROXY}:  (a real Envoy)",
            f"    Process:  {process}",
            f"    Ready:    {pod.sidecar_ready}",
            f"    Restarts: {pod.backoff['sidecar'].restarts}",
            "    Listeners, in the mesh -> on this machine:",
            *(
                f"      {name} -> 127.0.0.1:{port}"
                for name, port in sorted(proxy.listeners.items())
            ),
        ]
    elif program is not None:
        lines.append(
            f"  (no sidecar: the namespace had no label {istio.INJECTION}={istio.INJECTED} when "
            "this pod was made)"
        )
    return "\n".join(lines)

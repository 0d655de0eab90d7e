"""A registry from manifests alone: every pod that they ask for is there and ready.

What `labkit translate` and the comparison with a real istiod start from; a mesh has pods and
addresses of its own, and makes its `Registry` of those.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from itertools import count

from labkit.jsontypes import Json
from labkit.resources.injection import becomes_gateway, gets_sidecar
from labkit.resources.model import Resource
from labkit.translate.model import Pod, port_name
from labkit.translate.registry import Registry
from labkit.translate.support import refusal

# An API server with kubeadm's default range, 10.96.0.0/12, gives out what is above its first 256
# addresses, and picks among those at random. In order here, so that equal input has equal output.
# https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
FIRST_CLUSTER_IP = "10.96.1.1"
FIRST_POD_IP = "10.244.0.12"
MOST_PODS = 1000


def registry_of(resources: Iterable[Resource]) -> Registry:
    """A registry in which every Deployment has all its pods, ready.

    A Service without `spec.clusterIP` gets the next address that no other has. Raises
    UnsupportedError, as `Registry` does.

    >>> registry_of(load("manifests/hello-world.yaml")).pods[0].name
    'hello-world-v1-1'
    """
    known = tuple(resources)
    namespaces = {r.name: r.labels for r in known if r.kind == "Namespace"}
    pods: list[Pod] = []
    for resource in known:
        if resource.kind == "Deployment":
            replicas = resource.spec.get("replicas")
            replicas = 1 if replicas is None else int(replicas)
            if replicas > MOST_PODS:
                why = f"at most {MOST_PODS} pods of one Deployment are translated"
                raise refusal(resource, f"spec.replicas: {replicas}", why)
            template = resource.spec.get("template") or {}
            names = [f"{resource.name}-{n + 1}" for n in range(replicas)]
        elif resource.kind == "Pod":
            template, names = resource.body, [resource.name]
        else:
            continue
        for name in names:
            known_address = (resource.body.get("status") or {}).get("podIP")
            address = known_address or next_address(FIRST_POD_IP, len(pods))
            labels = namespaces.get(resource.namespace)
            injected = gets_sidecar(resource.namespace, labels, template)
            pod = pod_of(template, name, resource.namespace, address, injected)
            pods.append(replace(pod, workload=resource.name))
    return Registry(known, pods, cluster_ips(known))


def cluster_ips(resources: Iterable[Resource]) -> dict[tuple[str, str], str]:
    """(namespace, name) → the address of each Service: its own wish, or the next that is free."""
    wanted = {
        (r.namespace, r.name): str(r.spec.get("clusterIP") or "")
        for r in resources
        if r.kind == "Service"
    }
    free = free_addresses(FIRST_CLUSTER_IP, taken=frozenset(wanted.values()))
    return {where: address or next(free) for where, address in wanted.items()}


def free_addresses(first: str, *, taken: Container[str] = ()) -> Iterator[str]:
    """The IPv4 addresses from `first` on that are not taken.

    >>> [address for address, _ in zip(free_addresses("10.96.1.255", taken=["10.96.2.0"]), "ab")]
    ['10.96.1.255', '10.96.2.1']
    """
    everything = (next_address(first, n) for n in count())
    return (address for address in everything if address not in taken)


def pod_of(template: Json, name: str, namespace: str, ip: str, injected: bool) -> Pod:
    """A pod made of a Deployment's template (or of a Pod's own body).

    >>> pod_of({"metadata": {"labels": {"app": "client"}}}, "client-1", "hello-world", "10.244.0.15", True).group
    'client'
    """  # noqa: E501
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    gateway = injected and becomes_gateway(template)
    # an init container that stays is a sidecar like any other
    staying = [c for c in spec.get("initContainers") or [] if c.get("restartPolicy") == "Always"]
    ports = [
        port
        for container in [*(spec.get("containers") or []), *staying]
        for port in container.get("ports") or []
    ]
    return Pod(
        name=name,
        namespace=namespace,
        labels=dict(metadata.get("labels") or {}),
        ip=ip,
        containers_ports=tuple(int(port["containerPort"]) for port in ports),
        named_ports={
            port_name(port["name"], udp=port.get("protocol") == "UDP"): int(port["containerPort"])
            for port in reversed(ports)  # of two with one name the first counts
            if port.get("name") and port.get("protocol") in (None, "", "TCP", "UDP")
        },
        injected=injected and not gateway,
        gateway=gateway,
    )


def next_address(first: str, n: int) -> str:
    """The n-th IPv4 address after `first`.

    >>> next_address("10.96.230.254", 3)
    '10.96.231.1'
    """
    a, b, c, d = (int(part) for part in first.split("."))
    number = ((a * 256 + b) * 256 + c) * 256 + d + n
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))

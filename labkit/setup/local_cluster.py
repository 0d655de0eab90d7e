"""Which tool made a cluster that is local, and what `labkit up` does with one of that kind.

A cluster says it itself: each tool leaves its mark on the nodes. It is told for the learner's sake
only; whether a cluster may be changed is the guard's to say (guard.py), by other means.

Sources: kind gives its nodes the providerID kind://PROVIDER/CLUSTER/NODE (its kubeadm config); k3s,
which k3d, Rancher Desktop and Colima run, k3s://NODE, and k3d names a node k3d-CLUSTER-ROLE-N;
MicroK8s labels them microk8s.io/cluster (its kubelet arguments), Minikube minikube.k8s.io/name (its
kubectl label at the end of a start); Docker Desktop's node is docker-desktop, or of kind's cluster
desktop. Of all these only Minikube was run here; docs/cluster.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api

LEFT_ALONE = "labkit neither starts nor stops nor deletes it"


@dataclass(frozen=True)
class LocalCluster:
    """A kind of cluster; `seen` finds its mark on a node, and gives its own name for the cluster.
    `address`: how its gateway gets an address.
    """

    name: str
    seen: Callable[[Json], str | None]
    address: str
    handling: str = LEFT_ALONE


def label(key: str) -> Callable[[Json], str | None]:
    """Finds a label; its value is the name."""
    return lambda node: (node["metadata"].get("labels") or {}).get(key)


def provider(pattern: str) -> Callable[[Json], str | None]:
    """Finds a providerID; the group `name` of the pattern is the name."""
    return lambda node: named(pattern, str((node.get("spec") or {}).get("providerID") or ""))


def node_name(pattern: str) -> Callable[[Json], str | None]:
    """Finds a name of a node; the group `name` of the pattern is the name."""
    return lambda node: named(pattern, str(node["metadata"]["name"]))


def named(pattern: str, text: str) -> str | None:
    """The group `name` of a pattern that matches all of the text."""
    match = re.fullmatch(pattern, text)
    return match["name"] if match else None


# Docker Desktop may use kind, and what k3d and the others use is k3s: the special ones come first
KINDS = (
    LocalCluster(
        "Minikube",
        label("minikube.k8s.io/name"),
        "from labkit up --minikube --tunnel",
        "labkit up --minikube can also start it",
    ),
    LocalCluster(
        "Docker Desktop",
        node_name(r"(?:docker-)?(?P<name>desktop)(?:-control-plane|-worker\d*)?"),
        "by itself: localhost",
    ),
    LocalCluster(
        "kind",
        provider(r"kind://[^/]*/(?P<name>[^/]+)/.+"),
        "from cloud-provider-kind, where that runs",
    ),
    LocalCluster(
        "k3d",
        node_name(r"k3d-(?P<name>.+)-(?:server|agent)-\d+"),
        "from k3s's own load balancer, unless its Traefik has port 80 (k3d cluster create "
        "--k3s-arg '--disable=traefik@server:0')",
    ),
    LocalCluster(
        "MicroK8s", label("microk8s.io/cluster"), "from MetalLB: microk8s enable metallb:RANGE"
    ),
    LocalCluster(
        "Rancher Desktop",
        node_name(r"(?P<name>lima-rancher-desktop|rancher-desktop)"),
        "from k3s's own load balancer, unless its Traefik has port 80 (a switch in its settings)",
    ),
    LocalCluster("k3s", provider(r"k3s://(?P<name>.+)"), "from k3s's own load balancer"),
)


def local_cluster(nodes: list[Json]) -> tuple[LocalCluster, str] | None:
    """The kind of a cluster by its nodes, with the tool's own name for it; None for any other.

    >>> local_cluster([{"metadata": {"name": "k3d-lab-server-0"}}])
    (LocalCluster(name='k3d', …), 'lab')
    """
    for kind in KINDS:
        for node in nodes:
            if (name := kind.seen(node)) is not None:
                return kind, name
    return None


def kind_of(api: Api) -> tuple[LocalCluster, str] | None:
    """The same of a cluster that is asked for its nodes."""
    return local_cluster(api.items("/api/v1/nodes")[0])


def described(found: tuple[LocalCluster, str] | None) -> str:
    """The kind and the name of a cluster in a few words, "kind, cluster lab"; "" for one of no kind
    that is known.
    """
    if found is None:
        return ""
    kind, name = found
    return f"{kind.name}, cluster {name}" if name not in ("", "true") else kind.name


def what_up_does(found: tuple[LocalCluster, str] | None) -> str:
    """What `labkit up` says about a cluster of this kind; "" for one of no kind that is known."""
    if found is None:
        return ""
    kind, _ = found
    return (
        f"This is {described(found)}: Istio is installed in it where there is none, and "
        f"{kind.handling}. Its gateway gets an address {kind.address}; the lessons need none"
    )

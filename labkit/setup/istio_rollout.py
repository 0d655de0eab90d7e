"""Istio while it is installed: its namespace, its pods as they come up, and whether all that a
lesson needs is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from labkit.errors import MeshError, NotReady
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.istio import gateways, injectors
from labkit.mesh.cluster.ownership.owner import MANAGED
from labkit.mesh.cluster.pods import info, is_terminating, rolled_out, why_not
from labkit.resources import istio
from labkit.resources.quantity import WHOLE, amount
from labkit.waiting import wait_until

READY_TIMEOUT_S = 300.0
ENOUGH_CPUS, ENOUGH_MB = 4, 7000  # a node with less gets an Istio that asks for less


def make_namespace(api: Api, say: Callable[[str], None]) -> None:
    """Istio's namespace, with a label that says who made it."""
    path = path_of("Namespace", name=istio.NAMESPACE)
    if api.find(path) is None:
        say(f"$ kubectl create namespace {istio.NAMESPACE}")
        api.put(
            path,
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": istio.NAMESPACE, "labels": MANAGED},
            },
        )


def wait_restarted(api: Api, say: Callable[[str], None]) -> None:
    """Waits until all pods of Istio's namespace run again after a stop of the whole cluster, for
    300 s at most. Raises NotReady.

    The pods tell, and not their Deployments: these keep their state of before for some seconds.
    """

    def again() -> bool:
        pods = [pod for pod in api.list("Pod", istio.NAMESPACE) if not is_terminating(pod)]
        return all(info(pod).is_ready for pod in pods)

    say(f"$ kubectl -n {istio.NAMESPACE} wait pods --all --for=condition=Ready")
    began = time.monotonic()
    wait_until(
        again,
        READY_TIMEOUT_S,
        "Istio's pods to be ready again",
        longest_s=0.5,
        explain=lambda: pods_now(api),
    )
    say(f"  done after {time.monotonic() - began:.0f} s")


def wait_ready(api: Api, say: Callable[[str], None]) -> None:
    """Watches the two Deployments that the lessons need, until both are ready, for 300 s at most.
    Raises NotReady.
    """
    wanted = ("istiod", istio.GATEWAY)
    shown = ""

    def done(found: Mapping[str, Json]) -> bool:
        nonlocal shown
        state = ", ".join(f"{name} {ready(found.get(name))}" for name in wanted)
        if state != shown:
            say(f"    {state}")
            shown = state
        return all(name in found and rolled_out(found[name]) for name in wanted)

    def explain() -> str:
        return why_not({pod["metadata"]["name"]: pod for pod in api.list("Pod", istio.NAMESPACE)})

    say(f"$ kubectl -n {istio.NAMESPACE} rollout status deployment")
    began = time.monotonic()
    try:
        api.wait(
            path_of("Deployment", istio.NAMESPACE),
            done,
            READY_TIMEOUT_S,
            "Istio's pods to be ready",
            explain,
        )
    except NotReady as error:
        raise NotReady(
            error.message,
            seen=error.seen,
            try_next=f"kubectl -n {istio.NAMESPACE} describe pods; then labkit up again",
        ) from error
    say(f"  done after {time.monotonic() - began:.0f} s")


def check_complete(api: Api) -> None:
    """What a lesson needs: a webhook that adds sidecars, and a gateway. Raises MeshError with what
    is missing.
    """
    if not injectors(api):
        raise MeshError(
            "Istio's webhook that adds sidecars is not there",
            try_next="labkit doctor --backend cluster",
        )
    if not gateways(api):
        raise MeshError(
            "There is no ingress gateway that is ready",
            seen=f"no ready pod has the label {istio.GATEWAY_QUERY}",
            try_next="istioctl install --set profile=default adds one; or helm install "
            "istio-ingressgateway, "
            "with Istio's chart gateway",
        )


def ready(deployment: Json | None) -> str:
    """How many pods of a Deployment are available, "1/1"."""
    if deployment is None:
        return "not there yet"
    return f"{deployment.get('status', {}).get('availableReplicas', 0)}/{deployment['spec'].get('replicas', 1)}"  # noqa: E501


def pods_now(api: Api) -> str:
    """Istio's pods in a line, for somebody who waits."""
    try:
        found = [info(pod) for pod in api.list("Pod", istio.NAMESPACE)]
    except MeshError as error:
        return error.message
    return ", ".join(f"{pod.workload} {pod.ready} {pod.status}" for pod in found) or "no pod yet"


def too_small(api: Api, *, cpus: int = 0, memory_mb: int = 0) -> str:
    """Why the nodes are too small for Istio's own requests; "" when they are not.

    A node that is a container reports the processors and the memory of its host, whatever its own
    limits are: what the driver was told to give, where that is known, counts as well.
    """
    nodes, _ = api.items("/api/v1/nodes")
    reported = [n["status"]["allocatable"] for n in nodes]
    has_cpus = sum(amount(node["cpu"]) or 0 for node in reported) / WHOLE
    has_mb = sum(amount(node["memory"]) or 0 for node in reported) / WHOLE / 2**20
    has_cpus, has_mb = min(has_cpus, cpus or has_cpus), min(has_mb, memory_mb or has_mb)
    if has_cpus >= ENOUGH_CPUS and has_mb >= ENOUGH_MB:
        return ""
    return f"The cluster has {has_cpus:g} processors and {has_mb:.0f} MB"

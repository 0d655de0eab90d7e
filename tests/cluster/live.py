"""What a cluster has and what its proxies were given, as values that the translator's tests
compare.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.jsontypes import Json
from labkit.resources.model import Resource
from labkit.translate import Pod, Registry, gateway_config, sidecar_config
from labkit.translate.manifests import pod_of
from labkit.translate.normalise import normalised
from labkit.waiting import wait_until
from tests.translate.record import RULES, config_dump, kubectl
from tests.translate.recorded import differences


def items(namespace: str, *kinds: str) -> list[Json]:
    found: list[Json] = json.loads(
        kubectl("-n", namespace, "get", ",".join(kinds), "-o", "json").stdout
    )["items"]
    return found


def live_pod(body: Json) -> Pod:
    """A pod of the cluster without its sidecar's own ports."""
    containers = [c for c in body["spec"]["containers"] if c["name"] != "istio-proxy"]
    template = {"metadata": body["metadata"], "spec": {"containers": containers}}
    injected = "sidecar.istio.io/status" in body["metadata"].get("annotations", {})
    metadata = body["metadata"]
    return pod_of(
        template, metadata["name"], metadata["namespace"], body["status"]["podIP"], injected
    )


def live_pods(namespace: str) -> list[Pod]:
    return [
        live_pod(p) for p in items(namespace, "pods") if "deletionTimestamp" not in p["metadata"]
    ]


def gateway_pod() -> Pod:
    return next(p for p in live_pods("istio-system") if p.labels.get("istio") == "ingressgateway")


def live_registry(namespace: str) -> Registry:
    """The namespace's objects as the API server has them: who is older decides, so
    its times count.
    """
    bodies = items(namespace, "services", *RULES)
    addresses = {
        (namespace, b["metadata"]["name"]): b["spec"]["clusterIP"]
        for b in bodies
        if b["kind"] == "Service"
    }
    return Registry(map(Resource, bodies), live_pods(namespace), addresses)


def expected(registry: Registry, pod: Pod) -> Json:
    own = next((p for p in registry.pods if p.name == pod.name), None)
    config = gateway_config(registry) if own is None else sidecar_config(registry, own)
    return normalised(config, registry.pods)


def wait_equal(registry: Registry, pods: list[Pod], timeout_s: float = 20.0) -> None:
    """Waits until each proxy holds what the translator makes of the registry; else shows each
    difference.
    """
    for pod in pods:
        want = expected(registry, pod)
        found: list[str] = []

        def equal(pod: Pod = pod, want: Json = want, found: list[str] = found) -> bool:
            found[:] = differences(normalised(config_dump(pod), registry.pods), want)
            return not found

        wait_until(
            equal,
            timeout_s,
            f"{pod.name} to hold what labkit translates",
            explain=lambda f=found: "\n".join(f),
        )  # type: ignore[misc]


@contextmanager
def port_forward(namespace: str, what: str, port: int) -> Iterator[int]:
    """`kubectl port-forward` to a port of a pod or Service; gives the port of this machine."""
    words = ["kubectl", "-n", namespace, "port-forward", what, f":{port}", "--address=127.0.0.1"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as forward:
        try:
            assert forward.stdout is not None
            line = forward.stdout.readline()  # Forwarding from 127.0.0.1:40000 -> 8080
            assert line.startswith("Forwarding from"), line
            local = int(line.split(" -> ")[0].rpartition(":")[2])
            socket.create_connection(("127.0.0.1", local), 5).close()
            yield local
        finally:
            forward.terminate()

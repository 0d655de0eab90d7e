"""What Istio a cluster has: looked up, nothing written.

The course is made for Istio 1.24 and newer: since then everybody uses `networking.istio.io/v1`, and
the operator in the cluster is gone. Only TESTED was tried.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.refusals import Refused
from labkit.mesh.cluster.pods import info, is_terminating
from labkit.resources.istio import GATEWAY_QUERY, TRAFFIC_PORTS

OLDEST = (1, 24)
TESTED = ((1, 31), (1, 31))  # the first and the last version that the course was run on
ISTIOD = "app=istiod"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
PLACEHOLDER = "1.0.0"  # what Istio's charts call themselves before a release is made of them


@dataclass(frozen=True)
class Istiod:
    """One control plane. `version` is "" where nothing tells it."""

    namespace: str
    name: str
    image: str
    version: str
    ready: bool

    def __str__(self) -> str:
        return (
            f"Istio {self.version or f'of unknown version (image {self.image})'} in "
            f"{self.namespace}"
        )


def control_planes(api: Api) -> list[Istiod]:
    """Every istiod of the cluster, whoever installed it."""
    found, _ = api.items(path_of("Deployment"), labelSelector=ISTIOD)
    return [istiod(body) for body in found]


def untested(api: Api) -> list[str]:
    """A sentence for each control plane of a version that the course was not tried on, or is not
    made for.

    Nothing is said where the version can't be seen, or where the Deployments of all namespaces may
    not be read.
    """
    try:
        versions = {one.version for one in control_planes(api) if one.version}
    except Refused:
        return []
    return [words for version in sorted(versions) if (words := about(version))]


def istiod(body: Json) -> Istiod:
    """What the Deployment of an istiod says of it."""
    metadata = body["metadata"]
    labels = metadata.get("labels") or {}
    image = str(body["spec"]["template"]["spec"]["containers"][0]["image"])
    return Istiod(
        metadata["namespace"],
        metadata["name"],
        image,
        version_of(image, labels),
        bool((body.get("status") or {}).get("readyReplicas")),
    )


def version_of(image: str, labels: Json) -> str:
    """The version of Istio, by the image's tag or by the labels that its charts set.

    >>> version_of("docker.io/istio/pilot:1.31.0-distroless", {})
    '1.31.0'
    """
    tag = image.split("@")[0].rpartition("/")[2].partition(":")[2]
    for text in (
        tag,
        labels.get("operator.istio.io/version", ""),
        labels.get("app.kubernetes.io/version", ""),
    ):
        match = re.match(r"v?(\d+\.\d+(?:\.\d+)?)(?![\w.]*/)", str(text))
        if match and match[1] != PLACEHOLDER:
            return match[1]
    return ""


def pair(version: str) -> tuple[int, int] | None:
    """
    >>> pair("1.31.0")
    (1, 31)
    """
    numbers = version.split(".")
    return (
        (int(numbers[0]), int(numbers[1]))
        if len(numbers) > 1 and all(n.isdigit() for n in numbers[:2])
        else None
    )


def is_too_old(version: str) -> bool:
    """Whether the course is not made for this version; False where it can't be read."""
    known = pair(version)
    return known is not None and known < OLDEST


def about(version: str) -> str:
    """What a learner should know of a version of Istio; "" where the course was tried on it."""
    known = pair(version)
    first, last = TESTED
    tried = dotted(first) if first == last else f"{dotted(first)} to {dotted(last)}"
    if known is None:
        return f"Istio's version can't be seen here; the course was tried on {tried}."
    if known < OLDEST:
        return (
            f"Istio {version} is older than {dotted(OLDEST)}, the oldest that the course is "
            "made for."
        )
    if not first <= known <= last:
        return (
            f"The course was tried on Istio {tried}, not on {version}: a lesson may show "
            "something else than it says."
        )
    return ""


def dotted(version: tuple[int, int]) -> str:
    """A version as one writes it."""
    return ".".join(map(str, version))


def injectors(api: Api) -> list[str]:
    """The webhooks that add sidecars to pods, and that have a certificate to be trusted by (istiod
    writes it).
    """
    found, _ = api.items(WEBHOOKS, labelSelector="app=sidecar-injector")
    return [
        body["metadata"]["name"]
        for body in found
        if body.get("webhooks") and all(w["clientConfig"].get("caBundle") for w in body["webhooks"])
    ]


def gateways(api: Api) -> list[str]:
    """The ingress gateways' pods that are ready, as NAMESPACE/NAME."""
    return [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        for pod in api.list("Pod", labelSelector=GATEWAY_QUERY)
        if info(pod).is_ready and not is_terminating(pod)
    ]


def gateway_port(api: Api) -> object:
    """The port of the gateway's pod that its Service's port 80 leads to; 8080 with istioctl, 80
    with Helm's own values.

    None where there is no such Service.
    """
    for service in api.list("Service", labelSelector=GATEWAY_QUERY):
        for port in service["spec"].get("ports") or []:
            if port["port"] == 80:
                return port.get("targetPort", 80)
    return None


def about_port(port: object) -> str:
    """What a learner should know of that port; "" where it is the one that the lessons tell of."""
    if port in (TRAFFIC_PORTS[80], "http2", None):
        return ""
    return (
        f"The gateway's Service leads port 80 to port {port} of its pod, as Helm's chart does by "
        f"itself. With istioctl it is {TRAFFIC_PORTS[80]}, and lessons 1, 4 and 11 tell it so: "
        "some of their checks will fail"
    )


def gateway_address(api: Api) -> str:
    """The address that the ingress gateway's LoadBalancer has; "" before `minikube tunnel` or a
    cloud gives it one.
    """
    for service in api.list("Service", labelSelector=GATEWAY_QUERY):
        for entry in ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []:
            if entry.get("ip") or entry.get("hostname"):
                return str(entry.get("ip") or entry["hostname"])
    return ""


def kubernetes_version(api: Api) -> str:
    """The API server's own version, such as "v1.36.0"."""
    return str(api.json("GET", "/version")["gitVersion"])


def cluster_uid(api: Api) -> str:
    """What tells this cluster from another one with the same name or address; "" where it may not
    be read.
    """
    try:
        found = api.find(path_of("Namespace", name="kube-system"))
    except Refused:
        return ""
    return str(found["metadata"]["uid"]) if found else ""

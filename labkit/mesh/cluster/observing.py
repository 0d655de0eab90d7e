"""What a lesson needs to see of proxies, and Istio's defaults leave out: counters and an access log.

- Counters: by default Istio's Envoys count little. The annotation `proxy.istio.io/config` of a pod adds to that; it is
  read when the proxy starts. labkit writes it into the Deployments it applies, and into the ingress gateway's.
- One worker for each Envoy (`concurrency: 1`): each worker has its own turn of ROUND_ROBIN and its own connections, so
  with two of them neat patterns blur. The embedded mesh does the same.
- An access log that has the request's id, the pod that answered and Envoy's response flags. Istio's Telemetry turns its
  own log on, but without these; so it is an EnvoyFilter, for the gateway and for each namespace with sidecars.

The ingress gateway is the only thing changed that labkit did not make. `prepare_gateway` does it once (its pod is
replaced then) and `restore_gateway` undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from labkit.mesh.cluster.api import Api, Refused, path_of
from labkit.mesh.cluster.logs import LABEL, LABEL_VALUE
from labkit.mesh.cluster.pods import rolled_out
from labkit.mesh.cluster.proxies import GATEWAY_NAMESPACE
from labkit.resources import Resource
from labkit.translate.loopback import ACCESS_LOG

Json = dict[str, Any]

CONFIG = "proxy.istio.io/config"
LOG_NAME = "labkit-access-log"
GATEWAY_DEPLOYMENT = "istio-ingressgateway"
SETTINGS = yaml.safe_dump(
    {
        "concurrency": 1,
        "proxyStatsMatcher": {"inclusionPrefixes": ["cluster.outbound", "cluster.inbound", "http.", "listener."]},
    }
)


def with_counters(body: Json) -> Json:
    """A Deployment whose pods' sidecars count what lessons look at; one that has such an annotation stays as it is."""
    template = body.get("spec", {}).get("template")
    if body.get("kind") != "Deployment" or not isinstance(template, dict):
        return body
    metadata = template.get("metadata") or {}
    annotations = {CONFIG: SETTINGS, **(metadata.get("annotations") or {})}
    changed = {**template, "metadata": {**metadata, "annotations": annotations}}
    return {**body, "spec": {**body["spec"], "template": changed}}


def access_log_filter(namespace: str, labels: dict[str, str] | None = None) -> Json:
    """The EnvoyFilter that adds labkit's access log to every HTTP connection manager of a namespace's proxies."""
    fields = {**ACCESS_LOG, LABEL: LABEL_VALUE}
    log = {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/stdout",
        },
    }
    manager = "envoy.filters.network.http_connection_manager"
    kind = (
        f"type.googleapis.com/{manager.replace('envoy.filters', 'envoy.extensions.filters')}.v3.HttpConnectionManager"
    )
    patches = []
    contexts = {"GATEWAY": "gateway"} if labels else {"SIDECAR_OUTBOUND": "outbound", "SIDECAR_INBOUND": "inbound"}
    for context, direction in contexts.items():
        one = json.loads(json.dumps(log))
        one["typed_config"]["log_format"] = {"json_format": {**fields, "direction": direction}}
        match = {"context": context, "listener": {"filterChain": {"filter": {"name": manager}}}}
        value = {"typed_config": {"@type": kind, "access_log": [one]}}
        patches.append({"applyTo": "NETWORK_FILTER", "match": match, "patch": {"operation": "MERGE", "value": value}})
    spec: Json = {"configPatches": patches}
    if labels:
        spec["workloadSelector"] = {"labels": labels}
    return {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": LOG_NAME, "namespace": namespace},
        "spec": spec,
    }


def prepare_gateway(api: Api, say: Callable[[str], None], timeout_s: float = 90.0) -> None:
    """Gives the ingress gateway counters and the access log, where it lacks them. Nothing happens the second time."""
    path = path_of("Deployment", GATEWAY_NAMESPACE, GATEWAY_DEPLOYMENT)
    deployment = api.find(path)
    if deployment is None:  # a gateway of another name: its counters stay as they are
        return
    api.put(
        path_of("EnvoyFilter", GATEWAY_NAMESPACE, LOG_NAME),
        access_log_filter(GATEWAY_NAMESPACE, {"istio": "ingressgateway"}),
    )
    annotations = deployment["spec"]["template"]["metadata"].get("annotations", {})
    if annotations.get(CONFIG) == SETTINGS:
        return
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": GATEWAY_DEPLOYMENT, "namespace": GATEWAY_NAMESPACE},
        "spec": {"template": {"metadata": {"annotations": {CONFIG: SETTINGS}}}},
    }
    try:
        api.put(path, body)
    except Refused as error:
        say(f"The gateway's counters stay as they are: {error}")
        return
    say("The ingress gateway starts anew, with the counters that the lessons look at.")
    api.wait(
        path_of("Deployment", GATEWAY_NAMESPACE),
        lambda found: GATEWAY_DEPLOYMENT in found and rolled_out(found[GATEWAY_DEPLOYMENT]),
        timeout_s,
        "the ingress gateway to start anew",
        name=GATEWAY_DEPLOYMENT,
    )


def restore_gateway(api: Api) -> None:
    """Takes back what `prepare_gateway` did; the gateway's pod is replaced once more."""
    api.delete(path_of("EnvoyFilter", GATEWAY_NAMESPACE, LOG_NAME))
    path = path_of("Deployment", GATEWAY_NAMESPACE, GATEWAY_DEPLOYMENT)
    if api.find(path) is not None:
        metadata = {"name": GATEWAY_DEPLOYMENT, "namespace": GATEWAY_NAMESPACE}
        api.put(path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata})


def add_access_log(api: Api, namespace: str) -> None:
    """Gives the sidecars of a namespace labkit's access log."""
    api.apply(Resource(access_log_filter(namespace)))


def remove_access_log(api: Api, namespace: str) -> None:
    api.delete(path_of("EnvoyFilter", namespace, LOG_NAME))

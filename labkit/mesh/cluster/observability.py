"""What a lesson needs to see of proxies, and Istio's defaults leave out: counters and an access
log.

- Counters: by default Istio's Envoys count little. The annotation `proxy.istio.io/config` of a pod
  adds to that; it is read when the proxy starts. labkit writes it into the Deployments it applies,
  and into the ingress gateway's.
- One worker for each Envoy (`concurrency: 1`): each worker has its own turn of ROUND_ROBIN and its
  own connections, so with two of them neat patterns blur. The embedded mesh does the same.
- An access log that has the request's id, the pod that answered and Envoy's response flags. Istio's
  Telemetry turns its own log on, but without these; so it is an EnvoyFilter, for the gateway and
  for each namespace with sidecars.

The ingress gateway is the only thing changed that labkit did not make, and several runs may share
it. Each enters its name in an annotation of the gateway's Deployment: the first one changes the
gateway, whose pod is replaced then, and the last one to leave changes it back. Both write the names
and the change in one step that fails if somebody else was faster, so no two of them can cross.
"""

from __future__ import annotations

from collections.abc import Callable

import yaml

from labkit.envoy.accesslog import file_access_log
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.refusals import Refused
from labkit.mesh.cluster.logs import LABEL, LABEL_VALUE
from labkit.mesh.cluster.pods import rolled_out
from labkit.resources import Resource, istio, kinds
from labkit.translate.listeners import HTTP_CONNECTION_MANAGER, HTTP_CONNECTION_MANAGER_TYPE
from labkit.waiting import wait_until

CONFIG = "proxy.istio.io/config"
LOG_NAME = "labkit-access-log"
GATEWAY_PATH = path_of("Deployment", istio.NAMESPACE, istio.GATEWAY)
FILTER_PATH = path_of("EnvoyFilter", istio.NAMESPACE, LOG_NAME)
USER = "user.labkit.internal/"
SETTINGS = yaml.safe_dump(
    {
        "concurrency": 1,
        "proxyStatsMatcher": {
            "inclusionPrefixes": ["cluster.outbound", "cluster.inbound", "http.", "listener."]
        },
    }
)


def with_counters(body: Json) -> Json:
    """A Deployment whose pods' sidecars count what lessons look at; one that has such an annotation
    stays as it is.
    """
    template = body.get("spec", {}).get("template")
    if body.get("kind") != "Deployment" or not isinstance(template, dict):
        return body
    metadata = template.get("metadata") or {}
    annotations = {CONFIG: SETTINGS, **(metadata.get("annotations") or {})}
    changed = {**template, "metadata": {**metadata, "annotations": annotations}}
    return {**body, "spec": {**body["spec"], "template": changed}}


def access_log_filter(namespace: str, labels: dict[str, str] | None = None) -> Json:
    """The EnvoyFilter that adds labkit's access log to every HTTP connection manager of a
    namespace's proxies.
    """
    patches = []
    contexts = (
        {"GATEWAY": "gateway"}
        if labels
        else {"SIDECAR_OUTBOUND": "outbound", "SIDECAR_INBOUND": "inbound"}
    )
    for context, direction in contexts.items():
        one = file_access_log("/dev/stdout", **{LABEL: LABEL_VALUE}, direction=direction)
        match = {
            "context": context,
            "listener": {"filterChain": {"filter": {"name": HTTP_CONNECTION_MANAGER}}},
        }
        value = {"typed_config": {"@type": HTTP_CONNECTION_MANAGER_TYPE, "access_log": [one]}}
        patches.append(
            {
                "applyTo": "NETWORK_FILTER",
                "match": match,
                "patch": {"operation": "MERGE", "value": value},
            }
        )
    spec: Json = {"configPatches": patches}
    if labels:
        spec["workloadSelector"] = {"labels": labels}
    return {
        "apiVersion": kinds.api_version("EnvoyFilter"),
        "kind": "EnvoyFilter",
        "metadata": {"name": LOG_NAME, "namespace": namespace},
        "spec": spec,
    }


def users(api: Api) -> dict[str, str]:
    """The runs that use the ingress gateway, and whose they are."""
    return users_of(api.find(GATEWAY_PATH) or {"metadata": {}})


def users_of(deployment: Json) -> dict[str, str]:
    """The runs that have entered their names at the gateway's Deployment, and whose they are."""
    found = deployment["metadata"].get("annotations") or {}
    return {
        key.removeprefix(USER): str(text) for key, text in found.items() if key.startswith(USER)
    }


def enter_gateway(
    api: Api, run: str, owner: str, say: Callable[[str], None], timeout_s: float = 90.0
) -> None:
    """Gives the ingress gateway counters and the access log, where it lacks them, and enters a run
    among its users.
    """
    before = change_users(api, lambda there: {**there, run: owner}, say)
    if before is None:  # a gateway of another name: its counters stay as they are
        return
    api.put(FILTER_PATH, access_log_filter(istio.NAMESPACE, dict(istio.GATEWAY_SELECTOR)))
    wait_rolled_out(api, timeout_s)


def leave_gateway(api: Api, run: str, timeout_s: float = 90.0) -> None:
    """Takes a run off the users of the ingress gateway; after the last one the gateway is as it
    was.
    """
    before = change_users(
        api, lambda there: {name: owner for name, owner in there.items() if name != run}
    )
    if before is None or set(users_of(before)) - {run}:
        return
    api.delete(FILTER_PATH)
    if users(api):  # somebody has come since
        api.put(FILTER_PATH, access_log_filter(istio.NAMESPACE, dict(istio.GATEWAY_SELECTOR)))
    wait_rolled_out(api, timeout_s)


def change_users(
    api: Api,
    change: Callable[[dict[str, str]], dict[str, str]],
    say: Callable[[str], None] | None = None,
) -> Json | None:
    """Changes the users and, with the first and the last of them, the pods' settings; the
    Deployment before that.
    """

    def attempt() -> tuple[Json | None, ...]:
        live = api.find(GATEWAY_PATH)
        if live is None:
            return (None,)
        names = change(users_of(live))
        if names == users_of(live):
            return (live,)
        metadata = {
            "name": istio.GATEWAY,
            "namespace": istio.NAMESPACE,
            "resourceVersion": live["metadata"]["resourceVersion"],
        }
        body: Json = {
            "apiVersion": kinds.api_version("Deployment"),
            "kind": "Deployment",
            "metadata": metadata,
        }
        settings: Json = {}
        if names:  # else labkit owns nothing any more, not even an empty map
            metadata["annotations"] = {USER + name: owner for name, owner in names.items()}
            settings = {"spec": {"template": {"metadata": {"annotations": {CONFIG: SETTINGS}}}}}
        try:
            api.put(GATEWAY_PATH, {**body, **settings})
        except Refused as error:
            if error.status != 409:
                raise
            if not error.owners:  # somebody was faster: once more, with what is there now
                return ()
            if say:
                say(f"The gateway's counters stay as they are: {error}")
            api.put(GATEWAY_PATH, body)
        else:
            if say and not users_of(live):
                say("The ingress gateway starts anew, with the counters that the lessons look at.")
        return (live,)

    return wait_until(
        attempt, 10, "a moment in which nobody else changes the ingress gateway", longest_s=0.2
    )[0]


def wait_rolled_out(api: Api, timeout_s: float) -> None:
    """Waits until the ingress gateway's pods are as its Deployment says. Raises NotReady."""
    api.wait(
        path_of("Deployment", istio.NAMESPACE),
        lambda found: istio.GATEWAY not in found or rolled_out(found[istio.GATEWAY]),
        timeout_s,
        "the ingress gateway to start anew",
        name=istio.GATEWAY,
    )


def add_access_log(api: Api, namespace: str) -> None:
    """Gives the sidecars of a namespace labkit's access log."""
    api.apply(Resource(access_log_filter(namespace)))

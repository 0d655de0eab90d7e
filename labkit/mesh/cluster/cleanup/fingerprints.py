"""A cluster and its ingress gateway at one moment, to be compared with a later one: nothing must be
left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.envoy.dump import CLUSTERS, LISTENERS, ROUTES, messages
from labkit.errors import EnvoyError, NotFound, TrafficError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.proxies import Proxies
from labkit.resources import kinds
from labkit.waiting import wait_until

# pods and their ReplicaSets come and go; the Deployments behind them are in
KINDS = ("Secret", "ServiceAccount", *(k for k in kinds.MADE if k not in ("Pod", "ReplicaSet")))
PARTS = (LISTENERS, ROUTES, CLUSTERS)
TIMES = ("last_updated", "version_info")
NOTES = ("deployment.kubernetes.io/revision", "control-plane.alpha.kubernetes.io/leader")


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints: of each object by its path, and of all that the gateway was told by its kind
    and name.
    """

    objects: dict[str, str]
    gateway: dict[str, str]

    def since(self, before: Fingerprints) -> list[str]:
        """What has come, gone or changed, a line each: [] where nothing has.

        >>> take_fingerprints(api).since(before)
        ['+ /api/v1/namespaces/hello-world']
        """
        lines = []
        for old, new in ((before.objects, self.objects), (before.gateway, self.gateway)):
            lines += [f"+ {name}" for name in new if name not in old]
            lines += [f"- {name}" for name in old if name not in new]
            lines += [f"~ {name}" for name in new if name in old and new[name] != old[name]]
        return sorted(lines)


def take_fingerprints(api: Api) -> Fingerprints:
    """The cluster as it is now. Pods are left out, as they come and go; the Deployments behind them
    are in.
    """
    objects = {}
    for kind in KINDS:
        for body in api.list(kind):
            metadata = body["metadata"]
            objects[path_of(kind, metadata.get("namespace"), metadata["name"])] = fingerprint(
                wishes(body)
            )
    proxies = Proxies(api)
    try:
        dump = proxies.admin(proxies.gateway()).config_dump()
    finally:
        proxies.forget()
    return Fingerprints(objects, {name: fingerprint(part) for name, part in configured_parts(dump)})


def wait_forgotten(api: Api, host: str, timeout_s: float = 30.0) -> None:
    """Waits until nothing that the ingress gateway was told names `host`, a run's marker (see
    barrier.py).

    The marker goes last, and istiod pushes what it was told together, clusters before listeners and
    routes: so the gateway has forgotten all else as well. Without a gateway there is nothing to
    wait for. Raises NotReady.
    """
    proxies = Proxies(api)

    def forgotten() -> bool:
        try:
            dump = proxies.admin(proxies.gateway()).config_dump()
        except NotFound:
            return True
        except (TrafficError, EnvoyError):  # its pod is being replaced
            return False
        return host not in json.dumps(list(configured_parts(dump)))

    what = "the ingress gateway to forget what was removed"
    try:
        wait_until(
            forgotten,
            timeout_s,
            what,
            longest_s=0.1,
            explain=lambda: f"{host} is still in its configuration",
        )
    finally:
        proxies.forget()


def wishes(body: Json) -> Json:
    """An object without what the cluster itself writes about it."""
    metadata = body["metadata"]
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in NOTES}
    kept = {"labels": metadata.get("labels") or {}, "annotations": annotations}
    return {**{k: v for k, v in body.items() if k not in ("status", "metadata")}, "metadata": kept}


def configured_parts(dump: Json) -> Iterator[tuple[str, Any]]:
    """The listeners, clusters and routes of an Envoy, without listeners that only drain, and
    without their routes.
    """
    used = json.dumps(list(messages(dump, LISTENERS)))
    for part in PARTS:
        for message in messages(dump, part):
            name = message.get("name")
            if part != ROUTES or f'"{name}"' in used:
                yield f"gateway: {part.split('_')[-1]} {name}", without_times(message)


def without_times(value: Any) -> Any:
    """A value without the fields that differ from one push to the next."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list):
        return [without_times(inner) for inner in value]
    return value


def fingerprint(value: Any) -> str:
    """Sixteen hexadecimal digits that are the same for the same value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]

"""What runs that were killed have left on a cluster: found by their ledgers, and removed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labkit.jsontypes import Json
from labkit.mesh.cluster.barrier import host_of
from labkit.mesh.cluster.cleanup.fingerprints import wait_forgotten
from labkit.mesh.cluster.client.api import MANAGER, Api, path_of
from labkit.mesh.cluster.client.guard import guarded
from labkit.mesh.cluster.client.refusals import Refused
from labkit.mesh.cluster.observability import leave_gateway, users
from labkit.mesh.cluster.ownership.ledger import (
    LEDGER,
    MARKERS,
    end_pods_at_once,
    owner_of,
    wait_gone,
)
from labkit.mesh.cluster.ownership.owner import MADE, MANAGED, Owner
from labkit.resources import kinds

NAMESPACE = re.compile(r"/api/v1/namespaces/[^/]+")
PROXIED_KINDS = tuple(row.kind for row in kinds.TABLE if row.role in ("service", "policy"))


@dataclass(frozen=True)
class ClusterRun:
    """One run on a cluster: whose it is, and the paths of what it made."""

    run: str
    owner: Owner | None
    made: tuple[str, ...]

    @property
    def owner_runs(self) -> bool:
        """Whether the process that made it still runs, as far as is known here."""
        return self.owner is not None and self.owner.runs


def find(api: Api) -> list[ClusterRun]:
    """Every run that is there, also those whose owner is gone.

    >>> [left.run for left in find(api) if not left.owner_runs]
    ['4f1c22aa']
    """
    selector = ",".join(f"{k}={v}" for k, v in MANAGED.items())
    found: dict[str, ClusterRun] = {}
    for marker in api.list("Namespace", labelSelector=selector):
        name = str(marker["metadata"]["name"])
        if name.startswith(MARKERS) and "deletionTimestamp" not in marker["metadata"]:
            ledger = api.find(path_of("ConfigMap", name, LEDGER)) or {"data": {}}
            made = json.loads(ledger["data"].get("made", "[]"))
            run = name.removeprefix(MARKERS)
            found[run] = ClusterRun(run, owner_of(marker), tuple(made))
    for run, text in users(api).items():  # who only keeps the gateway as it is has no namespace
        found.setdefault(run, ClusterRun(run, Owner.read(text), ()))
    return list(found.values())


def end(api: Api, left: ClusterRun) -> None:
    """Removes all that a run made, and takes its name off the gateway. What another run has taken
    over stays, and so does what somebody has made at the path of an object of the run's that is
    gone.

    Of what proxies are told the marker goes last. A namespace takes seconds to go, so what is in it
    is removed one by one before: when the gateway has forgotten the marker, it has forgotten
    everything.
    """
    spaces = [MARKERS + left.run]
    for path in left.made:
        found = api.find(path)
        if found is None:
            continue
        if not NAMESPACE.fullmatch(path):
            if by_labkit(found):
                api.delete(path)
        elif is_of(found, left.run):
            spaces.insert(0, path.rpartition("/")[2])
    for name in spaces[:-1]:
        for kind in PROXIED_KINDS:
            api.delete(path_of(kind, name))
    gone = [api.delete(path_of("Namespace", name=name)) for name in spaces]
    for name in spaces:
        end_pods_at_once(api, name)
    leave_gateway(api, left.run)
    for name in spaces:
        wait_gone(api, name)
    if gone[-1]:
        wait_forgotten(api, host_of(left.run))


def is_of(namespace: Json, run: str) -> bool:
    """Whether a namespace was made by this run."""
    return (namespace["metadata"].get("annotations") or {}).get(MADE) == run


def by_labkit(body: Json) -> bool:
    """Whether labkit has a hand in an object, as the API server notes it."""
    return any(
        entry.get("manager") == MANAGER for entry in body["metadata"].get("managedFields", [])
    )


def end_abandoned(api: Api, say: Callable[[str], None]) -> list[ClusterRun]:
    """Ends the runs whose process is gone."""
    gone = [left for left in find(api) if not left.owner_runs]
    for left in gone:
        say(f"An earlier run ({left.owner or left.run}) was killed: what it left is removed.")
        end(api, left)
    return gone


def remains(api: Api) -> list[str]:
    """The paths of all objects that labkit has a hand in, anywhere on the cluster: [] where nothing
    is left.

    >>> remains(api)
    ['/api/v1/namespaces/hello-world']
    """
    found = []
    for kind in kinds.MADE:
        try:
            bodies = api.list(kind)
        except Refused as error:
            if error.status != 404:  # a cluster without Istio does not know its kinds
                raise
            continue
        for body in bodies:
            if by_labkit(body):
                metadata = body["metadata"]
                found.append(path_of(kind, metadata.get("namespace"), metadata["name"]))
    return sorted(found)


def api_of(context: str | None = None, kubeconfig: str | Path | None = None) -> Api:
    """The API server of a context, under the guard.

    >>> find(api_of())
    []
    """
    return Api(guarded(context, kubeconfig))

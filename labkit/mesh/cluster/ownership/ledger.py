"""What a run makes on a cluster, written down on the cluster before it is made.

A run has a namespace of its own, `labkit-marker-RUN`. It holds the barrier's marker, says in an
annotation whose run it is, and has a ConfigMap with the paths of all that the run made elsewhere:
namespaces, and objects in namespaces of others. A run that is killed can't tidy up; whoever comes
next reads the list, and does it (leftovers.py).
"""

from __future__ import annotations

import json
import secrets

from labkit.errors import MeshError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import MANAGER, Api, path_of
from labkit.mesh.cluster.client.refusals import Refused
from labkit.mesh.cluster.ownership.owner import MADE, MANAGED, OWNER, Owner, own

MARKERS = "labkit-marker-"
LEDGER = "ledger"
GONE_S = 120.0


class Ledger:
    """One run's list."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.run = secrets.token_hex(4)
        self.namespace = MARKERS + self.run
        self.paths: list[str] = []

    def open(self) -> None:
        """Makes the namespace of the run, which says whose it is."""
        metadata = {"name": self.namespace, "labels": MANAGED, "annotations": {OWNER: own().text}}
        self.api.put(
            path_of("Namespace", name=self.namespace),
            {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata},
        )

    def add(self, path: str) -> None:
        """To be called before the object at this path is made."""
        if path not in self.paths:
            self.paths.append(path)
            self.write()

    def drop(self, path: str) -> None:
        """To be called when it is gone."""
        if path in self.paths:
            self.paths.remove(path)
            self.write()

    def write(self) -> None:
        """Writes the list to the cluster."""
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": LEDGER, "namespace": self.namespace},
        }
        self.api.put(
            path_of("ConfigMap", self.namespace, LEDGER),
            {**body, "data": {"made": json.dumps(self.paths)}},
        )

    def claim(self, namespace: str) -> bool:
        """Makes a namespace this run's. True where it is new; False where it was somebody's own and
        stays so.

        Raises MeshError where another run that still goes on has made it: two runs of the same
        lessons on one cluster would change each other's objects.
        """
        path = path_of("Namespace", name=namespace)
        live = self.api.find(path)
        # the end of an earlier run
        if live is not None and "deletionTimestamp" in live["metadata"]:
            wait_gone(self.api, namespace)
            live = None
        if live is None:
            self.add(path)
            metadata = {"name": namespace, "annotations": {MADE: self.run}}
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            try:
                self.api.json("POST", path_of("Namespace"), body, fieldManager=MANAGER)
            except Refused as error:
                self.drop(path)
                if error.status != 409:
                    raise
                return self.claim(namespace)  # somebody was faster
            return True
        made_by = (live["metadata"].get("annotations") or {}).get(MADE, "")
        if made_by and made_by != self.run:
            self.refuse_if_used(namespace, made_by)
            self.add(path)
            self.api.patch(path, {"metadata": {"annotations": {MADE: self.run}}})
        return False

    def owns(self, namespace: str) -> bool:
        """Whether this run has made the namespace, and will remove it."""
        return path_of("Namespace", name=namespace) in self.paths

    def refuse_if_used(self, namespace: str, run: str) -> None:
        """Raises MeshError where the run that has made this namespace still goes on."""
        other = owner_of(self.api.find(path_of("Namespace", name=MARKERS + run)))
        if other is None or other == own() or not other.runs:
            return
        raise MeshError(
            f"The namespace {namespace!r} belongs to another run of the course on this cluster",
            seen=f"run {run} of {other}",
            try_next="end that one (mesh.close(), or its notebook; from here: labkit down --all), "
            "or take a cluster of your own: minikube start -p NAME",
        )


def owner_of(marker: Json | None) -> Owner | None:
    """Whose run a marker's namespace is."""
    return (
        Owner.read((marker["metadata"].get("annotations") or {}).get(OWNER, "")) if marker else None
    )


def wait_gone(api: Api, namespace: str) -> None:
    """Waits until a namespace that was deleted is gone, with all that is in it. Raises NotReady."""
    api.wait_gone(path_of("Namespace", name=namespace), GONE_S, f"namespace {namespace!r}")


def end_pods_at_once(api: Api, namespace: str) -> None:
    """Ends the pods of a namespace that is being deleted at once: a sidecar would drain connections
    for 5 s.
    """
    api.delete(path_of("Pod", namespace), gracePeriodSeconds="0")

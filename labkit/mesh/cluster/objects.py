"""The objects of a course run on a cluster: put, changed, found and removed by labkit, and by
nobody's force.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

from labkit.errors import NotFound
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import MANAGER, Api, path_of
from labkit.mesh.cluster.observability import LOG_NAME, add_access_log, with_counters
from labkit.mesh.cluster.ownership.ledger import MARKERS, Ledger, end_pods_at_once, wait_gone
from labkit.mesh.cluster.ownership.owner import MADE
from labkit.mesh.lookup import only_one
from labkit.resources import Resource, istio, kinds
from labkit.resources.model import Key

SYSTEM = ("kube-", istio.NAMESPACE, MARKERS)
NOTES = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "selfLink",
    "managedFields",
)


class ClusterObjects:
    """What this run applied, and the namespaces it works in. What it made, and will remove, is in
    its ledger.
    """

    def __init__(self, api: Api, ledger: Ledger) -> None:
        self.api, self.ledger = api, ledger
        self.applied: dict[Key, Json] = {}
        self.namespaces: set[str] = set()

    # writing

    def put(self, resource: Resource) -> tuple[str, tuple[str, ...]]:
        """Applies one object: "created", "configured" or "unchanged", and the API server's
        warnings.
        """
        body, new = with_counters(to_apply(resource.body)), False
        if resource.kind == "Namespace":
            new = self.ledger.claim(resource.name)
            body = self.with_note(resource.name, body)
        elif resource.namespace and not self.ledger.owns(resource.namespace):
            path = self.path(resource.key)
            if self.api.find(path) is None:
                self.ledger.add(path)
        what, _, warned = self.api.apply(Resource(body, resource.source))
        self.applied[resource.key] = copy.deepcopy(body)
        self.enter(resource.namespace or resource.name)
        return ("created" if new else what), warned

    def with_note(self, name: str, body: Json) -> Json:
        """A Namespace's body; one that this run has made keeps the note that says so."""
        if not self.ledger.owns(name):
            return body
        metadata = body.get("metadata") or {}
        annotations = {**(metadata.get("annotations") or {}), MADE: self.ledger.run}
        return {**body, "metadata": {**metadata, "annotations": annotations}}

    def enter(self, namespace: str) -> None:
        """Counts a namespace among those of the course."""
        if namespace not in self.namespaces and not namespace.startswith(SYSTEM):
            self.namespaces.add(namespace)
            if not self.ledger.owns(namespace):
                self.ledger.add(path_of("EnvoyFilter", namespace, LOG_NAME))
            add_access_log(self.api, namespace)

    def checkpoint(self, keys: Iterable[Key]) -> Callable[[], None]:
        """What puts Istio's objects among these back as they are now. Workloads stay: their pods
        have started.
        """
        before = {key: self.applied.get(key) for key in keys}

        def undo() -> None:
            for key, body in reversed(before.items()):
                now = self.applied.get(key)
                version = str((now or body or {}).get("apiVersion", ""))
                if now is body or kinds.ISTIO_GROUP not in version:
                    continue
                if body is None:
                    self.api.delete(self.path(key))
                    self.applied.pop(key, None)
                elif now is not None or ("Namespace", "", key[1]) not in before:
                    # else it was deleted, and its namespace goes as well
                    self.api.apply(Resource(body))
                    self.applied[key] = body

        return undo

    def changed(self, kind: str, name: str, namespace: str | None) -> Json:
        """The object as labkit last applied it, to change and apply again: so labkit's fields keep
        one owner.

        An object that labkit did not apply comes as its name alone, and only what changes becomes
        labkit's.
        """
        live = self.find(kind, name, namespace)
        known = self.applied.get(live.key)
        if known is not None:
            return copy.deepcopy(known)
        own = {"name": live.name, **({"namespace": live.namespace} if live.namespace else {})}
        return {"apiVersion": live.api_version, "kind": kind, "metadata": own}

    def remove(self, key: Key) -> bool:
        """Deletes one object; False where it was gone. A namespace is waited for, since everything
        in it ends first. Raises NotFound for a namespace that is not there.
        """
        kind, namespace, name = key
        there = self.api.delete(self.path(key))
        if not there and not namespace:
            raise NotFound(f"There is no {kind} {name!r}")
        self.ledger.drop(self.path(key))
        self.applied.pop(key, None)
        if kind == "Namespace":
            end_pods_at_once(self.api, name)
            wait_gone(self.api, name)
            self.forget(name)
        return there

    def forget(self, namespace: str) -> None:
        """Forgets a namespace that is gone, and all that was applied in it."""
        self.namespaces.discard(namespace)
        for key in [
            k for k in self.applied if k[1] == namespace or k == ("Namespace", "", namespace)
        ]:
            del self.applied[key]

    # reading

    def path(self, key: Key) -> str:
        """Where the API server has the object of a key, in the version it was applied in."""
        kind, namespace, name = key
        version = str(self.applied.get(key, {}).get("apiVersion", ""))
        return path_of(kind, namespace, name, version)

    def all(self, kind: str, namespace: str | None = None) -> list[Json]:
        """Objects of a kind: in one namespace, or in those of the course."""
        if kind == "Namespace":
            return self.api.list(kind)
        wanted = self.namespaces if namespace is None else {namespace}
        return [found for name in sorted(wanted) for found in self.api.list(kind, name)]

    def find(self, kind: str, name: str, namespace: str | None = None) -> Resource:
        """One object by name; the namespace may be left out where only one has such an object."""
        known = [b for b in self.all(kind, namespace) if b["metadata"]["name"] == name]
        if not known and namespace is None and kind != "Namespace":
            query = {"fieldSelector": f"metadata.name={name}"}
            known = [
                b
                for b in self.api.list(kind, **query)
                if not b["metadata"]["namespace"].startswith(SYSTEM)
            ]
        return only_one(
            [as_resource(kind, body) for body in known],
            kind,
            name,
            namespace,
            lambda: (b["metadata"]["name"] for b in self.all(kind, namespace)),
        )

    def own_rules(self) -> list[Key]:
        """Istio's objects in the course's namespaces that labkit applied: what a reset deletes."""
        return [
            (kind, body["metadata"]["namespace"], body["metadata"]["name"])
            for kind in kinds.ISTIO_KINDS
            for body in self.all(kind)
            if applied_by_labkit(body)
        ]


def applied_by_labkit(body: Json) -> bool:
    """Whether labkit has applied this object, as the API server notes it."""
    return any(
        entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        for entry in body["metadata"].get("managedFields", [])
    )


def to_apply(body: Json) -> Json:
    """What a learner means by applying an object as `resource` shows it: its wishes, not the
    cluster's own notes.

    Among these notes is the object's identity: with it, an object that was deleted could not be
    made again.

    >>> to_apply({"kind": "ConfigMap", "metadata": {"name": "a", "uid": "60535bb1"}, "status": {}})
    {'kind': 'ConfigMap', 'metadata': {'name': 'a'}}
    """
    metadata = {k: v for k, v in (body.get("metadata") or {}).items() if k not in NOTES}
    return {**{k: v for k, v in body.items() if k != "status"}, "metadata": metadata}


def as_resource(kind: str, body: Json) -> Resource:
    """An object of the API server without its bookkeeping of who owns which field."""
    metadata = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    version = path_version(kind, body)
    return Resource({"apiVersion": version, "kind": kind, **body, "metadata": metadata})


def path_version(kind: str, body: Json) -> str:
    """The apiVersion; the items of a list come without one."""
    if "apiVersion" in body:
        return str(body["apiVersion"])
    return kinds.api_version(kind)

"""What has been applied: the objects of the embedded mesh, as an API server keeps them."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

from labkit.errors import NotFound
from labkit.mesh.lookup import no_such, only_one
from labkit.resources import Resource, istio
from labkit.resources.model import Key
from labkit.translate.manifests import FIRST_CLUSTER_IP, next_address


class Store:
    """Objects by (kind, namespace, name). Two namespaces are always there, as on a cluster with
    Istio.
    """

    def __init__(self) -> None:
        self.objects: dict[Key, Resource] = {}
        self.service_ips: dict[tuple[str, str], str] = {}
        self.addresses_given = 0
        for name in ("default", istio.NAMESPACE):
            self.put(
                Resource({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            )

    def put(self, resource: Resource) -> str:
        """Keeps one object; returns what happened: "created", "configured" or "unchanged"."""
        old = self.objects.get(resource.key)
        if resource.namespace and ("Namespace", "", resource.namespace) not in self.objects:
            raise NotFound(
                f"{resource.kind} {resource.name!r} can't be created: there is no namespace "
                f"{resource.namespace!r}",
                seen="namespaces: " + ", ".join(r.name for r in self.all("Namespace")),
                try_next="apply the Namespace first, or set metadata.namespace to one of these",
            )
        body = copy.deepcopy(resource.body)
        metadata = body.setdefault("metadata", {})
        if resource.namespace:
            metadata.setdefault("namespace", resource.namespace)
        # the older of two rules for one host wins, so each object keeps the time of its first
        # appearance
        metadata["creationTimestamp"] = (
            old.metadata["creationTimestamp"]
            if old
            else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        )
        if old is not None and plain(old.body) == plain(body):
            return "unchanged"
        self.objects[resource.key] = Resource(body, resource.source)
        if resource.kind == "Service":
            self.give_address(resource)
        return "configured" if old else "created"

    def give_address(self, service: Resource) -> None:
        """Gives a Service its cluster IP: its own wish, or the next one that is free."""
        where = (service.namespace, service.name)
        own = service.spec.get("clusterIP")
        if own:
            self.service_ips[where] = str(own)
        elif where not in self.service_ips:
            taken = frozenset(self.service_ips.values())
            while (address := next_address(FIRST_CLUSTER_IP, self.addresses_given)) in taken:
                self.addresses_given += 1
            self.service_ips[where] = address
            self.addresses_given += 1

    def remove(self, key: Key) -> None:
        """Removes one object; with a namespace goes everything in it."""
        if key not in self.objects:
            kind, namespace, name = key
            raise no_such(
                kind, name, namespace, (r.name for r in self.all(kind, namespace or None))
            )
        del self.objects[key]
        if key[0] == "Namespace":
            for inner in [k for k in self.objects if k[1] == key[2]]:
                del self.objects[inner]
        self.service_ips = {
            w: ip for w, ip in self.service_ips.items() if ("Service", *w) in self.objects
        }

    def all(self, kind: str, namespace: str | None = None) -> Iterator[Resource]:
        """The objects of a kind, in one namespace or in all."""
        for (k, ns, _), resource in self.objects.items():
            if k == kind and (namespace is None or ns == namespace):
                yield resource

    def find(self, kind: str, name: str, namespace: str | None = None) -> Resource:
        """One object by name; the namespace may be left out where only one has such an object."""
        found = [r for r in self.all(kind, namespace) if r.name == name]
        return only_one(
            found, kind, name, namespace, lambda: (r.name for r in self.all(kind, namespace))
        )

    def config_maps(self, namespace: str) -> dict[str, dict[str, str]]:
        """The data of the ConfigMaps of a namespace, by name."""
        return {r.name: r.body.get("data") or {} for r in self.all("ConfigMap", namespace)}

    def copy(self) -> Store:
        """The state of now, to go back to when a change is refused."""
        other = Store.__new__(Store)
        other.objects = dict(self.objects)
        other.service_ips = dict(self.service_ips)
        other.addresses_given = self.addresses_given
        return other


def plain(body: dict[str, Any]) -> str:
    """A body as text, the same for the same content."""
    return json.dumps(body, sort_keys=True)

"""The part of a mesh that is kubectl's: objects are applied, shown, changed and deleted.

A backend brings what touches its objects, one at a time, and what makes its proxies hold them. The
order of things, the lines that kubectl would print, and the way back when a change is refused are
here, once.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from labkit.errors import MeshError
from labkit.mesh.history import History
from labkit.mesh.lookup import kind_of
from labkit.mesh.model import Applied
from labkit.mesh.table import Table
from labkit.resources import Resource, kinds, load
from labkit.resources.model import Key

if TYPE_CHECKING:
    from labkit.resources.lint import Diagnoses

DELETE_TIMEOUT_S = 60.0


class MeshObjects(ABC):
    """Everything that kubectl does with objects."""

    def apply(self, *manifests: Any, wait: bool = True, timeout_s: float = 120.0) -> Applied:
        """Applies manifests: paths, folders, YAML text, dicts or Resources, as `kubectl apply`
        does.

        Returns when every proxy concerned holds the new configuration and, with `wait`, when the
        pods asked for are ready, which may take `timeout_s` seconds. Raises ParseError,
        ValidationError, UnsupportedError or ConfigRejected; what was in force before is then in
        force again. Raises NotReady when pods take longer than that: what was applied stays, as
        with kubectl.

        >>> mesh.apply("manifests/hello-world.yaml", "manifests/gateway.yaml")
        """
        return self._put(load(*manifests), wait=wait, timeout_s=timeout_s)

    def delete(
        self, what: Any, name: str | None = None, *, namespace: str | None = None
    ) -> Applied:
        """Deletes one object by kind and name, or every object of a manifest.

        Returns when every proxy concerned has forgotten them. Raises NotFound for an object that is
        not there, or whose name is there in several namespaces when none is given.

        >>> mesh.delete("DestinationRule", "hello-world-dr")
        destinationrule/hello-world-dr deleted
        """
        self.check_open()
        if name is not None:
            return self._remove([self._find(kind_of(str(what)), name, namespace).key])
        return self._remove([r.key for r in load(what, strict=False)])

    @abstractmethod
    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        """A table of objects, as `kubectl get` prints it; of all namespaces of the course unless
        one is given. Raises NotFound for a kind or a name that is not there.

        >>> mesh.get("pods").frame["name"]
        """

    def resource(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        """One object as it is now, as `kubectl get KIND NAME -o yaml` shows it. Raises NotFound."""
        return self._find(kind_of(kind), name, namespace)

    @abstractmethod
    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        """One object in detail, as `kubectl describe` prints it. Raises NotFound."""

    def label(
        self,
        kind: str,
        name: str,
        labels: Mapping[str, str | None],
        *,
        namespace: str | None = None,
    ) -> Applied:
        """Sets labels (None removes one), as `kubectl label --overwrite` does. Raises NotFound.

        >>> mesh.label("namespace", "shop", {"istio-injection": "enabled"})
        namespace/shop labeled
        """
        body = self._to_change(kind_of(kind), name, namespace)
        own = {**(body["metadata"].get("labels") or {}), **labels}
        body["metadata"]["labels"] = {k: v for k, v in own.items() if v is not None}
        applied = self._put([Resource(body)])
        return Applied((f"{body['kind'].lower()}/{name} labeled",), (), applied.propagation_ms)

    def scale(
        self, deployment: str, replicas: int, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        """Sets how many pods a Deployment has; with `wait`, returns when they are ready and known
        to every proxy. Raises NotFound, or NotReady after 120 s.

        >>> mesh.scale("hello-world-v1", 3)
        deployment.apps/hello-world-v1 scaled
        """
        body = self._to_change("Deployment", deployment, namespace)
        body.setdefault("spec", {})["replicas"] = replicas
        applied = self._put([Resource(body)], wait=wait, what=f"{deployment} scaled to {replicas}")
        return Applied((f"deployment.apps/{deployment} scaled",), (), applied.propagation_ms)

    def restart(
        self, deployment: str, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        """Replaces a Deployment's pods one after the other, as `kubectl rollout restart` does.
        Raises NotFound, or NotReady after 120 s.

        >>> mesh.restart("hello-world-v1")
        deployment.apps/hello-world-v1 restarted
        """
        body = self._to_change("Deployment", deployment, namespace)
        template = body.setdefault("spec", {}).setdefault("template", {})
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = f"{time.time():.6f}"
        applied = self._put([Resource(body)], wait=wait, what=f"{deployment} restarted")
        return Applied((f"deployment.apps/{deployment} restarted",), (), applied.propagation_ms)

    @abstractmethod
    def objects(self) -> list[Resource]:
        """Every object there is, pods as they run among them: `kubectl get -A -o yaml` of all
        kinds.
        """

    @abstractmethod
    def reset(self) -> Applied:
        """Deletes every Gateway, VirtualService and DestinationRule, and puts every application
        right again.
        """

    def lint(self, *manifests: Any) -> Diagnoses:
        """Mistakes in all that is applied; or in manifests, as if they were applied here. Changes
        nothing.

        >>> mesh.lint("manifests/as-published/published-04-destinationrule.yaml").codes
        ('KIA0201',)
        """
        from labkit.resources.lint import lint

        known = self.objects()
        return (
            lint(*manifests, context=known, complete=True)
            if manifests
            else lint(known, complete=True)
        )

    @cached_property
    def history(self) -> History:
        """What was applied, scaled or deleted through this object and when, the oldest first.

        >>> mesh.history[-1].what
        'destinationrule/hello-world-dr configured'
        """
        return History()

    @abstractmethod
    def check_open(self) -> None:
        """Raises MeshError when this mesh has ended, or belongs to another process."""

    # one change, on every mesh

    def _put(
        self,
        resources: Sequence[Resource],
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
        what: str = "",
    ) -> Applied:
        """Applies objects that are already loaded; the history calls it `what`."""
        if not resources:
            raise MeshError("There is nothing to apply", seen="no object in what was given")
        warnings: list[Iterable[str]] = []

        def write() -> list[str]:
            lines = []
            for resource in resources:
                happened, warned = self._write_one(resource)
                warnings.append(warned)
                lines.append(f"{resource.kind.lower()}/{resource.name} {happened}")
            return lines

        keys = [r.key for r in resources]
        applied = self._change(keys, write, lambda: keys, wait=wait, timeout_s=timeout_s, what=what)
        texts = dict.fromkeys(text for warned in warnings for text in warned)
        texts |= dict.fromkeys(self._strays(resources))
        return Applied(applied.lines, tuple(texts), applied.propagation_ms)

    def _strays(self, resources: Sequence[Resource]) -> Iterable[str]:
        """What is warned of where an object landed in `default` unasked."""
        rules = [r for r in resources if r.kind in kinds.ISTIO_KINDS]
        if all(rule.metadata.get("namespace") for rule in rules):
            return ()  # so it mostly is, and needs no look at everything that is applied
        from labkit.resources.lint.stray import strays

        return strays(rules, self.objects())

    def _remove(self, keys: Sequence[Key]) -> Applied:
        """Deletes objects by their keys."""
        gone: set[Key] = set()

        def write() -> list[str]:
            # what is in a namespace goes before it, or nothing would tell that it was there
            for key in sorted(keys, key=lambda key: key[0] == "Namespace"):
                if self._delete_one(key):
                    gone.add(key)
            return [
                f"{kind.lower()}/{name} deleted" for kind, _, name in (k for k in keys if k in gone)
            ]

        def concerned() -> list[Key]:
            return [k for k in keys if k in gone and ("Namespace", "", k[1]) not in gone]

        return self._change(keys, write, concerned, wait=True, timeout_s=DELETE_TIMEOUT_S)

    def _change(
        self,
        keys: Sequence[Key],
        write: Callable[[], list[str]],
        concerned: Callable[[], Sequence[Key]],
        *,
        wait: bool,
        timeout_s: float,
        what: str = "",
    ) -> Applied:
        """Writes, makes every proxy hold it, and takes all of it back where that is refused."""
        began, written = time.monotonic(), False
        with self._exclusive():
            self.check_open()
            undo = self._checkpoint(keys)
            try:
                lines = write()
                written = True
                took = self._enforce(concerned(), began, wait=wait, timeout_s=timeout_s)
            except BaseException as error:
                if not (written and isinstance(error, self._LATE)):
                    undo()
                raise
        self.history.note([what] if what else lines)
        if wait:
            self._wait_ready(concerned(), timeout_s)
        return Applied(tuple(lines), (), took)

    # what a backend brings

    _LATE: ClassVar[tuple[type[BaseException], ...]] = ()
    """Errors that say nothing against what was written: it stays, and may still take effect."""

    @abstractmethod
    def _find(self, kind: str, name: str, namespace: str | None) -> Resource:
        """One object as it is now. Raises NotFound, with what is there."""

    @abstractmethod
    def _to_change(self, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        """A copy of an object's body, to change and apply again: all that labkit has applied of
        it. Raises NotFound.
        """

    @abstractmethod
    def _write_one(self, resource: Resource) -> tuple[str, Iterable[str]]:
        """Writes one object: "created", "configured" or "unchanged", and what is warned of (read
        when the change is in force).
        """

    @abstractmethod
    def _delete_one(self, key: Key) -> bool:
        """Deletes one object, with a namespace all in it; False where there was none."""

    @abstractmethod
    def _checkpoint(self, keys: Sequence[Key]) -> Callable[[], None]:
        """What puts these objects back as they are now."""

    @abstractmethod
    def _enforce(
        self, keys: Sequence[Key], began: float, *, wait: bool, timeout_s: float
    ) -> dict[str, float]:
        """Makes every proxy hold what was written of these objects; returns how long each changed
        one took, in ms by name. Raises ConfigRejected where one refuses.
        """

    def _exclusive(self) -> AbstractContextManager[object]:
        """Held while objects are written and the proxies told."""
        return nullcontext()

    def _wait_ready(self, keys: Sequence[Key], timeout_s: float) -> None:
        """Waits for the pods of these objects, where `_enforce` has not. Raises NotReady."""
        return None

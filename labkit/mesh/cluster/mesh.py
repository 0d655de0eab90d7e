"""The cluster mesh: a real Kubernetes with a real Istio behind the interface of a mesh."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.app import CONTROL_PORT
from labkit.envoy.accesslog import frame_of_log, rows_of_log
from labkit.errors import LabkitError, MeshError, NotFound, TrafficError
from labkit.jsontypes import Json
from labkit.mesh.base import Mesh
from labkit.mesh.cluster import views
from labkit.mesh.cluster.barrier import Barrier, healthy
from labkit.mesh.cluster.cleanup.leftovers import ClusterRun, end, end_abandoned
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import guarded
from labkit.mesh.cluster.client.streams import PodClient
from labkit.mesh.cluster.connections import Connections
from labkit.mesh.cluster.lazy_flags import LazyFlags
from labkit.mesh.cluster.load import ClusterFortio, refuse_source
from labkit.mesh.cluster.logs import ProxyLog, read_log
from labkit.mesh.cluster.objects import ClusterObjects, as_resource
from labkit.mesh.cluster.observability import enter_gateway
from labkit.mesh.cluster.ownership.ledger import Ledger
from labkit.mesh.cluster.ownership.owner import own
from labkit.mesh.cluster.pod_lookup import PodLookup, order
from labkit.mesh.cluster.pods import application, application_port, info, is_terminating
from labkit.mesh.cluster.proxies import PodAdmin, Proxies, has_sidecar, is_counter
from labkit.mesh.cluster.readiness import Readiness, selects
from labkit.mesh.lookup import kind_of, no_pods_of
from labkit.mesh.model import Applied, PodInfo
from labkit.mesh.proxies import GATEWAY
from labkit.mesh.requests import Program, ids_of
from labkit.mesh.table import Table
from labkit.mesh.views import Backing
from labkit.resources import Resource, istio, kinds
from labkit.resources.model import Key
from labkit.traffic import Result, Target
from labkit.traffic.target import split_authority, split_url

if TYPE_CHECKING:
    import pandas as pd


RESET_TIMEOUT_S = 60.0


class ClusterMesh(Mesh):
    """A mesh on a cluster. Made by `labkit.open_mesh("cluster")`.

    Works on local clusters only, unless `context` names one. It makes a namespace of its own (see
    ledger.py) and prepares the ingress gateway (observability.py). `close` takes back all that it
    made, and what an earlier run left that was killed is removed when the next one is opened
    (leftovers.py).
    """

    backend = "cluster"

    def __init__(
        self,
        *,
        context: str | None = None,
        kubeconfig: str | Path | None = None,
        # for the embedded mesh's sake: a cluster's choices can't be seeded
        seed: int | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._pinned = guarded(context, kubeconfig)
        self._api = Api(self._pinned)
        self._proxies = Proxies(self._api)
        self._ledger = Ledger(self._api)
        self._store = ClusterObjects(self._api, self._ledger)
        self._barrier = Barrier(self._api, self._proxies, self._ledger.run, self._ledger.namespace)
        self._readiness = Readiness(self._api, self._store, self._proxies, self._barrier)
        self._pod_lookup = PodLookup(self._api, self._proxies, self._store)
        self._connections = Connections(self._api, lambda: self._pod(GATEWAY))
        self._applications: dict[str, PodClient] = {}
        self._process = os.getpid()
        self._closed = False  # to the learner's calls
        self._given_back = False  # what is on the cluster
        self._proxies.gateway()  # says what is missing before anything is made
        from labkit.mesh.cluster.istio import untested  # it is made of parts of this package

        for words in untested(self._api):
            say(words)
        atexit.register(self._close_at_exit)
        try:
            self._ledger.open()
            enter_gateway(self._api, self._ledger.run, own().text, say)
            # after our own name is at the gateway: it need not start anew in between
            end_abandoned(self._api, say)
            self._barrier.open()
            self._barrier.wait(self._proxies.concerned([]), time.monotonic(), 30)
        except BaseException:
            self.close()
            raise

    # objects

    # what is late may still come, and a pod that is gone says nothing against what was written
    _LATE = (MeshError, TrafficError)

    def _write_one(self, resource: Resource) -> tuple[str, Iterable[str]]:
        return self._store.put(resource)

    def _delete_one(self, key: Key) -> bool:
        return self._store.remove(key)

    def _checkpoint(self, keys: Sequence[Key]) -> Callable[[], None]:
        return self._store.checkpoint(keys)

    def _enforce(
        self, keys: Sequence[Key], began: float, *, wait: bool, timeout_s: float
    ) -> dict[str, float]:
        self._pod_lookup.forget()
        return self._readiness.settle(keys, began, wait=wait, timeout_s=timeout_s)

    def _find(self, kind: str, name: str, namespace: str | None) -> Resource:
        return self._store.find(kind, name, namespace)

    def _to_change(self, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        return self._store.changed(kind, name, namespace)

    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        spaces = {namespace} if namespace else self._store.namespaces
        found = views.get(self._api, kind_of(kind), name, spaces)
        if name and not found:
            self._store.find(kind_of(kind), name, namespace)  # raises, with what is there
        return found

    def objects(self) -> list[Resource]:
        found = [(kind, body) for kind in kinds.RUN_NAMES for body in self._store.all(kind)]
        # Gateways of any namespace select them
        found += [("Pod", pod) for pod in self._proxies.gateways()]
        return [
            as_resource(kind, body)
            for kind, body in found
            if kind != "Pod" or not is_terminating(body)
        ]

    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        found = self._store.find(kind_of(kind), name, namespace)
        query = {"fieldSelector": f"involvedObject.name={name},involvedObject.kind={found.kind}"}
        events = self._api.list("Event", found.namespace or "default", **query)
        addresses: list[str] = []
        if found.kind == "Service":
            clusters = self._readiness.ready_addresses([found.namespace])
            addresses = sorted(
                {ip for c, ips in clusters.items() for ip in ips if f"||{name}." in c}
            )
        return views.describe(found.body, events, addresses)

    def label(
        self,
        kind: str,
        name: str,
        labels: Mapping[str, str | None],
        *,
        namespace: str | None = None,
    ) -> Applied:
        applied = super().label(kind, name, labels, namespace=namespace)
        gone = {key: None for key, value in labels.items() if value is None}
        if gone:  # also a label that somebody else has set
            key = self._find(kind_of(kind), name, namespace).key
            self._api.patch(self._store.path(key), {"metadata": {"labels": gone}})
        return applied

    def reset(self) -> Applied:
        for pod in self._store.all("Pod"):
            # also one that is not ready: it may have been made so
            if (
                info(pod).status == "Running"
                and not is_terminating(pod)
                and application(pod).get("ports")
            ):
                # not every pod's application has controls
                with contextlib.suppress(TrafficError, MeshError):
                    self.app(pod["metadata"]["name"], "POST", "/control/reset")
        for deployment in self._store.all("Deployment"):
            metadata = deployment["metadata"]
            self._readiness.wait_rollout(metadata["namespace"], metadata["name"], RESET_TIMEOUT_S)
        return self._remove(self._store.own_rules())

    # pods

    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        there = [p for p in self._store.all("Pod", namespace) if not is_terminating(p)]
        if workload is None:
            return sorted(map(info, there), key=order)
        mine = [p for p in there if info(p).workload == workload]
        if not mine:
            for service in self._store.all("Service", namespace):
                selector = service["spec"].get("selector")
                if service["metadata"]["name"] == workload and selector:
                    mine = [p for p in there if selects(selector, p)]
        if not mine:
            raise no_pods_of(workload, (info(p).workload for p in there))
        return sorted(map(info, mine), key=order)

    def _pod(self, name: str, namespace: str | None = None) -> Json:
        """One pod by its name, or the oldest of a Deployment's."""
        spaces = [namespace] if namespace else [*sorted(self._store.namespaces), istio.NAMESPACE]
        return self._pod_lookup.find(name, spaces)

    def logs(
        self,
        pod: str,
        *,
        container: str | None = None,
        namespace: str | None = None,
        lines: int = 100,
    ) -> str:
        found = self._pod(pod, namespace)
        return read_log(self._api, found, container or application(found)["name"], lines)

    def _ask(self, pod: str, method: str, path: str) -> tuple[int, bytes]:
        client = self._applications.get(pod)
        if client is None:
            found = self._pod(pod)
            application_port(found)  # a pod without any has no application, and so no controls
            # They listen on the pod's own loopback, where the API server's port-forward ends and
            # nothing else gets to. So they need no secret here, and the manifests carry none.
            metadata = found["metadata"]
            client = PodClient(self._api, metadata["namespace"], metadata["name"], CONTROL_PORT)
            self._applications[pod] = client
        try:
            return client.request(method, path)
        except (TrafficError, MeshError) as error:
            self._applications.pop(pod, None)
            raise MeshError(
                f"The application of {pod!r} does not answer",
                seen=error.seen,
                try_next="mesh.apply of its manifest again, if the pod is of an older version of "
                "the course",
            ) from error

    # proxies

    def _proxy_pod(self, name: str) -> Json:
        """The pod of a proxy: "gateway", a pod, or a Deployment (its first pod)."""
        pod = self._pod(name)
        if not has_sidecar(pod):
            names = [c["name"] for c in pod["spec"]["containers"]]
            raise NotFound(
                f"The pod {name!r} has no sidecar", seen="its containers: " + ", ".join(names)
            )
        return pod

    def _admin(self, proxy: str, *, inspect: bool = False) -> PodAdmin:
        return self._proxies.admin(self._proxy_pod(proxy))

    def _endpoint_lookup(self) -> tuple[Callable[[str, int], Backing], Callable[[str], bool]]:
        ends = tuple(f".{name}.{istio.SERVICE_DOMAIN}" for name in self._store.namespaces)

        def backing(address: str, port: int) -> Backing:
            pod = self._pod_lookup.by_address.get(address)
            if pod is None:
                return Backing(f"{address}:{port}")
            metadata = pod["metadata"]
            version = metadata.get("labels", {}).get("version", "")
            return Backing(f"{address}:{port}", metadata["name"], version)

        return backing, lambda cluster: cluster.endswith(ends)

    def config(self, proxy: str = GATEWAY) -> dict[str, Any]:
        return self._barrier.without_marker(super().config(proxy))

    def counter(self, name: str, *, cluster: str | None = None, proxy: str = GATEWAY) -> int:
        """As on every mesh; but Istio's Envoys make the counters of a cluster with its first
        request: none means 0.
        """
        try:
            return super().counter(name, cluster=cluster, proxy=proxy)
        except NotFound:
            admin = self._admin(proxy)
            if cluster in healthy(admin.clusters()) and is_counter(name, admin):
                return 0
            raise

    def access_log(self, proxy: str = GATEWAY) -> pd.DataFrame:
        return frame_of_log(self._log_of(proxy).complete())

    def _log_of(self, proxy: str) -> ProxyLog:
        return ProxyLog(
            self._api, self._proxy_pod(proxy), self._barrier if proxy == GATEWAY else None
        )

    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        wanted = set(ids)
        # a request that reached no proxy has no entry: its flags stay empty
        log = self._log_of(source or GATEWAY).complete(
            lambda found: wanted <= {e.get("lab") for e in found}
        )
        return {e["lab"]: e.get("flags") or "" for e in log if e.get("lab") in wanted}

    def _logged(self, run: str, n: int, source: str | None) -> pd.DataFrame:
        log = self._log_of(source or GATEWAY).complete(
            lambda found: sum(e.get("lab") == run for e in found) >= n
        )
        return rows_of_log([e for e in log if e.get("lab") == run], run)

    def _with_flags(self, result: Result, source: str | None) -> Result:
        """Envoy writes its access log once a second here, so the flags of an answer that is not a
        success are looked up when they are read, and those of the others are taken to be none."""
        refused = ids_of(result, 400)
        return (
            LazyFlags(result, lambda: {} if self._closed else self.flags(refused, source))
            if refused
            else result
        )

    def _load_generator(self, program: Program, source: str | None) -> ClusterFortio | None:
        if program != "cluster":
            return None
        refuse_source(source)
        return ClusterFortio(self._api, self._ledger.namespace)

    # ways in

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self._connections.to_gateway(80, 'http://localhost/').port}"

    def pod_url(self, pod: str) -> str:
        found = self._pod(pod)
        return f"http://127.0.0.1:{self._connections.to_pod(found, application_port(found)).port}"

    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        self.check_open()
        authority, path = split_url(url)
        host, port = split_authority(authority)
        if source is None:
            return Target(
                "127.0.0.1", self._connections.to_gateway(port, url).port, authority
            ), path
        return Target(
            "127.0.0.1", self._connections.from_pod(self._pod(source), host, port).port, authority
        ), path

    # the end

    def check_open(self) -> None:
        if self._closed:
            raise MeshError(
                "This mesh has been closed", try_next="labkit.open_mesh() makes a new one"
            )

    def close(self) -> None:
        """Takes back all that was made. One that fails may be called again, and is, when the
        process ends.
        """
        # one that was forked from ours has no mesh to end
        if self._given_back or os.getpid() != self._process:
            return
        self._closed = True
        self._connections.close()
        self._proxies.forget()
        for client in self._applications.values():
            client.drop()
        self._barrier.close()
        end(self._api, ClusterRun(self._ledger.run, own(), tuple(self._ledger.paths)))
        # only now: where the cluster did not answer, the next close tries again
        self._given_back = True
        atexit.unregister(self._close_at_exit)
        self._api.close()

    def _close_at_exit(self) -> None:
        """A notebook ends without a close. The cluster may be gone by then: that is told, and not
        as a traceback.
        """
        try:
            self.close()
        except LabkitError as error:
            print(f"The cluster mesh could not be removed: {error}", file=sys.stderr)

    def __repr__(self) -> str:
        if self._closed:
            return "<cluster mesh, closed>"
        return f"<cluster mesh: context {self._pinned.context}, {self._pinned.server}>"

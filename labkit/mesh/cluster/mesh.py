"""The cluster mesh: a real Kubernetes with a real Istio behind the interface of a mesh."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.envoy.accesslog import rows_of_log
from labkit.errors import LabkitError, MeshError, NotFound, TrafficError
from labkit.jsontypes import Json
from labkit.mesh.base import Applied, Mesh, PodInfo, Program
from labkit.mesh.cluster import views
from labkit.mesh.cluster.barrier import Barrier, healthy
from labkit.mesh.cluster.cleanup.leftovers import Left, end, end_abandoned
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import guarded
from labkit.mesh.cluster.client.streams import PodClient
from labkit.mesh.cluster.connections import Ways
from labkit.mesh.cluster.lazy_flags import LaterFlags
from labkit.mesh.cluster.load import ClusterFortio, refuse_source
from labkit.mesh.cluster.logs import ProxyLog, read_log
from labkit.mesh.cluster.objects import Objects, as_resource
from labkit.mesh.cluster.observability import enter_gateway
from labkit.mesh.cluster.ownership.ledger import Ledger
from labkit.mesh.cluster.ownership.owner import own
from labkit.mesh.cluster.pod_lookup import Finder, order
from labkit.mesh.cluster.pods import application, info, is_terminating
from labkit.mesh.cluster.proxies import GATEWAY, GATEWAY_NAMESPACE, PodAdmin, Proxies, has_sidecar
from labkit.mesh.cluster.readiness import Settling, selects
from labkit.mesh.lookup import kind_of, no_pods_of
from labkit.mesh.table import Table
from labkit.mesh.views import Backing, endpoints_frame
from labkit.resources import Resource, kinds, load
from labkit.resources.model import Key
from labkit.traffic import FortioResult, Result, Target, curl
from labkit.traffic.target import split_authority, split_url

if TYPE_CHECKING:
    import pandas as pd


RESET_TIMEOUT_S = 60.0


class ClusterMesh(Mesh):
    """A mesh on a cluster. Made by `labkit.open_mesh("cluster")`.

    Works on local clusters only, unless `context` names one. It makes a namespace of its own (see
    ledger.py) and prepares the ingress gateway (observing.py). `close` takes back all that it made,
    and what an earlier run left that was killed is removed when the next one is opened
    (leftovers.py).
    """

    backend = "cluster"

    def __init__(
        self,
        *,
        context: str | None = None,
        kubeconfig: str | Path | None = None,
        seed: int
        | None = None,  # for the embedded mesh's sake: a cluster's choices can't be seeded
        say: Callable[[str], None] = print,
    ) -> None:
        self.pinned = guarded(context, kubeconfig)
        self.api = Api(self.pinned)
        self.proxies = Proxies(self.api)
        self.ledger = Ledger(self.api)
        self.store = Objects(self.api, self.ledger)
        self.barrier = Barrier(self.api, self.proxies, self.ledger.run, self.ledger.namespace)
        self.settling = Settling(self.api, self.store, self.proxies, self.barrier)
        self.finder = Finder(self.api, self.proxies, self.store)
        self.ways = Ways(self.api, lambda: self.pod(GATEWAY))
        self.applications: dict[str, PodClient] = {}
        self.process = os.getpid()
        self.closed = False  # to the learner's calls
        self.given_back = False  # what is on the cluster
        self.proxies.gateway()  # says what is missing before anything is made
        from labkit.mesh.cluster.istio import untested  # it is made of parts of this package

        for words in untested(self.api):
            say(words)
        atexit.register(self.close_at_exit)
        try:
            self.ledger.open()
            enter_gateway(self.api, self.ledger.run, own().text, say)
            end_abandoned(
                self.api, say
            )  # after our own name is at the gateway: it need not start anew in between
            self.barrier.open()
            self.barrier.wait(self.proxies.concerned([]), time.monotonic(), 30)
        except BaseException:
            self.close()
            raise

    # objects

    def apply(self, *manifests: Any, wait: bool = True, timeout_s: float = 120.0) -> Applied:
        return self.put(load(*manifests), wait=wait, timeout_s=timeout_s)

    def put(
        self,
        resources: list[Resource],
        *,
        wait: bool = True,
        timeout_s: float = 120.0,
        what: str = "",
    ) -> Applied:
        """Applies objects that are already loaded; the history calls it `what`."""
        self.check_open()
        if not resources:
            raise MeshError("There is nothing to apply", seen="no object in what was given")
        began = time.monotonic()
        self.finder.forget()
        lines, warnings, done = self.store.put_all(resources)
        try:
            took = self.settling.settle(
                [r.key for r in resources], began, wait=wait, timeout_s=timeout_s
            )
        except (MeshError, TrafficError):
            # the objects are in: what is late may still come, and a pod that is gone says nothing
            # against them
            raise
        except BaseException:
            self.store.undo(done)
            raise
        self.history.note([what] if what else lines)
        return Applied(tuple(lines), tuple(warnings), took)

    def delete(
        self, what: Any, name: str | None = None, *, namespace: str | None = None
    ) -> Applied:
        self.check_open()
        if name is not None:
            keys = [self.store.find(kind_of(str(what)), name, namespace).key]
        else:
            keys = [r.key for r in load(what, strict=False)]
        return self.remove(keys)

    def remove(self, keys: list[Key]) -> Applied:
        began = time.monotonic()
        self.store.remove(keys)
        self.finder.forget()
        took = self.settling.settle([k for k in keys if k[1] in self.store.namespaces], began)
        lines = tuple(f"{kind.lower()}/{name} deleted" for kind, _, name in keys)
        self.history.note(lines)
        return Applied(lines, (), took)

    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        spaces = {namespace} if namespace else self.store.namespaces
        found = views.get(self.api, kind_of(kind), name, spaces)
        if name and not found:
            self.store.find(kind_of(kind), name, namespace)  # raises, with what is there
        return found

    def objects(self) -> list[Resource]:
        found = [(kind, body) for kind in kinds.RUN_NAMES for body in self.store.all(kind)]
        found += [
            ("Pod", pod) for pod in self.proxies.gateways()
        ]  # Gateways of any namespace select them
        return [
            as_resource(kind, body)
            for kind, body in found
            if kind != "Pod" or not is_terminating(body)
        ]

    def resource(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        return self.store.find(kind_of(kind), name, namespace)

    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        found = self.store.find(kind_of(kind), name, namespace)
        query = {"fieldSelector": f"involvedObject.name={name},involvedObject.kind={found.kind}"}
        events = self.api.list("Event", found.namespace or "default", **query)
        addresses: list[str] = []
        if found.kind == "Service":
            clusters = self.settling.ready_addresses([found.namespace])
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
        body = self.store.changed(kind_of(kind), name, namespace)
        own = dict(body["metadata"].get("labels") or {})
        for key, value in labels.items():
            if value is None:
                own.pop(key, None)
            else:
                own[key] = value
        body["metadata"]["labels"] = own
        changed = Resource(body)
        applied = self.put([changed])
        gone = {k: None for k, v in labels.items() if v is None}
        if gone:  # also a label that somebody else has set
            self.api.patch(self.store.path(changed.key), {"metadata": {"labels": gone}})
        return Applied((f"{body['kind'].lower()}/{name} labeled",), (), applied.propagation_ms)

    def scale(
        self, deployment: str, replicas: int, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        body = self.store.changed("Deployment", deployment, namespace)
        body.setdefault("spec", {})["replicas"] = replicas
        applied = self.put([Resource(body)], wait=wait, what=f"{deployment} scaled to {replicas}")
        return Applied((f"deployment.apps/{deployment} scaled",), (), applied.propagation_ms)

    def restart(
        self, deployment: str, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        body = self.store.changed("Deployment", deployment, namespace)
        template = body.setdefault("spec", {}).setdefault("template", {})
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = f"{time.time():.6f}"
        applied = self.put([Resource(body)], wait=wait, what=f"{deployment} restarted")
        return Applied((f"deployment.apps/{deployment} restarted",), (), applied.propagation_ms)

    def reset(self) -> Applied:
        for pod in self.store.all("Pod"):
            # also one that is not ready: it may have been made so
            if (
                info(pod).status == "Running"
                and not is_terminating(pod)
                and application(pod).get("ports")
            ):
                with contextlib.suppress(
                    TrafficError, MeshError
                ):  # not every pod's application has controls
                    self.app(pod["metadata"]["name"], "POST", "/control/reset")
        for deployment in self.store.all("Deployment"):
            metadata = deployment["metadata"]
            self.settling.wait_rollout(metadata["namespace"], metadata["name"], RESET_TIMEOUT_S)
        return self.remove(self.store.own_rules())

    # pods

    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        there = [p for p in self.store.all("Pod", namespace) if not is_terminating(p)]
        if workload is None:
            return sorted(map(info, there), key=order)
        mine = [p for p in there if info(p).workload == workload]
        if not mine:
            for service in self.store.all("Service", namespace):
                selector = service["spec"].get("selector")
                if service["metadata"]["name"] == workload and selector:
                    mine = [p for p in there if selects(selector, p)]
        if not mine:
            raise no_pods_of(workload, (info(p).workload for p in there))
        return sorted(map(info, mine), key=order)

    def pod(self, name: str, namespace: str | None = None) -> Json:
        """One pod by its name, or the oldest of a Deployment's."""
        spaces = [namespace] if namespace else [*sorted(self.store.namespaces), GATEWAY_NAMESPACE]
        return self.finder.find(name, spaces)

    def logs(
        self,
        pod: str,
        *,
        container: str | None = None,
        namespace: str | None = None,
        lines: int = 100,
    ) -> str:
        found = self.pod(pod, namespace)
        return read_log(self.api, found, container or application(found)["name"], lines)

    def application(self, pod: Json) -> int:
        """The port at which a pod's application listens."""
        ports = application(pod).get("ports") or []
        if not ports:
            raise MeshError(
                f"The pod {pod['metadata']['name']!r} runs no application with controls"
            )
        return int(ports[0]["containerPort"])

    def app(self, pod: str, method: str, path: str) -> dict[str, Any]:
        client = self.applications.get(pod)
        if client is None:
            found = self.pod(pod)
            metadata = found["metadata"]
            client = PodClient(
                self.api, metadata["namespace"], metadata["name"], self.application(found)
            )
            self.applications[pod] = client
        try:
            status, body = client.request(method, path)
        except (TrafficError, MeshError) as error:
            self.applications.pop(pod, None)
            raise MeshError(
                f"The application of {pod!r} does not answer", seen=error.seen
            ) from error
        if status != 200:
            raise MeshError(
                f"The application of {pod!r} refused {path}",
                seen=f"{status} {body.decode().strip()}",
            )
        answer: dict[str, Any] = json.loads(body) if body.lstrip().startswith(b"{") else {}
        return answer

    # proxies

    def proxy_pod(self, name: str) -> Json:
        """The pod of a proxy: "gateway", a pod, or a Deployment (its first pod)."""
        pod = self.pod(name)
        if not has_sidecar(pod):
            raise NotFound(
                f"The pod {name!r} has no sidecar", seen="its containers: " + containers(pod)
            )
        return pod

    def admin(self, name: str) -> PodAdmin:
        return self.proxies.admin(self.proxy_pod(name))

    def stats(self, proxy: str = GATEWAY, match: str = "") -> pd.DataFrame:
        import pandas as pd

        found = self.admin(proxy).stats(match)
        return pd.DataFrame({"proxy": proxy, "stat": list(found), "value": list(found.values())})

    def endpoints(self, proxy: str = GATEWAY) -> pd.DataFrame:
        clusters = self.admin(proxy).clusters()
        ends = tuple(f".{name}.svc.cluster.local" for name in self.store.namespaces)

        def backing(address: str, port: int) -> Backing:
            pod = self.finder.by_address.get(address)
            if pod is None:
                return Backing(f"{address}:{port}")
            metadata = pod["metadata"]
            version = metadata.get("labels", {}).get("version", "")
            return Backing(f"{address}:{port}", metadata["name"], version)

        return endpoints_frame(clusters, backing, lambda cluster: cluster.endswith(ends))

    def config(self, proxy: str = GATEWAY) -> dict[str, Any]:
        return self.barrier.without_marker(self.admin(proxy).config_dump())

    def counter(self, name: str, *, cluster: str | None = None, proxy: str = GATEWAY) -> int:
        """As on every mesh; but Istio's Envoys make the counters of a cluster with its first
        request: none means 0.
        """
        try:
            return super().counter(name, cluster=cluster, proxy=proxy)
        except NotFound:
            admin = self.admin(proxy)
            if cluster in healthy(admin.clusters()) and is_counter(name, admin):
                return 0
            raise

    def access_log(self, proxy: str = GATEWAY) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.log_of(proxy).complete())

    def log_of(self, proxy: str) -> ProxyLog:
        return ProxyLog(self.api, self.proxy_pod(proxy), self.barrier if proxy == GATEWAY else None)

    def runtime(self, settings: Mapping[str, object], proxy: str = GATEWAY) -> None:
        self.admin(proxy).runtime_modify(settings)

    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        wanted = set(ids)
        # a request that reached no proxy has no entry: its flags stay empty
        log = self.log_of(source or GATEWAY).complete(
            lambda found: wanted <= {e.get("lab") for e in found}
        )
        return {e["lab"]: e.get("flags") or "" for e in log if e.get("lab") in wanted}

    def logged(self, run: str, n: int, source: str | None = None) -> pd.DataFrame:
        log = self.log_of(source or GATEWAY).complete(
            lambda found: sum(e.get("lab") == run for e in found) >= n
        )
        return rows_of_log([e for e in log if e.get("lab") == run], run)

    def curl(self, url: str, *, source: str | None = None, **options: Any) -> Result:
        """As on every mesh; but Envoy writes its access log once a second here, so the flags of an
        answer that is not a success are looked up when they are read, and those of the others are
        taken to be none."""
        target, path = self.target(url, source)
        result = curl(target, path, **options)
        bad = [
            i
            for i, status in zip(result.column("id"), result.column("status"), strict=True)
            if status >= 400 and i
        ]
        return (
            LaterFlags(result, lambda: {} if self.closed else self.flags(bad, source))
            if bad
            else result
        )

    def fortio(
        self, url: str, *, source: str | None = None, program: Program = "auto", **options: Any
    ) -> FortioResult:
        if program == "cluster":
            refuse_source(source)
            options["elsewhere"] = ClusterFortio(self.api, self.ledger.namespace)
        return super().fortio(url, source=source, program=program, **options)

    # ways in

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ways.to_gateway(80, 'http://localhost/').port}"

    def pod_url(self, pod: str) -> str:
        found = self.pod(pod)
        return f"http://127.0.0.1:{self.ways.to_pod(found, self.application(found)).port}"

    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        self.check_open()
        authority, path = split_url(url)
        host, port = split_authority(authority)
        if source is None:
            return Target("127.0.0.1", self.ways.to_gateway(port, url).port, authority), path
        return Target(
            "127.0.0.1", self.ways.from_pod(self.pod(source), host, port).port, authority
        ), path

    # the end

    def check_open(self) -> None:
        if self.closed:
            raise MeshError(
                "This mesh has been closed", try_next="labkit.open_mesh() makes a new one"
            )

    def close(self) -> None:
        """Takes back all that was made. One that fails may be called again, and is, when the
        process ends.
        """
        if (
            self.given_back or os.getpid() != self.process
        ):  # one that was forked from ours has no mesh to end
            return
        self.closed = True
        self.ways.close()
        self.proxies.forget()
        for client in self.applications.values():
            client.drop()
        self.barrier.close()
        end(self.api, Left(self.ledger.run, own(), tuple(self.ledger.paths)))
        self.given_back = (
            True  # only now: where the cluster did not answer, the next close tries again
        )
        atexit.unregister(self.close_at_exit)
        self.api.close()

    def close_at_exit(self) -> None:
        """A notebook ends without a close. The cluster may be gone by then: that is told, and not
        as a traceback.
        """
        try:
            self.close()
        except LabkitError as error:
            print(f"The cluster mesh could not be removed: {error}", file=sys.stderr)

    def __repr__(self) -> str:
        if self.closed:
            return "<cluster mesh, closed>"
        return f"<cluster mesh: context {self.pinned.context}, {self.pinned.server}>"


def is_counter(name: str, admin: PodAdmin) -> bool:
    """Whether clusters have a counter of this name: that of istiod's own cluster has all but
    outlier detection's.
    """
    return name.startswith("outlier_detection.") or bool(
        admin.stats(rf"^cluster\.xds-grpc;?\.{re.escape(name)}$")
    )


def containers(pod: Json) -> str:
    return ", ".join(c["name"] for c in pod["spec"]["containers"])

"""The embedded mesh: real Envoys and local processes behind the interface of a mesh."""

from __future__ import annotations

import atexit
import contextlib
import copy
import http.client
import json
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labkit.envoy import envoy_path
from labkit.envoy.accesslog import rows_of_log
from labkit.errors import MeshError, NotFound, NotReady, TrafficError
from labkit.mesh.base import GATEWAY_PORTS, Applied, Mesh, PodInfo
from labkit.mesh.embedded import views
from labkit.mesh.embedded.controller import (
    GATEWAY,
    GATEWAY_LISTENER,
    Controller,
    ended_from_outside,
)
from labkit.mesh.embedded.controlplane import Proxy
from labkit.mesh.embedded.pod import RunningPod
from labkit.mesh.lookup import kind_of, no_pods_of, no_such_pod
from labkit.mesh.table import Table
from labkit.mesh.views import Backing, endpoints_frame
from labkit.resources import Resource, kinds, load
from labkit.traffic import Target
from labkit.traffic.target import split_authority, split_url
from labkit.waiting import wait_until

if TYPE_CHECKING:
    import pandas as pd


LOG_WAIT_S = 3.0


class EmbeddedMesh(Mesh):
    """A mesh of local processes. Made by `labkit.open_mesh("embedded")`."""

    backend = "embedded"

    def __init__(self, *, seed: int | None = None) -> None:
        envoy_path()  # says what is wrong before anything is made
        self.controller = Controller(random.Random(seed))
        atexit.register(self.close)

    # objects

    def apply(self, *manifests: Any, wait: bool = True, timeout_s: float = 60.0) -> Applied:
        return self.put(load(*manifests), wait=wait, timeout_s=timeout_s)

    def put(
        self,
        resources: list[Resource],
        *,
        wait: bool = True,
        timeout_s: float = 60.0,
        what: str = "",
    ) -> Applied:
        """Applies objects that are already loaded; the history calls it `what`."""
        if not resources:
            raise MeshError("There is nothing to apply", seen="no object in what was given")
        with self.controller.lock:
            self.check_open()
            before = self.controller.store.copy()
            try:
                lines = [
                    f"{r.kind.lower()}/{r.name} {self.controller.store.put(r)}" for r in resources
                ]
                took = self.controller.reconcile()
            except BaseException:
                self.controller.store = before
                self.controller.dirty.set()  # steps that were done already are gone back
                raise
        self.history.note([what] if what else lines)
        # for the pods of what was applied: a rule has none, and others may be unready on purpose
        if wait:
            self.controller.wait_settled(
                [r.key for r in resources if r.kind in kinds.WORKLOADS], timeout_s
            )
        return Applied(tuple(lines), views.warnings(resources), took)

    def delete(
        self, what: Any, name: str | None = None, *, namespace: str | None = None
    ) -> Applied:
        if name is not None:
            kind = kind_of(str(what))
            keys = [self.controller.store.find(kind, name, namespace).key]
        else:
            keys = [r.key for r in load(what, strict=False)]
        return self.remove(keys)

    def remove(self, keys: list[tuple[str, str, str]]) -> Applied:
        with self.controller.lock:
            self.check_open()
            before = self.controller.store.copy()
            try:
                for key in keys:
                    if (
                        key in self.controller.store.objects
                        or key[1] == ""
                        or ("Namespace", "", key[1]) in self.controller.store.objects
                    ):
                        self.controller.store.remove(key)
                took = self.controller.reconcile()
            except BaseException:
                self.controller.store = before
                self.controller.dirty.set()  # steps that were done already are gone back
                raise
        lines = tuple(f"{key[0].lower()}/{key[2]} deleted" for key in keys if key in before.objects)
        self.history.note(lines)
        self.controller.wait_settled((), 30)
        return Applied(lines, (), took)

    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        with self.controller.lock:
            return views.get(self.controller, kind_of(kind), name, namespace)

    def resource(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        return self.controller.store.find(kind_of(kind), name, namespace)

    def objects(self) -> list[Resource]:
        with self.controller.lock:
            return views.objects(self.controller)

    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        with self.controller.lock:
            return views.describe(self.controller, kind_of(kind), name, namespace)

    def changed_object(self, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        return copy.deepcopy(self.controller.store.find(kind_of(kind), name, namespace).body)

    def label(
        self,
        kind: str,
        name: str,
        labels: Mapping[str, str | None],
        *,
        namespace: str | None = None,
    ) -> Applied:
        body = self.changed_object(kind, name, namespace)
        own = body["metadata"].setdefault("labels", {})
        for key, value in labels.items():
            if value is None:
                own.pop(key, None)
            else:
                own[key] = value
        applied = self.put([Resource(body)])
        return Applied((f"{body['kind'].lower()}/{name} labeled",), (), applied.propagation_ms)

    def scale(
        self, deployment: str, replicas: int, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        body = self.changed_object("Deployment", deployment, namespace)
        body["spec"]["replicas"] = replicas
        applied = self.put([Resource(body)], wait=wait, what=f"{deployment} scaled to {replicas}")
        return Applied((f"deployment.apps/{deployment} scaled",), (), applied.propagation_ms)

    def restart(
        self, deployment: str, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        body = self.changed_object("Deployment", deployment, namespace)
        annotations = (
            body["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
        )
        annotations["kubectl.kubernetes.io/restartedAt"] = f"{time.time():.6f}"
        applied = self.put([Resource(body)], wait=wait, what=f"{deployment} restarted")
        return Applied((f"deployment.apps/{deployment} restarted",), (), applied.propagation_ms)

    def reset(self) -> Applied:
        for pod in list(self.controller.running.values()):
            if pod.app_port is not None:
                with contextlib.suppress(
                    MeshError
                ):  # it is being started anew, and so as it was at first
                    self.app(pod.spec.name, "POST", "/control/reset")
                pod.look_now()
        applied = self.remove(
            [r.key for kind in kinds.ISTIO_KINDS for r in self.controller.store.all(kind)]
        )
        self.controller.wait_settled(self.controller.workloads(), 30)
        return applied

    # pods

    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        with self.controller.lock:
            found = [
                p
                for p in [*self.controller.running.values(), self.controller.gateway]
                if namespace in (None, p.spec.namespace)
            ]
            if workload is None:
                return [
                    views.info(p)
                    for p in found
                    if p is not self.controller.gateway or namespace == "istio-system"
                ]
            mine = [p for p in found if p.spec.workload == workload]
            if not mine:
                mine = [
                    p
                    for s in self.controller.store.all("Service", namespace)
                    if s.name == workload
                    for p in self.controller.selected(s)
                ]
            if not mine:
                raise no_pods_of(workload, (p.spec.workload for p in found))
            return [views.info(p) for p in mine]

    def pod(self, name: str) -> RunningPod:
        """One pod by its name."""
        if name in (GATEWAY, self.controller.gateway.spec.name):
            return self.controller.gateway
        pod = self.controller.running.get(name)
        if pod is None:
            raise no_such_pod(name, self.controller.running)
        return pod

    def logs(
        self,
        pod: str,
        *,
        container: str | None = None,
        namespace: str | None = None,
        lines: int = 100,
    ) -> str:
        names = [p.name for p in self.pods(namespace=namespace) if pod in (p.name, p.workload)] or [
            pod
        ]
        return self.pod(names[0]).log(container or "app", lines=lines)

    def application(self, pod: str) -> int:
        """The port of this machine on which a pod's application itself listens."""
        port = self.pod(pod).app_port
        if port is None:
            raise MeshError(f"The pod {pod!r} runs no application with controls")
        return port

    def app(self, pod: str, method: str, path: str) -> dict[str, Any]:
        self.check_open()
        running = self.pod(pod)
        connection = http.client.HTTPConnection("127.0.0.1", self.application(pod), timeout=5)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read().decode()
        except OSError as error:
            raise MeshError(
                f"The application of {pod!r} does not answer", seen=str(error)
            ) from error
        finally:
            connection.close()
        if response.status != 200:
            raise MeshError(
                f"The application of {pod!r} refused {path}",
                seen=f"{response.status} {body.strip()}",
            )
        if path.startswith("/control/ready"):
            running.look_now()
        answer: dict[str, Any] = json.loads(body) if body.lstrip().startswith("{") else {}
        return answer

    # proxies

    def proxy(self, name: str) -> Proxy:
        """A proxy by name: "gateway", a pod, or a Deployment (its first pod)."""
        with self.controller.lock:
            names = [
                name,
                *(n for n, p in self.controller.running.items() if p.spec.workload == name),
            ]
            if name == self.controller.gateway.spec.name:
                names = [GATEWAY]
            for known in names:
                if known in self.controller.plane.proxies:
                    return self.controller.plane.proxies[known]
            there = ", ".join(self.controller.plane.proxies)
            if name in self.controller.running:
                raise NotFound(f"The pod {name!r} has no sidecar", seen=f"proxies: {there}")
            raise NotFound(f"There is no proxy {name!r}", seen=f"proxies: {there}")

    def serving(self, name: str) -> Proxy:
        self.check_open()
        proxy = self.proxy(name)
        if not proxy.envoy.serving:
            wait_until(
                lambda: proxy.envoy.serving or self.controller.family.lost,
                15,
                f"{name} to serve",
                explain=lambda: proxy.envoy.log_tail() or "no log",
            )
            self.check_open()
        return proxy

    def asked(self, name: str) -> Proxy:
        """A proxy that is called through or looked into: it is told all that Istio tells a proxy,
        in the same way.
        """
        proxy = self.proxy(name)
        if not proxy.asked:
            with self.controller.lock:
                proxy.asked = True
                self.controller.push()
        return self.serving(name)

    def stats(self, proxy: str = GATEWAY, match: str = "") -> pd.DataFrame:
        import pandas as pd

        found = self.serving(proxy).envoy.admin.stats(match)
        return pd.DataFrame({"proxy": proxy, "stat": list(found), "value": list(found.values())})

    def endpoints(self, proxy: str = GATEWAY) -> pd.DataFrame:
        clusters = self.asked(proxy).envoy.admin.clusters()
        with self.controller.lock:
            behind = {
                port: Backing(f"{ip}:{number}", pod.spec.name, facts.labels.get("version", ""))
                for (ip, number), port in self.controller.plane.endpoints.ports.items()
                for pod in self.controller.running.values()
                if (facts := pod.spec.facts).ip == ip
            }
        return endpoints_frame(
            clusters, lambda _, port: behind.get(port) or Backing(f"127.0.0.1:{port}")
        )

    def config(self, proxy: str = GATEWAY) -> dict[str, Any]:
        return self.asked(proxy).envoy.admin.config_dump()

    def access_log(self, proxy: str = GATEWAY) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.proxy(proxy).envoy.access_log.read())

    def runtime(self, settings: Mapping[str, object], proxy: str = GATEWAY) -> None:
        self.serving(proxy).envoy.admin.runtime_modify(settings)

    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        log = self.proxy(self.caller(source) if source else GATEWAY).envoy.access_log
        # Envoy writes it every 20 ms, later on a busy machine. What passed as plain TCP has no
        # entry, and so no flags.
        with contextlib.suppress(NotReady):
            wait_until(lambda: len(log.last_of(ids)) == len(set(ids)), LOG_WAIT_S, "the access log")
        return {lab: entry.get("flags") or "" for lab, entry in log.last_of(ids).items()}

    def logged(self, run: str, n: int, source: str | None = None) -> pd.DataFrame:
        log = self.proxy(self.caller(source) if source else GATEWAY).envoy.access_log
        with contextlib.suppress(NotReady):  # a request that found no connection has no entry
            wait_until(lambda: len(log.of(run)) >= n, 2, "the access log")
        return rows_of_log(log.of(run), run)

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.controller.plane.proxies[GATEWAY].port(GATEWAY_LISTENER)}"

    def pod_url(self, pod: str) -> str:
        return f"http://127.0.0.1:{self.application(pod)}"

    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        self.check_open()
        self.controller.raise_trouble()
        authority, path = split_url(url)
        host, port = split_authority(authority)
        if source is None:
            if port not in GATEWAY_PORTS:
                raise TrafficError(
                    f"The ingress gateway's Service has no port {port}",
                    seen=f"{url}; its ports: {', '.join(map(str, GATEWAY_PORTS))}",
                    try_next=f"call http://{host}{path}: port 80 of the Service leads to port "
                    "8080 of the gateway",
                )
            proxy = self.serving(GATEWAY)
            return Target(
                "127.0.0.1", proxy.port(f"0.0.0.0_{GATEWAY_PORTS[port]}"), authority
            ), path
        caller = self.caller(source)
        known = views.service_names(
            self.controller.store, self.controller.running[caller].spec.namespace
        )
        if host not in known:
            raise TrafficError(
                f"could not resolve host: {host}",
                seen=f"{caller} is in namespace "
                f"{self.controller.running[caller].spec.namespace!r}; "
                f"it knows {', '.join(sorted(n for n in known if n.count('.') < 2)) or 'no Service'}",  # noqa: E501
                try_next="a Service of another namespace is called by NAME.NAMESPACE",
            )
        proxy = self.asked(caller)
        # a port that does not say it is HTTP has a listener at its Service's own address, as on a
        # cluster
        address = views.service_address(
            self.controller.store, host, self.controller.running[caller].spec.namespace
        )
        listener = (
            f"{address}_{port}" if proxy.has_listener(f"{address}_{port}") else f"0.0.0.0_{port}"
        )
        return Target("127.0.0.1", proxy.port(listener), authority), path

    def caller(self, source: str) -> str:
        """The pod that a request from `source` starts at; it must have a sidecar."""
        for pod in self.controller.running.values():
            if source in (pod.spec.workload, pod.spec.name):
                if pod.sidecar is None:
                    raise MeshError(
                        f"The pod {pod.spec.name} has no sidecar, so no rule of Istio's acts on "
                        "what it sends",
                        seen="the embedded mesh sends requests from inside through sidecars only",
                        try_next="label its namespace istio-injection=enabled and "
                        "mesh.restart(…) it",
                    )
                return pod.spec.name
        raise NotFound(
            f"There is no pod of {source!r} to call from",
            seen="workloads: "
            + (
                ", ".join(sorted({p.spec.workload for p in self.controller.running.values()}))
                or "none"
            ),
            try_next="mesh.apply('manifests/client.yaml')",
        )

    # the end

    def check_open(self) -> None:
        if not self.controller.family.mine:
            raise MeshError(
                "This mesh belongs to another process",
                seen=f"process {self.controller.family.owner} opened it, and this one was forked "
                "from it",
                try_next="labkit.open_mesh() in this process makes another one",
            )
        if self.controller.closed:
            raise MeshError(
                "This mesh has been closed", try_next="labkit.open_mesh() makes a new one"
            )
        if self.controller.family.lost:
            raise ended_from_outside()

    def close(self) -> None:
        if not self.controller.family.mine:
            return  # a forked process ends: the mesh is not its own
        self.controller.close()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        if self.controller.closed:
            return "<embedded mesh, closed>"
        return (
            f"<embedded mesh: {len(self.controller.running)} pods, gateway at {self.gateway_url}>"
        )

"""The embedded mesh: real Envoys and local processes behind the interface of a mesh."""

from __future__ import annotations

import atexit
import contextlib
import copy
import http.client
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from labkit.app import TOKEN_HEADER
from labkit.envoy import envoy_path
from labkit.envoy.accesslog import AccessLog, frame_of_log, rows_of_log
from labkit.envoy.admin import Admin
from labkit.errors import MeshError, NotFound, NotReady, TrafficError
from labkit.jsontypes import Json
from labkit.mesh.base import Mesh
from labkit.mesh.embedded import state, views
from labkit.mesh.embedded.controller import (
    GATEWAY_LISTENER,
    Controller,
    ended_from_outside,
)
from labkit.mesh.embedded.controlplane import Proxy, told
from labkit.mesh.embedded.machine import in_words
from labkit.mesh.embedded.outside import Outside
from labkit.mesh.embedded.pod import RunningPod
from labkit.mesh.lookup import kind_of, no_pods_of, no_such_pod
from labkit.mesh.model import Applied, PodInfo
from labkit.mesh.proxies import GATEWAY
from labkit.mesh.table import Table
from labkit.mesh.views import Backing
from labkit.resources import Resource, istio, kinds, mesh_config
from labkit.resources.model import Key
from labkit.traffic import Target
from labkit.traffic.target import split_authority, split_url
from labkit.translate.settings import check_supported_settings
from labkit.waiting import wait_until

if TYPE_CHECKING:
    import pandas as pd

    from labkit.explain.proxies import Proxy as Explained


LOG_WAIT_S = 3.0


class EmbeddedMesh(Mesh):
    """A mesh of local processes. Made by `labkit.open_mesh("embedded")`."""

    backend = "embedded"

    def __init__(self, *, seed: int | None = None, settings: Json | None = None) -> None:
        config = mesh_config.checked(settings)
        check_supported_settings(config)
        given = [mesh_config.config_map(config)] if config else []
        envoy_path()  # says what is wrong before anything is made
        with in_words(state.root()):
            self._controller = Controller(random.Random(seed), given)
        atexit.register(self.close)

    # objects

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        with in_words(self._controller.folder), self._controller.lock:
            yield

    def _write_one(self, resource: Resource) -> tuple[str, Iterable[str]]:
        return self._controller.store.put(resource), views.warnings(resource)

    def _delete_one(self, key: Key) -> bool:
        store = self._controller.store
        there = key in store.objects
        _, namespace, _ = key
        # an object of a namespace that is not there is gone already; any other must be known
        if there or not namespace or ("Namespace", "", namespace) in store.objects:
            store.remove(key)
        return there

    def _checkpoint(self, keys: Sequence[Key]) -> Callable[[], None]:
        before = self._controller.store.copy()

        def undo() -> None:
            self._controller.store = before
            self._controller.dirty.set()  # to take back the steps that were done already

        return undo

    def _enforce(
        self, keys: Sequence[Key], began: float, *, wait: bool, timeout_s: float
    ) -> dict[str, float]:
        return self._controller.reconcile()

    def _wait_ready(self, keys: Sequence[Key], timeout_s: float) -> None:
        # for the pods of these only: a rule has none, and others may be unready on purpose
        self._controller.wait_settled([k for k in keys if k[0] in kinds.WORKLOADS], timeout_s)

    def _find(self, kind: str, name: str, namespace: str | None) -> Resource:
        return self._controller.store.find(kind, name, namespace)

    def _to_change(self, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        return copy.deepcopy(self._find(kind, name, namespace).body)

    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        with self._controller.lock:
            return views.get(self._controller, kind_of(kind), name, namespace)

    def objects(self) -> list[Resource]:
        with self._controller.lock:
            return views.objects(self._controller)

    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        with self._controller.lock:
            return views.describe(self._controller, kind_of(kind), name, namespace)

    def reset(self) -> Applied:
        for pod in list(self._controller.running.values()):
            if pod.app_port is not None:
                # it is being started anew, and so as it was at first
                with contextlib.suppress(MeshError):
                    self.app(pod.spec.name, "POST", "/control/reset")
                pod.look_now()
        applied = self._remove(
            [r.key for kind in kinds.ISTIO_KINDS for r in self._controller.store.all(kind)]
        )
        self._controller.wait_settled(self._controller.workloads(), 30)
        return applied

    # pods

    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        with self._controller.lock:
            found = [
                p
                for p in [*self._controller.running.values(), self._controller.gateway]
                if namespace in (None, p.spec.namespace)
            ]
            if workload is None:
                return [
                    views.info(p)
                    for p in found
                    if p is not self._controller.gateway or namespace == istio.NAMESPACE
                ]
            mine = [p for p in found if p.spec.workload == workload]
            if not mine:
                mine = [
                    p
                    for s in self._controller.store.all("Service", namespace)
                    if s.name == workload
                    for p in self._controller.selected(s)
                ]
            if not mine:
                raise no_pods_of(workload, (p.spec.workload for p in found))
            return [views.info(p) for p in mine]

    def _pod(self, name: str) -> RunningPod:
        """One pod by its name."""
        if name in (GATEWAY, self._controller.gateway.spec.name):
            return self._controller.gateway
        pod = self._controller.running.get(name)
        if pod is None:
            raise no_such_pod(name, self._controller.running)
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
        return self._pod(names[0]).log(container or "app", lines=lines)

    def _application_port(self, pod: str) -> int:
        """The port of this machine on which a pod's application itself listens."""
        port = self._pod(pod).app_port
        if port is None:
            raise MeshError(f"The pod {pod!r} runs no application")
        return port

    def _ask(self, pod: str, method: str, path: str) -> tuple[int, bytes]:
        self.check_open()
        running = self._pod(pod)
        controls = running.controls
        if controls is None:
            raise MeshError(f"The pod {pod!r} runs no application with controls")
        connection = http.client.HTTPConnection("127.0.0.1", controls.port, timeout=5)
        try:
            connection.request(method, path, headers={TOKEN_HEADER: controls.token})
            response = connection.getresponse()
            body = response.read()
        except OSError as error:
            raise MeshError(
                f"The application of {pod!r} does not answer", seen=str(error)
            ) from error
        finally:
            connection.close()
        if response.status == 200 and path.startswith("/control/ready"):
            running.look_now()
        return response.status, body

    # proxies

    def _proxy(self, name: str) -> Proxy:
        """A proxy by name: "gateway", a pod, or a Deployment (its first pod)."""
        with self._controller.lock:
            names = [
                name,
                *(n for n, p in self._controller.running.items() if p.spec.workload == name),
            ]
            if name == self._controller.gateway.spec.name:
                names = [GATEWAY]
            for known in names:
                if known in self._controller.plane.proxies:
                    return self._controller.plane.proxies[known]
            there = ", ".join(self._controller.plane.proxies)
            if name in self._controller.running:
                raise NotFound(f"The pod {name!r} has no sidecar", seen=f"proxies: {there}")
            raise NotFound(f"There is no proxy {name!r}", seen=f"proxies: {there}")

    def _serving(self, name: str) -> Proxy:
        self.check_open()
        proxy = self._proxy(name)
        if not proxy.envoy.serving:
            wait_until(
                lambda: (
                    proxy.envoy.serving
                    or self._controller.family.lost
                    or proxy.envoy.cannot_watch()
                ),
                15,
                f"{name} to serve",
                explain=lambda: proxy.envoy.log_tail() or "no log",
            )
            self.check_open()
            if proxy.envoy.cannot_watch():  # and would not the next time
                raise proxy.envoy.died()
        return proxy

    def _inspected(self, name: str) -> Proxy:
        """A proxy that is called through or looked into: it is told all that Istio tells a proxy,
        in the same way.
        """
        proxy = self._proxy(name)
        if not proxy.inspected:
            with self._controller.lock:
                proxy.inspected = True
                self._controller.push()
        return self._serving(name)

    def _admin(self, proxy: str, *, inspect: bool = False) -> Admin:
        return (self._inspected(proxy) if inspect else self._serving(proxy)).envoy.admin

    def _endpoint_lookup(self) -> tuple[Callable[[str, int], Backing], Callable[[str], bool]]:
        with self._controller.lock:
            behind = {
                port: Backing(f"{ip}:{number}", pod.spec.name, facts.labels.get("version", ""))
                for (ip, number), port in self._controller.plane.endpoints.ports.items()
                for pod in self._controller.running.values()
                if (facts := pod.spec.facts).ip == ip
            }
        return lambda address, port: behind.get(port, Backing(f"{address}:{port}")), lambda _: True

    def access_log(self, proxy: str = GATEWAY) -> pd.DataFrame:
        return frame_of_log(self._proxy(proxy).envoy.access_log.read())

    def _log(self, source: str | None) -> AccessLog:
        """The access log of the proxy that requests from here pass first."""
        return self._proxy(self._caller(source) if source else GATEWAY).envoy.access_log

    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        log = self._log(source)
        # Envoy writes it every 20 ms, later on a busy machine. What passed as plain TCP has no
        # entry, and so no flags.
        with contextlib.suppress(NotReady):
            wait_until(lambda: len(log.last_of(ids)) == len(set(ids)), LOG_WAIT_S, "the access log")
        return {lab: entry.get("flags") or "" for lab, entry in log.last_of(ids).items()}

    def _logged(self, run: str, n: int, source: str | None) -> pd.DataFrame:
        log = self._log(source)
        with contextlib.suppress(NotReady):  # a request that found no connection has no entry
            wait_until(lambda: len(log.of(run)) >= n, 2, "the access log")
        return rows_of_log(log.of(run), run)

    def _explained(self, source: str | None) -> Explained:
        from labkit.explain.proxies import Proxy as Explained

        self.check_open()
        with self._controller.lock:
            registry = self._controller.registry()
            caller = self._caller(source) if source else None
            pod = next((pod for pod in registry.pods if pod.name == caller), None)
        held = told(registry, pod, Outside.of(registry))
        return Explained(registry, pod, held, passes_on=False)

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self._controller.plane.proxies[GATEWAY].port(GATEWAY_LISTENER)}"

    def pod_url(self, pod: str) -> str:
        return f"http://127.0.0.1:{self._application_port(pod)}"

    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        self.check_open()
        self._controller.raise_trouble()
        authority, path = split_url(url)
        host, port = split_authority(authority)
        if source is None:
            if port not in istio.TRAFFIC_PORTS:
                raise TrafficError(
                    f"The ingress gateway's Service has no port {port}",
                    seen=f"{url}; its ports: {', '.join(map(str, istio.TRAFFIC_PORTS))}",
                    try_next=f"call http://{host}{path}: port 80 of the Service leads to port "
                    f"{istio.TRAFFIC_PORTS[80]} of the gateway",
                )
            proxy = self._serving(GATEWAY)
            return Target(
                "127.0.0.1", proxy.port(f"0.0.0.0_{istio.TRAFFIC_PORTS[port]}"), authority
            ), path
        caller = self._caller(source)
        known = views.service_names(
            self._controller.store, self._controller.running[caller].spec.namespace
        )
        if host not in known:
            raise TrafficError(
                f"could not resolve host: {host}",
                seen=f"{caller} is in namespace "
                f"{self._controller.running[caller].spec.namespace!r}; "
                f"it knows {', '.join(sorted(n for n in known if n.count('.') < 2)) or 'no Service'}",  # noqa: E501
                try_next="a Service of another namespace is called by NAME.NAMESPACE",
            )
        proxy = self._inspected(caller)
        # a port that does not say it is HTTP has a listener at its Service's own address, as on a
        # cluster
        address = views.service_address(
            self._controller.store, host, self._controller.running[caller].spec.namespace
        )
        listener = (
            f"{address}_{port}" if proxy.has_listener(f"{address}_{port}") else f"0.0.0.0_{port}"
        )
        return Target("127.0.0.1", proxy.port(listener), authority), path

    def _caller(self, source: str) -> str:
        """The pod that a request from `source` starts at; it must have a sidecar."""
        for pod in self._controller.running.values():
            if source in (pod.spec.workload, pod.spec.name):
                if pod.sidecar is None:
                    raise MeshError(
                        f"The pod {pod.spec.name} has no sidecar, so no rule of Istio's acts on "
                        "what it sends",
                        seen="the embedded mesh sends requests from inside through sidecars only",
                        try_next=f"label its namespace {istio.INJECTION}={istio.INJECTED} and "
                        "mesh.restart(…) it",
                    )
                return pod.spec.name
        raise NotFound(
            f"There is no pod of {source!r} to call from",
            seen="workloads: "
            + (
                ", ".join(sorted({p.spec.workload for p in self._controller.running.values()}))
                or "none"
            ),
            try_next="mesh.apply('manifests/client.yaml')",
        )

    # the end

    def check_open(self) -> None:
        if not self._controller.family.mine:
            raise MeshError(
                "This mesh belongs to another process",
                seen=f"process {self._controller.family.owner} opened it, and this one was forked "
                "from it",
                try_next="labkit.open_mesh() in this process makes another one",
            )
        if self._controller.closed:
            raise MeshError(
                "This mesh has been closed", try_next="labkit.open_mesh() makes a new one"
            )
        if self._controller.family.lost:
            raise ended_from_outside()

    def close(self) -> None:
        if not self._controller.family.mine:
            return  # a forked process ends: the mesh is not its own
        self._controller.close()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        if self._controller.closed:
            return "<embedded mesh, closed>"
        return (
            f"<embedded mesh: {len(self._controller.running)} pods, gateway at {self.gateway_url}>"
        )

"""The embedded mesh: real Envoys and local processes behind the interface of a mesh."""

from __future__ import annotations

import atexit
import contextlib
import copy
import http.client
import json
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from labkit.envoy import Envoy, envoy_path
from labkit.errors import MeshError, NotFound, NotReady, TrafficError
from labkit.mesh.base import GATEWAY_PORTS, Applied, Mesh, PodInfo
from labkit.mesh.embedded import state, views
from labkit.mesh.embedded.controlplane import ControlPlane, Proxy
from labkit.mesh.embedded.images import program_of
from labkit.mesh.embedded.pod import PodSpec, RunningPod
from labkit.mesh.embedded.ports import Ports
from labkit.mesh.embedded.store import ISTIO_KINDS, Store, kind_of
from labkit.mesh.embedded.workloads import plan, pod_name, template_hash
from labkit.mesh.table import Table
from labkit.processes import Family
from labkit.resources import Resource, load
from labkit.traffic import Target
from labkit.traffic.target import split_authority, split_url
from labkit.translate import Pod, Snapshot
from labkit.translate.model import next_address, pod_of
from labkit.waiting import wait_until

if TYPE_CHECKING:
    import pandas as pd

FIRST_POD_IP = "10.244.0.12"
GATEWAY = "gateway"
GATEWAY_WORKLOAD = "istio-ingressgateway"
GATEWAY_LISTENER = "0.0.0.0_8080"


class EmbeddedMesh(Mesh):
    """A mesh of local processes. Made by `labkit.open_mesh("embedded")`.

    Three kinds of threads share it under one lock: the caller's, one a pod that watches its processes, and one that
    acts when a pod has changed. The gateway starts at once and on its own; the first call that needs it waits for it.
    """

    backend = "embedded"

    def __init__(self, *, seed: int | None = None) -> None:
        envoy_path()  # says what is wrong before anything is made
        self.rng = random.Random(seed)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.store = Store()
        self.ports = Ports()
        self.plane = ControlPlane()
        self.running: dict[str, RunningPod] = {}
        self.pods_made = 0
        self.trouble: Exception | None = None
        self.closed = False
        self.folder = state.new_folder()
        self.family = Family(self.folder)
        self.helpers = ThreadPoolExecutor(4, thread_name_prefix="labkit")
        self.ending: list[Future[None]] = []
        self.dirty = threading.Event()
        self.gateway = self.make_gateway()
        state.record(self.folder, self.family.group, self.plane.proxies[GATEWAY].port(GATEWAY_LISTENER))
        self.gateway.start()
        self.controller = threading.Thread(target=self.control_loop, name="labkit control plane", daemon=True)
        self.controller.start()
        atexit.register(self.close)

    # making and ending pods

    def make_envoy(self, name: str, folder_name: str, node: str, cluster: str) -> Envoy:
        folder = self.folder / folder_name
        folder.mkdir()
        return Envoy(name, folder, self.family, node=node, cluster=cluster)

    def make_gateway(self) -> RunningPod:
        name = pod_name(GATEWAY_WORKLOAD, template_hash({"gateway": 1}), self.rng)
        node = f"router~10.244.0.10~{name}.istio-system~istio-system.svc.cluster.local"
        envoy = self.make_envoy(GATEWAY, "gw", node, GATEWAY_WORKLOAD)
        proxy = Proxy(envoy, self.ports)
        self.plane.proxies[GATEWAY] = proxy
        envoy.prepare(proxy.config(self.snapshot(), self.plane.endpoints))
        facts = Pod(name, "istio-system", {"app": GATEWAY_WORKLOAD, "istio": "ingressgateway"}, "10.244.0.10")
        spec = PodSpec(facts, GATEWAY_WORKLOAD, "", {}, None, time.time())
        return RunningPod(spec, envoy.folder, self.family, envoy, None, self.dirty.set)

    def make_pod(self, owner: Resource, template: Mapping[str, Any], name: str, hash_: str) -> None:
        """Prepares one pod; nothing runs yet. Raises UnsupportedError for an image that is not known."""
        program = program_of(template, f"{owner.kind} {owner.name!r}", self.store.config_maps(owner.namespace))
        self.pods_made += 1
        number = self.pods_made
        facts = pod_of(
            dict(template), name, owner.namespace, next_address(FIRST_POD_IP, number - 1), self.injects(owner, template)
        )
        app_port = self.ports.take() if program.port is not None else None
        sidecar = None
        folder = self.folder / f"p{number}"
        if facts.injected:
            node = f"sidecar~{facts.ip}~{name}.{owner.namespace}~{owner.namespace}.svc.cluster.local"
            service = facts.labels.get("app", owner.name)
            sidecar = self.make_envoy(name + " istio-proxy", folder.name, node, f"{service}.{owner.namespace}")
            app_ports = {program.port: app_port} if program.port is not None and app_port is not None else {}
            self.plane.proxies[name] = Proxy(sidecar, self.ports, facts, app_ports)
        else:
            folder.mkdir()
        if program.port is not None and app_port is not None:
            inbound = self.plane.proxies[name].port(f"inbound_{program.port}") if sidecar else app_port
            self.plane.endpoints.ports[facts.ip, program.port] = inbound
        spec = PodSpec(facts, owner.name, hash_, template, program, time.time())
        self.running[name] = RunningPod(spec, folder, self.family, sidecar, app_port, self.dirty.set)

    def injects(self, owner: Resource, template: Mapping[str, Any]) -> bool:
        """Whether a pod made now gets a sidecar: its namespace's label decides, unless its own label says otherwise."""
        labels = (template.get("metadata") or {}).get("labels") or {}
        own = labels.get("sidecar.istio.io/inject")
        if own is not None:
            return bool(own == "true")
        namespace = self.store.objects.get(("Namespace", "", owner.namespace))
        return namespace is not None and namespace.labels.get("istio-injection") == "enabled"

    def end_pod(self, name: str) -> None:
        """Takes a pod out of service and ends it in the background, its last requests answered."""
        pod = self.running.pop(name)
        pod.terminating = True
        proxy = self.plane.proxies.pop(name, None)
        for key in [k for k in self.plane.endpoints.ports if k[0] == pod.spec.facts.ip]:
            del self.plane.endpoints.ports[key]

        def finish() -> None:
            pod.stop()
            for port in [pod.app_port, *(proxy.listeners.values() if proxy else ())]:
                if port is not None:
                    self.ports.give_back(port)

        self.ending = [f for f in self.ending if not f.done()]
        self.ending.append(self.helpers.submit(finish))

    # bringing about what was asked for

    def snapshot(self) -> Snapshot:
        pods = tuple(
            Pod(
                p.spec.facts.name,
                p.spec.facts.namespace,
                p.spec.facts.labels,
                p.spec.facts.ip,
                p.spec.facts.containers_ports,
                p.spec.facts.named_ports,
                ready=p.ready,
                injected=p.spec.facts.injected,
            )
            for p in self.running.values()
        )
        return Snapshot(tuple(self.store.objects.values()), pods, dict(self.store.service_ips))

    def reconcile(self) -> dict[str, float]:
        """One step towards what was asked for: pods made and ended, every proxy told. Called under the lock."""
        made, ended = self.plan_pods()
        try:
            took = self.plane.push(self.snapshot())
        except BaseException:
            for name in made:  # nothing of a refused change may stay
                self.end_pod(name)
            raise
        for name in made:
            self.running[name].start()
        for name in ended:
            self.end_pod(name)
        if ended:
            took |= self.plane.push(self.snapshot())
        self.changed.notify_all()
        return took

    def plan_pods(self) -> tuple[list[str], list[str]]:
        made: list[str] = []
        ended: list[str] = []
        owners = {r.key: r for kind in ("Deployment", "Pod") for r in self.store.all(kind)}
        for owner in owners.values():
            mine = self.pods_of(owner)
            if owner.kind == "Pod":
                if not mine:
                    made.append(owner.name)
                    self.make_pod(owner, owner.body, owner.name, "")
                continue
            steps = plan(owner.spec, [PodView(p) for p in mine])
            ended += steps.end
            template = owner.spec.get("template") or {}
            hash_ = template_hash(template)
            for _ in range(steps.create):
                name = pod_name(owner.name, hash_, self.rng)
                self.make_pod(owner, template, name, hash_)
                made.append(name)
        for name, pod in self.running.items():
            keys = [(kind, pod.spec.namespace, pod.spec.workload) for kind in ("Deployment", "Pod")]
            if not any(k in owners for k in keys) and name not in ended:
                ended.append(name)
        for name in ended:
            self.running[name].terminating = True
        return made, ended

    def pods_of(self, owner: Resource) -> list[RunningPod]:
        return [
            p
            for p in self.running.values()
            if p.spec.workload == owner.name and p.spec.namespace == owner.namespace and not p.terminating
        ]

    def settled(self) -> bool:
        """Whether all is as asked for: every Deployment has its pods, ready, and every proxy knows them."""
        if self.dirty.is_set() or not self.gateway.ready:
            return False
        for owner in self.store.all("Deployment"):
            pods = self.pods_of(owner)
            wanted = template_hash(owner.spec.get("template") or {})
            if len(pods) != int(owner.spec.get("replicas", 1)):
                return False
            if not all(p.ready and p.spec.template_hash == wanted for p in pods):
                return False
        return all(pods and pods[0].ready for pods in map(self.pods_of, self.store.all("Pod")))

    def wait_settled(self, timeout_s: float) -> None:
        with self.changed:
            if self.changed.wait_for(lambda: self.settled() or self.trouble is not None, timeout_s):
                self.raise_trouble()
                return
        raise NotReady(
            f"The pods asked for were not ready after {timeout_s:g} s",
            seen=f"{self.get('pods')}\n{self.log_of_first_unready()}",
            try_next="mesh.describe('pod', NAME) and mesh.logs(NAME) say more; "
            "pods made to be unready stay so: mesh.apply(…, wait=False)",
        )

    def log_of_first_unready(self) -> str:
        for pod in self.running.values():
            if not pod.ready:
                return f"{pod.spec.name}: {pod.log('app', lines=10)}\n{pod.log('istio-proxy', lines=10)}"
        return ""

    def control_loop(self) -> None:
        """Acts whenever a pod has become ready or unready."""
        while True:
            self.dirty.wait()
            with self.lock:
                if self.closed:
                    return
                self.dirty.clear()
                try:
                    self.reconcile()
                except Exception as error:  # told to the next caller: this thread has nobody to tell
                    self.trouble = error
                    self.changed.notify_all()

    def raise_trouble(self) -> None:
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble

    # objects

    def apply(self, *manifests: Any, wait: bool = True, timeout_s: float = 60.0) -> Applied:
        return self.put(load(*manifests), wait=wait, timeout_s=timeout_s)

    def put(self, resources: list[Resource], *, wait: bool = True, timeout_s: float = 60.0) -> Applied:
        """Applies objects that are already loaded."""
        if not resources:
            raise MeshError("There is nothing to apply", seen="no object in what was given")
        with self.lock:
            self.check_open()
            before = self.store.copy()
            try:
                lines = [f"{r.kind.lower()}/{r.name} {self.store.put(r)}" for r in resources]
                took = self.reconcile()
            except BaseException:
                self.store = before
                raise
        if wait:
            self.wait_settled(timeout_s)
        return Applied(tuple(lines), views.warnings(resources), took)

    def delete(self, what: Any, name: str | None = None, *, namespace: str | None = None) -> Applied:
        if name is not None:
            kind = kind_of(str(what))
            keys = [self.store.find(kind, name, namespace).key]
        else:
            keys = [r.key for r in load(what, strict=False)]
        return self.remove(keys)

    def remove(self, keys: list[tuple[str, str, str]]) -> Applied:
        with self.lock:
            self.check_open()
            before = self.store.copy()
            try:
                for key in keys:
                    if key in self.store.objects or key[1] == "" or ("Namespace", "", key[1]) in self.store.objects:
                        self.store.remove(key)
                took = self.reconcile()
            except BaseException:
                self.store = before
                raise
        self.wait_settled(30)
        return Applied(tuple(f"{kind.lower()}/{name} deleted" for kind, _, name in keys), (), took)

    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        with self.lock:
            return views.get(self, kind_of(kind), name, namespace)

    def resource(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        return self.store.find(kind_of(kind), name, namespace)

    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        with self.lock:
            return views.describe(self, kind_of(kind), name, namespace)

    def changed_object(self, kind: str, name: str, namespace: str | None) -> dict[str, Any]:
        return copy.deepcopy(self.store.find(kind_of(kind), name, namespace).body)

    def label(self, kind: str, name: str, labels: Mapping[str, str | None], *, namespace: str | None = None) -> Applied:
        body = self.changed_object(kind, name, namespace)
        own = body["metadata"].setdefault("labels", {})
        for key, value in labels.items():
            if value is None:
                own.pop(key, None)
            else:
                own[key] = value
        applied = self.put([Resource(body)])
        return Applied((f"{body['kind'].lower()}/{name} labeled",), (), applied.propagation_ms)

    def scale(self, deployment: str, replicas: int, *, namespace: str | None = None, wait: bool = True) -> Applied:
        body = self.changed_object("Deployment", deployment, namespace)
        body["spec"]["replicas"] = replicas
        applied = self.put([Resource(body)], wait=wait)
        return Applied((f"deployment.apps/{deployment} scaled",), (), applied.propagation_ms)

    def restart(self, deployment: str, *, namespace: str | None = None, wait: bool = True) -> Applied:
        body = self.changed_object("Deployment", deployment, namespace)
        annotations = body["spec"]["template"].setdefault("metadata", {}).setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = f"{time.time():.6f}"
        applied = self.put([Resource(body)], wait=wait)
        return Applied((f"deployment.apps/{deployment} restarted",), (), applied.propagation_ms)

    def reset(self) -> Applied:
        keys = [r.key for kind in ISTIO_KINDS for r in self.store.all(kind)]
        applied = self.remove(keys)
        for pod in list(self.running.values()):
            if pod.app_port is not None:
                self.app(pod.spec.name, "POST", "/control/reset")
                pod.look_now()
        return applied

    # pods

    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        with self.lock:
            found = [p for p in [*self.running.values(), self.gateway] if namespace in (None, p.spec.namespace)]
            if workload is None:
                return [views.info(p) for p in found if p is not self.gateway or namespace == "istio-system"]
            mine = [p for p in found if p.spec.workload == workload]
            if not mine:
                mine = [p for s in self.store.all("Service", namespace) if s.name == workload for p in self.selected(s)]
            if not mine:
                raise NotFound(
                    f"No pods of {workload!r}: no Deployment and no Service of that name has any",
                    seen="workloads: " + (", ".join(sorted({p.spec.workload for p in found})) or "none"),
                    try_next="mesh.get('pods')",
                )
            return [views.info(p) for p in mine]

    def selected(self, service: Resource) -> list[RunningPod]:
        selector = service.spec.get("selector") or {}
        return [
            p
            for p in self.running.values()
            if p.spec.namespace == service.namespace
            and selector
            and all(p.spec.facts.labels.get(k) == v for k, v in selector.items())
        ]

    def pod(self, name: str) -> RunningPod:
        """One pod by its name."""
        if name in (GATEWAY, self.gateway.spec.name):
            return self.gateway
        pod = self.running.get(name)
        if pod is None:
            raise NotFound(
                f"There is no pod {name!r}", seen="pods: " + ", ".join(self.running), try_next="mesh.get('pods')"
            )
        return pod

    def logs(self, pod: str, *, container: str | None = None, namespace: str | None = None, lines: int = 100) -> str:
        names = [p.name for p in self.pods(namespace=namespace) if pod in (p.name, p.workload)] or [pod]
        return self.pod(names[0]).log(container or "app", lines=lines)

    def app(self, pod: str, method: str, path: str) -> dict[str, Any]:
        running = self.pod(pod)
        if running.app_port is None:
            raise MeshError(f"The pod {pod!r} runs no application with controls")
        connection = http.client.HTTPConnection("127.0.0.1", running.app_port, timeout=5)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read().decode()
        except OSError as error:
            raise MeshError(f"The application of {pod!r} does not answer", seen=str(error)) from error
        finally:
            connection.close()
        if response.status != 200:
            raise MeshError(f"The application of {pod!r} refused {path}", seen=f"{response.status} {body.strip()}")
        if path.startswith("/control/ready"):
            running.look_now()
        answer: dict[str, Any] = json.loads(body) if body.lstrip().startswith("{") else {}
        return answer

    # proxies

    def proxy(self, name: str) -> Proxy:
        """A proxy by name: "gateway", a pod, or a Deployment (its first pod)."""
        with self.lock:
            names = [name, *(n for n, p in self.running.items() if p.spec.workload == name)]
            if name == self.gateway.spec.name:
                names = [GATEWAY]
            for known in names:
                if known in self.plane.proxies:
                    return self.plane.proxies[known]
            there = ", ".join(self.plane.proxies)
            if name in self.running:
                raise NotFound(f"The pod {name!r} has no sidecar", seen=f"proxies: {there}")
            raise NotFound(f"There is no proxy {name!r}", seen=f"proxies: {there}")

    def serving(self, name: str) -> Proxy:
        proxy = self.proxy(name)
        if not proxy.envoy.serving:
            wait_until(
                lambda: proxy.envoy.serving, 15, f"{name} to serve", explain=lambda: proxy.envoy.log_tail() or "no log"
            )
        return proxy

    def stats(self, proxy: str = GATEWAY, match: str = "") -> pd.DataFrame:
        import pandas as pd

        found = self.serving(proxy).envoy.admin.stats(match)
        return pd.DataFrame({"proxy": proxy, "stat": list(found), "value": list(found.values())})

    def endpoints(self, proxy: str = GATEWAY) -> pd.DataFrame:
        clusters = self.serving(proxy).envoy.admin.clusters()
        with self.lock:
            by_port = {
                port: (f"{ip}:{number}", pod.spec.facts)
                for (ip, number), port in self.plane.endpoints.ports.items()
                for pod in self.running.values()
                if pod.spec.facts.ip == ip
            }
        return views.endpoints(clusters, by_port)

    def config(self, proxy: str = GATEWAY) -> dict[str, Any]:
        return self.serving(proxy).envoy.admin.config_dump()

    def access_log(self, proxy: str = GATEWAY) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(self.proxy(proxy).envoy.access_log.read())

    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        log = self.proxy(self.caller(source) if source else GATEWAY).envoy.access_log
        wanted = set(ids)

        def all_there() -> bool:
            return wanted <= {e.get("lab") for e in log.read()[-len(wanted) - 1000 :]}

        # a request that reached no proxy has no entry, so this may end without all of them: their flags stay empty
        with contextlib.suppress(NotReady):
            wait_until(all_there, 0.5, "the access log")
        return {e["lab"]: e.get("flags") or "" for e in log.entries if e.get("lab") in wanted}

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.plane.proxies[GATEWAY].port(GATEWAY_LISTENER)}"

    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        self.check_open()
        self.raise_trouble()
        authority, path = split_url(url)
        host, port = split_authority(authority)
        if source is None:
            if port not in GATEWAY_PORTS:
                raise TrafficError(
                    f"The ingress gateway's Service has no port {port}",
                    seen=f"{url}; its ports: {', '.join(map(str, GATEWAY_PORTS))}",
                    try_next=f"call http://{host}{path}: port 80 of the Service leads to port 8080 of the gateway",
                )
            proxy = self.serving(GATEWAY)
            return Target("127.0.0.1", proxy.port(f"0.0.0.0_{GATEWAY_PORTS[port]}"), authority), path
        caller = self.caller(source)
        known = views.service_names(self.store, self.running[caller].spec.namespace)
        if host not in known:
            raise TrafficError(
                f"could not resolve host: {host}",
                seen=f"{caller} is in namespace {self.running[caller].spec.namespace!r}; "
                f"it knows {', '.join(sorted(n for n in known if n.count('.') < 2)) or 'no Service'}",
                try_next="a Service of another namespace is called by NAME.NAMESPACE",
            )
        return Target("127.0.0.1", self.serving(caller).port(f"0.0.0.0_{port}"), authority), path

    def caller(self, source: str) -> str:
        """The pod that a request from `source` starts at; it must have a sidecar."""
        for pod in self.running.values():
            if source in (pod.spec.workload, pod.spec.name):
                if pod.sidecar is None:
                    raise MeshError(
                        f"The pod {pod.spec.name} has no sidecar, so no rule of Istio's acts on what it sends",
                        seen="the embedded mesh sends requests from inside through sidecars only",
                        try_next="label its namespace istio-injection=enabled and mesh.restart(…) it",
                    )
                return pod.spec.name
        raise NotFound(
            f"There is no pod of {source!r} to call from",
            seen="workloads: " + (", ".join(sorted({p.spec.workload for p in self.running.values()})) or "none"),
            try_next="mesh.apply('manifests/client.yaml')",
        )

    # the end

    def check_open(self) -> None:
        if self.closed:
            raise MeshError("This mesh has been closed", try_next="labkit.open_mesh() makes a new one")

    def close(self) -> None:
        with self.lock:
            if self.closed:
                return
            self.closed = True
            pods = [*self.running.values(), self.gateway]
            for pod in pods:
                pod.terminating = True
                pod.wake.set()
            self.dirty.set()
        self.controller.join()
        for pod in pods:
            if pod.thread.is_alive():
                pod.thread.join()
        self.helpers.shutdown()
        self.family.close()
        atexit.unregister(self.close)

    def __repr__(self) -> str:
        if self.closed:
            return "<embedded mesh, closed>"
        return f"<embedded mesh: {len(self.running)} pods, gateway at {self.gateway_url}>"


class PodView:
    """What a Deployment's plan needs of a pod."""

    def __init__(self, pod: RunningPod) -> None:
        self.name = pod.spec.name
        self.ready = pod.ready
        self.template_hash = pod.spec.template_hash

"""Brings about what was applied: pods made and ended, every proxy told. What a cluster's
controllers and istiod do.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from labkit.envoy import Envoy
from labkit.errors import EnvoyDied, MeshError, NotReady
from labkit.mesh.embedded import state
from labkit.mesh.embedded.controlplane import ControlPlane, Proxy
from labkit.mesh.embedded.images import ContainerProgram, check_gateway, program_of
from labkit.mesh.embedded.machine import refusal
from labkit.mesh.embedded.pod import ControlPort, PodSpec, RunningPod
from labkit.mesh.embedded.ports import Ports
from labkit.mesh.embedded.store import Store
from labkit.mesh.embedded.workloads import next_step, pod_name, template_hash
from labkit.mesh.proxies import GATEWAY
from labkit.processes import Family
from labkit.resources import Resource, istio, kinds
from labkit.resources.injection import becomes_gateway, gets_sidecar
from labkit.resources.model import Key
from labkit.translate import Pod, Registry
from labkit.translate.manifests import FIRST_POD_IP, next_address, pod_of
from labkit.translate.runtime import RUNTIME

GATEWAY_IP = "10.244.0.10"
WORKLOADS = ("Deployment", "Pod")
GATEWAY_LISTENER = f"0.0.0.0_{istio.TRAFFIC_PORTS[80]}"


class Controller:
    """All that runs, and the steps from what there is to what was asked for.

    Three kinds of threads meet here under one lock: the caller's, one a pod that watches its
    processes, and one that acts when a pod has changed. The gateway starts at once and on its own;
    who needs it waits for it. `given` are objects that are there from the start.
    """

    def __init__(self, rng: random.Random, given: Iterable[Resource] = ()) -> None:
        self.rng = rng
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.store = Store()
        for resource in given:
            self.store.put(resource)
        self.ports = Ports()
        self.control_token = secrets.token_hex(16)
        self.plane = ControlPlane()
        self.running: dict[str, RunningPod] = {}
        self.pods_made = 0
        self.trouble: Exception | None = None  # what went wrong while nobody asked
        self.closed = False
        self.folder = state.new_folder()
        self.family = Family(self.folder)
        self.helpers = ThreadPoolExecutor(4, thread_name_prefix="labkit")
        self.ending: list[Future[None]] = []
        self.dirty = threading.Event()
        self.ready_as_pushed: dict[str, bool] = {}  # which pods were ready in what the proxies hold
        try:
            self.gateway = self.make_gateway()
            state.record(
                self.folder, self.family.group, self.plane.proxies[GATEWAY].port(GATEWAY_LISTENER)
            )
            self.gateway.start()
        except BaseException:  # a full disk, say: nobody gets this object, who could close it
            self.helpers.shutdown()
            self.family.close()
            self.ports.close()
            raise
        self.thread = threading.Thread(
            target=self.control_loop, name="labkit control plane", daemon=True
        )
        self.thread.start()

    # making and ending pods

    def make_envoy(self, name: str, folder_name: str, node: str, cluster: str) -> Envoy:
        """An Envoy with a folder of its own; it does not run yet."""
        folder = self.folder / folder_name
        folder.mkdir()
        return Envoy(name, folder, self.family, node=node, cluster=cluster, runtime=RUNTIME)

    def make_gateway(self) -> RunningPod:
        """The ingress gateway's pod, prepared: an Envoy and nothing else."""
        name = pod_name(istio.GATEWAY, template_hash({"gateway": 1}), self.rng)
        node = node_of("router", GATEWAY_IP, name, istio.NAMESPACE)
        envoy = self.make_envoy(GATEWAY, "gw", node, istio.GATEWAY)
        proxy = Proxy(envoy, self.ports)
        self.plane.proxies[GATEWAY] = proxy
        envoy.prepare(proxy.config(self.registry(), self.plane.endpoints))
        facts = Pod(
            name,
            istio.NAMESPACE,
            dict(istio.GATEWAY_LABELS),
            GATEWAY_IP,
        )
        spec = PodSpec(facts, istio.GATEWAY, "", {}, None, time.time())
        return RunningPod(spec, envoy.folder, self.family, envoy, None, None, self.dirty.set)

    def make_pod(self, owner: Resource, template: Mapping[str, Any], name: str, hash_: str) -> None:
        """Prepares one pod; nothing runs yet. Raises UnsupportedError for an image that is not
        known.
        """
        injected, where = self.injects(owner, template), f"{owner.kind} {owner.name!r}"
        program: ContainerProgram | None = None
        if injected and becomes_gateway(template):
            check_gateway(template, where)
        else:
            program = program_of(template, where, self.store.config_maps(owner.namespace))
        self.pods_made += 1
        number = self.pods_made
        facts = pod_of(
            dict(template),
            name,
            owner.namespace,
            next_address(FIRST_POD_IP, number - 1),
            injected,
        )
        app_port = controls = None
        if program is not None and program.port is not None:
            app_port = self.ports.take()
            controls = ControlPort(self.ports.take(), self.control_token)
        sidecar = None
        folder = self.folder / f"p{number}"
        if injected:
            role = "router" if facts.gateway else "sidecar"
            node = node_of(role, facts.ip, name, owner.namespace)
            service = facts.labels.get("app", owner.name)
            sidecar = self.make_envoy(
                f"{name} {istio.PROXY}", folder.name, node, f"{service}.{owner.namespace}"
            )
            app_ports = (
                {program.port: app_port}
                if program is not None and program.port is not None and app_port is not None
                else {}
            )
            self.plane.proxies[name] = Proxy(sidecar, self.ports, facts, app_ports)
        else:
            folder.mkdir()
        if program is not None and program.port is not None and app_port is not None:
            inbound = (
                self.plane.proxies[name].port(f"inbound_{program.port}") if sidecar else app_port
            )
            self.plane.endpoints.ports[facts.ip, program.port] = inbound
        spec = PodSpec(facts, owner.name, hash_, template, program, time.time())
        self.running[name] = RunningPod(
            spec, folder, self.family, sidecar, app_port, controls, self.dirty.set
        )

    def injects(self, owner: Resource, template: Mapping[str, Any]) -> bool:
        """Whether a pod made now gets a sidecar."""
        namespace = self.store.objects.get(("Namespace", "", owner.namespace))
        labels = namespace.labels if namespace is not None else None
        return gets_sidecar(owner.namespace, labels, template)

    def end_pod(self, name: str) -> None:
        """Takes a pod out of service and ends it in the background, its last requests answered."""
        pod = self.running.pop(name)
        pod.terminating = True
        proxy = self.plane.proxies.pop(name, None)
        for key in [k for k in self.plane.endpoints.ports if k[0] == pod.spec.facts.ip]:
            del self.plane.endpoints.ports[key]

        def finish() -> None:
            pod.stop()
            controls = pod.controls.port if pod.controls else None
            for port in [pod.app_port, controls, *(proxy.listeners.values() if proxy else ())]:
                if port is not None:
                    self.ports.give_back(port)

        self.ending = [f for f in self.ending if not f.done()]
        self.ending.append(self.helpers.submit(finish))

    # bringing about what was asked for

    def registry(self) -> Registry:
        """All that the control plane knows now. Raises UnsupportedError."""
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
                gateway=p.spec.facts.gateway,
            )
            for p in self.running.values()
        )
        return Registry(self.store.objects.values(), pods, self.store.service_ips)

    def reconcile(self) -> dict[str, float]:
        """Steps towards what was asked for, until only waiting helps.

        Called under the lock. Returns how long each changed proxy took to hold the first step, in
        ms by name.
        """
        took, more = self.step()
        while more:
            _, more = self.step()
        self.changed.notify_all()
        return took

    def step(self) -> tuple[dict[str, float], bool]:
        """Plans pods, tells every proxy, and only then starts and ends them. Nothing of a refused
        step stays.

        Returns how long each changed proxy took, and whether there may be more to do.
        """
        made: list[str] = []
        ended: list[str] = []
        try:
            self.plan_pods(made, ended)
            took = self.push()
            for name in made:
                self.running[name].start()
        except BaseException:
            for name in made:
                self.end_pod(name)
            for name in ended:
                self.running[name].terminating = False
            raise
        for name in ended:
            self.end_pod(name)
        return took, bool(made or ended)

    def push(self) -> dict[str, float]:
        """Tells every proxy how things are now; how long each changed one took, in ms by name."""
        registry = self.registry()
        took = self.plane.push(registry)
        self.ready_as_pushed = {p.name: p.ready for p in registry.pods}
        return took

    def plan_pods(self, made: list[str], ended: list[str]) -> None:
        """Makes the pods that are missing and marks those that are too many; adds their names to
        the two lists.
        """
        owners = {r.key: r for kind in kinds.WORKLOADS for r in self.store.all(kind)}
        for owner in owners.values():
            mine = self.pods_of(owner)
            if owner.kind == "Pod":
                if not mine:
                    self.make_pod(owner, owner.body, owner.name, "")
                    made.append(owner.name)
                continue
            step = next_step(owner.spec, mine)
            ended += step.end
            template = owner.spec.get("template") or {}
            hash_ = template_hash(template)
            for _ in range(step.create):
                name = pod_name(owner.name, hash_, self.rng)
                self.make_pod(owner, template, name, hash_)
                made.append(name)
        for name, pod in self.running.items():
            keys = [(kind, pod.spec.namespace, pod.spec.workload) for kind in kinds.WORKLOADS]
            if not any(k in owners for k in keys) and name not in ended:
                ended.append(name)
        for name in ended:
            self.running[name].terminating = True

    def pods_of(self, owner: Resource) -> list[RunningPod]:
        """The pods of a Deployment or a Pod that are not being ended."""
        return [
            p
            for p in self.running.values()
            if p.spec.workload == owner.name
            and p.spec.namespace == owner.namespace
            and not p.terminating
        ]

    def settled(self, workloads: Collection[Key]) -> bool:
        """Whether these have their pods, ready, of the newest template, and every proxy knows all
        pods as they are.
        """
        if self.dirty.is_set() or not self.gateway.ready:
            return False
        if self.ready_as_pushed != {name: pod.ready for name, pod in self.running.items()}:
            return False  # a pod has changed since, and its thread is about to say so
        return all(
            self.rolled_out(self.store.objects[key])
            for key in workloads
            if key in self.store.objects
        )

    def rolled_out(self, owner: Resource) -> bool:
        """Whether it has its pods, each ready and of the newest template."""
        pods = self.pods_of(owner)
        if owner.kind == "Pod":
            return bool(pods) and pods[0].ready
        wanted = template_hash(owner.spec.get("template") or {})
        return len(pods) == int(owner.spec.get("replicas", 1)) and all(
            p.ready and p.spec.template_hash == wanted for p in pods
        )

    def workloads(self) -> list[Key]:
        """The keys of all Deployments and Pods."""
        return [r.key for kind in kinds.WORKLOADS for r in self.store.all(kind)]

    def wait_settled(self, workloads: Collection[Key], timeout_s: float) -> None:
        """Waits until the pods of these are ready, and what runs is known to every proxy. Raises
        NotReady.
        """
        with self.changed:
            if self.changed.wait_for(
                lambda: self.settled(workloads) or self.trouble is not None, timeout_s
            ):
                self.raise_trouble()
                return
        raise NotReady(
            f"The pods asked for were not ready after {timeout_s:g} s",
            seen=self.log_of_first_unready(),
            try_next="mesh.describe('pod', NAME) and mesh.logs(NAME) say more; "
            "pods made to be unready stay so: mesh.apply(…, wait=False)",
        )

    def log_of_first_unready(self) -> str:
        """The end of the logs of a pod that is not ready; "" when all are."""
        for pod in self.running.values():
            if not pod.ready:
                return (
                    f"{pod.spec.name}: "
                    f"{pod.log('app', lines=10)}\n{pod.sidecar.log_tail() if pod.sidecar else ''}"
                )
        return ""

    def control_loop(self) -> None:
        """Acts whenever a pod has become ready or unready."""
        while True:
            self.dirty.wait()
            with self.lock:
                if self.closed:
                    return
                self.dirty.clear()
                if self.family.lost:
                    self.trouble = ended_from_outside()
                    self.changed.notify_all()
                    return
                try:
                    for pod in (*self.running.values(), self.gateway):
                        if pod.fatal is not None:
                            raise pod.fatal
                    self.follow()
                except OSError as error:
                    self.trouble = refusal(error, self.folder)
                    self.changed.notify_all()
                except (
                    Exception
                ) as error:  # told to the next caller: this thread has nobody to tell
                    self.trouble = error
                    self.changed.notify_all()

    def follow(self) -> None:
        """`reconcile` for what has changed by itself. An Envoy that ends while it is told is no
        trouble of a caller's: its pod's thread starts it again, and the others are told anew.
        """
        try:
            self.reconcile()
        except EnvoyDied:
            self.dirty.set()

    def raise_trouble(self) -> None:
        """Raises what went wrong while nobody asked, once; what ended the mesh, each time."""
        trouble = self.trouble
        if not self.family.lost:
            self.trouble = None
        if trouble is not None:
            raise trouble

    def selected(self, service: Resource) -> list[RunningPod]:
        """The pods that a Service's selector means."""
        selector = service.spec.get("selector") or {}
        return [
            p
            for p in self.running.values()
            if p.spec.namespace == service.namespace
            and selector
            and all(p.spec.facts.labels.get(k) == v for k, v in selector.items())
        ]

    def close(self) -> None:
        """Ends everything; a second call does nothing."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            pods = [*self.running.values(), self.gateway]
            for pod in pods:
                pod.terminating = True
                pod.wake.set()
            self.dirty.set()
        self.thread.join()
        for pod in pods:
            if pod.thread.is_alive():
                pod.thread.join()
        self.helpers.shutdown()
        for pod in pods:
            if pod.sidecar is not None:
                pod.sidecar.admin.close()
        self.family.close()
        self.ports.close()


def ended_from_outside() -> MeshError:
    """The error of a mesh whose processes are gone."""
    return MeshError(
        "This mesh was ended from outside this notebook",
        seen="its processes are gone (labkit down ends them)",
        try_next="mesh.close(), then labkit.open_mesh() and apply again",
    )


def node_of(role: str, ip: str, pod: str, namespace: str) -> str:
    """What a proxy calls itself towards its control plane, as Istio has it.

    >>> node_of("router", "10.244.0.10", "gw-1", "istio-system")
    'router~10.244.0.10~gw-1.istio-system~istio-system.svc.cluster.local'
    """
    return f"{role}~{ip}~{pod}.{namespace}~{namespace}.{istio.SERVICE_DOMAIN}"

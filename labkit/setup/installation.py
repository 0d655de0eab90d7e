"""`labkit up` and `labkit down`: a cluster with Istio to learn on, and everything given back
afterwards.

`up` may start Minikube, and installs Istio where there is none. It can be interrupted at any moment
and called again: it looks what is there and goes on. Before the first write it makes sure that the
cluster is meant (guard.py) and notes what was there (footprint.py); then each thing is written down
before it is made (installed.py). `down` gives back what is written down, and nothing else: an Istio
or a Minikube that was there before stays.

Where labkit talks to the API server itself, the command that a person would type is shown all the
same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from labkit.errors import LabkitError, MeshError, NotFound, NotReady
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.api import Api, path_of
from labkit.mesh.cluster.client.guard import Pinned, clear, kubeconfig_paths, pin, read, seen_of
from labkit.mesh.cluster.istio import (
    about,
    about_port,
    cluster_uid,
    control_planes,
    gateway_address,
    gateway_port,
    gateways,
    injectors,
    is_too_old,
    kubernetes_version,
)
from labkit.mesh.cluster.ownership.owner import MANAGED
from labkit.mesh.cluster.pods import info, rolled_out, why_not
from labkit.resources.quantity import WHOLE, amount
from labkit.setup import hosts
from labkit.setup.drivers import choose as choose_driver
from labkit.setup.drivers import find_drivers
from labkit.setup.footprint import NAMESPACE, footprint, made_since
from labkit.setup.installers import GATEWAY, Target, Way, Wishes, choose, ways
from labkit.setup.machine import machine
from labkit.setup.minikube import LEAST_MB, PROFILE, Minikube, Size, is_of_minikube, size_for
from labkit.setup.minikube_tunnel import Tunnel
from labkit.setup.record import Record, key_for, known, load
from labkit.setup.steps import Steps
from labkit.waiting import wait_until

READY_TIMEOUT_S = 300.0
ENOUGH_CPUS, ENOUGH_MB = 4, 7000  # a node with less gets an Istio that asks for less


@dataclass(frozen=True)
class Options:
    """What `labkit up` was asked for."""

    minikube: bool = False
    profile: str = PROFILE
    driver: str = ""
    memory_mb: int = 0
    cpus: int = 0
    context: str | None = None
    kubeconfig: str | Path | None = None
    way: str = ""
    wishes: Wishes = field(default_factory=Wishes)
    edit_hosts: bool = False


class Up:
    """One run of `labkit up`.

    >>> with Steps() as steps:
    ...     Up(Options(), steps).run()
    """

    def __init__(self, options: Options, steps: Steps) -> None:
        self.options = options
        self.steps = steps
        self.say = steps.note
        self.minikube: Minikube | None = (
            Minikube(steps, options.profile) if options.minikube else None
        )
        self.record = Record("")
        self.started = False  # this very run started a Minikube that was there and stopped

    def run(self) -> Api:
        """Does it all; returns the API server of the cluster, with Istio in it."""
        began = time.monotonic()
        if self.minikube:
            self.start_minikube(self.minikube)
        pinned = self.pinned()
        api = Api(pinned)
        self.say(
            f"Kubernetes {kubernetes_version(api)} at {pinned.server}, context {pinned.context}"
        )
        self.know(pinned, api)
        if self.record.way and not self.record.done:
            self.say(f"An installation by {self.record.way} was begun here and goes on")
            self.install(pinned, api)
        elif not self.has_istio(api):
            self.record.way, self.record.done, self.record.made = (
                "",
                False,
                {},
            )  # who took it away took all of it
            self.install(pinned, api)
        self.look(api)
        self.say(f"Ready after {time.monotonic() - began:.0f} s")
        return api

    # Minikube

    def start_minikube(self, minikube: Minikube) -> None:
        options = self.options
        self.record = load(minikube_key(options.profile)) or Record(minikube_key(options.profile))
        self.say(f"Minikube {minikube.version()}, profile {options.profile}")
        found = minikube.found()
        if found is not None and minikube.runs:
            self.say("It runs already")
        else:
            self.record.former_context = self.record.former_context or current_context(options)
        if found is None:
            size = self.size()
            # one that is written down is gone, with all that was made in it; of the new one there
            # is no uid yet
            former, line = self.record.former_context, self.record.hosts
            self.record = Record(self.record.key, former_context=former, hosts=line)
            self.record.profile, self.record.profile_made = options.profile, True
            self.record.save()
            minikube.start(self.driver, size)
            return
        if found.memory_mb and found.memory_mb < LEAST_MB:
            raise MeshError(
                f"The Minikube profile {options.profile!r} has {found.memory_mb} MB of memory, "
                f"Istio needs {LEAST_MB}",
                seen=f"driver {found.driver}, {found.cpus} processors",
                try_next="labkit up --minikube --profile istio makes another one beside it",
            )
        if not minikube.runs:
            self.started = True
            if not self.record.profile_made:
                self.record.profile, self.record.profile_started = options.profile, True
            self.record.save()
            minikube.start()

    def size(self) -> Size:
        driver = choose_driver(find_drivers(self.steps), self.options.driver)
        self.driver = driver.name
        has = machine()
        self.say(f"Driver: {driver.name}. {has}")
        memory, cpus = self.options.memory_mb, self.options.cpus
        if memory and cpus:  # asked for by number: Minikube says if it is too much
            return Size(memory, cpus)
        usual = size_for(has, driver)
        return Size(memory or usual.memory_mb, cpus or usual.cpus)

    # the cluster

    def pinned(self) -> Pinned:
        """The guard: nothing was written to a cluster before this."""
        named = self.options.profile if self.options.minikube else self.options.context
        paths = kubeconfig_paths(self.options.kubeconfig)
        try:
            pinned = pin(read(paths), named)
        except NotFound as error:
            raise NotFound(
                error.message,
                seen=error.seen,
                try_next="labkit up --minikube, or labkit up --context NAME",
            ) from error
        pinned = clear(pinned, named=bool(self.options.context))
        if self.minikube and not is_of_minikube(pinned, [self.options.profile]):
            raise MeshError(
                f"The kubeconfig's context {pinned.context!r} is not that of the Minikube of "
                "this name",
                seen=f"its server is {pinned.server}",
                try_next="labkit up --minikube --profile NAME, with a name that no other context "
                "has",
            )
        if not pinned.cleared:
            raise MeshError(
                f"The context {pinned.context!r} is not known to be on this machine, so labkit "
                "changes nothing there",
                seen=seen_of(pinned),
                try_next=f"if you mean it: labkit up --context {pinned.context}; if not: labkit "
                "up --minikube",
            )
        self.say(f"The context {pinned.context} is meant: {pinned.cleared}")
        return pinned

    def know(self, pinned: Pinned, api: Api) -> None:
        """Finds what is written down of this cluster; a record of another one with the same address
        is of no use.
        """
        uid = cluster_uid(api)
        if not self.record.profile:  # a Minikube that was made or started is found by its name
            self.record = known(self.record.key or key_for(pinned.context, pinned.server), uid)
        if self.record.uid and uid and self.record.uid != uid:
            self.say("The cluster that labkit installed Istio on before is gone; this is a new one")
            self.record.forget()
            # whoever made this one did so without labkit, so `down` must not delete it; the line in
            # /etc/hosts is ours
            self.record = Record(self.record.key, hosts=self.record.hosts)
            if self.started:
                self.record.profile, self.record.profile_started = self.options.profile, True
        self.record.context, self.record.server, self.record.uid = (
            pinned.context,
            pinned.server,
            uid,
        )
        self.record.kubeconfig = [
            str(path.absolute()) for path in kubeconfig_paths(self.options.kubeconfig)
        ]
        if self.record.profile or self.record.way or self.record.hosts:
            self.record.save()

    def has_istio(self, api: Api) -> bool:
        """Whether there is an Istio to learn on; one that is too old is an error."""
        found = control_planes(api)
        for one in found:
            self.say(f"{one} is there already; nothing is installed")
            if (
                is_too_old(one.version) and not self.record.done
            ):  # the add-ons' old Istio was asked for
                raise MeshError(
                    about(one.version),
                    seen=str(one),
                    try_next="upgrade it, or labkit up --minikube for another cluster",
                )
            if words := about(one.version):
                self.say(words)
        return bool(found)

    # Istio

    def install(self, pinned: Pinned, api: Api) -> None:
        wishes = self.options.wishes
        small = too_small(api)
        if small:
            self.say(f"{small}: Istio is told to ask for less than it does by itself")
        wishes = Wishes(wishes.istioctl, wishes.helm, wishes.charts, wishes.version, bool(small))
        way = self.way(wishes)
        record = self.record
        if not record.way:
            record.before = footprint(api)
            record.way, record.istioctl = way.name, list(wishes.istioctl)
            record.save()
        self.say(f"Installing Istio by {way.name}")
        self.make_namespace(api)
        self.steps.watch = lambda: pods_now(api)
        way.install(target_of(pinned, self.steps))
        self.wait_ready(api)
        record.made = made_since(record.before, footprint(api))
        record.done = True
        record.save()

    def way(self, wishes: Wishes) -> Way:
        """The way to install: the one that was begun, the one asked for, or the first that can be
        gone.
        """
        known = ways(self.steps, wishes, self.minikube)
        begun, wanted = self.record.way, self.options.way
        if begun and wanted and begun != wanted:
            raise MeshError(
                f"An installation by {begun} was begun here, so {wanted} can't go on with it",
                try_next=f"labkit down, then labkit up --with {wanted}",
            )
        return choose(known, begun or wanted)

    def make_namespace(self, api: Api) -> None:
        """Istio's namespace, with a label that says who made it."""
        path = path_of("Namespace", name=NAMESPACE)
        if api.find(path) is None:
            self.say(f"$ kubectl create namespace {NAMESPACE}")
            api.put(
                path,
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": NAMESPACE, "labels": MANAGED},
                },
            )

    def wait_ready(self, api: Api) -> None:
        """Watches the two Deployments that the lessons need."""
        wanted = ("istiod", GATEWAY)
        shown = ""

        def done(found: Mapping[str, Json]) -> bool:
            nonlocal shown
            state = ", ".join(f"{name} {ready(found.get(name))}" for name in wanted)
            if state != shown:
                self.say(f"    {state}")
                shown = state
            return all(name in found and rolled_out(found[name]) for name in wanted)

        def explain() -> str:
            return why_not({pod["metadata"]["name"]: pod for pod in api.list("Pod", NAMESPACE)})

        self.say(f"$ kubectl -n {NAMESPACE} rollout status deployment")
        began = time.monotonic()
        try:
            api.wait(
                path_of("Deployment", NAMESPACE),
                done,
                READY_TIMEOUT_S,
                "Istio's pods to be ready",
                explain,
            )
        except NotReady as error:
            raise NotReady(
                error.message,
                seen=error.seen,
                try_next=f"kubectl -n {NAMESPACE} describe pods; then labkit up again",
            ) from error
        self.say(f"  done after {time.monotonic() - began:.0f} s")

    # what is there now

    def look(self, api: Api) -> None:
        """What a lesson needs: an istiod, its webhook, a gateway. Raises MeshError with what is
        missing.
        """
        if not injectors(api):
            raise MeshError(
                "Istio's webhook that adds sidecars is not there",
                try_next="labkit doctor --backend cluster",
            )
        if not gateways(api):
            raise MeshError(
                "There is no ingress gateway that is ready",
                seen="no ready pod has the label istio=ingressgateway",
                try_next="istioctl install --set profile=default adds one; or helm install "
                "istio-ingressgateway, "
                "with Istio's chart gateway",
            )
        self.say(f"Gateway: {', '.join(gateways(api))}")
        if words := about_port(gateway_port(api)):
            self.say(words)
        address = gateway_address(api)
        if self.options.edit_hosts:
            if not address:
                raise MeshError(
                    "The gateway has no address yet that a line in /etc/hosts could name",
                    try_next=TUNNEL,
                )
            self.record.hosts = str(hosts.hosts_file())
            self.record.save()
            self.say(hosts.add(address))
        elif address:
            self.say(hosts.explained(address))
        else:
            self.say(
                "The gateway has no address of its own; the lessons need none. To give it one: "
                f"{TUNNEL}"
            )


TUNNEL = "minikube tunnel, in a terminal of its own, or labkit up --tunnel"


def minikube_key(profile: str) -> str:
    return key_for(f"minikube-{profile}")


def current_context(options: Options) -> str:
    try:
        return str(read(kubeconfig_paths(options.kubeconfig))["current-context"])
    except LabkitError:  # there is no kubeconfig yet
        return ""


def target_of(pinned: Pinned, steps: Steps) -> Target:
    """A private kubeconfig with this one context: whatever happens to the learner's, the tools act
    on this cluster.
    """
    file = steps.folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(pinned.config), "utf-8")
    return Target(pinned.context, str(file))


def ready(deployment: Json | None) -> str:
    if deployment is None:
        return "not there yet"
    return f"{deployment.get('status', {}).get('availableReplicas', 0)}/{deployment['spec'].get('replicas', 1)}"  # noqa: E501


def pods_now(api: Api) -> str:
    """Istio's pods in a line, for somebody who waits."""
    try:
        found = [info(pod) for pod in api.list("Pod", NAMESPACE)]
    except MeshError as error:
        return error.message
    return ", ".join(f"{pod.workload} {pod.ready} {pod.status}" for pod in found) or "no pod yet"


def too_small(api: Api) -> str:
    """Why the nodes are too small for Istio's own requests; "" when they are not."""
    nodes, _ = api.items("/api/v1/nodes")
    cpus = sum(amount(n["status"]["allocatable"]["cpu"]) or 0 for n in nodes) / WHOLE
    memory = sum(amount(n["status"]["allocatable"]["memory"]) or 0 for n in nodes) / WHOLE / 2**20
    if cpus >= ENOUGH_CPUS and memory >= ENOUGH_MB:
        return ""
    return f"The cluster has {cpus:g} processors and {memory:.0f} MB"


def hold_tunnel(minikube: Minikube, api: Api, say: Callable[[str], None]) -> None:
    """`labkit up --tunnel`: keeps a tunnel open until Ctrl-C."""
    found = minikube.found()
    with Tunnel(minikube, driver=found.driver if found else "", say=say) as tunnel:
        tunnel.wait(lambda: gateway_address(api))
        say(hosts.explained(gateway_address(api)))
        say("The tunnel is open until you press Ctrl-C")
        wait_until(
            lambda: tunnel.failure is not None, float("inf"), "the tunnel to end", longest_s=0.5
        )
        if tunnel.failure is not None:
            raise tunnel.failure

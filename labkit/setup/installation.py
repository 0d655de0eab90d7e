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
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit.errors import LabkitError, MeshError, NotFound
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import Pinned, clear, kubeconfig_paths, pin, read, seen_of
from labkit.mesh.cluster.istio import (
    about,
    about_port,
    cluster_uid,
    control_planes,
    gateway_address,
    gateway_port,
    gateways,
    is_too_old,
    kubernetes_version,
)
from labkit.setup import hosts
from labkit.setup.commands import Commands
from labkit.setup.drivers import choose as choose_driver
from labkit.setup.drivers import find_drivers
from labkit.setup.footprint import footprint, made_since
from labkit.setup.installers import Installer, ToolOptions, access_to, choose, installers
from labkit.setup.istio_rollout import (
    check_complete,
    make_namespace,
    pods_now,
    too_small,
    wait_ready,
    wait_restarted,
)
from labkit.setup.local_cluster import kind_of, what_up_does
from labkit.setup.machine import machine
from labkit.setup.minikube import LEAST_MB, PROFILE, Minikube, Size, is_of_minikube, size_for
from labkit.setup.record import Record, key_for, known, load


@dataclass(frozen=True)
class UpOptions:
    """What `labkit up` was asked for."""

    minikube: bool = False
    profile: str = PROFILE
    driver: str = ""
    memory_mb: int = 0
    cpus: int = 0
    context: str | None = None
    kubeconfig: str | Path | None = None
    installer: str = ""
    tool_options: ToolOptions = field(default_factory=ToolOptions)
    edit_hosts: bool = False
    tunnel: bool = False


class Up:
    """One run of `labkit up`.

    >>> with Commands() as commands:
    ...     Up(UpOptions(), commands).run()
    """

    def __init__(self, options: UpOptions, commands: Commands) -> None:
        self.options = options
        self.commands = commands
        self.say = commands.note
        self.minikube: Minikube | None = (
            Minikube(commands, options.profile) if options.minikube else None
        )
        self.record = Record("")
        self.given = Size(0, 0)  # what Minikube gave its node; 0 where that is not known
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
        if self.minikube is None and (words := what_up_does(kind_of(api))):
            self.say(words)
        self.know(pinned, api)
        if self.record.installer and not self.record.done:
            self.say(f"An installation by {self.record.installer} was begun here and goes on")
            self.install(pinned, api)
        elif not self.has_istio(api):
            # who took it away took all of it
            self.record.installer, self.record.done, self.record.made = (
                "",
                False,
                {},
            )
            self.install(pinned, api)
        elif self.started:  # Kubernetes answers before the pods of the last time run again
            wait_restarted(api, self.say)
        self.look(api)
        self.say(f"Ready after {time.monotonic() - began:.0f} s")
        return api

    # Minikube

    def start_minikube(self, minikube: Minikube) -> None:
        """Makes or starts the Minikube; what is done is written down before."""
        options = self.options
        self.record = load(minikube_key(options.profile)) or Record(minikube_key(options.profile))
        self.say(f"Minikube {minikube.version()}, profile {options.profile}")
        found = minikube.found()
        if found is not None and minikube.is_other_than(self.record.certificate):
            self.say(
                f"The Minikube {options.profile!r} that labkit worked on before is gone; this is "
                "another one"
            )
            self.record = Record(self.record.key, hosts=self.record.hosts)
        if found is not None and minikube.runs:
            self.say("It runs already")
        else:
            self.record.former_context = self.record.former_context or current_context(options)
        if found is None:
            size = self.given = self.size()
            # one that is written down is gone, with all that was made in it; of the new one there
            # is no uid yet
            former, line = self.record.former_context, self.record.hosts
            self.record = Record(self.record.key, former_context=former, hosts=line)
            self.record.profile, self.record.profile_made = options.profile, True
            self.record.save()
            minikube.start(self.driver, size)
            self.remember(minikube)
            return
        self.given = Size(found.memory_mb, found.cpus)
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
        self.remember(minikube)

    def remember(self, minikube: Minikube) -> None:
        """Writes down which profile it is that labkit has made or started."""
        if self.record.profile and not self.record.certificate:
            self.record.certificate = minikube.certificate()
            self.record.save()

    def size(self) -> Size:
        """What a new Minikube gets, by this machine and the driver. Raises MeshError."""
        driver = choose_driver(find_drivers(self.commands), self.options.driver)
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
        if self.record.profile or self.record.installer or self.record.hosts:
            self.record.save()

    def has_istio(self, api: Api) -> bool:
        """Whether there is an Istio to learn on; one that is too old is an error."""
        found = control_planes(api)
        for one in found:
            self.say(f"{one} is there already; nothing is installed")
            # the add-ons' old Istio was asked for
            if is_too_old(one.version) and not self.record.done:
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
        """Installs Istio, and waits until it is ready. What it made is written down."""
        small = too_small(api, cpus=self.given.cpus, memory_mb=self.given.memory_mb)
        if small:
            self.say(f"{small}: Istio is told to ask for less than it does by itself")
        tool_options = replace(self.options.tool_options, small=bool(small))
        installer = self.choose_installer(tool_options)
        record = self.record
        if not record.installer:
            record.before = footprint(api)
            record.installer, record.istioctl = installer.name, list(tool_options.istioctl)
            record.save()
        self.say(f"Installing Istio by {installer.name}")
        make_namespace(api, self.say)
        self.commands.watch = lambda: pods_now(api)
        installer.install(access_to(pinned, self.commands))
        wait_ready(api, self.say)
        record.made = made_since(record.before, footprint(api))
        record.done = True
        record.save()

    def choose_installer(self, tool_options: ToolOptions) -> Installer:
        """The installer that was begun with, the one asked for, or the first that can be used."""
        known = installers(self.commands, tool_options, self.minikube)
        begun, wanted = self.record.installer, self.options.installer
        if begun and wanted and begun != wanted:
            raise MeshError(
                f"An installation by {begun} was begun here, so {wanted} can't go on with it",
                try_next=f"labkit down, then labkit up --with {wanted}",
            )
        return choose(known, begun or wanted)

    # what is there now

    def look(self, api: Api) -> None:
        """What a lesson needs: an istiod, its webhook, a gateway. Raises MeshError with what is
        missing.
        """
        check_complete(api)
        self.say(f"Gateway: {', '.join(gateways(api))}")
        if words := about_port(gateway_port(api)):
            self.say(words)
        # a tunnel that is about to be opened gives the gateway its address
        if not self.options.tunnel:
            self.name_gateway(gateway_address(api))

    def name_gateway(self, address: str) -> None:
        """Says which line of /etc/hosts leads to the gateway, or writes it where that was asked
        for.
        """
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
    """The key of the record of a Minikube, by its profile."""
    return key_for(f"minikube-{profile}")


def current_context(options: UpOptions) -> str:
    """The kubeconfig's current context; "" where there is no kubeconfig yet."""
    try:
        return str(read(kubeconfig_paths(options.kubeconfig))["current-context"])
    except LabkitError:  # there is no kubeconfig yet
        return ""

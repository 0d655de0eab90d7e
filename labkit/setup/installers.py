"""The ways to install Istio, in the order in which they are tried: istioctl, Helm, Minikube's
add-ons.

Each is a few commands of the tool itself, shown as a person would type them. What the tools need
besides is passed through: words for istioctl, words for a chart, a folder of charts in place of
Istio's own repository.

The add-ons are the way of older texts. They put Istio's operator into the cluster, which Istio
deprecated in 1.23 and then removed (kubernetes/minikube#21194); so the newest Istio that they can
install is 1.23, and they are only used when asked for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from labkit.errors import MeshError
from labkit.mesh.cluster.client.guard import Pinned
from labkit.mesh.cluster.istio import OLDEST, TESTED, dotted, pair
from labkit.resources import istio
from labkit.setup.commands import CommandResult, Commands, last_words
from labkit.setup.minikube import Minikube

REPOSITORY = "https://istio-release.storage.googleapis.com/charts"
ISTIOCTL_PROFILE = "profile=default"
CHARTS_VARIABLE = "LABKIT_ISTIO_CHARTS"
# releases by Helm, in their order, each with its chart and the places of that chart in a folder of
# Istio's sources
RELEASES = {
    "istio-base": ("base", ("base",)),
    "istiod": ("istiod", ("istiod", "istio-control/istio-discovery")),
    istio.GATEWAY: ("gateway", ("gateway",)),
}
# Istio asks for as much as a busy mesh needs: istiod for half a processor and 2 GB, each sidecar
# for a tenth of one. A lesson's mesh needs less.
SMALL = {"pilot": {"cpu": "100m", "memory": "512Mi"}, "proxy": {"cpu": "10m"}}


# Istio's chart lets the gateway listen on the ports 80 and 443 of its pod. With istioctl it listens
# on 8080 and 8443, and so do the lessons tell it.
PORT_NAMES = {istio.STATUS_PORT: "status-port", 80: "http2", 443: "https"}
PORTS = [
    {"name": PORT_NAMES[port], "port": port, "targetPort": target}
    for port, target in istio.GATEWAY_PORTS.items()
]
GATEWAY_PORTS = "--set-json=service.ports=" + json.dumps(PORTS, separators=(",", ":"))


@dataclass(frozen=True)
class ToolOptions:
    """What a learner adds to the tools' commands."""

    istioctl: tuple[str, ...] = ()
    # by chart: base, istiod, gateway
    helm: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    charts: str = ""
    version: str = ""
    small: bool = False  # ask for less than Istio's defaults


@dataclass(frozen=True)
class ClusterAccess:
    """The cluster that the tools act on: the context's name, and a private copy of its part of the
    kubeconfig.
    """

    context: str
    kubeconfig: str

    @property
    def env(self) -> dict[str, str]:
        """What leads a tool to this cluster and to no other."""
        return {"KUBECONFIG": self.kubeconfig}


def access_to(pinned: Pinned, commands: Commands) -> ClusterAccess:
    """A private kubeconfig with this one context: whatever happens to the learner's, the tools act
    on this cluster.
    """
    file = commands.folder / "kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(pinned.config), "utf-8")
    return ClusterAccess(pinned.context, str(file))


class Installer:
    """One way to install Istio, and to take it away again."""

    name = ""
    program = ""

    def __init__(self, commands: Commands, tool_options: ToolOptions) -> None:
        self.commands = commands
        self.tool_options = tool_options

    def why_not(self) -> str:
        """Why it can't be used here; "" when it can."""
        return (
            ""
            if self.commands.find(self.program)
            else f"there is no program {self.program} on the PATH"
        )

    def install(self, access: ClusterAccess) -> None:
        """Runs the commands. May be called again after it was interrupted."""
        raise NotImplementedError

    def uninstall(self, access: ClusterAccess) -> None:
        """Takes away what the tool itself takes away; the rest is footprint.py's."""
        raise NotImplementedError


class Istioctl(Installer):
    """By `istioctl install`, with the profile "default"."""

    name = program = "istioctl"

    def small(self) -> list[str]:
        """The words that make Istio ask for less."""
        if not self.tool_options.small:
            return []
        places = {
            "pilot": "values.pilot.resources.requests",
            "proxy": "values.global.proxy.resources.requests",
        }
        return [
            f"--set={at}.{what}={n}"
            for part, at in places.items()
            for what, n in SMALL[part].items()
        ]

    def install(self, access: ClusterAccess) -> None:
        words = (f"--set={ISTIOCTL_PROFILE}", *self.small(), *self.tool_options.istioctl)
        self.commands.run(
            "istioctl",
            "install",
            "-y",
            f"--context={access.context}",
            *words,
            env=access.env,
            progress=istioctl_line,
            explain=istioctl_failed,
        )

    def uninstall(self, access: ClusterAccess) -> None:
        if self.commands.find("istioctl"):
            words = ("uninstall", "--revision=default", "-y", f"--context={access.context}")
            manifests = manifests_of(self.tool_options.istioctl)
            done = self.commands.run(
                "istioctl", *words, *manifests, env=access.env, progress=error_line
            )
            self.commands.note(f"  {done.output.count('Removed ')} objects removed")


def manifests_of(words: Sequence[str]) -> list[str]:
    """The option --manifests among istioctl's words: uninstalling needs the same ones."""
    text = " ".join(words)
    match = re.search(r"(?:--manifests|-d)[= ](\S+)", text)
    return [f"--manifests={match[1]}"] if match else []


def istioctl_line(line: str) -> str:
    """istioctl's lines without its picture of a boat."""
    text = line.strip()
    return text if re.search(r"[A-Za-z]{3}", text) else ""


def error_line(line: str) -> str:
    """Of a report, only what went wrong."""
    text = line.strip()
    return text if text.startswith(("Error", "✘")) else ""


def istioctl_failed(done: CommandResult) -> MeshError:
    """The error of an `istioctl install`, with its own last words."""
    lines = done.output.splitlines()
    return MeshError(
        f"istioctl install failed with exit code {done.code}",
        seen=last_words(filter(None, map(error_line, lines)))
        or last_words(map(istioctl_line, lines)),
        try_next="kubectl -n istio-system get pods; then labkit up again, it goes on",
    )


class Helm(Installer):
    """By Helm, with Istio's three charts."""

    name = program = "helm"

    def install(self, access: ClusterAccess) -> None:
        for release, (chart, places) in RELEASES.items():
            state = self.state(release, access)
            if state == "deployed":
                self.commands.note(f"{release} is installed already")
                continue
            # a Helm that was ended half-way left it so
            if state.startswith("pending") or state == "failed":
                self.commands.note(f"{release} was left {state}: it is begun anew")
                self.remove(release, access)
            where = self.chart(chart, places)
            wait = ("--wait",) if waits(release) else ()
            ports = (GATEWAY_PORTS,) if release == istio.GATEWAY else ()
            more = (*ports, *self.small(chart), *self.tool_options.helm.get(chart, ()))
            self.helm(
                access, "install", release, *where, f"--namespace={istio.NAMESPACE}", *wait, *more
            )

    def chart(self, chart: str, places: Sequence[str]) -> tuple[str, ...]:
        """The words that name a chart: a folder of ours, or Istio's repository and
        a version of it.
        """
        top = self.tool_options.charts or os.environ.get(CHARTS_VARIABLE, "")
        if not top:
            return (
                chart,
                f"--repo={REPOSITORY}",
                f"--version={self.tool_options.version or f'~{dotted(TESTED[1])}.0'}",
            )
        for place in places:
            if (Path(top) / place / "Chart.yaml").is_file():
                return (str(Path(top) / place),)
        raise MeshError(
            f"The folder of charts has none for {chart!r}",
            seen=f"looked for {' and '.join(f'{top}/{p}/Chart.yaml' for p in places)}",
            try_next="labkit up --charts FOLDER; without it, Istio's own repository is used: "
            f"{REPOSITORY}",
        )

    def small(self, chart: str) -> list[str]:
        """The words that make one of the charts ask for less."""
        if not self.tool_options.small or chart == "base":
            return []
        own = SMALL["pilot"] if chart == "istiod" else SMALL["proxy"]
        words = [f"--set=resources.requests.{what}={n}" for what, n in own.items()]
        if chart == "istiod":
            words += [
                f"--set=global.proxy.resources.requests.{what}={n}"
                for what, n in SMALL["proxy"].items()
            ]
        return words

    def state(self, release: str, access: ClusterAccess) -> str:
        """Helm's word for the state of a release: deployed, failed, pending-install …; "" where
        there is none.
        """
        words = (
            "status",
            release,
            f"--namespace={istio.NAMESPACE}",
            f"--kube-context={access.context}",
            "--output=json",
        )
        found = self.commands.ask("helm", *words, env=access.env)
        if found.code != 0:
            if "not found" in found.errors:
                return ""
            raise MeshError("helm status failed", seen=last_words(found.errors.splitlines()))
        return str(json.loads(found.output)["info"]["status"])

    def remove(self, release: str, access: ClusterAccess) -> None:
        """Uninstalls one release."""
        self.helm(access, "uninstall", release, f"--namespace={istio.NAMESPACE}")

    def helm(self, access: ClusterAccess, *words: str) -> None:
        """Runs one command of Helm's on the cluster."""

        def explain(done: CommandResult) -> MeshError:
            lines = [line for line in done.output.splitlines() if line.startswith("Error:")]
            return MeshError(
                f"helm {words[0]} {words[1]} failed with exit code {done.code}",
                seen=last_words(lines or done.output.splitlines()),
                try_next="kubectl -n istio-system get pods; then labkit up again, it goes on",
            )

        context = f"--kube-context={access.context}"
        self.commands.run(
            "helm", *words, context, env=access.env, progress=helm_line, explain=explain
        )

    def uninstall(self, access: ClusterAccess) -> None:
        if not self.commands.find("helm"):
            return
        for release in reversed(RELEASES):
            if self.state(release, access):
                self.remove(release, access)


def waits(release: str) -> bool:
    """Whether Helm is to wait until a release is ready. Not for the gateway: its LoadBalancer may
    wait for ever for an address.
    """
    return release != istio.GATEWAY


def helm_line(line: str) -> str:
    """Of Helm's report, how it went, and what went wrong; its notes for further reading are left
    out.
    """
    text = line.strip()
    return text if text.startswith(("STATUS:", "Error:", "WARNING:", "release ")) else ""


class Addons(Installer):
    """By Minikube's two add-ons, which bring an old Istio."""

    name, program = "addons", "minikube"
    provisioner, addon = "istio-provisioner", "istio"
    last = (1, 23)
    """The newest Istio that they can install: Istio deprecated its in-cluster operator in 1.23 and
    removed it in 1.24 (its release notes), and the add-ons rely on it (kubernetes/minikube#21194).
    """

    def __init__(self, commands: Commands, tool_options: ToolOptions, minikube: Minikube) -> None:
        super().__init__(commands, tool_options)
        self.minikube = minikube

    def version(self) -> str:
        """The Istio that these add-ons would install, by the image of their operator; "" where they
        are gone.
        """
        for image in self.minikube.images(self.provisioner):
            if match := re.search(r"operator:(\d+\.\d+(?:\.\d+)?)", image):
                return match[1]
        return ""

    def why_not(self) -> str:
        if missing := super().why_not():
            return missing
        version = self.version()
        if not version:
            return (
                f"this Minikube has no add-on {self.provisioner!r} that names a version of "
                "Istio's operator"
            )
        known = pair(version)
        if known is None or known < OLDEST:
            return (
                f"they install Istio {version} by an operator that Istio has given up; "
                f"the course is made for {dotted(OLDEST)} and newer (kubernetes/minikube#21194)"
            )
        return ""

    def install(self, access: ClusterAccess) -> None:
        if reason := self.why_not():
            self.commands.note(f"What is wrong with the add-ons: {reason}.")
        self.minikube.enable(self.provisioner)
        self.minikube.enable(self.addon)

    def uninstall(self, access: ClusterAccess) -> None:
        if self.commands.find("minikube"):
            self.minikube.disable(self.addon)
            self.minikube.disable(self.provisioner)


def installers(
    commands: Commands, tool_options: ToolOptions, minikube: Minikube | None
) -> dict[str, Installer]:
    """Every installer, in the order in which they are tried; the add-ons only in a Minikube."""
    found: list[Installer] = [Istioctl(commands, tool_options), Helm(commands, tool_options)]
    found += [Addons(commands, tool_options, minikube)] if minikube else []
    return {installer.name: installer for installer in found}


def choose(known: Mapping[str, Installer], wanted: str = "") -> Installer:
    """The installer asked for, or the first that can be used. Raises MeshError with what is wrong
    with each.
    """
    if wanted:
        installer = known.get(wanted)
        if installer is None:
            raise MeshError(
                "Minikube's add-ons install Istio into a Minikube only",
                try_next="labkit up --with istioctl, or helm",
            )
        if not installer.commands.find(installer.program):
            raise MeshError(
                f"Istio can't be installed by {wanted}",
                seen=installer.why_not(),
                try_next="labkit doctor",
            )
        return installer
    reasons = {}
    for name, installer in known.items():
        reasons[name] = installer.why_not()
        if not reasons[name]:
            return installer
    raise MeshError(
        "Nothing here can install the Istio that the course is made for",
        seen="; ".join(f"{name}: {reason}" for name, reason in reasons.items()),
        try_next="get istioctl: curl -L https://istio.io/downloadIstio | sh -, then put its "
        "folder bin on the PATH"
        + (
            ". To have the old Istio all the same: labkit up --with addons"
            if "addons" in known
            else ""
        ),
    )

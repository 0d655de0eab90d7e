"""Minikube, a small Kubernetes on one machine, behind a small interface.

`minikube start` is run with `--output=json`: each line is then an event ("CloudEvents"), with the
number of the step and of all steps, or with an error, its name and an exit code. `minikube status`
tells its answer by the exit code too (1 the machine, 2 the cluster, 4 the kubeconfig is not in
order), so an exit code alone is no failure there; the JSON of a profile whose start was interrupted
is `null`. The state that `minikube profile list` shows is empty for such a profile and for a
stopped one, so `status` is what we ask.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labkit.errors import MeshError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.guard import Pinned
from labkit.mesh.cluster.client.localtools import contents, minikube_home
from labkit.setup.commands import CommandResult, Commands, last_words
from labkit.setup.drivers import Driver
from labkit.setup.machine import Machine

PROFILE = "minikube"  # the name that Minikube itself gives, and that its documentation means
# What Istio and the lessons want (istiod alone asks for 2 GB), and what they can live with when
# their requests are cut
WANTED_MB, LEAST_MB = 6144, 4096
WANTED_CPUS, LEAST_CPUS = 4, 2
SPARE_MB = 1024  # left for everything else on the machine
START_TIMEOUT_S = 1200.0  # the first start fetches more than a gigabyte

# what to do about Minikube's named errors, where its own advice is none or is for another case
FIXES = {
    "DRV_AS_ROOT": "run this as an ordinary user, without sudo",
    "DRV_NOT_DETECTED": "install Docker, or another driver: "
    "https://minikube.sigs.k8s.io/docs/drivers/",
    "PROVIDER_DOCKER_NOT_RUNNING": "start Docker, then labkit up --minikube again",
    "RSRC_OVER_ALLOC_MEM": "labkit up --minikube --memory with a smaller number",
    "RSRC_INSUFFICIENT_REQ_MEMORY": "labkit up --minikube --memory with a larger number",
    "RSRC_INSUFFICIENT_CORES": "give Docker (or the virtual machine) two processors or more",
    "RSRC_INSUFFICIENT_CONTAINER_MEMORY": "give Docker more memory, in its settings under "
    "Resources",
}


@dataclass(frozen=True)
class Profile:
    """One cluster that Minikube knows, running or not."""

    name: str
    driver: str
    memory_mb: int
    cpus: int


@dataclass(frozen=True)
class Size:
    """What a new Minikube gets."""

    memory_mb: int
    cpus: int


class Minikube:
    """One profile of Minikube.

    >>> with Commands() as commands:
    ...     Minikube(commands).start("docker", Size(6144, 4))
    """

    def __init__(self, commands: Commands, profile: str = PROFILE) -> None:
        self.commands = commands
        self.profile = profile

    @property
    def named(self) -> tuple[str, ...]:
        """The words that say which profile is meant; nobody types them for the usual one."""
        return () if self.profile == PROFILE else (f"--profile={self.profile}",)

    def version(self) -> str:
        """Minikube's own version, such as "1.38.1"; "" where it can't be read."""
        found = self.commands.ask("minikube", "version", "--short")
        match = re.search(r"\d+\.\d+\.\d+", found.output)
        return match[0] if match else ""

    def profiles(self) -> list[Profile]:
        """Every profile of this user, also one that is broken."""
        found = self.commands.ask(
            "minikube", "profile", "list", "--light", "--output=json", timeout_s=60
        )
        try:
            listed = json.loads(found.output)
        except ValueError as error:
            raise MeshError(
                "minikube profile list gave no list",
                seen=last_words((found.output + found.errors).splitlines()),
            ) from error
        # Minikube 1.24 and older say so when there is no profile yet
        if "error" in listed and "valid" not in listed:
            return []
        return [profile(entry) for part in ("valid", "invalid") for entry in listed.get(part) or []]

    def found(self) -> Profile | None:
        """This profile, or None where there is none yet."""
        return next((p for p in self.profiles() if p.name == self.profile), None)

    def status(self) -> dict[str, str]:
        """Host, Kubelet, APIServer and Kubeconfig, each with Minikube's word for its state; {} with
        no such profile.
        """
        found = self.commands.ask("minikube", "status", *self.named, "--output=json", timeout_s=60)
        for line in found.output.splitlines():
            value = as_json(line)
            # a cluster of several nodes: the first is the control plane
            if isinstance(value, list) and value:
                value = value[0]
            if isinstance(value, dict) and "Host" in value:
                return {key: str(text) for key, text in value.items()}
        return {}

    @property
    def runs(self) -> bool:
        """Whether Kubernetes answers in it."""
        state = self.status()
        return state.get("Host") == "Running" and state.get("APIServer") == "Running"

    def certificate(self) -> str:
        """The fingerprint of the certificate that Minikube made for this profile, SHA-256 in
        hexadecimal digits; "" where there is none yet.

        Each `minikube delete` removes it and each first start makes a new one, so that it tells a
        profile from another one of the same name, also while that is stopped.
        """
        found = contents(minikube_home() / "profiles" / self.profile / "client.crt")
        return hashlib.sha256(found).hexdigest() if found else ""

    def is_other_than(self, certificate: str) -> bool:
        """Whether this profile is another one of the same name than the one that had this
        certificate; False where either is not known.
        """
        return bool(certificate) and self.certificate() not in ("", certificate)

    def start(self, driver: str = "", size: Size | None = None) -> CommandResult:
        """Starts it, with a driver and a size where it is new; one that runs is looked over and
        left as it is.
        """
        words = [f"--driver={driver}"] if driver else []
        words += [f"--cpus={size.cpus}", f"--memory={size.memory_mb}"] if size else []
        return self.commands.run(
            "minikube",
            "start",
            *self.named,
            *words,
            hidden=("--output=json",),
            progress=step_of,
            explain=start_failed,
            timeout_s=START_TIMEOUT_S,
        )

    def stop(self) -> CommandResult:
        """Stops it; its disk and its entry in the kubeconfig stay."""
        return self.commands.run("minikube", "stop", *self.named)

    def delete(self) -> CommandResult:
        """Ends it and removes its disk, its entry in the kubeconfig and all that runs in it."""
        return self.commands.run("minikube", "delete", *self.named)

    def enable(self, addon: str) -> CommandResult:
        """Switches an add-on on. Raises MeshError."""
        return self.commands.run(
            "minikube", "addons", "enable", addon, *self.named, explain=addon_failed(addon)
        )

    def disable(self, addon: str) -> CommandResult:
        """Switches an add-on off. Raises MeshError."""
        return self.commands.run(
            "minikube", "addons", "disable", addon, *self.named, explain=addon_failed(addon)
        )

    def images(self, addon: str) -> list[str]:
        """The images that an add-on of this Minikube would use; [] when it has no such add-on."""
        found = self.commands.ask("minikube", "addons", "images", addon)
        return re.findall(r"[\w.-]+(?:/[\w.-]+)+:[\w.-]+", found.output)


def profile(entry: Json) -> Profile:
    """One entry of `minikube profile list`."""
    config = entry.get("Config") or {}
    return Profile(
        str(entry.get("Name", "")),
        str(config.get("Driver", "")),
        int(config.get("Memory") or 0),
        int(config.get("CPUs") or 0),
    )


def is_of_minikube(pinned: Pinned, profiles: Sequence[str]) -> bool:
    """Whether a context of the kubeconfig is one of these profiles': Minikube names the context
    after the profile and writes its own certificates there, from ~/.minikube/profiles/NAME."""
    certificate = str(pinned.user.get("client-certificate", ""))
    parts = certificate.replace("\\", "/").split("/")
    return pinned.context in profiles and (
        ("profiles" in parts and pinned.context in parts) or not certificate
    )


def size_for(machine: Machine, driver: Driver) -> Size:
    """How much of the machine a new Minikube gets. Raises MeshError where there is too little.

    The driver's own number counts where it gives one: Docker on a Mac has a part of the machine
    only.
    """
    free = machine.free_mb - SPARE_MB
    cpus = min(machine.cpus, driver.cpus or machine.cpus)
    if driver.memory_mb:
        free = min(free, driver.memory_mb)
    if free < LEAST_MB:
        about = f"; {driver.name} has {driver.memory_mb} MB" if driver.memory_mb else ""
        raise MeshError(
            f"There is too little memory for Minikube with Istio: it needs {LEAST_MB} MB, the "
            f"rest {SPARE_MB} MB",
            seen=f"{machine}{about}",
            try_next="close other programs, or give Docker more memory in its settings; the "
            "lessons run without a "
            "cluster too: labkit lab",
        )
    if cpus < LEAST_CPUS:
        raise MeshError(
            f"There are too few processors for Minikube: it needs {LEAST_CPUS}",
            seen=str(machine) + (f"; {driver.name} has {driver.cpus}" if driver.cpus else ""),
            try_next="the lessons run without a cluster too: labkit lab",
        )
    return Size(min(WANTED_MB, free), min(WANTED_CPUS, cpus))


def as_json(line: str) -> Any:
    """The value of a line of JSON; {} for any other line."""
    try:
        return json.loads(line)
    except ValueError:
        return {}


def event(line: str) -> tuple[str, Json]:
    """The kind of one of Minikube's events ("step", "error", …) and its data; ("", {}) for any
    other line.

    >>> event('{"type": "io.k8s.sigs.minikube.step", "data": {"currentstep": "5"}}')
    ('step', {'currentstep': '5'})
    """
    value = as_json(line)
    if not isinstance(value, dict) or not str(value.get("type", "")).startswith(
        "io.k8s.sigs.minikube."
    ):
        return "", {}
    return str(value["type"]).removeprefix("io.k8s.sigs.minikube."), value.get("data") or {}


def plain(message: str) -> str:
    """A message on one line, without the picture in front of it; "" for Minikube's box of general
    advice.

    >>> plain("❗  docker volume create: exit status 1\\nstdout:\\n\\nstderr:\\nno such volume")
    'docker volume create: exit status 1; no such volume'
    """
    if message.lstrip().startswith("╭"):
        return ""
    lines = [
        re.sub(r"^[^\w\"'(\[{<$/~-]+", "", line.strip()).strip() for line in message.splitlines()
    ]
    return "; ".join(line for line in lines if line not in ("", "stdout:", "stderr:"))


def step_of(line: str) -> str:
    """What is shown of an event while Minikube starts."""
    kind, data = event(line)
    message = plain(str(data.get("message", "")))
    if not message:
        return ""
    if kind == "step":
        return f"[{data.get('currentstep', '?'):>2}/{data.get('totalsteps', '?')}] {message}"
    # Minikube's way to write a warning; the failure itself comes later
    if kind == "error" and "exitcode" not in data:
        return f"warning: {message}"
    if kind == "warning":
        return f"warning: {message}"
    return ""


def start_failed(done: CommandResult) -> MeshError:
    """Minikube's own reason, by the last error event that has an exit code."""
    errors = [data for kind, data in map(event, done.output.splitlines()) if kind == "error"]
    fatal = next((d for d in reversed(errors) if "exitcode" in d), None)
    if fatal is None:
        said = [plain(str(d.get("message", ""))) for d in errors] or done.output.splitlines()
        return MeshError(
            f"Minikube did not start (exit code {done.code})",
            seen=last_words(said),
            try_next="minikube logs; labkit up --minikube goes on where it stopped",
        )
    name = str(fatal.get("name", ""))
    advice = plain(str(fatal.get("advice", "")))
    if "{{" in advice:  # Minikube 1.38 forgets to fill in some of its templates
        advice = ""
    return MeshError(
        "Minikube did not start" + (f": {name}" if name else ""),
        seen=plain(str(fatal.get("message", ""))),
        try_next=FIXES.get(name) or advice or "minikube logs; then labkit up --minikube again",
    )


def addon_failed(addon: str) -> Any:
    """What makes an error of a failed `minikube addons`."""

    def explain(done: CommandResult) -> MeshError:
        # in front of it stands a picture, or an X where the terminal has none
        lines = [plain(line).removeprefix("X ") for line in done.output.splitlines()]
        reason = [line for line in lines if line.startswith("Exiting due to")]
        return MeshError(
            f"Minikube's add-on {addon!r} was not switched",
            seen=reason[-1] if reason else last_words(done.output.splitlines()),
            try_next="labkit up --with istioctl, or --with helm",
        )

    return explain

"""The drivers of Minikube: what it can run Kubernetes in on this machine.

Minikube looks for a driver itself. We look first, since its own message comes after half a minute,
and since a driver knows how much memory there is: on a Mac, Docker runs in a virtual machine that
has less than the machine.

Source of the names and their order: Minikube's own (minikube.sigs.k8s.io/docs/drivers), containers
before machines.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from labkit.errors import MeshError
from labkit.setup.commands import Commands, last_words
from labkit.setup.machine import MB

ASK_S = 10.0


@dataclass(frozen=True)
class DriverKind:
    """A driver, and the command that shows whether it works; `systems` as in sys.platform."""

    name: str
    systems: tuple[str, ...]
    program: str
    words: tuple[str, ...]
    fix: str
    not_as_root: bool = False


KINDS = (
    DriverKind(
        "docker",
        ("linux", "darwin", "win32"),
        "docker",
        ("info", "--format", "{{.MemTotal}} {{.NCPU}}"),
        "start Docker; on Linux your user must be in the group docker",
        not_as_root=True,
    ),
    DriverKind(
        "kvm2", ("linux",), "virsh", ("--connect", "qemu:///system", "version"), "start libvirtd"
    ),
    DriverKind("vfkit", ("darwin",), "vfkit", ("--version",), "brew install vfkit"),
    DriverKind(
        "hyperkit",
        ("darwin",),
        "hyperkit",
        ("-v",),
        "brew install hyperkit (Macs with an Intel processor)",
    ),
    DriverKind("qemu2", ("linux", "darwin"), "", ("--version",), "install QEMU"),
    DriverKind(
        "hyperv",
        ("win32",),
        "powershell",
        ("-Command", "Get-VMHost"),
        "turn Hyper-V on, as an administrator",
    ),
    DriverKind(
        "virtualbox",
        ("linux", "darwin", "win32"),
        "VBoxManage",
        ("--version",),
        "install VirtualBox",
    ),
    DriverKind(
        "podman",
        ("linux", "darwin", "win32"),
        "podman",
        ("info", "--format", "{{.Host.MemTotal}} {{.Host.CPUs}}"),
        "start Podman; on a Mac: podman machine start",
    ),
)


@dataclass(frozen=True)
class Driver:
    """A driver that was looked at. `works`, or else why not and what helps; its memory and
    processors if it says.
    """

    name: str
    works: bool
    seen: str
    fix: str = ""
    memory_mb: int = 0
    cpus: int = 0


def find_drivers(commands: Commands, system: str = sys.platform) -> list[Driver]:
    """Each driver that this system can have and whose program is there, in Minikube's order of
    preference.
    """
    return [
        look(kind, commands)
        for kind in KINDS
        if system in kind.systems and commands.find(program(kind))
    ]


def program(kind: DriverKind) -> str:
    """The program by which a driver is looked for; QEMU's is named after the processor."""
    return (
        kind.program
        or f"qemu-system-{'aarch64' if platform.machine() in ('arm64', 'aarch64') else 'x86_64'}"
    )


def look(kind: DriverKind, commands: Commands) -> Driver:
    """Whether a driver works, and how much memory and how many processors it has."""
    if kind.not_as_root and hasattr(os, "geteuid") and os.geteuid() == 0:
        return Driver(
            kind.name,
            False,
            "Minikube does not use it as root",
            "run this as an ordinary user, without sudo",
        )
    try:
        found = commands.ask(program(kind), *kind.words, timeout_s=ASK_S)
    except MeshError as error:
        return Driver(kind.name, False, error.message, kind.fix)
    if found.code != 0:
        return Driver(
            kind.name, False, last_words((found.errors or found.output).splitlines(), 1), kind.fix
        )
    numbers = [int(word) for word in found.output.split() if word.isdigit()]
    memory, cpus = numbers if "--format" in kind.words and len(numbers) == 2 else (0, 0)
    # docker info ends well, with an empty answer, when its server is off
    if "--format" in kind.words and not memory:
        return Driver(
            kind.name, False, last_words((found.errors or found.output).splitlines(), 1), kind.fix
        )
    return Driver(
        kind.name,
        True,
        found.output.splitlines()[0].strip() if found.output else "",
        "",
        memory // MB,
        cpus,
    )


def choose(drivers: Sequence[Driver], wanted: str = "") -> Driver:
    """The driver of that name, or the first that works. Raises MeshError, with what is wrong with
    each.
    """
    for driver in drivers:
        if driver.works and driver.name == (wanted or driver.name):
            return driver
    about = [d for d in drivers if not wanted or d.name == wanted]
    seen = "; ".join(f"{d.name}: {d.seen}" for d in about)
    if wanted and not about:
        raise MeshError(
            f"Minikube's driver {wanted!r} can't be used here: its program is not installed",
            seen="drivers whose program is here: " + (", ".join(d.name for d in drivers) or "none"),
            try_next="labkit up --minikube, without --driver, takes one that works",
        )
    raise MeshError(
        f"Minikube's driver {wanted!r} does not work"
        if wanted
        else "Minikube has nothing to run Kubernetes in",
        seen=seen or "none of Docker, Podman, libvirt, QEMU, VirtualBox is installed",
        try_next=next(
            (d.fix for d in about if d.fix), "install Docker: https://docs.docker.com/get-docker/"
        ),
    )

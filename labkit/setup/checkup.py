"""What `labkit doctor` looks at.

Each check stands alone: one that fails, or whose library is missing, is a line of the report and no
end of it. So this module imports nothing but the standard library before it is asked to.
"""

from __future__ import annotations

import importlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.errors import EnvoyUnavailable, LabkitError

if TYPE_CHECKING:
    from labkit.mesh.cluster.client.api import Api

GOOD, HINT, BAD = "ok", "hint", "missing"
OLDEST_PYTHON = (3, 11)
LIBRARIES = ("psutil", "yaml", "pandas", "matplotlib", "jupyterlab", "kubernetes")
INSTALL = "python3 -m pip install -c constraints.txt -e '.[dev]', in the course's folder"
PORTS_TRIED = 20
EACH = 3  # inotify instances that an Envoy takes at least
WATCHES = 8 * EACH  # more than the Envoys of most lessons take
ISTIOCTL = "curl -L https://istio.io/downloadIstio | sh -, then put its folder bin on the PATH"


@dataclass(frozen=True)
class CheckupItem:
    """One line. `state`: ok; hint: not needed for what was asked about; missing: needed and not
    there.
    """

    name: str
    state: str
    seen: str
    fix: str = ""


def examine(backend: str = "embedded", *, context: str | None = None) -> Iterator[CheckupItem]:
    """Every check, as it is done; what only a cluster needs is a hint unless the backend is
    "cluster".

    >>> [check.name for check in examine() if check.state == "missing"]
    []
    """
    yield python()
    yield libraries()
    yield guarded("Envoy", envoy, backend != "embedded")
    yield guarded("ports", ports, backend != "embedded")
    if sys.platform == "linux":
        yield guarded("inotify", inotify, backend != "embedded")
    optional = backend != "cluster"
    yield program(
        "kubectl", ("version", "--client"), "https://kubernetes.io/docs/tasks/tools/#kubectl"
    )
    yield program("istioctl", ("version", "--remote=false"), ISTIOCTL)
    yield program("helm", ("version", "--short"), "https://helm.sh/docs/intro/install/")
    yield program("minikube", ("version", "--short"), "https://minikube.sigs.k8s.io/docs/start/")
    yield guarded("driver", driver, True)
    yield guarded("memory", memory, True)
    yield from cluster(context, optional)


def python() -> CheckupItem:
    """Whether this Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, OLDEST_PYTHON))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return CheckupItem("Python", BAD, found, f"install Python {wanted} or newer")
    return CheckupItem("Python", GOOD, found)


def libraries() -> CheckupItem:
    """Whether the libraries that everything needs can be imported."""
    missing = []
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        return CheckupItem("libraries", BAD, "missing: " + ", ".join(missing), INSTALL)
    return CheckupItem("libraries", GOOD, ", ".join(LIBRARIES))


def guarded(name: str, check: Callable[[], CheckupItem], optional: bool) -> CheckupItem:
    """A check whose error is its answer."""
    try:
        return check()
    except LabkitError as error:
        return CheckupItem(
            name, HINT if optional else BAD, first(error.seen) or error.message, error.try_next
        )
    except ImportError as error:
        return CheckupItem(name, HINT if optional else BAD, str(error), INSTALL)


def first(text: str) -> str:
    """The first line of a text, "" where it has none."""
    return text.strip().splitlines()[0] if text.strip() else ""


def envoy() -> CheckupItem:
    """Whether there is an Envoy that runs on this machine."""
    from labkit.envoy.binary import envoy_path

    code, text = answer(envoy_path(), "--version")
    match = re.search(r"/(\d+\.\d+\.\d+)/", text)
    if code or not match:
        raise EnvoyUnavailable(
            "There is an Envoy, and it can't be run here",
            seen=first(text) or f"exit code {code}",
            try_next="its program may need a newer Linux or processor: use a cluster (labkit up "
            "--minikube), or "
            "another machine",
        )
    return CheckupItem("Envoy", GOOD, match[1])


def ports() -> CheckupItem:
    """The meshes listen on ports of 127.0.0.1 from a range of their own, so one of that range is
    tried.
    """
    try:
        from labkit.mesh.embedded.ports import FIRST, LAST
    except ImportError:  # a line of the report tells which library is missing
        return CheckupItem("ports", HINT, "not looked at without the libraries")
    trouble: OSError | None = None
    for port in random.sample(range(FIRST, LAST), PORTS_TRIED):
        try:
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
        except OSError as error:  # somebody may have this one
            trouble = error
        else:
            return CheckupItem(
                "ports", GOOD, f"free ports from {FIRST} to {LAST} on 127.0.0.1 can be had"
            )
    raise LabkitError(
        "No port can be had",
        seen=f"none of {PORTS_TRIED} ports from {FIRST} to {LAST} on 127.0.0.1 can be had: "
        f"{trouble}",
        try_next="labkit down ends old meshes; else look what has taken them, or forbids to "
        "listen there",
    )


def inotify() -> CheckupItem:
    """Each Envoy watches its files with instances of inotify, and Linux gives each user a number
    of them only.
    """
    free = watches()
    if free >= WATCHES:
        return CheckupItem("inotify", GOOD, f"{WATCHES} instances and more are free")
    fix = (
        "close other meshes (labkit status, labkit down --all); or sudo sysctl "
        "fs.inotify.max_user_instances=512"
    )
    seen = f"{free or 'no'} instances are free; each Envoy needs {EACH} or more"
    if free < EACH:
        raise LabkitError("Too few inotify instances are free", seen=seen, try_next=fix)
    return CheckupItem("inotify", HINT, seen, fix)


def watches() -> int:
    """How many inotify instances can be had, up to as many as matter. Nothing tells but trying."""
    import ctypes

    system = ctypes.CDLL(None)
    opened: list[int] = []
    while len(opened) < WATCHES and (one := system.inotify_init()) >= 0:
        opened.append(one)
    for one in opened:
        os.close(one)
    return len(opened)


def program(name: str, words: tuple[str, ...], fix: str) -> CheckupItem:
    """A program on the PATH and its version. Not one of them is always needed, so one that is
    missing is a hint.
    """
    path = shutil.which(name)
    if path is None:
        return CheckupItem(name, HINT, "not on the PATH", fix)
    code, text = answer(path, *words)
    match = re.search(r"v?\d+\.\d+(?:\.\d+)?[\w.-]*", text)
    if code or not match:
        why = first(text) or f"exit code {code}"
        return CheckupItem(
            name,
            HINT,
            f"{path} does not tell its version: {why}",
            f"it may be broken; install it again: {fix}",
        )
    return CheckupItem(name, GOOD, f"{match[0]} ({path})")


def answer(path: str, *words: str) -> tuple[int, str]:
    """A program's exit code and what it said."""
    try:
        found = subprocess.run(
            [path, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=15
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return found.returncode, (found.stdout + found.stderr).decode(errors="replace")


def driver() -> CheckupItem:
    """What Minikube could run in."""
    from labkit.setup.commands import Commands
    from labkit.setup.drivers import choose, find_drivers

    if shutil.which("minikube") is None:
        return CheckupItem("driver", HINT, "not looked for without Minikube")
    with Commands() as commands:
        found = choose(find_drivers(commands))
    size = f", {found.memory_mb} MB and {found.cpus} processors" if found.memory_mb else ""
    return CheckupItem("driver", GOOD, f"{found.name}{size}")


def memory() -> CheckupItem:
    """Whether a Minikube with Istio would have enough memory."""
    from labkit.setup.machine import machine
    from labkit.setup.minikube import LEAST_MB, SPARE_MB

    found = machine()
    if found.free_mb < LEAST_MB + SPARE_MB:
        wanted = f"{LEAST_MB + SPARE_MB} MB free are needed to make a Minikube with Istio"
        return CheckupItem("memory", HINT, str(found), f"{wanted}; the embedded mesh needs 150 MB")
    return CheckupItem("memory", GOOD, str(found))


def cluster(context: str | None, optional: bool) -> Iterator[CheckupItem]:
    """The cluster of the kubeconfig's current context, or of the one named: read only."""
    state = HINT if optional else BAD
    try:
        api = connect(context)
    except ImportError as error:
        yield CheckupItem("cluster", state, str(error), INSTALL)
        return
    except LabkitError as error:
        yield CheckupItem("cluster", state, first(error.seen) or error.message, error.try_next)
        return
    checks: tuple[tuple[str, Callable[[Any, str], CheckupItem]], ...] = (
        ("cluster", kubernetes),
        ("Istio", istio),
        ("webhook", webhook),
        ("gateway", gateway),
    )
    for name, check in checks:
        result = guarded(name, lambda check=check: check(api, state), optional)  # type: ignore[misc]
        yield result
        if name == "cluster" and result.state != GOOD:
            break
    api.close()


def connect(context: str | None) -> Api:
    """The API server of a context, under the guard."""
    from labkit.mesh.cluster.client.api import Api
    from labkit.mesh.cluster.client.guard import guarded as guard

    return Api(guard(context))


def kubernetes(api: Api, state: str) -> CheckupItem:
    """The cluster's version, and the tool that made it."""
    from labkit.mesh.cluster.istio import kubernetes_version
    from labkit.setup.local_cluster import described, kind_of

    parts = (f"Kubernetes {kubernetes_version(api)}", f"context {api.pinned.context}")
    return CheckupItem("cluster", GOOD, ", ".join(filter(None, (*parts, described(kind_of(api))))))


def istio(api: Api, state: str) -> CheckupItem:
    """Whether there is a control plane, ready and of a version that the course is made for."""
    from labkit.mesh.cluster.istio import about, control_planes, is_too_old

    found = control_planes(api)
    if not found:
        return CheckupItem("Istio", state, "no istiod on this cluster", "labkit up")
    words = about(found[0].version)
    if is_too_old(found[0].version):
        return CheckupItem("Istio", state, words, "upgrade Istio, or labkit up --minikube")
    if not found[0].ready:
        return CheckupItem(
            "Istio", state, f"{found[0]}: no ready pod", "kubectl -n istio-system get pods"
        )
    return CheckupItem(
        "Istio", GOOD if not words else HINT, f"{found[0]}" + (f". {words}" if words else "")
    )


def webhook(api: Api, state: str) -> CheckupItem:
    """Whether something adds sidecars to pods."""
    from labkit.mesh.cluster.istio import injectors

    found = injectors(api)
    if not found:
        return CheckupItem(
            "webhook",
            state,
            "none adds sidecars, or istiod has not signed it yet",
            "kubectl -n istio-system logs deploy/istiod",
        )
    return CheckupItem("webhook", GOOD, ", ".join(found))


def gateway(api: Api, state: str) -> CheckupItem:
    """Whether there is an ingress gateway, and how it is reached."""
    from labkit.mesh.cluster.istio import about_port, gateway_address, gateway_port, gateways
    from labkit.resources.istio import GATEWAY_QUERY

    found = gateways(api)
    if not found:
        return CheckupItem(
            "gateway",
            state,
            f"no ready pod with the label {GATEWAY_QUERY}",
            "istioctl install --set profile=default; kubectl -n istio-system get pods",
        )
    if words := about_port(gateway_port(api)):
        return CheckupItem("gateway", HINT, words)
    address = gateway_address(api)
    return CheckupItem(
        "gateway", GOOD, f"{found[0]}, " + (f"address {address}" if address else "by port-forward")
    )

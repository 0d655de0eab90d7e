"""`minikube tunnel` under supervision: it gives the ingress gateway's LoadBalancer an address while
it runs.

A tunnel is a program that must keep running. It ends when Minikube stops, when the network changes,
or when somebody ends it. So a thread looks after it: it says what happened, with the tunnel's own
last words, and starts it again; after several ends in a short time it gives up.

A tunnel needs the rights of root for a route, or for ports below 1024, and asks for a password with
`sudo`. Nobody can type one here, so where `sudo` wants one, we say what to type in a terminal
instead.

There are two kinds. Where the network of Minikube can be reached from here (Docker on Linux, a
virtual machine), a tunnel is a route to the cluster's own addresses, and the gateway's address is
that of its Service. Where it can't (Docker Desktop, Docker without root, WSL, macOS, Windows), a
tunnel is an `ssh` that listens on this machine: by itself on every network, so that anybody near
could come in. There, ours is told to listen on 127.0.0.1.

Minikube takes back the route, and the address in the Service's status, when it is interrupted
(SIGINT), and not when it is terminated (SIGTERM). It can't end an `ssh` that it started through
`sudo`, which belongs to root: that is ended here, through `sudo` too. Source: Minikube v1.38.1,
cmd/minikube/cmd/tunnel.go and pkg/minikube/tunnel/kic, and what was seen of it.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from labkit.errors import MeshError, NotReady
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.istio import gateway_address
from labkit.processes import Family, runs, tail
from labkit.setup.commands import Commands, missing
from labkit.setup.minikube import Minikube, plain
from labkit.waiting import wait_until

LOOPBACK = "127.0.0.1"
CONTAINERS = ("docker", "podman")
DESKTOP, ROOTLESS = "Docker Desktop", "name=rootless"  # as `docker info` says it
CLOSING_S = 10.0  # Minikube looks once a second whether it was interrupted, then it cleans up
OFTEN, WITHIN_S = 4, 60.0  # so many ends within so many seconds are too many
LOOK_S = 0.2


class MinikubeTunnel:
    """A tunnel that is started again when it ends.

    >>> with MinikubeTunnel(minikube, driver="docker") as tunnel:
    ...     tunnel.wait(lambda: gateway_address(api))
    """

    def __init__(
        self, minikube: Minikube, *, driver: str = "", say: Callable[[str], None] = print
    ) -> None:
        self.minikube = minikube
        self.say = say
        bind = (f"--bind-address={LOOPBACK}",) if listens(driver, minikube.commands) else ()
        self.words = ("tunnel", *minikube.named, *bind)
        self.command = " ".join(("minikube", *self.words))
        self.ends: list[float] = []
        self.failure: MeshError | None = None
        self.stopping = threading.Event()
        self.family: Family | None = None
        self.thread: threading.Thread | None = None

    @property
    def log(self) -> Path:
        """The file with all that the tunnel says."""
        assert self.family is not None
        return self.family.folder / "tunnel.log"

    def start(self) -> MinikubeTunnel:
        """Starts it; raises MeshError where it would ask for a password."""
        path = self.minikube.commands.find("minikube")
        if path is None:
            raise missing("minikube")
        self.check_password()
        self.say(f"$ {self.command}")
        self.family = Family(Path(tempfile.mkdtemp(prefix="labkit-tunnel-")))
        process = self.family.start("tunnel", [path, *self.words], log=self.log)
        self.thread = threading.Thread(
            target=self.look_after, args=(path, process), name="labkit-tunnel", daemon=True
        )
        self.thread.start()
        return self

    def check_password(self) -> None:
        """A tunnel that waits for a password nobody can type would look as if it worked."""
        if sys.platform == "win32" or os.geteuid() == 0:
            return
        if (
            self.minikube.commands.find("sudo")
            and self.minikube.commands.ask("sudo", "-n", "true").code == 0
        ):
            return
        raise MeshError(
            "minikube tunnel needs your password, and it can't be typed here",
            seen="sudo -n true was refused",
            try_next=f"in a terminal of its own, and leave it open: {self.command}",
        )

    def look_after(self, path: str, process: object) -> None:
        """The thread: starts the tunnel again when it ends."""
        import subprocess

        assert isinstance(process, subprocess.Popen)
        assert self.family is not None
        while not self.stopping.wait(LOOK_S):
            code = process.poll()
            if code is None:
                continue
            now = time.monotonic()
            self.ends = [at for at in self.ends if now - at < WITHIN_S] + [now]
            words = self.last_word()
            if len(self.ends) >= OFTEN or self.family.lost:
                self.failure = MeshError(
                    f"minikube tunnel ended {len(self.ends)} times within {WITHIN_S:.0f} s and "
                    "was given up",
                    seen=f"exit code {code}: {words}",
                    try_next=f"minikube status; then in a terminal: {self.command}",
                )
                self.say(str(self.failure))
                return
            self.say(f"The tunnel ended (exit code {code}: {words}); it is started again.")
            process = self.family.start("tunnel", [path, *self.words], log=self.log)

    def last_word(self) -> str:
        """What says why: Minikube puts a box of general advice below its errors, and a hint below
        the rest.
        """
        lines = [plain(line) for line in tail(self.log).splitlines() if plain(line)]
        reasons = [line for line in lines if "Exiting due to" in line][-1:]
        return "; ".join(reasons or lines[-2:]) or "it said nothing"

    @property
    def runs(self) -> bool:
        """Whether it is still looked after."""
        return self.failure is None and self.thread is not None and self.thread.is_alive()

    def wait(self, ready: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Waits until `ready()` is true; raises what went wrong when the tunnel was given up
        before.
        """

        def done() -> bool:
            if self.failure is not None:
                raise self.failure
            return bool(ready())

        wait_until(
            done, timeout_s, "the tunnel to give the gateway an address", explain=self.last_word
        )

    def close(self) -> None:
        """Ends the tunnel as Ctrl-C does, so that it takes back its route and the address that it
        gave, and then what Minikube leaves of it.
        """
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        if self.family is not None:
            started = self.started()
            self.family.stop("tunnel", grace_s=CLOSING_S, asks=signal.SIGINT)
            self.end_what_is_left(started)
            self.family.close()

    def started(self) -> list[psutil.Process]:
        """The processes that the tunnel has started: `sudo`, and root's `ssh` below it."""
        member = self.family.members.get("tunnel") if self.family is not None else None
        if member is None:
            return []
        try:
            return list(psutil.Process(member.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def end_what_is_left(self, started: Sequence[psutil.Process]) -> None:
        """Ends what outlives the tunnel; through `sudo`, since it is root's."""
        commands = self.minikube.commands
        left = [str(process.pid) for process in started if runs(process)]
        if left and commands.find("sudo"):
            commands.ask("sudo", "-n", "kill", *left)
        try:
            wait_until(
                lambda: not any(map(runs, started)), CLOSING_S, "the tunnel's processes to end"
            )
        except NotReady:
            pids = " ".join(str(process.pid) for process in started if runs(process))
            self.say(f"The tunnel left processes of root behind. To end them: sudo kill {pids}")

    def __enter__(self) -> MinikubeTunnel:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def listens(driver: str, commands: Commands, system: str = sys.platform) -> bool:
    """Whether Minikube's tunnel is an `ssh` that listens on this machine, and no route: by the same
    rules as Minikube's own (NeedsPortForward in pkg/minikube/driver/driver.go, v1.38.1).

    >>> listens("kvm2", commands)
    False
    """
    if driver not in CONTAINERS:
        return False
    if system != "linux" or "microsoft" in platform.release().lower():  # the latter: WSL
        return True
    if driver != "docker" or commands.find("docker") is None:
        return False
    found = commands.ask("docker", "info", "--format", "{{.OperatingSystem}} {{.SecurityOptions}}")
    return DESKTOP in found.output or ROOTLESS in found.output


def hold_tunnel(
    minikube: Minikube, api: Api, say: Callable[[str], None], ready: Callable[[str], None]
) -> None:
    """`labkit up --tunnel`: keeps a tunnel open until Ctrl-C; `ready` gets the gateway's
    address.
    """
    found = minikube.found()
    with MinikubeTunnel(minikube, driver=found.driver if found else "", say=say) as tunnel:
        tunnel.wait(lambda: gateway_address(api))
        ready(gateway_address(api))
        say("The tunnel is open until you press Ctrl-C")
        wait_until(
            lambda: tunnel.failure is not None, float("inf"), "the tunnel to end", longest_s=0.5
        )
        if tunnel.failure is not None:
            raise tunnel.failure

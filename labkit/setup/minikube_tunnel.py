"""`minikube tunnel` under supervision: it gives the ingress gateway's LoadBalancer an address while
it runs.

A tunnel is a program that must keep running. It ends when Minikube stops, when the network changes,
or when somebody ends it. So a thread looks after it: it says what happened, with the tunnel's own
last words, and starts it again; after several ends in a short time it gives up.

A tunnel needs the rights of root for a route, or for ports below 1024, and asks for a password with
`sudo`. Nobody can type one here, so where `sudo` wants one, we say what to type in a terminal
instead.

By itself a tunnel into a container (Docker, Podman) listens on every network of the machine:
anybody near could come in. Ours listens on 127.0.0.1.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from labkit.errors import MeshError
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.istio import gateway_address
from labkit.processes import Family, tail
from labkit.setup import hosts
from labkit.setup.commands import missing
from labkit.setup.minikube import Minikube, plain
from labkit.waiting import wait_until

LOOPBACK = "127.0.0.1"
CONTAINERS = ("docker", "podman")
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
        bind = (f"--bind-address={LOOPBACK}",) if driver in CONTAINERS else ()
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
        """Ends the tunnel, and gives it time to take its route away."""
        self.stopping.set()
        if self.thread is not None:
            self.thread.join()
            self.thread = None
        if self.family is not None:
            self.family.stop("tunnel", grace_s=5)  # time to take its route away
            self.family.close()

    def __enter__(self) -> MinikubeTunnel:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def hold_tunnel(minikube: Minikube, api: Api, say: Callable[[str], None]) -> None:
    """`labkit up --tunnel`: keeps a tunnel open until Ctrl-C."""
    found = minikube.found()
    with MinikubeTunnel(minikube, driver=found.driver if found else "", say=say) as tunnel:
        tunnel.wait(lambda: gateway_address(api))
        say(hosts.explained(gateway_address(api)))
        say("The tunnel is open until you press Ctrl-C")
        wait_until(
            lambda: tunnel.failure is not None, float("inf"), "the tunnel to end", longest_s=0.5
        )
        if tunnel.failure is not None:
            raise tunnel.failure

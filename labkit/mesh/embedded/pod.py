"""One pod: the processes of its containers, kept running, and whether it is ready. What the kubelet
is on a node.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit.envoy import Envoy
from labkit.mesh.embedded.images import ContainerProgram
from labkit.processes import TELLS_OF_ENDS, Family, end, tail
from labkit.resources import istio
from labkit.translate import Pod as PodFacts

# A container that ends is started again at once, then after 1, 2, 4 … seconds (a cluster waits 10,
# 20, 40 …: in a lesson nobody wants to). What has run this long is no crash loop: its next end is a
# first one, so that a gateway that is killed now and then is back at once each time.
LONGEST_PAUSE_S = 16.0
CALM_S = 3.0
PROBE_EVERY_S = 0.5
PROBE_TIMEOUT_S = 1.0
MISSED = 3
LOOK_EVERY_S = 0.03  # while something is awaited, or where the system does not tell of ends
CALM_LOOK_S = 0.25 if TELLS_OF_ENDS else LOOK_EVERY_S


@dataclass(frozen=True)
class PodSpec:
    """What a pod is made of. It never changes: another template makes another pod."""

    facts: PodFacts
    workload: str
    template_hash: str
    template: Mapping[str, Any]
    program: ContainerProgram | None  # None: the gateway, which is an Envoy and nothing else
    created: float

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def namespace(self) -> str:
        return self.facts.namespace


@dataclass(frozen=True)
class ControlPort:
    """Where a pod's application takes its controls, on this machine's loopback, and the text that
    it wants to be given."""

    port: int
    token: str = field(repr=False)


class Backoff:
    """When a container that has ended may start again: at once, then after 1, 2, 4 … seconds."""

    def __init__(self) -> None:
        self.restarts = 0
        self.streak = 0
        self.not_before: float | None = None
        self.last = 0.0

    @property
    def waiting(self) -> bool:
        """Whether the container is down, and its pause not over."""
        return self.not_before is not None

    def may_start(self) -> bool:
        """Asked again and again while the container is down; True once, when it is time."""
        now = time.monotonic()
        if self.not_before is None:
            if now - self.last > CALM_S:
                self.streak = 0
            pause = 0.0 if self.streak == 0 else min(2.0 ** (self.streak - 1), LONGEST_PAUSE_S)
            self.not_before = now + pause
        if now < self.not_before:
            return False
        self.not_before, self.last = None, now
        self.streak += 1
        self.restarts += 1
        return True


class RunningPod:
    """The processes of one pod, watched by a thread of its own.

    `changed` is called, from that thread, whenever the pod becomes ready or unready.
    """

    def __init__(
        self,
        spec: PodSpec,
        folder: Path,
        family: Family,
        sidecar: Envoy | None,
        app_port: int | None,
        controls: ControlPort | None,
        changed: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.family = family
        self.sidecar = sidecar
        self.app_port = app_port
        self.controls = controls
        self.changed = changed
        self.app: subprocess.Popen[bytes] | None = None
        self.app_log = folder / "app.log"
        self.app_ready = False
        self.missed = 0  # probes in a row that got no answer in time
        self.sidecar_ready = sidecar is None
        self.backoff = {"app": Backoff(), "sidecar": Backoff()}
        self.terminating = False
        self.fatal: Exception | None = None  # what no restart can mend
        self.wake = threading.Event()
        self.thread = threading.Thread(target=self.watch, name=f"pod {spec.name}", daemon=True)

    # what others ask

    @property
    def name(self) -> str:
        """The pod's name, as its Deployment made it."""
        return self.spec.name

    @property
    def template_hash(self) -> str:
        """Of which template it is; "" for a pod without a Deployment."""
        return self.spec.template_hash

    @property
    def ready(self) -> bool:
        """Whether all its containers are ready, and it is not being ended."""
        return self.app_ready and self.sidecar_ready and not self.terminating

    @property
    def containers_ready(self) -> str:
        """As kubectl's READY column: "2/2"."""
        flags = [self.app_ready] if self.spec.program else []
        flags += [self.sidecar_ready] if self.sidecar else []
        return f"{sum(flags)}/{len(flags)}"

    @property
    def status(self) -> str:
        """As kubectl's STATUS column."""
        if self.terminating:
            return "Terminating"
        return "CrashLoopBackOff" if any(b.waiting for b in self.backoff.values()) else "Running"

    @property
    def restarts(self) -> int:
        """How often its containers were started again."""
        return sum(b.restarts for b in self.backoff.values())

    def log(self, container: str, *, lines: int = 1000) -> str:
        """The last lines of a container's log; "istio-proxy" is the sidecar."""
        path = self.sidecar.log if container == istio.PROXY and self.sidecar else self.app_log
        return tail(path, lines=lines, limit=1_000_000)

    # starting, watching, ending

    def start(self) -> None:
        """Starts all containers at once and returns; `changed` says when the pod is ready."""
        self.start_app()
        if self.sidecar:
            self.sidecar.ended = self.wake.set
            self.sidecar.start()
        self.thread.start()

    def start_app(self) -> None:
        """Starts the application's process, where the pod has one."""
        if self.spec.program is None:
            return
        env = {"PATH": os.environ.get("PATH", ""), "HOSTNAME": self.spec.name}
        env |= {"POD_NAME": self.spec.name, **self.spec.program.env, "BIND": "127.0.0.1"}
        if self.app_port is not None:
            env["PORT"] = str(self.app_port)
        if self.controls is not None:
            env["CONTROL_PORT"] = str(self.controls.port)
            env["LABKIT_CONTROL_TOKEN"] = self.controls.token
        argv = self.spec.program.argv
        self.app = self.family.start(
            self.spec.name, argv, log=self.app_log, env=env, cwd=self.folder, ended=self.wake.set
        )

    def watch(self) -> None:
        """The pod's thread: starts again what has ended, probes, and says when that changed."""
        next_probe = 0.0
        pause = 0.001
        while not self.terminating:
            if self.family.lost:
                self.app_ready = self.sidecar_ready = False
                self.changed()
                return
            before = self.ready
            crashed = self.restart_crashed()
            now = time.monotonic()
            if crashed or not before or now >= next_probe:
                self.app_ready = self.probe()
                self.sidecar_ready = self.probe_sidecar()
                next_probe = now + PROBE_EVERY_S
            if self.ready != before and not self.terminating:
                self.changed()
            # quick while something is awaited, calm when all is well
            pause = CALM_LOOK_S if self.ready else min(pause * 1.3, LOOK_EVERY_S)
            self.wake.wait(pause)
            if self.wake.is_set():
                self.wake.clear()
                next_probe = 0.0

    def restart_crashed(self) -> bool:
        """Starts again what has ended, after the pause that its crashes have earned; True when
        something had ended.
        """
        try:
            return self.start_ended()
        except OSError:
            if self.family.lost:  # it was ended from outside meanwhile: `watch` says so
                return True
            raise

    def start_ended(self) -> bool:
        """Starts again what has ended, if it is time; True when something had ended."""
        app_ended = self.app is not None and self.app.poll() is not None
        sidecar_ended = self.sidecar is not None and not self.sidecar.running
        if app_ended:
            self.app_ready = False
            if self.backoff["app"].may_start():
                self.start_app()
        if sidecar_ended and self.sidecar is not None:
            self.sidecar_ready = False
            if self.sidecar.cannot_watch():
                self.fatal = self.sidecar.died()
                self.changed()
            elif self.backoff["sidecar"].may_start():
                self.sidecar.start()
        return app_ended or sidecar_ended

    def probe(self) -> bool:
        """The readiness probe: does the application say it is ready? One that does not listen is
        ready when it runs.
        """
        if self.spec.program is None:
            return True
        if self.app is None or self.app.poll() is not None:
            return False
        if self.app_port is None:
            return True
        connection = http.client.HTTPConnection("127.0.0.1", self.app_port, timeout=PROBE_TIMEOUT_S)
        try:
            connection.request("GET", "/ready")
            ready = connection.getresponse().status == 200
            self.missed = 0
            return ready
        except TimeoutError:
            # a busy machine: as the kubelet by default, take it seriously the third time in a row
            self.missed += 1
            return self.app_ready and self.missed < MISSED
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def probe_sidecar(self) -> bool:
        """As Istio's readiness probe: the first configuration must be in force. A later one may be
        on its way, which makes no pod unready."""
        if self.sidecar is None:
            return True
        return self.sidecar.admin.live() if self.sidecar_ready else self.sidecar.live()

    def look_now(self) -> None:
        """Makes the watcher look at once."""
        self.wake.set()

    def stop(self, *, grace_s: float = 1.0) -> None:
        """Ends the pod's processes; no endpoint may name it any more when this is called."""
        self.terminating = True
        self.wake.set()
        if self.thread.is_alive() and self.thread is not threading.current_thread():
            self.thread.join()
        # first: its last answers still pass through the sidecar
        self.family.stop(self.spec.name, grace_s=grace_s)
        if self.sidecar:
            self.sidecar.stop(grace_s=grace_s)

    def kill_app(self) -> None:
        """Ends the application at once, as a crash would."""
        if self.app is not None:
            end(self.app, 0)
        self.wake.set()

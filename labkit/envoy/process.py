"""One Envoy process: started, given configurations, asked what it holds."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from labkit.envoy import bootstrap as boot
from labkit.envoy.accesslog import AccessLog
from labkit.envoy.admin import Admin, Held
from labkit.envoy.binary import envoy_path
from labkit.envoy.xds import Config, File, XdsFolder
from labkit.errors import ConfigRejected, EnvoyDied, EnvoyError, LabkitError, NotReady
from labkit.processes import Family, end, tail
from labkit.waiting import wait_until

ANSWER_S = 1.0  # that an Envoy may take to say what it holds, before it is asked again
NO_INOTIFY = (
    "an Envoy watches its files with three instances of inotify or more, and the "
    "instances that Linux gives a user are used up: sudo sysctl fs.inotify.max_user_instances=512, "
    "or close other meshes (labkit status, labkit down --all)"
)
NO_SETTINGS: Mapping[str, bool | str] = {}


class Envoy:
    """One Envoy, with its folder of bootstrap, xDS files, logs and administration socket.

    >>> proxy = Envoy("gateway", folder, family, node="router~…", cluster="istio-ingressgateway")
    >>> proxy.start(config); proxy.wait_live(); proxy.apply(other_config)
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        family: Family,
        *,
        node: str,
        cluster: str,
        runtime: Mapping[str, bool | str] = NO_SETTINGS,
    ) -> None:
        self.name = name
        self.folder = folder
        self.family = family
        self.xds = XdsFolder(folder / boot.XDS_FOLDER)
        self.xds.folder.mkdir(parents=True, exist_ok=True)
        self.admin = Admin(folder / boot.ADMIN_SOCKET)
        self.access_log = AccessLog(folder / boot.ACCESS_LOG)
        self.log = folder / boot.LOG
        self.process: subprocess.Popen[bytes] | None = None
        self.config: Config | None = None
        self.was_live = False
        self.rejected = 0  # how many updates this process has refused, as far as seen
        text = json.dumps(boot.bootstrap(folder, node=node, cluster=cluster, runtime=runtime))
        self.ended: Callable[[], object] | None = None  # told when a process of it has ended
        (folder / "bootstrap.json").write_text(text, encoding="utf-8")

    # starting and ending

    def start(self, config: Config | None = None) -> None:
        """Starts the process (it reads `config`, or what it was told last); returns at once. See
        wait_live.
        """
        if config is not None:
            self.prepare(config)
        self.was_live = False
        self.rejected = 0
        argv = boot.command(envoy_path(), self.folder)
        self.process = self.family.start(self.name, argv, log=self.log, ended=self.ended)

    def prepare(self, config: Config) -> None:
        """Puts a configuration where an Envoy that is about to start, or is
        starting, will read it.
        """
        for step in self.xds.stage(config):
            self.xds.move(step)
        self.config = config
        self.xds.forget(config)

    @property
    def serving(self) -> bool:
        """Was live since it was last started, and runs: it can be changed and asked."""
        return self.was_live and self.running

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def live(self) -> bool:
        """Started, serving, and holding all that it was told."""
        live = self.running and self.admin.live() and self.holds(self.xds.versions)
        self.was_live = self.was_live or live
        return live

    def wait_live(self, timeout_s: float = 15.0) -> None:
        """Waits until `live`. Raises EnvoyDied when the process ends instead, NotReady when it
        takes too long.
        """

        def there() -> bool:
            self.check_running()
            return self.live()

        wait_until(there, timeout_s, f"Envoy {self.name} to serve", explain=self.log_tail)

    def check_running(self) -> None:
        if not self.running:
            raise self.died()

    def died(self) -> EnvoyDied:
        """Why this process is no more, as far as its log tells."""
        status = self.process.poll() if self.process else None
        return EnvoyDied(
            f"The Envoy process of {self.name} ended (exit status {status})",
            seen=self.log_tail(),
            try_next=NO_INOTIFY if self.cannot_watch() else "mesh.get('pods') shows what runs now",
        )

    def cannot_watch(self) -> bool:
        """Whether it ended because the system gave it no way to watch its files: starting it again
        would not help.
        """
        return not self.running and "fs.inotify" in self.log_tail()

    def log_tail(self) -> str:
        """The last lines of the log, without the addresses of a backtrace, which say nothing to a
        reader.
        """
        lines = tail(self.log, lines=80).splitlines()
        told = [line for line in lines if "UNKNOWN [0x" not in line and "[backtrace]" not in line]
        return "\n".join(told[-20:])

    def stop(self, *, grace_s: float = 1.0) -> None:
        self.family.stop(self.name, grace_s=grace_s)
        self.admin.close()

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        if self.process is not None:
            end(self.process, 0)

    # configuration

    def held(self, *, timeout_s: float | None = None) -> Held:
        held = self.admin.held(timeout_s=timeout_s)
        self.rejected = held.rejected
        return held

    def holds(self, versions: dict[str, str]) -> bool:
        """Whether every subscription holds the version given for it, and nothing is still warming
        up.
        """
        try:
            held = self.held()
        except (OSError, http.client.HTTPException, EnvoyError):
            return False
        return held.warming == 0 and all(held.versions.get(s) == v for s, v in versions.items())

    def stage(self, config: Config) -> Change | None:
        """The change from what this Envoy was told to `config`; None when there is none."""
        steps = self.xds.stage(config)
        return Change(self, config, steps) if steps else None

    def apply(self, config: Config, *, timeout_s: float = 5.0) -> None:
        """Moves `config` into place and returns when this Envoy holds it. Raises ConfigRejected
        (see Change.finish).
        """
        change = self.stage(config)
        if change:
            change.run(timeout_s)


class Change:
    """One change of one Envoy's configuration, step by step, so that several Envoys can be changed
    side by side.
    """

    def __init__(self, envoy: Envoy, config: Config, steps: list[list[File]]) -> None:
        self.envoy = envoy
        self.config = config
        self.before = envoy.config
        self.steps = steps
        self.wanted: dict[str, str] = {}
        self.log_from = 0
        self.rejected_before = 0
        self.answers = True  # whether it answered when it was last asked

    def begin(self) -> None:
        """Moves the first step's files into place."""
        self.rejected_before = self.envoy.rejected
        self.log_from = self.envoy.log.stat().st_size
        self.next_step()

    def next_step(self) -> None:
        self.wanted = self.envoy.xds.move(self.steps.pop(0))

    def poll(self, *, going_back: bool = False, timeout_s: float = ANSWER_S) -> bool:
        """Looks once, for at most `timeout_s` seconds; goes on to the next step where one is done;
        True when all is held. May raise ConfigRejected.
        """
        try:
            held = self.envoy.held(timeout_s=timeout_s)
        except (OSError, http.client.HTTPException) as error:
            self.envoy.check_running()
            self.answers = not isinstance(error, TimeoutError)
            return False
        self.answers = True
        # going back, a refusal is of the change that another Envoy refused first: the old will be
        # held all the same
        if held.rejected > self.rejected_before and not going_back:
            raise ConfigRejected(
                f"Envoy {self.envoy.name} refused the configuration; the one before stays in force",
                seen=self.reason(),
                try_next="compare mesh.config(…) before and after; if labkit validate accepts "
                "this manifest, "
                "please report it with the manifest",
            )
        if held.warming or any(held.versions.get(s) != v for s, v in self.wanted.items()):
            return False
        if self.steps:
            self.next_step()
            return False
        self.envoy.config = self.config
        self.envoy.xds.forget(self.config)
        return True

    def run(self, timeout_s: float) -> None:
        """Does the whole change; on failure puts the configuration before back in force."""
        run_changes([self], timeout_s)

    def roll_back(self, timeout_s: float) -> None:
        """Puts the configuration before back in force (new files with its content)."""
        if self.before is None:
            return
        if not self.answers:  # it finds the files when it goes on; to wait for that may take long
            self.envoy.prepare(self.before)
            return
        change = self.envoy.stage(self.before)
        if change and self.envoy.running:
            change.begin()
            before = f"Envoy {self.envoy.name} to go back to its configuration before"
            wait_until(lambda: change.poll(going_back=True), timeout_s, before)

    def state(self) -> str:
        """Why it is late, as far as is known."""
        process = self.envoy.process
        if self.answers or process is None:
            return self.envoy.name
        words = f"{self.envoy.name}, whose process {process.pid} does not answer"
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(process.pid).status() == psutil.STATUS_STOPPED:
                words += f": it is stopped (kill -CONT {process.pid} lets it go on)"
        return words

    def reason(self) -> str:
        """What Envoy's log says of the refusal; it writes that a moment after it has counted it."""

        def lines() -> list[str]:
            with open(self.envoy.log, encoding="utf-8", errors="replace") as file:
                file.seek(self.log_from)
                text = file.read().splitlines()
            # a refused message is printed whole, over many lines; what is wrong with it comes last,
            # after a colon
            wrong = [line.removeprefix(": ") for line in text if line.startswith(": ")]
            return wrong or [
                line.split("] ", 1)[-1]
                for line in text
                if "reject" in line and "debugstr" not in line
            ]

        with contextlib.suppress(NotReady):
            wait_until(lambda: bool(lines()), 1, "Envoy's reason")
        return "\n".join(lines()) or self.envoy.log_tail()


def run_changes(
    changes: list[Change], timeout_s: float, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Changes several Envoys side by side; returns how long each took, in ms by name.

    Returns when every Envoy holds its new configuration. When one refuses, ends or is late, all go
    back to the configuration before, and the error names that one.
    """
    started = clock()
    deadline = time.monotonic() + timeout_s
    took: dict[str, float] = {}
    begun: list[Change] = []
    try:
        for change in changes:
            begun.append(change)
            change.begin()
        waiting = list(changes)

        def all_held() -> bool:
            for change in list(waiting):
                left = min(max(deadline - time.monotonic(), 0.05), ANSWER_S)
                if change.poll(timeout_s=left):
                    took[change.envoy.name] = (clock() - started) * 1000
                    waiting.remove(change)
            return not waiting

        wait_until(
            all_held,
            timeout_s,
            "every Envoy to hold the new configuration",
            first_s=0.0005,
            longest_s=0.01,
            explain=lambda: "late: " + ", ".join(c.state() for c in waiting),
        )
    except BaseException as error:
        for change in begun:
            try:
                change.roll_back(timeout_s)
            except (
                LabkitError,
                OSError,
            ) as late:  # the others go back all the same, and the first error is the cause
                error.add_note(f"{change.envoy.name} did not go back: {late}")
        raise
    return took

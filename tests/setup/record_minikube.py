"""Records what a real Minikube says, for the stand-in: `python -m tests.setup.record_minikube`.

For an ordinary user with Docker, Minikube, kubectl, `sudo` without a password and no profile yet;
it takes some minutes, makes the profile `minikube` and deletes it. Cases that need another machine
(no Docker, too little memory) keep what was recorded there. The user's home is written as
/home/learner.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labkit.waiting import wait_until

FILE = Path(__file__).parent / "recorded" / "minikube.json"
HOME = "/home/learner"
START = ["start", "--driver=docker", "--cpus=2", "--memory=6144", "--output=json"]
ASKED = ["start", "--driver=docker", "--cpus=4", "--memory=6144", "--output=json"]
PROFILES = ["profile", "list", "--light", "--output=json"]
STATUS = ["status", "--output=json"]

BEFORE: tuple[tuple[str, list[str]], ...] = (
    ("version", ["version", "--short"]),
    ("no profiles", PROFILES),
    ("status of none", STATUS),
    ("tunnel of none", ["tunnel"]),
    ("stop of none", ["stop"]),
    ("delete of none", ["delete"]),
    ("images of istio-provisioner", ["addons", "images", "istio-provisioner"]),
    ("images of no addon", ["addons", "images", "istio-provisionner"]),
    ("enable without a cluster", ["addons", "enable", "istio-provisioner"]),
)
RUNNING: tuple[tuple[str, list[str]], ...] = (
    ("profiles: one", PROFILES),
    ("status: running", STATUS),
    ("enable istio: no operator", ["addons", "enable", "istio"]),
    ("enable istio-provisioner", ["addons", "enable", "istio-provisioner"]),
    ("enable istio: operator enabled", ["addons", "enable", "istio"]),
)
STOPPED: tuple[tuple[str, list[str]], ...] = (
    ("stop", ["stop"]),
    ("status: stopped", STATUS),
    ("tunnel of a stopped one", ["tunnel"]),
)
# what fails before anything is made: name, more environment, words
FAILING: tuple[tuple[str, dict[str, str], list[str]], ...] = (
    ("start: docker is off", {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, ASKED),
    ("start: too little asked for", {}, [*START[:2], "--cpus=2", "--memory=1000", START[-1]]),
    ("start: too much asked for", {}, [*START[:2], "--cpus=2", "--memory=600000", START[-1]]),
)
INTERRUPTED: tuple[tuple[str, list[str]], ...] = (
    ("profiles after an interrupted start", PROFILES),
    ("status after an interrupted start", STATUS),
)
LAST: tuple[tuple[str, list[str]], ...] = (("delete", ["delete"]),)


def record(
    source: str, name: str, args: Sequence[str], env: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Runs Minikube once, with its answer as one recording."""
    print(f"{name}: minikube {' '.join(args)}", file=sys.stderr)
    done = subprocess.run(
        ["minikube", *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    return case(source, args, done.returncode, done.stdout, done.stderr)


def interrupted(source: str, args: Sequence[str], until: str) -> dict[str, Any]:
    """What a command says until a text stands there and, after SIGINT, at its end."""
    print(f"minikube {' '.join(args)}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        with (
            open(out, "wb") as o,
            open(err, "wb") as e,
            subprocess.Popen(
                ["minikube", *args], stdin=subprocess.DEVNULL, stdout=o, stderr=e
            ) as process,
        ):
            try:
                wait_until(
                    lambda: until in out.read_text("utf-8"),
                    120,
                    f"minikube {args[0]} to say {until}",
                )
            finally:
                process.send_signal(signal.SIGINT)
            code = process.wait(30)
        return case(source, args, code, out.read_text("utf-8"), err.read_text("utf-8"))


def case(source: str, args: Sequence[str], code: int, out: str, err: str) -> dict[str, Any]:
    home = str(Path.home())
    return {
        "source": source,
        "args": list(args),
        "code": code,
        "out": out.replace(home, HOME),
        "err": err.replace(home, HOME),
    }


def main() -> None:
    listed = json.loads(subprocess.check_output(["minikube", *PROFILES], text=True))
    if listed.get("valid") or listed.get("invalid"):
        sys.exit("There is a Minikube profile already; this needs a user who has none")
    full = subprocess.check_output(["minikube", "version"], text=True)
    version, commit = re.findall(r"(?:version|commit): (\S+)", full)
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    source = (
        f"Minikube {version}, built from its source at the tag ({commit}), run with Docker on "
        f"{system} as an ordinary user, {time.strftime('%Y-%m-%d')}"
    )
    found = json.loads(FILE.read_text("utf-8"))
    try:
        found |= {name: record(source, name, args) for name, args in BEFORE}
        found |= {name: record(source, name, args, env) for name, env, args in FAILING}
        found["start: interrupted"] = interrupted(source, START, "Creating docker container")
        found |= {name: record(source, name, args) for name, args in INTERRUPTED}
        record(source, "delete", ["delete"])
        started = record(source, "start: done", START)
        # the recording machine has two processors; a test's machine may be asked for four
        found["start: done"] = {**started, "args": ASKED, "source": f"{source}; asked for 2 CPUs"}
        found |= {name: record(source, name, args) for name, args in RUNNING}
        found["tunnel: a route"] = interrupted(source, ["tunnel"], "minikube: no errors")
        if shutil.which("ssh"):
            words = ["tunnel", "--bind-address=127.0.0.1"]
            found["tunnel: runs"] = interrupted(source, words, "successfully started")
        found |= {name: record(source, name, args) for name, args in STOPPED}
    finally:
        found |= {name: record(source, name, args) for name, args in LAST}
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()

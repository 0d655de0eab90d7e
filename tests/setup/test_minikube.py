"""Minikube behind its interface, against a stand-in that replays recorded output
(tests/setup/recorded/minikube.json, which says where each piece comes from) and checks the words it
is called with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkit.errors import MeshError
from labkit.mesh.cluster.client.guard import Pinned
from labkit.processes import runs
from labkit.setup.commands import Commands
from labkit.setup.drivers import Driver, choose, find_drivers
from labkit.setup.machine import Machine, machine
from labkit.setup.minikube import Minikube, Profile, Size, is_of_minikube, plain, size_for
from labkit.setup.minikube_tunnel import OFTEN, MinikubeTunnel
from labkit.waiting import wait_until

from .standin import RECORDED, StandIns, recorded, timeless

SIZE = Size(6144, 4)
DOCKER = ["info", "--format", "{{.MemTotal}} {{.NCPU}}"]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def commands(said: list[str]) -> Iterator[Commands]:
    with Commands(said.append) as found:
        yield found


@pytest.fixture
def minikube(commands: Commands) -> Minikube:
    return Minikube(commands)


def test_each_recording_says_where_it_is_from() -> None:
    assert all(len(case["source"]) > 20 for case in RECORDED.values())
    assert not [
        name
        for name, case in RECORDED.items()
        if "/tmp/" in case["out"] and "minikube_" not in case["out"]
    ]


# start


def test_a_start_shows_the_command_then_each_step_then_the_time(
    standins: StandIns, minikube: Minikube, said: list[str]
) -> None:
    standins.program("minikube", recorded("start: done"))
    minikube.start("docker", SIZE)
    # what a person types: no --output=json
    assert said[0] == "$ minikube start --driver=docker --cpus=4 --memory=6144"
    assert said[1] == "    [ 0/19] minikube v1.38.1 on Debian 12.11 (docker/amd64)"
    assert [line for line in said if line.startswith("    warning: Failing to connect to https://")]
    assert said[-2].startswith(
        '    [19/19] Done! kubectl is now configured to use "minikube" cluster'
    )
    assert timeless(said)[-1] == "  done after N s"


@pytest.mark.parametrize(
    ("case", "words", "seen", "fix"),
    [
        (
            "start: no driver",
            "DRV_NOT_DETECTED",
            "No possible driver was detected",
            "install Docker",
        ),
        (
            "start: no docker",
            "PROVIDER_DOCKER_NOT_FOUND",
            "executable file not found",
            "Install Docker",
        ),
        (
            "start: docker is off",
            "PROVIDER_DOCKER_NOT_RUNNING",
            "Is the docker daemon running?",
            "start Docker",
        ),
        (
            "start: too little asked for",
            "RSRC_INSUFFICIENT_REQ_MEMORY",
            "minimum of 1800MB",
            "--memory",
        ),
        (
            "start: too much asked for",
            "RSRC_OVER_ALLOC_MEM",
            "more than your system limit",
            "--memory",
        ),
        ("start: docker has less", "MK_USAGE", "Docker has only 3000MB memory", "minikube logs"),
        (
            "start: docker has too little",
            "RSRC_INSUFFICIENT_CONTAINER_MEMORY",
            "only has 1500MiB",
            "more memory",
        ),
        ("start: one processor", "RSRC_INSUFFICIENT_CORES", "less than 2 CPUs", "two processors"),
        ("start: container fails", "GUEST_PROVISION", "error provisioning guest", "minikube logs"),
    ],
)
def test_a_failed_start_says_minikubes_own_reason(
    standins: StandIns,
    minikube: Minikube,
    said: list[str],
    case: str,
    words: str,
    seen: str,
    fix: str,
) -> None:
    answer = recorded(
        case, args=["start", "--driver=docker", "--cpus=4", "--memory=6144", "--output=json"]
    )
    standins.program("minikube", answer)
    with pytest.raises(MeshError) as caught:
        minikube.start("docker", SIZE)
    assert words in caught.value.message
    assert seen in caught.value.seen
    assert fix in caught.value.try_next
    assert "{{" not in str(caught.value)
    assert "\n" not in caught.value.seen
    assert not [line for line in said if "\n" in line or "│" in line]
    assert said[-1].startswith("  failed after")


def test_a_start_that_ended_without_a_reason_shows_what_it_last_said(
    standins: StandIns, minikube: Minikube
) -> None:
    standins.program(
        "minikube", recorded("start: interrupted", args=["start", "--output=json"], code=1)
    )
    with pytest.raises(MeshError, match="did not start") as caught:
        minikube.start()
    assert "labkit up --minikube goes on" in caught.value.try_next


def test_an_interrupted_start_ends_minikube(
    standins: StandIns, minikube: Minikube, said: list[str]
) -> None:
    """Ctrl-C reaches labkit; the tool must not go on without it."""
    standins.program(
        "minikube", recorded("start: interrupted", args=["start", "--output=json"], hang=True)
    )
    main = threading.get_ident()
    timer = threading.Thread(
        target=lambda: (wait_for_step(said), signal.pthread_kill(main, signal.SIGINT))
    )
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        minikube.start()
    timer.join()
    assert not running(standins.folder / "minikube")


def wait_for_step(said: list[str]) -> None:
    wait_until(lambda: any("[ 5/19]" in line for line in said), 10, "the start to be under way")


def test_a_killed_labkit_takes_minikube_with_it(standins: StandIns, tmp_path: Path) -> None:
    """SIGKILL leaves no time to tidy up: the family of processes does it."""
    standins.program(
        "minikube", recorded("start: interrupted", args=["start", "--output=json"], hang=True)
    )
    code = "from labkit.setup.commands import Commands\n"
    code += "from labkit.setup.minikube import Minikube\nMinikube(Commands()).start()\n"
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as owner:
        assert owner.stdout is not None
        assert any("[ 5/19]" in line for line in owner.stdout)
        assert running(standins.folder / "minikube")
        owner.kill()
    wait_until(
        lambda: not running(standins.folder / "minikube"), 10, "minikube to end with its owner"
    )


def running(program: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if (
            str(program) in (process.info["cmdline"] or [])
            and process.status() != psutil.STATUS_ZOMBIE
        ):
            found.append(process)
    return found


# profiles and their state


def test_no_profile_yet(standins: StandIns, minikube: Minikube) -> None:
    standins.program("minikube", recorded("no profiles"), recorded("status of none", again=True))
    assert minikube.profiles() == []
    assert minikube.status() == {}
    assert not minikube.runs


def test_a_profile_and_its_state(standins: StandIns, minikube: Minikube) -> None:
    standins.program(
        "minikube", recorded("profiles: one"), recorded("status: stopped", touch=["asked"])
    )
    assert minikube.found() == Profile("minikube", "docker", 6144, 2)
    assert minikube.status()["Host"] == "Stopped"
    standins.program("minikube", recorded("status: running"))
    assert minikube.runs


def test_a_profile_whose_start_was_interrupted_exists_and_does_not_run(
    standins: StandIns, minikube: Minikube
) -> None:
    standins.program(
        "minikube",
        recorded("profiles after an interrupted start"),
        recorded("status after an interrupted start", again=True),
    )
    assert minikube.found() is not None
    assert minikube.status() == {}
    assert not minikube.runs


def test_another_profile_is_named_in_every_command(
    standins: StandIns, commands: Commands, said: list[str]
) -> None:
    lab = Minikube(commands, "lab")
    standins.program(
        "minikube",
        recorded("start: done", args=["start", "--profile=lab", "--output=json"]),
        recorded("status: stopped", args=["status", "--profile=lab", "--output=json"]),
        recorded("stop", args=["stop", "--profile=lab"]),
        recorded("delete", args=["delete", "--profile=lab"]),
    )
    lab.start()
    lab.status()
    lab.stop()
    lab.delete()
    assert [line for line in said if line.startswith("$")] == [
        "$ minikube start --profile=lab",
        "$ minikube stop --profile=lab",
        "$ minikube delete --profile=lab",
    ]
    assert '    * Removed all traces of the "minikube" cluster.' in said


def test_a_profiles_context_is_told_by_its_name_and_certificate() -> None:
    def pinned(context: str, certificate: str) -> Pinned:
        users = [{"name": context, "user": {"client-certificate": certificate}}]
        return Pinned(context, "https://127.0.0.1:32771", {"clusters": [], "users": users})

    ours = pinned("lab", "/home/me/.minikube/profiles/lab/client.crt")
    assert is_of_minikube(ours, ["minikube", "lab"])
    assert not is_of_minikube(ours, ["minikube"])
    assert not is_of_minikube(pinned("lab", "/home/me/kind/client.crt"), ["lab"])


def test_its_version(standins: StandIns, minikube: Minikube) -> None:
    standins.program("minikube", recorded("version"))
    assert minikube.version() == "1.38.1"


def test_no_minikube_at_all(standins: StandIns, minikube: Minikube) -> None:
    with pytest.raises(MeshError, match="no program 'minikube'") as caught:
        minikube.start()
    assert "labkit doctor" in caught.value.try_next


# add-ons


def test_which_istio_the_addon_would_install(standins: StandIns, minikube: Minikube) -> None:
    standins.program("minikube", recorded("images of istio-provisioner"))
    assert minikube.images("istio-provisioner") == ["istio/operator:1.23.3"]
    standins.program("minikube", recorded("images of no addon"))
    assert minikube.images("istio-provisionner") == []


def test_an_addon_is_switched_and_its_warnings_are_shown(
    standins: StandIns, minikube: Minikube, said: list[str]
) -> None:
    standins.program("minikube", recorded("enable istio-provisioner"))
    minikube.enable("istio-provisioner")
    assert any("not maintained or verified" in line for line in said)


def test_an_addon_that_fails_says_why(standins: StandIns, minikube: Minikube) -> None:
    standins.program("minikube", recorded("enable istio: no operator"))
    with pytest.raises(MeshError, match="add-on 'istio'") as caught:
        minikube.enable("istio")
    assert caught.value.seen.startswith("Exiting due to MK_ADDON_ENABLE")
    assert "istioctl" in caught.value.try_next


# drivers, memory, processors


def test_a_driver_is_found_with_its_memory_and_processors(
    standins: StandIns, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    standins.program("docker", {"args": DOCKER, "out": "8323895296 4\n"})
    (docker,) = find_drivers(commands, "linux")
    assert (docker.name, docker.works, docker.memory_mb, docker.cpus) == ("docker", True, 7938, 4)
    assert choose([docker]) is docker


def test_docker_without_its_daemon_does_not_count(
    standins: StandIns, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker 28's own answer then: 0 0, exit code 1, and why."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    why = (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker "
        "daemon running?"
    )
    standins.program("docker", {"args": DOCKER, "out": "0 0\n", "err": why + "\n", "code": 1})
    drivers = find_drivers(commands, "linux")
    with pytest.raises(MeshError, match="nothing to run Kubernetes in") as caught:
        choose(drivers)
    assert why in caught.value.seen
    assert "start Docker" in caught.value.try_next


def test_minikube_does_not_use_docker_as_root(
    standins: StandIns, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    standins.program("docker")
    (docker,) = find_drivers(commands, "linux")
    assert not docker.works
    assert "sudo" in docker.fix


def test_the_first_driver_that_works_is_taken_and_a_named_one_is_insisted_on() -> None:
    off, on = Driver("docker", False, "off", "start Docker"), Driver("podman", True, "5.1")
    assert choose([off, on]) is on
    assert choose([off, on], "podman") is on
    with pytest.raises(MeshError, match="'docker' does not work"):
        choose([off, on], "docker")
    with pytest.raises(MeshError, match="not installed") as caught:
        choose([off, on], "kvm2")
    assert "docker, podman" in caught.value.seen
    with pytest.raises(MeshError) as caught:
        choose([])
    assert "none of Docker" in caught.value.seen


@pytest.mark.parametrize(
    ("memory", "cpus", "driver", "size"),
    [
        (16000, 8, Driver("docker", True, ""), Size(6144, 4)),
        (6000, 2, Driver("docker", True, ""), Size(4976, 2)),
        (16000, 8, Driver("docker", True, "", memory_mb=5000, cpus=3), Size(5000, 3)),
    ],
)
def test_minikube_gets_what_it_wants_or_what_there_is(
    memory: int, cpus: int, driver: Driver, size: Size
) -> None:
    assert size_for(Machine(memory, memory, cpus), driver) == size


@pytest.mark.parametrize(
    ("found", "driver", "words"),
    [
        (
            Machine(16000, 5000, 8),
            Driver("docker", True, ""),
            "5000 MB of 16000 MB of memory are free",
        ),
        (
            Machine(16000, 16000, 8),
            Driver("docker", True, "", memory_mb=1984, cpus=2),
            "docker has 1984 MB",
        ),
        (
            Machine(4096, 4096, 8, "a container's limit of memory"),
            Driver("docker", True, ""),
            "a container's limit",
        ),
        (Machine(16000, 16000, 1), Driver("docker", True, ""), "1 processors"),
    ],
)
def test_too_small_a_machine_is_said_before_anything_starts(
    found: Machine, driver: Driver, words: str
) -> None:
    with pytest.raises(MeshError, match=r"too (little|few)") as caught:
        size_for(found, driver)
    assert words in caught.value.seen
    assert "labkit lab" in caught.value.try_next


def test_a_containers_limits_count(tmp_path: Path) -> None:
    """Version 2 of control groups: the outer group's limit holds inside too."""
    inner = tmp_path / "cgroup" / "user.slice" / "lab.scope"
    inner.mkdir(parents=True)
    outer = inner.parent
    (inner / "memory.max").write_text("max\n")
    (inner / "cpu.max").write_text("max 100000\n")
    (outer / "memory.max").write_text(f"{700 * 2**20}\n")
    (outer / "memory.current").write_text(f"{200 * 2**20}\n")
    (outer / "cpu.max").write_text("50000 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/user.slice/lab.scope\n")
    found = machine(tmp_path / "cgroup", own)
    assert (found.total_mb, found.free_mb, found.cpus) == (700, 500, 1)
    assert "memory and processors" in found.limited_by


def test_a_containers_limits_count_in_version_1_too(tmp_path: Path) -> None:
    folder = tmp_path / "cgroup" / "memory" / "docker" / "1234"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{600 * 2**20}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{100 * 2**20}\n")
    own = tmp_path / "own"
    own.write_text("12:pids:/x\n4:memory:/docker/1234\n")
    assert machine(tmp_path / "cgroup", own).free_mb == 500


def test_without_limits_the_machine_counts(tmp_path: Path) -> None:
    found = machine(tmp_path, tmp_path / "missing")
    assert found.total_mb == psutil.virtual_memory().total // 2**20
    assert found.limited_by == ""


# the tunnel

ROUTE, LISTENS = ["tunnel"], ["tunnel", "--bind-address=127.0.0.1"]
ASKED = ["info", "--format", "{{.OperatingSystem}} {{.SecurityOptions}}"]
LINUX = {"args": ASKED, "out": "Debian GNU/Linux 12 (bookworm) [name=seccomp,profile=default]\n"}
DESKTOP = {"args": ASKED, "out": "Docker Desktop [name=seccomp,profile=unconfined]\n"}


@pytest.fixture
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize(("docker", "words"), [(LINUX, ROUTE), (DESKTOP, LISTENS)])
def test_a_tunnel_is_a_route_or_listens_on_loopback_runs_and_ends(
    standins: StandIns,
    minikube: Minikube,
    said: list[str],
    docker: dict[str, Any],
    words: list[str],
) -> None:
    standins.program("docker", docker)
    case = "tunnel: a route" if words == ROUTE else "tunnel: runs"
    answer = recorded(case, args=words, hang=True, touch=["up"])
    standins.program("minikube", {**answer, "interrupted": ["cleaned up"]})
    with MinikubeTunnel(minikube, driver="docker", say=said.append) as tunnel:
        tunnel.wait((standins.folder / "up").exists)
        assert tunnel.runs
        assert running(standins.folder / "minikube")
    assert not running(standins.folder / "minikube")
    assert (standins.folder / "cleaned up").exists(), "SIGINT, as Ctrl-C: SIGTERM leaves the route"
    assert said == [f"$ minikube {' '.join(words)}"]


@pytest.mark.usefixtures("_root")
def test_a_tunnel_that_died_is_started_again(
    standins: StandIns, minikube: Minikube, said: list[str]
) -> None:
    answer = recorded("tunnel: a route")
    standins.program("docker", LINUX)
    standins.program("minikube", {**answer, "code": 1, "touch": ["died"]})
    standins.program("minikube", {**answer, "hang": True, "needs": ["died"], "touch": ["again"]})
    with MinikubeTunnel(minikube, driver="docker", say=said.append) as tunnel:
        tunnel.wait((standins.folder / "again").exists)
        assert tunnel.runs
    assert [line for line in said if "exit code 1" in line and "started again" in line]


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize("case", ["tunnel of none", "tunnel of a stopped one"])
def test_a_tunnel_that_keeps_dying_is_given_up(
    standins: StandIns, minikube: Minikube, said: list[str], case: str
) -> None:
    standins.program("minikube", recorded(case, again=True))
    with (
        MinikubeTunnel(minikube, say=said.append) as tunnel,
        pytest.raises(MeshError, match="given up") as caught,
    ):
        tunnel.wait(lambda: False, 30)
    assert "minikube status" in caught.value.try_next
    assert len(standins.calls("minikube")) == OFTEN
    assert RECORDED[case]["out"].splitlines()[0][2:20] in caught.value.seen


LEAVING = """#!{python} -IS
import os, signal, subprocess, sys
out = open({up!r}, "w")
wait = "import signal; signal.pause()"
left = subprocess.Popen([sys.executable, "-IS", "-c", wait], process_group=0)
out.write(str(left.pid))
out.close()
try:
    signal.pause()
except KeyboardInterrupt:
    sys.exit(0)
"""
SUDO = """#!{python} -IS
import os, signal, sys
if sys.argv[1:3] == ["-n", "kill"]:
    for pid in sys.argv[3:]:
        os.kill(int(pid), signal.SIGTERM)
"""


@pytest.mark.usefixtures("_root")
def test_what_a_tunnel_leaves_behind_is_ended_through_sudo(
    standins: StandIns, minikube: Minikube, said: list[str]
) -> None:
    """Minikube can't end the ssh that it has started through sudo, which would keep the ports."""
    up = standins.folder / "up"
    for name, script in (("minikube", LEAVING), ("sudo", SUDO)):
        (standins.folder / name).write_text(script.format(python=sys.executable, up=str(up)))
        (standins.folder / name).chmod(0o755)
    with MinikubeTunnel(minikube, driver="kvm2", say=said.append) as tunnel:
        tunnel.wait(lambda: up.exists() and up.read_text())
        left = psutil.Process(int(up.read_text()))
        assert runs(left)
    assert not runs(left)
    assert said == ["$ minikube tunnel"]


def test_a_tunnel_that_would_wait_for_a_password_is_not_begun(
    standins: StandIns, minikube: Minikube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    standins.program("minikube")
    standins.program("docker", DESKTOP)
    standins.program(
        "sudo", {"args": ["-n", "true"], "code": 1, "err": "sudo: a password is required\n"}
    )
    with pytest.raises(MeshError, match="needs your password") as caught:
        MinikubeTunnel(minikube, driver="docker").start()
    assert "minikube tunnel --bind-address=127.0.0.1" in caught.value.try_next
    assert standins.calls("minikube") == []


def test_a_message_is_freed_of_its_picture() -> None:
    assert plain("❗  This container is having trouble") == "This container is having trouble"
    assert plain("* Profile") == "Profile"
    assert (
        plain('  To start a cluster, run: "minikube start"')
        == 'To start a cluster, run: "minikube start"'
    )
    assert plain("") == ""
    assert (
        plain("exit status 1\nstdout:\n\nstderr:\nno such volume")
        == "exit status 1; no such volume"
    )

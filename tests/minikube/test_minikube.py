"""`labkit up --minikube`, the lessons, the tunnel and `labkit down`, on a real Minikube.

The tests stand in the order of a learner's days and build on each other: a Minikube takes a minute
to make, and what is looked at is what one step leaves to the next.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from labkit.mesh.cluster.cleanup.leftovers import api_of
from labkit.mesh.cluster.client.guard import guarded
from labkit.mesh.cluster.istio import gateway_address
from labkit.setup.commands import Commands
from labkit.setup.minikube import Minikube
from labkit.setup.minikube_tunnel import LOOPBACK, MinikubeTunnel
from labkit.waiting import wait_until

from .conftest import PROFILE, PROFILE_WORDS, Bench

pytestmark = pytest.mark.timeout(900)
HOST = "test.example.com"
LESSONS = os.environ.get("LABKIT_TEST_LESSONS", "01 04 07").split()
"""More of them, or "01 02 … 12": all are run before a change of the lessons is taken for good."""


def routes() -> set[str]:
    """The routes of this machine, a line each; nothing on a machine that keeps them elsewhere."""
    program = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")
    if program is None:
        return set()
    return set(subprocess.check_output([program, "route"], text=True).splitlines())


def listening(port: int) -> bool:
    """Whether something on this machine accepts connections at 127.0.0.1."""
    import socket

    with socket.socket() as one:
        return one.connect_ex((LOOPBACK, port)) == 0


def ssh_of_tunnels() -> list[int]:
    """Processes that forward the gateway's ports, of any user."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"] in ("ssh", "sudo") and any(":15021:" in word for word in words):
            found.append(process.pid)
    return found


def calls(address: str) -> int:
    """The status of a request to the gateway at an address, with the lessons' host."""
    request = urllib.request.Request(f"http://{address}/", headers={"Host": HOST})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return int(answer.status)


@contextmanager
def applied(bench: Bench) -> Iterator[None]:
    """The course's service and the way in, outside of any lesson."""
    folder = Path(__file__).resolve().parents[2] / "manifests"
    files = [
        str(folder / name)
        for name in (
            "hello-world.yaml",
            "02_first_microservice/gateway.yaml",
            "02_first_microservice/virtual-service.yaml",
        )
    ]
    bench.kubectl("apply", *(f"--filename={file}" for file in files))
    try:
        bench.kubectl(
            "--namespace=hello-world", "rollout", "status", "deployment", "--timeout=180s"
        )
        yield
    finally:
        bench.kubectl("delete", "namespace", "hello-world", "--wait")


def test_the_doctor_finds_minikube_and_its_driver(bench: Bench) -> None:
    said = bench.labkit("doctor")
    assert re.search(r"minikube\s.*v?1\.\d+\.\d+", said), said
    assert re.search(r"driver\s.*docker, \d+ MB and \d+ processors", said), said


def test_up_makes_a_minikube_with_istio(bench: Bench) -> None:
    said = bench.up("--with=istioctl", figure="up from nothing, with istioctl (s)")
    assert f"$ minikube start --profile={PROFILE} --driver=docker" in said
    assert re.search(r"The cluster has \d+ processors and \d+ MB: Istio is told to ask", said), said
    assert "Ready after" in said
    assert PROFILE in bench.profiles


def test_a_second_up_has_nothing_to_do(bench: Bench) -> None:
    said = bench.up(figure="up again (s)")
    assert "It runs already" in said
    assert "nothing is installed" in said


def test_the_doctor_says_what_this_cluster_is(bench: Bench) -> None:
    said = bench.labkit("doctor", "--backend=cluster")
    assert f"Minikube, cluster {PROFILE}" in said


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_passes(bench: Bench, lesson: str) -> None:
    said = bench.labkit("run", lesson, "--backend=cluster", figure=f"lesson {lesson} (s)")
    assert "0 failed" in said


def test_how_fast_it_is(bench: Bench) -> None:
    """The figures of the README: what a learner waits for."""
    code = """
import json, time, labkit
from labkit.lessons import manifest
began = time.monotonic()
with labkit.open_mesh("cluster") as mesh:
    opened = time.monotonic()
    mesh.apply(manifest("hello-world.yaml"))
    mesh.apply(manifest("02_first_microservice/gateway.yaml"))
    mesh.apply(manifest("02_first_microservice/virtual-service.yaml"))
    assert mesh.curl("http://test.example.com/").codes == {200: 1}
    answered = time.monotonic()
    took = []
    for name in ("random", "round-robin", "random", "round-robin", "random"):
        began_apply = time.monotonic()
        mesh.apply(manifest(f"03_load_balancing/{name}.yaml"))
        took.append(time.monotonic() - began_apply)
print(json.dumps({
    "open a mesh (s)": opened - began,
    "first answer (s)": answered - opened,
    "apply, with its barrier, p50 (s)": sorted(took)[2],
}))
"""
    said = bench.run(sys.executable, "-c", code)
    found = json.loads(said.splitlines()[-1])
    assert all(seconds > 0 for seconds in found.values())
    bench.figures.update({name: round(seconds, 2) for name, seconds in found.items()})


def test_a_tunnel_by_route_is_taken_back(bench: Bench) -> None:
    before = routes()
    with (
        applied(bench),
        subprocess.Popen(
            [sys.executable, "-u", "-m", "labkit", "up", *PROFILE_WORDS, "--tunnel"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        said = ""
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said += line
                if "until you press Ctrl-C" in line:
                    break
            assert "has no address of its own" not in said, said
            api = api_of(context=PROFILE)
            address = gateway_address(api)
            assert address not in ("", LOOPBACK), said
            assert routes() != before
            assert not listening(80), "a route needs nobody who listens"
            wait_until(lambda: calls(address) == 200, 30, "the service through the tunnel")
        finally:
            os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        assert gateway_address(api) == "", "the Service has its address no more"
        api.close()
    assert routes() == before
    assert ssh_of_tunnels() == []


def test_a_tunnel_that_listens_leaves_no_ssh(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Docker Desktop has it; here Minikube is told to, by the same option."""
    monkeypatch.setattr("labkit.setup.minikube_tunnel.listens", lambda driver, commands: True)
    if listening(80):
        pytest.skip("something else on this machine has port 80")
    api = api_of(context=PROFILE)
    with applied(bench), Commands() as commands:
        with MinikubeTunnel(Minikube(commands, PROFILE), driver="docker") as tunnel:
            tunnel.wait(lambda: gateway_address(api))
            assert gateway_address(api) == LOOPBACK
            wait_until(lambda: listening(80), 30, "the tunnel to listen")
            wait_until(lambda: calls(LOOPBACK) == 200, 30, "the service through the tunnel")
            assert ssh_of_tunnels()
        assert ssh_of_tunnels() == []
        assert not any(map(listening, (80, 443, 15021)))
        wait_until(lambda: gateway_address(api) == "", 10, "the address to be taken back")
    api.close()


def test_the_course_goes_on_after_a_stop_and_a_start(bench: Bench) -> None:
    bench.minikube("stop")
    said = bench.up(figure="up after a stop (s)")
    assert "nothing is installed" in said
    assert "0 failed" in bench.labkit("run", LESSONS[0], "--backend=cluster")


def test_down_deletes_the_minikube_that_up_made(bench: Bench) -> None:
    records = bench.folder / "state" / "clusters"
    shutil.copytree(records, bench.folder / "kept")
    bench.labkit("down", figure="down (s)")
    assert PROFILE not in bench.profiles
    assert list(records.glob("*.json")) == []


def test_another_minikube_of_the_same_name_is_left_alone_while_it_is_stopped(bench: Bench) -> None:
    """What labkit remembers is of the one that somebody has deleted meanwhile."""
    bench.run(
        "minikube", "start", f"--profile={PROFILE}", "--driver=docker", "--cpus=2", "--memory=6144"
    )
    bench.minikube("stop")
    shutil.copytree(bench.folder / "kept", bench.folder / "state" / "clusters", dirs_exist_ok=True)
    assert "is another one by now" in bench.labkit("down")
    assert PROFILE in bench.profiles
    assert bench.labkit("down")
    assert PROFILE in bench.profiles


def test_helm_installs_into_somebodys_minikube_which_is_stopped_again(bench: Bench) -> None:
    said = bench.up("--with=helm", figure="up of a stopped one, with Helm (s)")
    assert "Installing Istio by helm" in said
    assert guarded(PROFILE).cleared
    bench.labkit("down")
    status = subprocess.run(
        ["minikube", "status", f"--profile={PROFILE}", "--format={{.Host}}"],
        capture_output=True,
        text=True,
    )
    assert status.stdout.strip() == "Stopped"
    bench.minikube("start")
    assert "istio-system" not in bench.kubectl("get", "namespaces", "--output=name")
    bench.minikube("delete")


def test_nothing_is_left(bench: Bench) -> None:
    assert bench.profiles == [] or PROFILE not in bench.profiles
    assert ssh_of_tunnels() == []
    assert not [line for line in routes() if line.startswith("10.96.0.0/12")]
    assert "labkit" not in Path("/etc/hosts").read_text("utf-8")
    running = subprocess.check_output(["docker", "ps", "--all", "--format={{.Names}}"], text=True)
    assert PROFILE not in running.split()

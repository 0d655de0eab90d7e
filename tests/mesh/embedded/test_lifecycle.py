"""What happens when processes die, and what is left behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import labkit
from labkit.errors import MeshError
from labkit.mesh import Mesh
from labkit.mesh.embedded import EmbeddedMesh, state
from labkit.processes import group_members
from labkit.waiting import wait_until
from tests.mesh.conftest import CLIENT, GATEWAY, HELLO, ROUTE, URL

pytestmark = pytest.mark.embedded


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of this test's own for meshes. A Unix socket's path may have 103 characters;
    pytest's own are long.
    """
    with tempfile.TemporaryDirectory(prefix="lk", dir="/tmp") as short:
        monkeypatch.setenv("LABKIT_STATE", short)
        yield Path(short)


@pytest.fixture
def own(folder: Path) -> Iterator[EmbeddedMesh]:
    """A mesh of this test's own."""
    with labkit.open_mesh("embedded") as mesh:
        assert isinstance(mesh, EmbeddedMesh)
        mesh.apply(HELLO, GATEWAY, ROUTE)
        yield mesh


def members(group: int) -> list[int]:
    return [p.pid for p in group_members(group)]


def test_a_killed_application_is_taken_out_restarted_and_taken_in(own: EmbeddedMesh) -> None:
    pod = own.pods("hello-world-v2")[0].name
    own._controller.running[pod].kill_app()
    own.wait_for(lambda: own.pods("hello-world-v2")[0].restarts == 1, "the restart")
    own.wait_for(lambda: own.pods("hello-world-v2")[0].is_ready, "the pod to be ready again")
    own.wait_for(lambda: pod in set(own.endpoints()["pod"]), "its endpoint")
    assert own.curl(URL, n=30).codes == {200: 30}


def test_a_pod_that_is_late_twice_stays_ready_and_a_third_time_does_not(
    own: EmbeddedMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.mesh.embedded.pod.PROBE_TIMEOUT_S", 0.1)
    pod = own._controller.running[own.pods("hello-world-v2")[0].name]
    assert pod.app is not None
    pod.app.send_signal(signal.SIGSTOP)
    seen: dict[int, bool] = {}

    def noted() -> bool:
        seen[pod.missed] = pod.ready
        return not pod.ready

    own.wait_for(noted, "the pod to be taken out")
    assert pod.missed >= 3
    assert seen.get(0, True)
    pod.app.send_signal(signal.SIGCONT)
    own.wait_for(lambda: pod.ready, "the pod to be back")


def test_a_change_under_way_makes_no_pod_unready(
    own: EmbeddedMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = own._controller.running[own.pods("hello-world-v2")[0].name]
    looks: list[bool] = []
    probe = pod.probe

    def probed() -> bool:
        looks.append(pod.ready)
        return probe()

    monkeypatch.setattr(pod, "probe", probed)
    assert pod.sidecar is not None
    pod.sidecar.xds.versions["cds"] = "told, and not held yet"
    pod.look_now()
    own.wait_for(lambda: len(looks) >= 3, "the pod to be looked at")
    assert all(looks)


def test_a_killed_sidecar_is_restarted_with_its_configuration(own: EmbeddedMesh) -> None:
    pod = own.pods("hello-world-v2")[0].name
    before = own._controller.plane.proxies[pod].envoy.process
    own._controller.running[pod].sidecar.kill()  # type: ignore[union-attr]
    own.wait_for(lambda: own.pods("hello-world-v2")[0].restarts == 1, "the restart")
    own.wait_for(lambda: own.pods("hello-world-v2")[0].is_ready, "the pod to be ready again")
    assert own._controller.plane.proxies[pod].envoy.process is not before
    own.wait_for(lambda: pod in own.curl(URL, n=30).pods, "an answer from that pod")


def test_a_sidecar_that_is_killed_while_it_is_told_of_others_is_no_trouble_of_a_caller(
    own: EmbeddedMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = own._controller
    first, second = own.pods("hello-world-v1")[:2]
    restart = threading.Event()
    monkeypatch.setattr(
        controller.running[first.name].backoff["sidecar"], "may_start", restart.is_set
    )
    sidecar = controller.plane.proxies[first.name].envoy
    assert sidecar.process is not None
    sidecar.process.send_signal(signal.SIGSTOP)  # it takes no change now
    own.control(second.name, ready=False)

    def being_told() -> bool:
        free = controller.lock.acquire(blocking=False)
        if free:
            controller.lock.release()
        return not free and sidecar.xds.versions != held

    held = dict(sidecar.xds.versions)
    wait_until(being_told, 10, "the change to be under way", first_s=0.001, longest_s=0.005)
    sidecar.kill()
    own.wait_for(
        lambda: controller.trouble or not controller.ready_as_pushed[second.name], "the others"
    )
    restart.set()
    own.control(second.name, ready=True)
    own.wait_for(
        lambda: all(p.is_ready for p in own.pods("hello-world-v1")), "the pods to be ready"
    )
    assert own.curl(URL, n=5).codes == {200: 5}


def test_a_killed_gateway_comes_back_at_the_same_address(own: EmbeddedMesh) -> None:
    address = own.gateway_url
    own._controller.gateway.sidecar.kill()  # type: ignore[union-attr]
    own.wait_for(lambda: own._controller.gateway.restarts == 1, "the restart")
    assert own.curl(URL, n=5).codes == {200: 5}
    assert own.gateway_url == address


def test_a_pod_that_crashes_again_and_again_waits_longer_each_time(own: EmbeddedMesh) -> None:
    running = own._controller.running[own.pods("hello-world-v2")[0].name]
    running.kill_app()
    own.wait_for(lambda: running.restarts == 1 and running.ready, "the first restart, at once")
    running.kill_app()
    own.wait_for(lambda: running.status == "CrashLoopBackOff", "the second to wait")
    own.wait_for(lambda: running.ready, "the second restart")


def test_close_leaves_no_process_and_no_folder(own: EmbeddedMesh) -> None:
    group, folder = own._controller.family.group, own._controller.folder
    assert len(members(group)) == 8  # a gateway, three sidecars, three applications, a keeper
    own.close()
    assert members(group) == []
    assert not folder.exists()
    own.close()  # a second time does nothing


OWNER = """
import json, signal, sys, labkit
for name in ("SIGHUP", "SIGQUIT", "SIGTERM"):  # a run of the tests in the background ignores some
    signal.signal(getattr(signal, name), signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
mesh = labkit.open_mesh("embedded")
mesh.apply(*sys.argv[1:])
print(json.dumps({"group": mesh._controller.family.group, "folder": str(mesh._controller.folder)}), flush=True)
sys.stdin.read()
"""  # noqa: E501


def owner(*manifests: object) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """A process with a mesh of these manifests, by default of nine processes, and what it is."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, *map(str, manifests or (HELLO, CLIENT))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_owner_dies_everything_dies_within_two_seconds(
    folder: Path, how: signal.Signals
) -> None:
    process, mesh = owner()
    group = int(mesh["group"])
    assert len(members(group)) >= 9
    with process:
        process.send_signal(how)
        process.wait()
        wait_until(lambda: not members(group), 10, "all processes to end")
        wait_until(lambda: not Path(mesh["folder"]).exists(), 10, "the folder to go")


def test_down_ends_what_an_owner_left(folder: Path) -> None:
    process, mesh = owner()
    with process:
        (left,) = state.meshes()
        assert left.owner_runs
        assert left.owner == process.pid
        state.end(left)
        assert members(int(mesh["group"])) == []
        assert list(state.meshes()) == []
        process.kill()


def test_a_mesh_that_was_ended_from_outside_says_so(own: EmbeddedMesh) -> None:
    (left,) = state.meshes()
    state.end(left)
    own.wait_for(lambda: own._controller.trouble is not None, "the mesh to notice")
    for _ in range(2):
        with pytest.raises(MeshError, match="ended from outside"):
            own.curl(URL)
    for act in (
        lambda: own.apply(ROUTE),
        lambda: own.delete("VirtualService", "hello-world-vs"),
        own.reset,
    ):
        with pytest.raises(MeshError, match="ended from outside"):
            act()


@pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"
)  # Python 3.12 and later
def test_a_forked_process_ends_nothing_and_keeps_nothing_alive(own: EmbeddedMesh) -> None:
    """As a worker of multiprocessing: it has copies of all that is open, and does what is
    registered for the end.
    """
    family = own._controller.family
    inside, outside = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            own.curl(URL)
        except MeshError as error:
            os.write(outside, error.message.encode())
        own.close()
        family.close()
        assert family.keeper.stdin is not None
        os.write(
            outside,
            b"; its pipe is closed" if family.keeper.stdin.closed else b"; it holds the pipe",
        )
        os._exit(0)
    os.waitpid(child, 0)
    os.close(outside)
    with os.fdopen(inside) as said:
        assert said.read() == "This mesh belongs to another process; its pipe is closed"
    assert own.curl(URL, n=3).codes == {200: 3}


def test_a_clock_that_was_set_makes_no_mesh_look_abandoned(own: EmbeddedMesh) -> None:
    record = own._controller.folder / state.RECORD
    body = json.loads(record.read_text())
    record.write_text(json.dumps({**body, "owner_started": body["owner_started"] - 3600}))
    (left,) = state.meshes()
    assert left.owner_runs


def test_a_folder_that_others_may_change_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABKIT_STATE", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    state.root().mkdir()
    state.root().chmod(0o777)
    with pytest.raises(MeshError, match="not yours alone"):
        labkit.open_mesh("embedded")
    state.root().rmdir()
    (tmp_path / "elsewhere").mkdir()
    state.root().symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MeshError, match="not yours alone"):
        labkit.open_mesh("embedded")


def test_two_meshes_side_by_side_do_not_meet(own: EmbeddedMesh) -> None:
    with labkit.open_mesh("embedded") as other:
        other.apply(HELLO, GATEWAY, ROUTE)
        assert other.gateway_url != own.gateway_url
        assert set(own.curl(URL, n=20).pods) <= {p.name for p in own.pods()}
        assert set(other.curl(URL, n=20).pods) <= {p.name for p in other.pods()}


def test_everything_listens_on_loopback_only(own: Mesh) -> None:
    assert isinstance(own, EmbeddedMesh)
    for pid in members(own._controller.family.group):
        for connection in psutil.Process(pid).net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip == "127.0.0.1"

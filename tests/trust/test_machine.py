"""What a machine may lack: room on the disk, ports, files, inotify, a folder to write; and many
meshes at once. Each is said in words, and what runs goes on.
"""

from __future__ import annotations

import ast
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

import labkit
from labkit.errors import MeshError
from labkit.mesh.embedded import EmbeddedMesh, ports, state
from labkit.processes import group_members
from labkit.waiting import steady_time, wait_until
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, URL, virtual_service
from tests.mesh.embedded.test_lifecycle import folder, own
from tests.trust import LONG, measured
from tests.trust.apart import run

__all__ = ["folder", "own"]  # fixtures
linux = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
TO_HELLO = "[{destination: {host: hello-world}}]"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name, since Unix sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="lk", dir="/tmp") as name:
        yield Path(name)


FULL = """
ROUTES = "[{timeout: 9s, route: [{destination: {host: hello-world}}]}]"
mount("-o", "size=8m")
os.environ["LABKIT_STATE"] = str(folder / "s")
os.environ["LABKIT_PROGRESS"] = str(folder / "progress.json")
from labkit.lessons import progress
def fill():
    with open(folder / "ballast", "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
fill()
seen("open", labkit.open_mesh)
seen("left", lambda: os.listdir(folder / "s"))
seen("progress", lambda: progress.record("exercises", "x", state="done")["state"])
os.unlink(folder / "ballast")
with labkit.open_mesh() as mesh:
    mesh.apply(HELLO, GATEWAY, ROUTE)
    fill()
    seen("apply", lambda: mesh.apply(virtual_service(ROUTES.replace('9s', '3s'))))
    seen("scale", lambda: mesh.scale("hello-world-v1", 3))
    seen("meanwhile", lambda: mesh.curl(URL, n=20).codes)
    os.unlink(folder / "ballast")
    seen("again", lambda: mesh.apply(virtual_service(ROUTES)))
    seen("after", lambda: mesh.curl(URL, n=20).codes)
seen("at the end", lambda: os.listdir(folder / "s"))
tell()
"""


@linux
@pytest.mark.embedded
def test_a_full_disk(short: Path) -> None:
    told = run(FULL, short)
    for what in ("open", "apply", "scale"):
        assert told[what].startswith("MeshError: The disk is full")
        assert "df -h" in told[what]
    assert told["left"] == told["at the end"] == "[]"
    assert told["progress"] == "done"
    assert told["meanwhile"] == told["after"] == {"200": 20}
    measured(
        "full-disk",
        "the disk full: opening a mesh, `apply`, `scale`, progress",
        "each says so and what to type; requests go on; with room again the next `apply` works",
        recovered_s=told["again s"],
        lost=0,
    )


@pytest.mark.embedded
def test_no_free_port(own: EmbeddedMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        first = 19000
        for port in range(first, first + 4):
            taken = stack.enter_context(socket.socket())
            taken.bind(("127.0.0.1", port))
        monkeypatch.setattr(ports, "FIRST", first)
        monkeypatch.setattr(ports, "LAST", first + 4)
        began = time.monotonic()
        for act in (labkit.open_mesh, lambda: own.scale("hello-world-v1", 3)):
            with pytest.raises(MeshError, match="No free port was found") as caught:
                act()
            assert "labkit down" in str(caught.value)
        took = time.monotonic() - began
        assert own.curl(URL, n=20).codes == {200: 20}
        assert [mesh.group for mesh in state.meshes()] == [own._controller.family.group]
    monkeypatch.undo()
    began = time.monotonic()
    own.scale("hello-world-v1", 3)
    measured(
        "no-free-port",
        "no free port in the meshes' range: opening a mesh, `scale`",
        "said in words; the mesh that runs goes on, and nothing is left of the other",
        said_after_s=took,
        recovered_s=time.monotonic() - began,
        lost=0,
    )


FEW = """
def load(n):
    return mesh.fortio(URL, connections=n, requests=2 * n, qps=0, program="built-in").codes
os.environ["LABKIT_STATE"] = str(folder)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
with labkit.open_mesh() as mesh:
    mesh.apply(HELLO, CLIENT, GATEWAY, ROUTE)
    mesh.scale("hello-world-v1", 4)
    seen("before", lambda: mesh.curl(URL, n=20).codes)
    seen("64", lambda: load(64))
    seen("400", lambda: load(400))
    seen("at once", lambda: mesh.start(URL, n=400))
    seen("after", lambda: mesh.curl(URL, n=20).codes)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/dev/fd")) + 1, 256))
    seen("scale", lambda: mesh.scale("hello-world-v1", 6))
    seen("open", labkit.open_mesh)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    seen("again", lambda: mesh.scale("hello-world-v1", 5))
    seen("at the end", lambda: mesh.curl(URL, n=20).codes)
seen("left", lambda: os.listdir(folder))
tell()
"""


@pytest.mark.embedded
def test_few_open_files(short: Path) -> None:
    told = run(FEW, short, apart=False)
    assert told["before"] == told["after"] == told["at the end"] == {"200": 20}
    assert told["64"] == {"200": 128}
    for what in ("400", "at once"):
        assert told[what].startswith("TrafficError: Only ")
        assert "ulimit -n" in told[what]
    for what in ("scale", "open"):
        assert told[what].startswith("MeshError: No more files"), told[what]
        assert "ulimit -n" in told[what]
    assert told["left"] == "[]"
    measured(
        "few-files",
        "`ulimit -n 256`: six pods and 64 connections; 400 connections; then no file at all",
        "the first works; the others say what to type, and what ran goes on",
        recovered_s=told["again s"],
        lost=0,
    )


READ_ONLY = """
import tempfile
mount("-o", "ro")
os.environ |= {"HOME": str(folder), "TMPDIR": str(folder), "LABKIT_STATE": str(folder / "s")}
for name in ("LABKIT_PROGRESS", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
tempfile.tempdir = None
from labkit.lessons import progress
seen("open", labkit.open_mesh)
seen("progress", lambda: progress.record("exercises", "x", state="done")["state"])
seen("remembered", lambda: progress.entry("exercises", "x")["state"])
os.environ["LABKIT_STATE"] = sys.argv[2]
with labkit.open_mesh() as mesh:
    mesh.apply(HELLO, GATEWAY, ROUTE)
    seen("elsewhere", lambda: mesh.curl(URL, n=4).codes)
tell()
"""


@linux
@pytest.mark.embedded
def test_a_home_that_cannot_be_written(short: Path) -> None:
    (short / "home").mkdir()
    (short / "state").mkdir()
    told = run(READ_ONLY, short / "home", str(short / "state"))
    assert told["open"].startswith("MeshError: A folder of the mesh can't be written")
    assert "LABKIT_STATE" in told["open"]
    assert told["progress"] == told["remembered"] == "done"
    assert told["elsewhere"] == {"200": 4}
    measured(
        "read-only-home",
        "a home and a folder for temporary files that can't be written",
        "said, with LABKIT_STATE as the way out, which works; progress is kept in memory, and that "
        "is said",
        said_after_s=told["open s"],
        lost=0,
    )


NO_INOTIFY = """
from labkit.setup.checkup import guarded, inotify
os.environ["LABKIT_STATE"] = str(folder)
Path("/proc/sys/user/max_inotify_instances").write_text("2")
seen("doctor", lambda: guarded("inotify", inotify, False))
with labkit.open_mesh() as mesh:
    seen("apply", lambda: mesh.apply(HELLO, GATEWAY, ROUTE))
    seen("curl", lambda: mesh.curl(URL))
    Path("/proc/sys/user/max_inotify_instances").write_text("1000")
with labkit.open_mesh() as mesh:
    seen("again", lambda: mesh.apply(HELLO, GATEWAY, ROUTE))
    seen("after", lambda: mesh.curl(URL, n=4).codes)
tell()
"""


@linux
@pytest.mark.embedded
def test_no_inotify_instance_is_left(short: Path) -> None:
    told = run(NO_INOTIFY, short)
    assert "2 instances are free; each Envoy needs 3 or more" in told["doctor"]
    for what in ("doctor", "apply", "curl"):
        assert "sudo sysctl fs.inotify.max_user_instances=512" in told[what]
    for what in ("apply", "curl"):
        assert told[what].startswith("EnvoyDied")
        assert told[what + " s"] < 5
    assert told["after"] == {"200": 4}
    measured(
        "no-inotify",
        "no inotify instance is left for an Envoy (three each)",
        "`apply`, `curl` and `doctor` say so, with the command that allows more",
        said_after_s=max(told["apply s"], told["curl s"]),
        recovered_s=told["again s"],
    )


PLAIN = HELLO.read_text("utf-8").replace("istio-injection: enabled", "istio-injection: disabled")


def proportional_mb(pids: list[int]) -> float:
    """What these processes take of the memory, what they share counted once."""
    total = 0
    for pid in pids:
        try:
            info = psutil.Process(pid).memory_full_info()
        except psutil.NoSuchProcess:
            continue
        total += getattr(info, "pss", info.uss)
    return total / 2**20


@pytest.mark.embedded
@pytest.mark.timeout(600 if LONG else 120)
@pytest.mark.parametrize("count", [2, 10, 20] if LONG else [2])
def test_many_meshes_at_once(folder: Path, count: int) -> None:
    """Beyond two without sidecars, whose Envoys would need more inotify instances than Linux gives
    a user (128): each says so then.
    """
    hello = HELLO if count == 2 else PLAIN
    pids: list[int] = []
    slowest = 0.0
    with ExitStack() as stack:
        meshes = []
        for _ in range(count):
            began = time.monotonic()
            mesh = stack.enter_context(labkit.open_mesh())
            assert isinstance(mesh, EmbeddedMesh)
            mesh.apply(hello, GATEWAY, ROUTE)
            assert mesh.curl(URL, n=4).codes == {200: 4}
            slowest = max(slowest, time.monotonic() - began)
            meshes.append(mesh)
            pids += [process.pid for process in group_members(mesh._controller.family.group)]
        for mesh in meshes:
            found = mesh.curl(URL, n=6)
            assert found.codes == {200: 6}
            assert set(found.pods) <= {pod.name for pod in mesh.pods()}
        assert len({mesh.gateway_url for mesh in meshes}) == count
        assert len(list(state.meshes())) == count
        memory = proportional_mb(pids)
        began = time.monotonic()
    wait_until(lambda: not any(map(psutil.pid_exists, pids)), 10, "all to end")
    measured(
        f"meshes-{count}",
        f"{count} meshes at once in one process" + ("" if count == 2 else ", without sidecars"),
        "each answers with its own pods; all end",
        processes=len(pids),
        slowest_start_s=slowest,
        memory_of_all_mb=memory,
        ended_in_s=time.monotonic() - began,
        left=0,
    )


# the clock


def durations(text: str) -> Iterator[str]:
    """The subtractions and comparisons of a module in which time.time() or datetime.now() is."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.BinOp, ast.Compare)):
            words = ast.unparse(node)
            if "time.time()" in words or "now()" in words:
                yield words


def test_nothing_is_timed_by_the_clock_on_the_wall() -> None:
    """What may be: an age that is shown, of what another process wrote; and, once in a process,
    the beginning of a time that never jumps.
    """
    known = {
        "max(0, int((time.time() if now is None else now) - since))",
        "time.time() - _passing()",
    }
    for file in Path(labkit.__file__).parent.rglob("*.py"):
        for words in durations(file.read_text("utf-8")):
            assert any(words in allowed for allowed in known), f"{file.name}: {words}"


@pytest.mark.embedded
def test_a_clock_that_jumps(own: EmbeddedMesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour on and two back, at every look, while all that waits is at work."""
    real, looks = time.time, [0]

    def jumping() -> float:
        looks[0] += 1
        return real() + (3600, -7200, 0)[looks[0] % 3]

    monkeypatch.setattr(time, "time", jumping)
    began, steady = time.monotonic(), steady_time()
    lost = 0
    for number in range(5):
        own.apply(virtual_service(f"[{{timeout: {number + 1}s, route: {TO_HELLO}}}]"))
        codes = own.curl(URL, n=10).codes
        lost += sum(count for code, count in codes.items() if code != 200)
    own.scale("hello-world-v1", 3)
    own.scale("hello-world-v1", 1)
    load = own.fortio(URL, connections=2, qps=100, duration_s=1, program="built-in")
    assert 0.8 < load.duration_s < 3
    with own.gate("hello-world") as gate:
        burst = gate.send(URL, n=3)
        gate.open()
        assert burst.wait().codes == {200: 3}
    assert own.access_log() is not None
    assert str(own.get("pods"))
    assert str(own.history)
    assert [mesh.owner_runs for mesh in state.meshes()] == [True]
    took = time.monotonic() - began
    assert lost == 0
    assert looks[0] > 0
    assert took < 20
    assert steady_time() - steady == pytest.approx(took, abs=1)
    assert own.history[-1].at == pytest.approx(steady_time(), abs=20)
    measured(
        "set-clock",
        "the clock set an hour on and two back, again and again: `apply`, `scale`, load, a gate, "
        "the access log",
        "nothing waits longer or shorter; what a plot shows keeps its distances",
        in_all_s=took,
        lost=0,
    )

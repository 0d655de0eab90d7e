"""However a mesh ends, nothing of it is left; and what is stopped is waited for as long as is said.

The long form, ten endings of each sort, is run by `LABKIT_LONG=1`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labkit.errors import MeshError, NotReady
from labkit.mesh.embedded import EmbeddedMesh
from labkit.mesh.embedded.pod import CALM_S
from labkit.processes import Family, group_members, setpriv
from labkit.waiting import wait_until
from tests.mesh.conftest import ROUTE, SUBSETS, URL, rule, virtual_service
from tests.mesh.embedded.test_lifecycle import folder, own, owner
from tests.trust import LONG, measured

__all__ = ["folder", "own"]  # fixtures
ENDINGS = 10 if LONG else 1
ONE = Path(__file__).parent / "one.yaml"  # the smallest mesh: a namespace and a gateway
TO_HELLO = "[{destination: {host: hello-world}}]"
LINUX = sys.platform == "linux"


def running(pids: list[int]) -> list[int]:
    """Which of these still run; a zombie has ended."""
    found = []
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def ends_within(pids: list[int], began: float, limit_s: float) -> float:
    """How long after `began` none of these runs any more, in seconds. On a machine that has more to
    do than processors, each gets that much less of them.
    """
    wait_until(lambda: not running(pids), 10, "all processes to end", longest_s=0.005)
    took = time.monotonic() - began
    assert took < limit_s * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    return took


@pytest.mark.embedded
@pytest.mark.parametrize("round_", range(ENDINGS))
@pytest.mark.parametrize("who", ["owner", "keeper", "both"])
def test_whoever_is_killed_nothing_is_left(folder: Path, who: str, round_: int) -> None:
    if who == "both" and (not LINUX or setpriv() is None):
        pytest.skip("only Linux can end processes whose owner and keeper are killed at once")
    process, mesh = owner()
    with process:
        group = int(mesh["group"])
        pids = [member.pid for member in group_members(group)]
        assert len(pids) >= 9
        began = time.monotonic()
        if who != "owner":
            os.kill(group, signal.SIGKILL)
        if who != "keeper":
            process.kill()
        took = ends_within(pids, began, 1)
        measured(
            f"killed-{who}",
            {"both": "owner and keeper killed at once"}.get(who, f"the {who} killed"),
            "all processes end",
            endings=ENDINGS,
            left=0,
            gone_after_s=took,
        )
        process.kill()


SIGNALS = ["TERM", "INT", "HUP", "QUIT", "ILL", "ABRT", "BUS", "FPE", "SEGV", "ALRM", "USR1"]


@pytest.mark.embedded
@pytest.mark.parametrize("name", SIGNALS if LONG else ["HUP", "QUIT", "SEGV"])
def test_whatever_signal_ends_the_owner_nothing_is_left(folder: Path, name: str) -> None:
    """Python turns INT into an exception, and closes the mesh (and ignores PIPE); the others end it
    there and then.
    """
    process, mesh = owner(*(() if LONG else (ONE,)))
    with process:
        pids = [member.pid for member in group_members(int(mesh["group"]))]
        assert len(pids) >= 2
        began = time.monotonic()
        process.send_signal(getattr(signal, f"SIG{name}"))
        process.wait()
        ended = time.monotonic()
        took = ends_within(pids, began, 1)
        wait_until(lambda: not Path(mesh["folder"]).exists(), 1, "the folder to go")
        process.kill()
    measured(
        "owner-signals",
        f"the owner ended by {', '.join(SIGNALS)}",
        "all processes end, and the folder goes",
        left=0,
        gone_after_s=took,
        after_the_owner_s=began + took - ended,
    )


@pytest.mark.skipif(not LINUX or setpriv() is None, reason="PR_SET_PDEATHSIG is Linux's")
def test_with_no_binding_to_the_owner_they_would_be_left(tmp_path: Path) -> None:
    """The guard taken out: the same two kills leave a process."""
    code = """
import sys, time, labkit.processes as p
from pathlib import Path
if sys.argv[2] == "without":
    p.setpriv = lambda: None
family = p.Family(Path(sys.argv[1]))
one = family.start("one", ["sleep", "60"], log=Path(sys.argv[1]) / "log")
print(family.group, one.pid, flush=True)
time.sleep(60)
"""
    left = {}
    for how in ("with", "without"):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / how), how],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            keeper, one = map(int, process.stdout.readline().split())
            # from then on it is bound: setpriv binds, and then becomes the program
            wait_until(lambda one=one: psutil.Process(one).name() == "sleep", 10, "the program")
            os.kill(keeper, signal.SIGKILL)
            process.kill()
            process.wait()
            try:
                wait_until(lambda one=one: not running([one]), 1, "it to end")
            except NotReady:
                left[how] = one
    for pid in left.values():
        os.kill(pid, signal.SIGKILL)
    assert "with" not in left


def test_a_killed_keeper_is_noticed_by_the_owner(tmp_path: Path) -> None:
    with Family(tmp_path / "f") as family:
        one = family.start("one", ["sleep", "60"], log=tmp_path / "log")
        family.keeper.kill()
        wait_until(lambda: one.poll() is not None, 1, "the member to end")
        assert family.lost
        with pytest.raises(ProcessLookupError):
            family.start("two", ["sleep", "60"], log=tmp_path / "log")
        assert not running([m.pid for m in group_members(family.group)])


def test_a_member_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    """PR_SET_PDEATHSIG speaks of threads: the one that starts must be the family's own."""
    with Family(tmp_path / "f") as family:
        thread = threading.Thread(
            target=lambda: family.start("one", ["sleep", "60"], log=tmp_path / "log")
        )
        thread.start()
        thread.join()
        with pytest.raises(NotReady):
            wait_until(lambda: family.members["one"].poll() is not None, 0.3, "its end")


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with Family(tmp_path / "f") as family, pytest.raises(FileNotFoundError):
        family.start("one", ["no-such-program"], log=tmp_path / "log")


@pytest.mark.embedded
def test_a_mesh_whose_keeper_is_killed_says_what_is_true(own: EmbeddedMesh) -> None:
    pids = [member.pid for member in group_members(own._controller.family.group)]
    own._controller.family.keeper.kill()
    own.wait_for(lambda: own._controller.trouble is not None, "the mesh to notice")
    with pytest.raises(MeshError, match="ended from outside") as caught:
        own.curl(URL)
    assert "its processes are gone" in str(caught.value)
    wait_until(lambda: not running(pids), 1, "all to end")


@pytest.mark.embedded
def test_a_stopped_gateway_is_waited_for_as_long_as_is_said(own: EmbeddedMesh) -> None:
    gateway = own._controller.gateway.sidecar
    assert gateway is not None
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(NotReady, match="after 5 s") as caught:
            own.apply(virtual_service(f"[{{timeout: 9s, route: {TO_HELLO}}}]"))
        took = time.monotonic() - began
        assert "gateway, whose process" in str(caught.value)
        assert "it is stopped" in str(caught.value)
        began = time.monotonic()
        assert own._controller.lock.acquire(timeout=2)
        own._controller.lock.release()
        free = time.monotonic() - began
    finally:
        gateway.process.send_signal(signal.SIGCONT)
    assert took < 7
    own.wait_for(lambda: set(own.curl(URL, n=5).codes) == {200}, "the configuration before")
    own.apply(ROUTE)
    assert own.curl(URL, n=5).codes == {200: 5}
    measured(
        "stopped-gateway",
        "`apply` while the gateway is stopped (SIGSTOP)",
        "an error that names the process and what lets it go on; nothing changed",
        said_after_s=took,
        mesh_free_after_s=free,
    )


@contextlib.contextmanager
def under_load(mesh: EmbeddedMesh, qps: int) -> Iterator[dict[int, int]]:
    """Requests to the gateway meanwhile; at the end the counts by status are there."""
    codes: dict[int, int] = {}
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            result = mesh.fortio(URL, connections=4, qps=qps, requests=qps // 4, program="built-in")
            for code, count in result.codes.items():
                codes[code] = codes.get(code, 0) + count

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield codes
    finally:
        done.set()
        thread.join()


def lost(codes: dict[int, int]) -> int:
    return sum(count for code, count in codes.items() if code != 200)


@pytest.mark.embedded
def test_a_gateway_that_is_killed_twice_is_back_at_once_each_time(own: EmbeddedMesh) -> None:
    """No crash loop, so no pause: what is lost is what came while it started."""
    gateway = own._controller.gateway
    assert gateway.sidecar is not None
    monotonic = time.monotonic
    with under_load(own, 200) as codes:
        took, noticed = [], []
        for kill in (1, 2):
            ran = monotonic() - gateway.backoff["sidecar"].last
            if ran < CALM_S:
                own.wait_for(lambda: monotonic() - gateway.backoff["sidecar"].last > CALM_S, "calm")
            began = monotonic()
            assert gateway.sidecar.process is not None
            gateway.sidecar.process.kill()
            own.wait_for(lambda k=kill: gateway.restarts == k and gateway.ready, "the restart")
            took.append(monotonic() - began)
            noticed.append(gateway.backoff["sidecar"].last - began)
    assert max(took) < 3
    assert gateway.backoff["sidecar"].streak == 1
    measured(
        "killed-gateway",
        "the gateway killed twice, at 200 requests a second",
        "started again at once, each time; lost is what comes while an Envoy starts, as with one "
        "gateway pod on a cluster",
        requests=sum(codes.values()),
        lost=lost(codes),
        noticed_after_s=max(noticed),
        recovered_s=max(took),
    )


@pytest.mark.embedded
def test_changes_under_load_lose_nothing(own: EmbeddedMesh) -> None:
    changes = 500 if LONG else 40
    with under_load(own, 350) as codes:
        for number in range(changes):
            own.apply(virtual_service(f"[{{timeout: {number + 1}s, route: {TO_HELLO}}}]"))
    assert codes
    assert lost(codes) == 0
    measured(
        "changes-under-load",
        "changes of a rule at 350 requests a second",
        "each in force before `apply` returns",
        changes=changes,
        requests=sum(codes.values()),
        lost=0,
    )


@pytest.mark.embedded
def test_rollouts_and_scaling_under_load_lose_nothing(own: EmbeddedMesh) -> None:
    """All traffic goes to the pods that change."""
    own.apply(rule(subsets=SUBSETS))
    to = "[{destination: {host: hello-world, subset: v1}}]"
    own.apply(virtual_service(f"[{{route: {to}}}]"))
    rounds = 5 if LONG else 1
    with under_load(own, 200) as codes:
        for _ in range(rounds):
            own.scale("hello-world-v1", 3)
            own.restart("hello-world-v1")
            own.scale("hello-world-v1", 1)
    assert codes
    assert lost(codes) == 0
    measured(
        "rollouts-under-load",
        "scaling up, a rollout, scaling down, with all traffic on those pods",
        "every request is answered",
        rounds=rounds,
        requests=sum(codes.values()),
        lost=0,
    )

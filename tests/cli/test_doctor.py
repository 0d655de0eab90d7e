"""`labkit doctor`: what it says of programs that are there, missing or broken, of a cluster, and of
a bare Python.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.errors import EnvoyUnavailable
from labkit.setup import checkup
from labkit.setup.checkup import BAD, GOOD, HINT, CheckupItem, examine
from labkit.setup.machine import Machine
from tests.setup.fakeapi import SYSTEM, FakeCluster, istio, kubeconfig, serving
from tests.setup.standin import StandIns, recorded

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ["info", "--format", "{{.MemTotal}} {{.NCPU}}"]


@pytest.fixture
def standins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    """An empty PATH, and no kubeconfig."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    found = StandIns(folder, monkeypatch)
    yield found
    assert found.unexpected() == []


@pytest.fixture
def cluster(
    standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeCluster]:
    with serving(FakeCluster(standins.folder)) as found:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", found.url)))
        yield found


def checks(backend: str = "embedded") -> dict[str, CheckupItem]:
    return {check.name: check for check in examine(backend)}


def doctor(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *words])
    return int(ended.value.code or 0)


def test_with_no_program_at_all_the_embedded_mesh_can_be_used(
    standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 0
    said = capsys.readouterr().out
    assert "The embedded mesh can be used." in said
    for name in ("kubectl", "istioctl", "helm", "minikube"):
        assert f"· {name:<10} not on the PATH" in said
    assert "→ curl -L https://istio.io/downloadIstio" in said


def test_for_a_cluster_that_is_not_enough(
    standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor("--backend", "cluster") == 1
    said = capsys.readouterr().out
    assert "✘ cluster" in said
    assert "The cluster can't be used yet: cluster" in said


def test_programs_that_are_there_are_shown_with_their_versions(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    standins.program(
        "kubectl",
        {"args": ["version", "--client"], "out": "Client Version: v1.32.4\nKustomize: v5.5.0\n"},
    )
    standins.program(
        "istioctl", {"args": ["version", "--remote=false"], "out": "client version: 1.31.0\n"}
    )
    standins.program("helm", {"args": ["version", "--short"], "out": "v3.19.0+g3d8990f\n"})
    standins.program("minikube", recorded("version"))
    standins.program("docker", {"args": DOCKER, "out": "8323895296 4\n"})
    found = checks()
    assert found["kubectl"].seen.startswith("v1.32.4 (")
    assert found["istioctl"].seen.startswith("1.31.0 (")
    assert found["helm"].seen.startswith("v3.19.0")
    assert found["minikube"].seen.startswith("v1.38.1 (")
    assert found["driver"] == CheckupItem("driver", GOOD, "docker, 7938 MB and 4 processors")


def test_a_driver_that_does_not_work_is_a_hint_with_its_fix(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    standins.program("minikube", recorded("version"))
    standins.program(
        "docker",
        {"args": DOCKER, "out": "0 0\n", "err": "Cannot connect to the Docker daemon\n", "code": 1},
    )
    found = checks()["driver"]
    assert (found.state, found.seen) == (HINT, "docker: Cannot connect to the Docker daemon")
    assert "start Docker" in found.fix


def test_a_program_that_cannot_be_run_is_no_end_of_the_report(standins: StandIns) -> None:
    (standins.folder / "helm").write_text("no program")
    (standins.folder / "helm").chmod(0o755)
    found = checks()
    assert found["helm"].state == HINT
    assert "does not tell its version: [Errno 8] Exec format error" in found["helm"].seen
    assert "install it again: https://helm.sh" in found["helm"].fix
    assert "cluster" in found


def test_a_program_that_is_broken_is_not_ok(standins: StandIns) -> None:
    """What it says of its own failure may look like a version."""
    words = "kubectl: /lib/libc.so.6: version `GLIBC_2.34' not found\n"
    standins.program("kubectl", {"args": ["version", "--client"], "err": words, "code": 1})
    found = checks()["kubectl"]
    assert (found.state, "GLIBC_2.34' not found" in found.seen) == (HINT, True)


@pytest.mark.parametrize(
    ("code", "err", "words"),
    [(1, "version `GLIBC_2.34' not found", "GLIBC_2.34"), (3, "", "code 3")],
)
def test_an_envoy_that_cannot_be_run_is_not_ok(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch, code: int, err: str, words: str
) -> None:
    standins.program("envoy", {"args": ["--version"], "err": err, "code": code, "again": True})
    monkeypatch.setattr("labkit.envoy.binary.envoy_path", lambda: str(standins.folder / "envoy"))
    found = checks()["Envoy"]
    assert (found.state, words in found.seen) == (BAD, True)
    assert "labkit up --minikube" in found.fix
    assert checks("cluster")["Envoy"].state == HINT


def test_the_ports_of_the_meshes_are_tried(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other ports may be free: they are of no use."""
    assert checks()["ports"].state == GOOD
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("labkit.mesh.embedded.ports.FIRST", port)
        monkeypatch.setattr("labkit.mesh.embedded.ports.LAST", port + 1)
        monkeypatch.setattr(checkup, "PORTS_TRIED", 1)
        found = checks()["ports"]
    assert (found.state, f"from {port}" in found.seen) == (BAD, True)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
@pytest.mark.parametrize(("free", "state"), [(0, BAD), (2, BAD), (8, HINT), (24, GOOD)])
def test_inotify_instances_are_counted(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    assert checkup.watches() > 0
    monkeypatch.setattr(checkup, "watches", lambda: free)
    found = checks()["inotify"]
    assert found.state == state
    assert ("max_user_instances" in found.fix) == (state != GOOD)


def test_too_little_memory_is_a_hint(standins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.setup.machine.machine", lambda: Machine(4096, 2000, 2))
    found = checks()["memory"]
    assert found.state == HINT
    assert "2000 MB of 4096 MB" in found.seen
    assert "5120 MB free are needed" in found.fix


def test_without_an_envoy_the_embedded_mesh_cannot_be_used(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> str:
        raise EnvoyUnavailable("There is no Envoy", seen="win32 on AMD64", try_next="use WSL")

    monkeypatch.setattr("labkit.envoy.binary.envoy_path", none)
    assert doctor() == 1
    said = capsys.readouterr().out
    assert "✘ Envoy      win32 on AMD64" in said
    assert "→ use WSL" in said


def test_an_older_python_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "OLDEST_PYTHON", (99, 1))
    assert checkup.python().state == BAD
    assert "99.1" in checkup.python().fix


def test_a_cluster_with_istio(cluster: FakeCluster) -> None:
    for path, parts in istio().items():
        cluster.add(path, **parts)
    found = checks("cluster")
    assert found["cluster"].seen == "Kubernetes v1.36.3, context lab"
    assert found["Istio"] == CheckupItem("Istio", GOOD, "Istio 1.31.0 in istio-system")
    assert found["webhook"].seen == "istio-sidecar-injector"
    assert found["gateway"].seen == "istio-system/istio-ingressgateway-1, by port-forward"
    assert cluster.writes == []


def test_a_cluster_without_istio_says_labkit_up(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor("--backend", "cluster") == 1
    said = capsys.readouterr().out
    assert "→ labkit up" in said
    assert "The cluster can't be used yet: Istio, webhook, gateway" in said


@pytest.mark.parametrize(
    ("version", "state", "words"),
    [
        ("1.23.3", BAD, "older than 1.24"),
        ("1.26.0", HINT, "not on 1.26.0"),
        ("lab", HINT, "can't be seen"),
    ],
)
def test_the_version_of_istio_is_judged(
    cluster: FakeCluster, version: str, state: str, words: str
) -> None:
    for path, parts in istio(version).items():
        cluster.add(path, **parts)
    found = checks("cluster")["Istio"]
    assert found.state == state
    assert words in found.seen


def test_a_webhook_that_istiod_has_not_signed_does_not_count(cluster: FakeCluster) -> None:
    for path, parts in istio().items():
        cluster.add(path, **parts)
    for path, body in cluster.objects.items():
        if "mutatingwebhook" in path:
            body["webhooks"] = [{"clientConfig": {}}]
    assert checks("cluster")["webhook"].state == BAD


def test_a_gateway_that_is_not_ready_does_not_count(cluster: FakeCluster) -> None:
    for path, parts in istio().items():
        cluster.add(path, **parts)
    pod = cluster.objects[f"{SYSTEM}/pods/istio-ingressgateway-1"]
    pod["status"]["containerStatuses"][0]["ready"] = False
    found = checks("cluster")["gateway"]
    assert found.state == BAD
    assert "kubectl -n istio-system get pods" in found.fix


def test_a_cluster_that_does_not_answer(
    standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k", "http://127.0.0.1:9")))
    found = checks("cluster")
    assert found["cluster"].state == BAD
    assert "Istio" not in found


def test_a_kubeconfig_whose_certificate_is_gone(
    standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig(tmp_path / "k", "https://127.0.0.1:9")
    file.write_text(file.read_text().replace("token: secret-token", "client-certificate: gone.crt"))
    monkeypatch.setenv("KUBECONFIG", str(file))
    found = checks("cluster")["cluster"]
    assert (found.state, "gone.crt" in found.seen) == (BAD, True)


def test_a_context_elsewhere_is_not_asked(
    standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "KUBECONFIG", str(kubeconfig(tmp_path / "k", "https://34.89.1.2", context="prod"))
    )
    assert "34.89.1.2" in checks()["cluster"].seen


def test_it_works_with_nothing_installed() -> None:
    """A Python without any library, and an empty PATH: the report says what to install."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from labkit.cli import main; "
        "main(['doctor'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        env={"PATH": "/nonexistent", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
    )
    said = done.stdout.decode()
    assert done.returncode == 1, done.stderr.decode()
    assert "✘ libraries  missing: psutil, yaml, pandas" in said
    assert "pip install" in said
    assert "The embedded mesh can't be used yet: libraries, Envoy" in said

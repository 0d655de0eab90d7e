"""`labkit up` and `labkit down` on a real cluster without Istio, named by
LABKIT_TEST_BARE_KUBECONFIG.

istioctl and helm are on the PATH. Where the cluster can't pull Istio's images,
LABKIT_TEST_ISTIOCTL_OPTIONS and LABKIT_TEST_HELM_OPTIONS give the tools more words, an option a
line (see .ci/run), and LABKIT_ISTIO_CHARTS names a folder of charts.

Each test compares every object of the cluster, by kind, namespace, name and uid, before `up` and
after `down`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labkit.waiting import wait_until
from tests.translate.record import kubectl

VARIABLE = "LABKIT_TEST_BARE_KUBECONFIG"
COLUMNS = "custom-columns=K:.kind,N:.metadata.namespace,M:.metadata.name,U:.metadata.uid"
# what comes and goes by itself, or shows other objects once more. An IPAddress is the API server's
# own note of a Service's address; of one that went while it was being made the note stays until the
# API server clears up, by minutes
PASSING = (
    "events",
    "events.events.k8s.io",
    "componentstatuses",
    "leases.coordination.k8s.io",
    "ipaddresses.networking.k8s.io",
)
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="session", autouse=True)
def kubeconfig() -> Iterator[str]:
    """In place of the cluster with Istio that the other tests here use."""
    path = os.environ.get(VARIABLE, "")
    if not path:
        pytest.skip(
            f"{VARIABLE} is not set: it names the kubeconfig of a cluster without Istio to "
            "install on"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", path)
        yield path


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test's promise: afterwards every object is what it was before."""
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    before = everything()
    try:
        yield
        wait_until(
            lambda: everything() == before,
            30,
            "the cluster to be as before",
            explain=lambda: difference(before),
        )
    finally:
        if everything() != before:  # so that the next test begins with a bare cluster
            labkit("down", "--all")


def everything() -> set[str]:
    """Every object of the cluster, a line each."""
    found = kubectl("api-resources", "--verbs=list", "-o", "name").stdout.split()
    kinds = ",".join(kind for kind in found if kind not in PASSING)
    lines = kubectl("get", kinds, "-A", "--no-headers", "-o", COLUMNS).stdout.splitlines()
    # the columns are as wide as their longest words
    return {" ".join(line.split()) for line in lines}


def difference(before: set[str]) -> str:
    now = everything()
    return "\n".join(
        [
            *(f"+ {line}" for line in sorted(now - before)),
            *(f"- {line}" for line in sorted(before - now)),
        ]
    )


def labkit(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "labkit", *words], capture_output=True, text=True, timeout=390
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def up(way: str) -> list[str]:
    """The words of `labkit up` for this cluster."""
    words = ["up", "--with", way]
    for tool in ("istioctl", "helm"):
        options = os.environ.get(f"LABKIT_TEST_{tool.upper()}_OPTIONS", "").splitlines()
        words += [f"--{tool}-option={option}" for option in options]
    return words


def killed(way: str, when: Callable[[], object]) -> None:
    """`labkit up`, ended without warning when something is true."""
    with subprocess.Popen(
        [sys.executable, "-m", "labkit", *up(way)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            wait_until(
                lambda: process.poll() is not None or when(),
                120,
                "up to be half-way",
                longest_s=0.2,
            )
            assert process.poll() is None, (
                f"it ended by itself: {process.stdout and process.stdout.read()}"
            )
        finally:
            process.kill()


def is_there(kind: str, name: str) -> bool:
    return bool(
        kubectl("-n", "istio-system", "get", kind, name, "--ignore-not-found", "-o", "name").stdout
    )


@pytest.mark.usefixtures("clean")
def test_by_istioctl_up_lesson_1_and_down() -> None:
    said = labkit(*up("istioctl"))
    print(said)  # the transcript: pytest -s shows it
    assert "$ istioctl install -y --context=" in said
    assert "Gateway: istio-system/istio-ingressgateway-" in said
    assert "is there already; nothing is installed" in labkit(*up("istioctl"))
    lesson = labkit("run", "01", "--backend", "cluster")
    assert "1 lesson, 0 failed" in lesson
    assert "Istio by istioctl" in labkit("status")
    print(labkit("down"))


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    "sign", ["namespace/istio-system", "crd/gateways.networking.istio.io", "deployment/istiod"]
)
def test_by_istioctl_killed_half_way_then_down(sign: str) -> None:
    """Early, when istioctl itself would find nothing to uninstall, and later."""
    killed("istioctl", lambda: is_there(*sign.split("/")))
    print(labkit("down"))


@pytest.mark.usefixtures("clean")
def test_by_helm_killed_half_way_then_up_lesson_1_and_down() -> None:
    """Helm leaves a release pending, which it would refuse to install again."""
    killed("helm", lambda: is_there("deployment", "istiod"))
    said = labkit(*up("helm"))
    print(said)
    assert "An installation by helm was begun here and goes on" in said
    assert "istiod was left pending-install: it is begun anew" in said
    lesson = labkit("run", "01", "--backend", "cluster")
    assert "1 lesson, 0 failed" in lesson
    print(labkit("down"))

"""`labkit up` and `labkit down` against stand-ins of the tools and an API server in this process.

What the tools really do is tried on a real cluster (tests/cluster/test_installation.py). Here:
which words they are called with, in which order, what is written down, and that all is given back,
whatever was interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.cli import main
from labkit.errors import LabkitError, MeshError
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import guarded
from labkit.mesh.cluster.istio import about, is_too_old, untested, version_of
from labkit.mesh.cluster.ownership.owner import MANAGED, OWNER, own
from labkit.mesh.cluster.pods import info
from labkit.setup import installation, istio_rollout
from labkit.setup.hosts import MARK
from labkit.setup.installers import GATEWAY_PORTS
from labkit.setup.minikube import Size
from labkit.setup.record import Record, records
from labkit.waiting import wait_until

from .fakeapi import SYSTEM, FakeCluster, istio, kubeconfig, rest, serving
from .standin import StandIns, recorded

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ["install", "-y", "--context=lab", "--set=profile=default"]
SMALL = [
    "--set=values.pilot.resources.requests.cpu=100m",
    "--set=values.pilot.resources.requests.memory=512Mi",
    "--set=values.global.proxy.resources.requests.cpu=10m",
]
UNINSTALL = ["uninstall", "--revision=default", "-y", "--context=lab"]
INSTALLED = (
    "✔ Istio core installed ⛵️\n✔ Istiod installed 🧠\n✔ Ingress gateways installed 🛬\n✔ "
    "Installation complete\n"
)


@pytest.fixture
def cluster(
    standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeCluster]:
    """An empty cluster; a tool that touches "istio" and "rest" has installed Istio there."""
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LABKIT_HOSTS_FILE", str(tmp_path / "hosts"))
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    found = FakeCluster(standins.folder)
    found.scene("istio", istio())
    found.scene("rest", rest())
    with serving(found):
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "kubeconfig", found.url)))
        yield found


@contextmanager
def edited_kubeconfig() -> Iterator[dict[str, Any]]:
    """The kubeconfig that is in force, to be changed in place."""
    file = Path(os.environ["KUBECONFIG"])
    config = yaml.safe_load(file.read_text())
    yield config
    file.write_text(yaml.safe_dump(config))


def istioctl(standins: StandIns, **changes: Any) -> None:
    """An istioctl that installs and uninstalls once."""
    standins.program(
        "istioctl",
        {"args": INSTALL, "out": INSTALLED, "touch": ["istio", "rest"], **changes},
        {"args": UNINSTALL, "out": "✔ Uninstall complete\n", "remove": ["istio"]},
    )


def labkit(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


# up, again, down


def test_up_installs_and_says_each_step(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:8] == [
        "The context lab is meant: its server 127.0.0.1 is this machine",
        f"Kubernetes v1.36.3 at {cluster.url}, context lab",
        "Installing Istio by istioctl",
        "$ kubectl create namespace istio-system",
        "$ istioctl install -y --context=lab --set=profile=default",
        "    ✔ Istio core installed ⛵️",
        "    ✔ Istiod installed 🧠",
        "    ✔ Ingress gateways installed 🛬",
    ]
    assert "Gateway: istio-system/istio-ingressgateway-1" in said
    assert (
        "    labkit down                         # at the end: gives back what was made here"
        in said
    )
    (record,) = records()
    assert (record.installer, record.done, record.context, record.server) == (
        "istioctl",
        True,
        "lab",
        cluster.url,
    )
    assert cluster.objects[SYSTEM]["metadata"]["labels"] == MANAGED


def test_a_second_up_changes_nothing(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    before, calls = len(cluster.writes), standins.calls("istioctl")
    assert labkit("up") == 0
    assert len(cluster.writes) == before
    assert standins.calls("istioctl") == calls
    assert (
        "Istio 1.31.0 in istio-system is there already; nothing is installed"
        in capsys.readouterr().out
    )


def test_down_gives_back_exactly_what_up_made(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cluster.names()
    istioctl(standins)
    assert labkit("up") == 0
    cluster.add("/api/v1/namespaces/later")
    # istiod writes it into new namespaces too
    cluster.add("/api/v1/namespaces/later/configmaps/istio-ca-root-cert")
    cluster.add("/api/v1/namespaces/later/configmaps/theirs")
    assert labkit("down") == 0
    assert cluster.names() == before | {
        "/api/v1/namespaces/later",
        "/api/v1/namespaces/later/configmaps/theirs",
    }
    said = capsys.readouterr().out
    assert "$ istioctl uninstall --revision=default -y --context=lab" in said
    assert "$ kubectl delete customresourcedefinition virtualservices.networking.istio.io" in said
    assert "$ kubectl delete -n default configmap istio-ca-root-cert" in said
    assert list(records()) == []
    assert labkit("down") == 0
    assert "nothing to end" in capsys.readouterr().out


def test_down_without_the_tool_gives_back_all_the_same(
    cluster: FakeCluster, standins: StandIns
) -> None:
    before = cluster.names()
    istioctl(standins)
    assert labkit("up") == 0
    (standins.folder / "istioctl").unlink()
    assert labkit("down") == 0
    assert cluster.names() == before


def test_what_was_there_before_stays(cluster: FakeCluster, standins: StandIns) -> None:
    """Somebody's Istio was uninstalled, and left its namespace with a secret in
    it, and its kinds.
    """
    secret = f"{SYSTEM}/secrets/their-certificate"
    crd = next(path for path in rest() if "customresourcedefinitions" in path)
    cluster.add(SYSTEM)
    cluster.add(secret)
    cluster.add(crd, **rest()[crd])
    before = cluster.names()
    istioctl(standins)
    assert labkit("up") == 0
    assert labkit("down") == 0
    assert cluster.names() == before


def test_objects_of_others_are_not_taken_away_with_their_kinds(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    theirs = "/apis/networking.istio.io/v1/namespaces/mine/virtualservices/theirs"
    cluster.add(theirs)
    before = cluster.names()
    assert labkit("down") == 1
    assert "virtualservice mine/theirs" in capsys.readouterr().err
    assert cluster.names() == before
    assert labkit("down", "--all") == 0
    assert not [path for path in cluster.names() if "customresourcedefinitions" in path]


def test_down_ends_what_killed_runs_have_left(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cluster.names()
    for run, owner in (
        ("gone", "elsewhere/4194304/1".replace("elsewhere", own().machine)),
        ("open", own().text),
    ):
        metadata = {"annotations": {OWNER: owner}}
        cluster.add(f"/api/v1/namespaces/labkit-marker-{run}", labels=MANAGED, metadata=metadata)
    assert labkit("down") == 0
    said = capsys.readouterr().out
    assert "run gone on the cluster lab: ended" in said
    assert "run open on the cluster lab: belongs to process" in said
    assert cluster.names() == before | {"/api/v1/namespaces/labkit-marker-open"}
    assert labkit("down", "--all") == 0
    assert cluster.names() == before


def test_down_leaves_what_somebody_made_where_a_killed_run_had_an_object(
    cluster: FakeCluster,
) -> None:
    """The run's list has paths: the object there may have been deleted since, and made anew by its
    user.
    """
    rules = "/apis/networking.istio.io/v1/namespaces/mine/virtualservices"
    marker = "/api/v1/namespaces/labkit-marker-gone"
    before = cluster.names() | {f"{rules}/theirs"}
    cluster.add(
        marker, labels=MANAGED, metadata={"annotations": {OWNER: f"{own().machine}/4194304/1"}}
    )
    made = json.dumps([f"{rules}/theirs", f"{rules}/ours", f"{rules}/gone"])
    cluster.add(f"{marker}/configmaps/ledger", data={"made": made})
    for name, manager in (("theirs", "kubectl-create"), ("ours", "labkit")):
        cluster.add(
            f"{rules}/{name}",
            metadata={"managedFields": [{"manager": manager, "operation": "Apply"}]},
        )
    assert labkit("down") == 0
    assert cluster.names() == before


def test_an_open_mesh_keeps_its_istio(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    metadata = {"annotations": {OWNER: own().text}}
    cluster.add("/api/v1/namespaces/labkit-marker-1", labels=MANAGED, metadata=metadata)
    before = cluster.names()
    assert labkit("down") == 1
    assert "A mesh is open on the cluster lab" in capsys.readouterr().err
    assert cluster.names() == before


# interruptions


def test_a_failed_installation_says_why_and_goes_on_later(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cluster.names()
    words = (
        "✔ Istio core installed ⛵️\nError: failed to install manifests: context deadline exceeded\n"
    )
    standins.program("istioctl", {"args": INSTALL, "out": words, "touch": ["rest"], "code": 1})
    assert labkit("up") == 1
    assert "context deadline exceeded" in capsys.readouterr().err
    istioctl(standins)
    assert labkit("up") == 0
    assert "An installation by istioctl was begun here and goes on" in capsys.readouterr().out
    assert labkit("down") == 0
    assert cluster.names() == before


@pytest.mark.parametrize("then", ["down", "up and down"])
def test_killed_half_way(cluster: FakeCluster, standins: StandIns, then: str) -> None:
    """SIGKILL while istioctl works: nothing goes on, and what was made so far is known."""
    before = cluster.names()
    standins.program(
        "istioctl", {"args": INSTALL, "out": INSTALLED[:30], "touch": ["rest"], "hang": True}
    )
    killed_up(standins)
    assert cluster.names() > before
    (record,) = records()
    assert not record.done
    if then == "up and down":
        istioctl(standins)
        assert labkit("up") == 0
    else:
        standins.program("istioctl", {"args": UNINSTALL, "remove": ["istio"]})
    assert labkit("down") == 0
    assert cluster.names() == before


def test_an_uninstaller_that_finds_nothing_is_no_end_of_it(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed early, istioctl has made its kinds and no istiod: its own uninstall then fails with
    these words.
    """
    before = cluster.names()
    standins.program("istioctl", {"args": INSTALL, "touch": ["rest"], "code": 1})
    assert labkit("up") == 1
    standins.program(
        "istioctl", {"args": UNINSTALL, "err": "Error: could not find target revision\n", "code": 1}
    )
    assert labkit("down") == 0
    assert "could not find target revision" in capsys.readouterr().out
    assert cluster.names() == before


def killed_up(standins: StandIns) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "labkit", "up"], env=env, stdout=subprocess.DEVNULL
    ) as process:
        wait_until((standins.folder / "rest").exists, 20, "istioctl to be at work")
        process.send_signal(signal.SIGKILL)


def test_another_tool_does_not_go_on_with_what_one_began(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    standins.program("istioctl", {"args": INSTALL, "code": 1, "out": "Error: no\n"})
    standins.program("helm")
    assert labkit("up") == 1
    assert labkit("up", "--with", "helm") == 1
    assert "labkit down, then labkit up --with helm" in capsys.readouterr().err


def test_a_cluster_in_the_place_of_another_is_left_alone(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cluster was made anew at the same address: nothing of ours is on it."""
    istioctl(standins)
    assert labkit("up") == 0
    cluster.add("/api/v1/namespaces/kube-system")
    writes = len(cluster.writes)
    assert labkit("down") == 0
    assert "is another one by now" in capsys.readouterr().out
    assert len(cluster.writes) == writes
    assert list(records()) == []


def moved(cluster: FakeCluster) -> str:
    """The same cluster at another address, as a Minikube in Docker has it after each start; the new
    address.
    """
    server = cluster.url.replace("127.0.0.1", "localhost")
    kubeconfig(Path(os.environ["KUBECONFIG"]), server)
    return server


def test_a_cluster_at_another_address_is_still_the_same(
    cluster: FakeCluster, standins: StandIns
) -> None:
    before = cluster.names()
    istioctl(standins)
    assert labkit("up") == 0
    moved(cluster)
    assert labkit("down") == 0
    assert cluster.names() == before
    assert list(records()) == []


def test_up_finds_its_record_when_the_address_has_changed(
    cluster: FakeCluster, standins: StandIns
) -> None:
    before = cluster.names()
    standins.program("istioctl", {"args": INSTALL, "touch": ["rest"], "code": 1})
    assert labkit("up") == 1
    server = moved(cluster)
    istioctl(standins)
    assert labkit("up") == 0
    (record,) = records()
    assert (record.done, record.server) == (True, server)
    assert labkit("down") == 0
    assert cluster.names() == before


def test_a_cluster_whose_uid_may_not_be_read_is_known_by_its_address(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cluster.names()
    istioctl(standins)
    assert labkit("up") == 0
    (record,) = records()
    record.uid = ""
    record.save()
    moved(cluster)
    there = cluster.names()
    assert labkit("down") == 1
    assert (
        "Nothing tells whether the context lab still leads to the cluster"
        in capsys.readouterr().err
    )
    assert cluster.names() == there
    kubeconfig(Path(os.environ["KUBECONFIG"]), cluster.url)
    assert labkit("down") == 0
    assert cluster.names() == before


def test_a_cluster_that_is_gone_is_kept_in_mind_until_told(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    with edited_kubeconfig() as config:
        config["contexts"] = []
    assert labkit("down") == 1
    assert "--forget" in capsys.readouterr().err
    assert labkit("status") == 0
    assert "Istio by istioctl" in capsys.readouterr().out
    assert labkit("down", "--forget") == 0
    assert list(records()) == []


def test_a_kubeconfig_whose_certificate_is_gone(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    with edited_kubeconfig() as config:
        config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
        config["users"][0]["user"] = {"client-certificate": "gone.crt", "client-key": "gone.key"}
    for word in ("up", "down"):
        assert labkit(word) == 1
        assert "gone.crt" in capsys.readouterr().err
    assert labkit("down", "--forget") == 0
    assert list(records()) == []


def test_a_cluster_that_is_alive_is_not_forgotten(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    """Something is in the way of giving it back: that is said, and what was made stays written
    down.
    """
    istioctl(standins)
    assert labkit("up") == 0
    cluster.add("/apis/networking.istio.io/v1/namespaces/mine/virtualservices/theirs")
    assert labkit("down", "--forget") == 1
    assert "virtualservice mine/theirs" in capsys.readouterr().err
    assert len(list(records())) == 1


def test_only_meshes(cluster: FakeCluster, standins: StandIns) -> None:
    istioctl(standins)
    assert labkit("up") == 0
    writes = len(cluster.writes)
    assert labkit("down", "--meshes") == 0
    assert len(cluster.writes) == writes
    assert len(list(records())) == 1


# the guard, and Istios that are there


def test_a_context_elsewhere_gets_no_request(
    tmp_path: Path,
    standins: StandIns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def no_api(_: object) -> None:
        raise AssertionError("asked the API server")

    monkeypatch.setenv(
        "KUBECONFIG", str(kubeconfig(tmp_path / "k", "https://34.89.1.2", context="prod"))
    )
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(installation, "Api", no_api)
    standins.program("istioctl")
    assert labkit("up") == 1
    assert "labkit up --context prod" in capsys.readouterr().err
    assert list(records()) == []


def test_no_kubeconfig_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    assert labkit("up") == 1
    assert "labkit up --minikube" in capsys.readouterr().err


def test_the_tools_get_a_copy_of_the_one_context(
    cluster: FakeCluster, standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that happens to the learner's kubeconfig meanwhile can lead them elsewhere; the copy
    goes afterwards.
    """
    config = kubeconfig(tmp_path / "two", cluster.url, prod="https://34.89.1.2")
    monkeypatch.setenv("KUBECONFIG", str(config))
    seen: list[tuple[dict[str, Any], int]] = []
    real = installation.access_to

    def looked(*args: Any) -> Any:
        access = real(*args)
        file = Path(access.kubeconfig)
        seen.append((yaml.safe_load(file.read_text()), file.stat().st_mode & 0o777))
        seen_paths.append(file)
        return access

    seen_paths: list[Path] = []
    monkeypatch.setattr(installation, "access_to", looked)
    istioctl(standins)
    assert labkit("up") == 0
    ((copy, mode),) = seen
    assert [c["name"] for c in copy["contexts"]] == ["lab"]
    assert mode == 0o600
    assert not seen_paths[0].exists()
    assert "secret-token" not in json.dumps([vars(r) for r in records()])


@pytest.mark.parametrize(
    ("version", "words"),
    [("1.24.3", "not on 1.24.3"), ("1.40.0", "not on 1.40.0"), ("lab", "can't be seen")],
)
def test_an_istio_that_is_there_is_used_and_its_version_is_said(
    cluster: FakeCluster,
    standins: StandIns,
    capsys: pytest.CaptureFixture[str],
    version: str,
    words: str,
) -> None:
    for path, parts in {**istio(version), SYSTEM: {}}.items():
        cluster.add(path, **parts)
    assert labkit("up") == 0
    assert words in capsys.readouterr().out
    assert cluster.writes == []
    assert list(records()) == []


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.31.4", []),
        ("latest", []),  # nothing tells which version that is
        (
            "1.27.3",
            [
                "The course was tried on Istio 1.31, not on 1.27.3: a lesson may show something "
                "else than it says."
            ],
        ),
        ("1.20.0", ["Istio 1.20.0 is older than 1.24, the oldest that the course is made for."]),
    ],
)
def test_who_opens_a_mesh_is_told_of_a_version_nobody_tried(
    cluster: FakeCluster, version: str, said: list[str]
) -> None:
    for path, parts in istio(version).items():
        cluster.add(path, **parts)
    assert untested(Api(guarded(None, None))) == said


def test_an_istio_that_is_too_old_is_refused(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, parts in {**istio("1.23.3"), SYSTEM: {}}.items():
        cluster.add(path, **parts)
    assert labkit("up") == 1
    assert "older than 1.24" in capsys.readouterr().err
    assert cluster.writes == []


def test_an_istio_without_a_gateway_says_what_to_do(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, parts in istio().items():
        if "gateway" not in path:
            cluster.add(path, **parts)
    assert labkit("up") == 1
    assert "istioctl install --set profile=default" in capsys.readouterr().err


def test_a_gateway_as_helms_chart_makes_it_by_itself_is_said(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, parts in istio().items():
        cluster.add(path, **parts)
    ports = {"ports": [{"port": 80, "targetPort": 80}]}
    cluster.add(
        f"{SYSTEM}/services/istio-ingressgateway", labels={"istio": "ingressgateway"}, spec=ports
    )
    assert labkit("up") == 0
    assert "leads port 80 to port 80 of its pod" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("image", "labels", "version"),
    [
        ("docker.io/istio/pilot:1.31.0-distroless", {}, "1.31.0"),
        ("registry:5000/istio/pilot:1.24.1@sha256:abc", {}, "1.24.1"),
        ("istio/pilot:lab", {"app.kubernetes.io/version": "1.0.0"}, ""),
        ("istio/pilot:latest", {"operator.istio.io/version": "1.26.2"}, "1.26.2"),
        ("istio/pilot", {}, ""),
    ],
)
def test_the_version_of_istio(image: str, labels: dict[str, str], version: str) -> None:
    assert version_of(image, labels) == version


def test_what_is_said_of_a_version() -> None:
    assert about("1.31.4") == ""
    assert is_too_old("1.9.0")
    assert not is_too_old("1.24.0")
    assert not is_too_old("")


def test_a_small_cluster_gets_an_istio_that_asks_for_less(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add("/api/v1/nodes/one", status={"allocatable": {"cpu": "2", "memory": "3900Mi"}})
    istioctl(standins, args=[*INSTALL, *SMALL])
    assert labkit("up") == 0
    assert (
        "The cluster has 2 processors and 3900 MB: Istio is told to ask for less"
        in capsys.readouterr().out
    )


def test_up_says_what_it_does_with_a_cluster_of_another_tool(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.add(
        "/api/v1/nodes/lab-control-plane",
        spec={"providerID": "kind://docker/lab/lab-control-plane"},
        status={"allocatable": {"cpu": "8", "memory": "16Gi"}},
    )
    istioctl(standins)
    assert labkit("up") == 0
    said = capsys.readouterr().out
    assert "This is kind, cluster lab: Istio is installed in it where there is none" in said
    assert "neither starts nor stops nor deletes it" in said


def test_words_for_istioctl_are_passed_through(cluster: FakeCluster, standins: StandIns) -> None:
    """Uninstalling needs the folder of manifests again."""
    before = cluster.names()
    istioctl(standins, args=[*INSTALL, "--set", "tag=lab", "--manifests", "/m"])
    standins.program("istioctl", {"args": [*UNINSTALL, "--manifests=/m"], "remove": ["istio"]})
    assert labkit("up", "--istioctl-option=--set tag=lab --manifests /m") == 0
    assert labkit("down") == 0
    assert cluster.names() == before


# Helm

NS = "--namespace=istio-system"
KC = "--kube-context=lab"
REPO = ["--repo=https://istio-release.storage.googleapis.com/charts", "--version=~1.31.0"]


def status(release: str, state: str = "", **more: Any) -> dict[str, Any]:
    """Helm's answer to `helm status`, as Helm 3.19 gives it (shortened)."""
    words = ["status", release, NS, KC, "--output=json"]
    if not state:
        return {"args": words, "code": 1, "err": "Error: release: not found\n", **more}
    return {"args": words, "out": json.dumps({"name": release, "info": {"status": state}}), **more}


def install(release: str, *words: str, **more: Any) -> dict[str, Any]:
    return {
        "args": ["install", release, *words, KC],
        "out": "NAME: x\nSTATUS: deployed\nTEST SUITE: None\n",
        **more,
    }


def uninstall(release: str, **more: Any) -> dict[str, Any]:
    return {
        "args": ["uninstall", release, NS, KC],
        "out": f'release "{release}" uninstalled\n',
        **more,
    }


def helm(standins: StandIns) -> None:
    standins.program(
        "helm",
        status("istio-base"),
        install("istio-base", "base", *REPO, NS, "--wait", touch=["rest"]),
        status("istiod"),
        install("istiod", "istiod", *REPO, NS, "--wait", "--set", "pilot.autoscaleEnabled=false"),
        status("istio-ingressgateway"),
        install("istio-ingressgateway", "gateway", *REPO, NS, GATEWAY_PORTS, touch=["istio"]),
    )


def test_helm_installs_where_there_is_no_istioctl(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    before = cluster.names()
    helm(standins)
    assert labkit("up", "--helm-option", "istiod:--set pilot.autoscaleEnabled=false") == 0
    assert "    STATUS: deployed" in capsys.readouterr().out.splitlines()
    releases = ("istio-ingressgateway", "istiod", "istio-base")
    standins.program("helm", *(status(name, "deployed") for name in releases))
    standins.program(
        "helm", uninstall(releases[0], remove=["istio"]), *map(uninstall, releases[1:])
    )
    assert labkit("down") == 0
    assert [call[1] for call in standins.calls("helm") if call[0] == "uninstall"] == list(releases)
    assert cluster.names() == before


def test_helm_goes_on_after_it_was_killed(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    """One release is in, the next was left half-way: Helm would refuse to install it again."""
    standins.program(
        "helm",
        status("istio-base", "deployed"),
        status("istiod", "pending-install"),
        uninstall("istiod"),
        install("istiod", "istiod", *REPO, NS, "--wait", touch=["rest"]),
        status("istio-ingressgateway"),
        install("istio-ingressgateway", "gateway", *REPO, NS, GATEWAY_PORTS, touch=["istio"]),
    )
    assert labkit("up", "--with", "helm") == 0
    said = capsys.readouterr().out
    assert "istio-base is installed already" in said
    assert "istiod was left pending-install: it is begun anew" in said


def test_a_helm_that_fails_says_why_and_what_next(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    """Helm's own words when istiod does not become ready in time."""
    out = "Error: INSTALLATION FAILED: context deadline exceeded\n"
    standins.program(
        "helm",
        status("istio-base"),
        install("istio-base", "base", *REPO, NS, "--wait", out=out, code=1),
    )
    assert labkit("up") == 1
    said = capsys.readouterr().err
    assert "helm install istio-base failed with exit code 1" in said
    assert "context deadline exceeded" in said
    assert "labkit up again" in said


def test_charts_from_a_folder(
    cluster: FakeCluster, standins: StandIns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of Istio's sources, and that of its chart repository."""
    charts = tmp_path / "charts"
    places = ("base", "istio-control/istio-discovery", "gateway")
    for place in places:
        (charts / place).mkdir(parents=True)
        (charts / place / "Chart.yaml").touch()
    monkeypatch.setenv("LABKIT_ISTIO_CHARTS", str(charts))
    base, istiod, gateway = (str(charts / place) for place in places)
    standins.program(
        "helm",
        status("istio-base"),
        install("istio-base", base, NS, "--wait", touch=["rest"]),
        status("istiod"),
        install("istiod", istiod, NS, "--wait"),
        status("istio-ingressgateway"),
        install("istio-ingressgateway", gateway, NS, GATEWAY_PORTS, touch=["istio"]),
    )
    assert labkit("up") == 0


def test_a_folder_without_charts_says_what_was_looked_for(
    cluster: FakeCluster, standins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standins.program("helm", status("istio-base"))
    assert labkit("up", "--charts", str(tmp_path)) == 1
    assert f"{tmp_path}/base/Chart.yaml" in capsys.readouterr().err


def test_a_chart_that_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert labkit("up", "--helm-option", "istoid:--set a=b") == 1
    assert "base, istiod, gateway" in capsys.readouterr().err


def test_no_tool_at_all(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labkit("up") == 1
    said = capsys.readouterr().err
    assert "there is no program istioctl on the PATH; helm: there is no program helm" in said
    assert "istio.io/downloadIstio" in said
    assert cluster.writes == []
    assert list(records()) == []


# Minikube


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate that Minikube made for the profile: each first start makes another one."""
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path / "home" / ".minikube"))
    path = tmp_path / "home" / ".minikube" / "profiles" / "minikube" / "client.crt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("-----BEGIN CERTIFICATE-----\nfirst\n")
    return path


@pytest.fixture
def in_minikube(
    cluster: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> FakeCluster:
    """The kubeconfig as it is after `minikube start`; before, its current context
    was another one.
    """
    config = kubeconfig(
        tmp_path / "mk", cluster.url, context="minikube", current="prod", prod="https://34.89.1.2"
    )
    monkeypatch.setenv("KUBECONFIG", str(config))
    monkeypatch.setattr(
        installation.Up, "size", lambda self: (setattr(self, "driver", "docker"), Size(6144, 4))[1]
    )
    return cluster


def minikube_istioctl(standins: StandIns) -> None:
    """Its node is a container and reports all of its host, and was given less than 7,000 MB."""
    swap = {"--context=lab": "--context=minikube"}
    install = [*(swap.get(w, w) for w in INSTALL), *SMALL]
    standins.program(
        "istioctl",
        {"args": install, "out": INSTALLED, "touch": ["istio", "rest"]},
        {"args": [swap.get(w, w) for w in UNINSTALL], "remove": ["istio"]},
    )


def made_minikube(standins: StandIns) -> None:
    """`labkit up` makes a Minikube where there is none, and installs Istio in it."""
    standins.program(
        "minikube", recorded("version"), recorded("no profiles"), recorded("start: done")
    )
    minikube_istioctl(standins)
    assert labkit("up", "--minikube") == 0


def stopped_minikube_is_started(standins: StandIns) -> None:
    """`labkit up` finds a Minikube that is stopped."""
    standins.program("minikube", recorded("version"), recorded("profiles: one"))
    standins.program("minikube", recorded("status: stopped", again=True))
    standins.program("minikube", recorded("start: done", args=["start", "--output=json"]))
    assert labkit("up", "--minikube") == 0


def test_a_minikube_that_was_made_is_deleted(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    made_minikube(standins)
    said = capsys.readouterr().out
    assert "$ minikube start --driver=docker --cpus=4 --memory=6144" in said
    # this file's current context is still another one
    assert "    kubectl config use-context minikube" in said
    (record,) = records()
    assert (record.profile, record.profile_made, record.former_context) == (
        "minikube",
        True,
        "prod",
    )
    standins.program("minikube", recorded("delete"))
    assert labkit("down") == 0
    assert standins.calls("istioctl") == [
        ["install", "-y", "--context=minikube", "--set=profile=default", *SMALL]
    ]
    assert list(records()) == []


def test_a_minikube_whose_program_is_gone_can_be_forgotten(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    made_minikube(standins)
    (standins.folder / "minikube").unlink()
    assert labkit("down") == 1
    assert "there is no minikube on the PATH" in capsys.readouterr().err
    assert labkit("down", "--forget") == 0
    assert list(records()) == []


@pytest.mark.parametrize("words", [["down"], ["down", "--all"]])
def test_a_minikube_made_anew_by_somebody_else_is_not_deleted(
    in_minikube: FakeCluster,
    standins: StandIns,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    """`labkit up --minikube`, then `minikube delete; minikube start` by hand, and work of one's own
    in the new one.
    """
    made_minikube(standins)
    in_minikube.add("/api/v1/namespaces/kube-system")  # another uid
    assert labkit(*words) == 0
    assert "is another one by now" in capsys.readouterr().out
    assert ["delete"] not in standins.calls("minikube")
    assert list(records()) == []


def test_a_minikube_made_anew_by_somebody_else_is_not_ours_after_another_up(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    made_minikube(standins)
    in_minikube.add("/api/v1/namespaces/kube-system")
    running = recorded("status: running", again=True)
    standins.program("minikube", recorded("version"), recorded("profiles: one"), running)
    assert labkit("up", "--minikube") == 0
    assert "this is a new one" in capsys.readouterr().out
    assert list(records()) == [], "its Istio was there already, so nothing of it is labkit's"
    assert labkit("down") == 0
    assert ["delete"] not in standins.calls("minikube")


def test_a_minikube_made_anew_by_somebody_else_and_stopped_is_stopped_again(
    in_minikube: FakeCluster, standins: StandIns
) -> None:
    made_minikube(standins)
    in_minikube.add("/api/v1/namespaces/kube-system")
    stopped_minikube_is_started(standins)
    standins.program("minikube", recorded("stop"))
    assert labkit("down") == 0
    assert standins.calls("minikube")[-1] == ["stop"]


def test_after_a_stop_istios_pods_are_waited_for(
    in_minikube: FakeCluster, standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes answers before the pods of the last time run again."""
    made_minikube(standins)
    looks: list[bool] = []

    def ready_at_the_third_look(pod: dict[str, Any]) -> Any:
        looks.append(len(looks) >= 2)
        statuses = [{**one, "ready": looks[-1]} for one in pod["status"]["containerStatuses"]]
        return info({**pod, "status": {**pod["status"], "containerStatuses": statuses}})

    monkeypatch.setattr(istio_rollout, "info", ready_at_the_third_look)
    stopped_minikube_is_started(standins)
    assert looks == [False, False, True]


@pytest.mark.parametrize("words", [["down"], ["down", "--all"]])
def test_another_one_of_the_same_name_is_not_deleted_while_it_is_stopped(
    in_minikube: FakeCluster,
    standins: StandIns,
    certificate: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    """A stopped cluster can't be asked who it is; the certificate of its profile tells."""
    made_minikube(standins)
    certificate.write_text("-----BEGIN CERTIFICATE-----\nanother\n")
    with edited_kubeconfig() as config:
        for entry in config["clusters"]:
            entry["cluster"]["server"] = "https://127.0.0.1:1"  # nobody answers
    assert labkit(*words) == 0
    assert "is another one by now" in capsys.readouterr().out
    assert ["delete"] not in standins.calls("minikube")
    assert list(records()) == []


def test_another_one_of_the_same_name_is_theirs_after_another_up(
    in_minikube: FakeCluster,
    standins: StandIns,
    certificate: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made_minikube(standins)
    certificate.write_text("-----BEGIN CERTIFICATE-----\nanother\n")
    stopped_minikube_is_started(standins)
    standins.program("minikube", recorded("stop"))
    assert "this is another one" in capsys.readouterr().out
    (record,) = records()
    assert (record.profile_made, record.profile_started) == (False, True)
    assert labkit("down") == 0
    assert standins.calls("minikube")[-1] == ["stop"], "it is stopped again, as it was"


def test_a_minikube_that_up_makes_a_second_time_is_ours(
    in_minikube: FakeCluster, standins: StandIns
) -> None:
    """Somebody deleted the first one, and the second `up` was killed before it could ask the new
    one who it is.
    """
    made_minikube(standins)
    in_minikube.add("/api/v1/namespaces/kube-system")
    failed = recorded("start: container fails", args=recorded("start: done")["args"])
    standins.program("minikube", recorded("version"), recorded("no profiles"), failed)
    assert labkit("up", "--minikube") == 1
    (record,) = records()
    assert (record.profile_made, record.uid, record.installer) == (True, "", "")
    standins.program("minikube", recorded("delete"))
    assert labkit("down") == 0
    assert standins.calls("minikube")[-1] == ["delete"]


def test_the_current_context_of_before_comes_back(
    in_minikube: FakeCluster, standins: StandIns
) -> None:
    """`minikube delete` leaves a kubeconfig without a current context."""
    made_minikube(standins)
    file = Path(os.environ["KUBECONFIG"])
    file.write_text(file.read_text().replace("current-context: prod", "current-context: ''"))
    standins.program("minikube", recorded("delete"))
    standins.program(
        "kubectl",
        {"args": ["config", "use-context", "prod"], "out": 'Switched to context "prod".\n'},
    )
    assert labkit("down") == 0
    assert standins.calls("kubectl") == [["config", "use-context", "prod"]]


def test_a_minikube_that_was_stopped_is_stopped_again(
    in_minikube: FakeCluster, standins: StandIns
) -> None:
    before = in_minikube.names()
    standins.program(
        "minikube",
        recorded("version"),
        recorded("profiles: one"),
        recorded("status: stopped", again=True),
    )
    standins.program("minikube", recorded("start: done", args=["start", "--output=json"]))
    minikube_istioctl(standins)
    assert labkit("up", "--minikube") == 0
    standins.program("minikube", recorded("stop"))
    assert labkit("down") == 0
    assert standins.calls("minikube")[-1] == ["stop"]
    assert in_minikube.names() == before


def test_a_minikube_that_runs_is_left_running(in_minikube: FakeCluster, standins: StandIns) -> None:
    before = in_minikube.names()
    standins.program(
        "minikube",
        recorded("version"),
        recorded("profiles: one"),
        recorded("status: running", again=True),
    )
    minikube_istioctl(standins)
    assert labkit("up", "--minikube") == 0
    assert labkit("down") == 0
    assert {call[0] for call in standins.calls("minikube")} == {"version", "profile", "status"}
    assert in_minikube.names() == before


def test_an_interrupted_start_goes_on_and_is_still_ours(
    in_minikube: FakeCluster, standins: StandIns
) -> None:
    """The first start failed after it had made its profile: `down` deletes it all the same."""
    failed = recorded("start: container fails", args=recorded("start: done")["args"])
    standins.program("minikube", recorded("version"), recorded("no profiles"), failed)
    assert labkit("up", "--minikube") == 1
    standins.program(
        "minikube", recorded("version"), recorded("profiles after an interrupted start")
    )
    standins.program("minikube", recorded("status after an interrupted start", again=True))
    standins.program("minikube", recorded("start: done", args=["start", "--output=json"]))
    minikube_istioctl(standins)
    assert labkit("up", "--minikube") == 0
    standins.program("minikube", recorded("delete"))
    assert labkit("down") == 0
    assert standins.calls("minikube")[-1] == ["delete"]


def test_a_profile_that_is_too_small_is_not_used(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    small = recorded("profiles: one")
    small["out"] = small["out"].replace('"Memory":6144', '"Memory":2200')
    standins.program(
        "minikube", recorded("version"), small, recorded("status: running", again=True)
    )
    assert labkit("up", "--minikube") == 1
    assert "--profile istio" in capsys.readouterr().err


def test_the_addons_are_no_way_by_themselves(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    standins.program(
        "minikube",
        recorded("version"),
        recorded("profiles: one"),
        recorded("status: running", again=True),
    )
    standins.program("minikube", recorded("images of istio-provisioner", again=True))
    assert labkit("up", "--minikube") == 1
    said = capsys.readouterr().err
    assert "they install Istio 1.23.3 by an operator that Istio has given up" in said
    assert "labkit up --with addons" in said
    assert in_minikube.writes == []


def test_the_addons_when_asked_for(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    standins.program(
        "minikube",
        recorded("version"),
        recorded("profiles: one"),
        recorded("status: running", again=True),
    )
    standins.program("minikube", recorded("images of istio-provisioner", again=True))
    standins.program("minikube", recorded("enable istio-provisioner", touch=["rest"]))
    standins.program("minikube", {"args": ["addons", "enable", "istio"], "touch": ["istio"]})
    assert labkit("up", "--minikube", "--with", "addons") == 0
    assert "What is wrong with the add-ons: they install Istio 1.23.3" in capsys.readouterr().out


def test_the_addons_need_a_minikube(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert labkit("up", "--with", "addons") == 1
    assert "into a Minikube only" in capsys.readouterr().err


def test_a_tunnel_is_held_until_it_can_not_be(
    in_minikube: FakeCluster,
    standins: StandIns,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    standins.program("minikube", recorded("version"), recorded("profiles: one", again=True))
    standins.program("minikube", recorded("status: running", again=True))
    minikube_istioctl(standins)
    standins.program("minikube", recorded("tunnel of a stopped one", args=["tunnel"], again=True))
    assert labkit("up", "--minikube", "--tunnel") == 1
    said = capsys.readouterr()
    assert "$ minikube tunnel\n" in said.out
    assert "has no address of its own" not in said.out, "the tunnel is about to give it one"
    assert "host is not running: state=Stopped" in said.err


def test_a_context_that_only_has_minikubes_name_is_left_alone(
    in_minikube: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    with edited_kubeconfig() as config:
        (user,) = (u["user"] for u in config["users"] if u["name"] == "minikube")
        user["client-certificate"] = "/etc/kind/client.crt"
    standins.program(
        "minikube",
        recorded("version"),
        recorded("profiles: one"),
        recorded("status: running", again=True),
    )
    assert labkit("up", "--minikube") == 1
    assert "is not that of the Minikube of this name" in capsys.readouterr().err
    assert in_minikube.asked == []


def test_a_tunnel_needs_a_minikube(capsys: pytest.CaptureFixture[str]) -> None:
    assert labkit("up", "--tunnel") == 1
    assert "labkit up --minikube --tunnel" in capsys.readouterr().err


# /etc/hosts


def with_address(cluster: FakeCluster) -> None:
    service = {
        "labels": {"istio": "ingressgateway"},
        "spec": {},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.168.49.2"}]}},
    }
    cluster.scene("istio", {**istio(), f"{SYSTEM}/services/istio-ingressgateway": service})


def test_the_line_in_etc_hosts_is_explained_and_not_written(
    cluster: FakeCluster, standins: StandIns, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_address(cluster)
    istioctl(standins)
    assert labkit("up") == 0
    said = capsys.readouterr().out
    assert "    192.168.49.2 test.example.com" in said.splitlines()
    assert "curl --resolve test.example.com:80:192.168.49.2 http://test.example.com/" in said
    assert (tmp_path / "hosts").read_text() == "127.0.0.1 localhost\n"


def test_the_line_is_written_when_asked_for_and_taken_back(
    cluster: FakeCluster, standins: StandIns, tmp_path: Path
) -> None:
    with_address(cluster)
    istioctl(standins)
    assert labkit("up", "--edit-hosts") == 0
    file = tmp_path / "hosts"
    assert file.read_text() == f"127.0.0.1 localhost\n192.168.49.2 test.example.com {MARK}\n"
    assert labkit("up", "--edit-hosts") == 0
    assert file.read_text().count("test.example.com") == 1
    file.write_text(file.read_text() + "10.0.0.1 theirs\n")
    assert labkit("down") == 0
    assert file.read_text() == "127.0.0.1 localhost\n10.0.0.1 theirs\n"


def test_a_line_of_the_learners_own_stays(
    cluster: FakeCluster, standins: StandIns, tmp_path: Path
) -> None:
    with_address(cluster)
    istioctl(standins)
    theirs = "127.0.0.1 localhost\n10.1.1.1 shop test.example.com\n"
    (tmp_path / "hosts").write_text(theirs)
    assert labkit("up", "--edit-hosts") == 0
    assert labkit("down") == 0
    assert (tmp_path / "hosts").read_text() == theirs


def test_without_an_address_there_is_no_line(
    cluster: FakeCluster, standins: StandIns, capsys: pytest.CaptureFixture[str]
) -> None:
    istioctl(standins)
    assert labkit("up", "--edit-hosts") == 1
    assert "minikube tunnel" in capsys.readouterr().err


# the record


def test_the_record_is_for_its_user_only_and_survives_newer_and_older_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    Record("one", installer="helm").save()
    file = tmp_path / "state" / "clusters" / "one.json"
    assert file.stat().st_mode & 0o077 == 0
    file.write_text(json.dumps({"key": "one", "way": "helm", "colour": "blue"}))
    (found,) = records()
    assert found.installer == "helm"


def test_errors_are_labkits_own() -> None:
    assert issubclass(MeshError, LabkitError)

"""Nothing is left, however a run ends: a snapshot before and after, of all objects and of what the
gateway was told.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import MeshError
from labkit.mesh.cluster.cleanup.fingerprints import take_fingerprints
from labkit.mesh.cluster.cleanup.kept_gateway import kept_gateway
from labkit.mesh.cluster.cleanup.leftovers import api_of, end_abandoned, find, remains
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.mesh import ClusterMesh
from labkit.mesh.cluster.observability import (
    CONFIG,
    GATEWAY_PATH,
    enter_gateway,
    leave_gateway,
    users,
)
from labkit.mesh.cluster.ownership.owner import own
from labkit.waiting import wait_until
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, SUBSETS, URL, rule
from tests.translate.record import kubectl

from .conftest import claim_hello_world, exists

OTHER_RUN = """
import os, signal, sys
import labkit
mesh = labkit.open_mesh("cluster", kubeconfig=sys.argv[1], say=lambda text: None)
mesh.apply(sys.stdin.read())
print("ready", flush=True)
signal.pause()
"""
IN_HELLO_WORLD = (
    "apiVersion: v1\nkind: Namespace\nmetadata: {name: hello-world, labels: "
    "{istio-injection: enabled}}\n"
)


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Iterator[Api]:
    claim_hello_world()
    found = api_of(kubeconfig=kubeconfig)
    assert remains(found) == [], "labkit has a hand in this already"
    yield found
    found.close()


def quiet(text: str) -> None:
    del text


def other_run(kubeconfig: str, manifests: str) -> subprocess.Popen[str]:
    """Another process that opens a mesh, applies manifests, and then waits to be ended."""
    words = [sys.executable, "-c", OTHER_RUN, kubeconfig]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as given:
        given.write(manifests)
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_close_leaves_nothing(api: Api, kubeconfig: str, own_namespace: str) -> None:
    """Objects in its own namespace and in somebody else's, routes, sidecars, counters, logs: all of
    it goes.
    """
    before = take_fingerprints(api)
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet) as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE, rule("{loadBalancer: {simple: RANDOM}}", subsets=SUBSETS))
        mesh.apply(rule().replace("namespace: hello-world", f"namespace: {own_namespace}"))
        assert mesh.curl(URL).codes == {200: 1}
        while_open = take_fingerprints(api).since(before)
        assert "+ /api/v1/namespaces/hello-world" in while_open
        assert "+ gateway: listeners 0.0.0.0_8080" in while_open
        assert (
            "~ /apis/apps/v1/namespaces/istio-system/deployments/istio-ingressgateway" in while_open
        )
    assert take_fingerprints(api).since(before) == []
    assert remains(api) == []
    assert find(api) == []


def test_reset_leaves_the_applications_and_nothing_else(api: Api, kubeconfig: str) -> None:
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet) as mesh:
        mesh.apply(HELLO)
        before = take_fingerprints(api)
        mesh.apply(GATEWAY, ROUTE, rule("{loadBalancer: {simple: RANDOM}}", subsets=SUBSETS))
        assert "+ gateway: listeners 0.0.0.0_8080" in take_fingerprints(api).since(before)
        mesh.reset()
        # istiod counts on in the marker's route: that is the barrier's number, and the only thing
        # that may differ
        assert [
            line
            for line in take_fingerprints(api).since(before)
            if "marker" not in line and "15999" not in line
        ] == []


def test_what_a_killed_run_left_is_found_and_removed(
    api: Api, kubeconfig: str, own_namespace: str
) -> None:
    before = take_fingerprints(api)
    theirs = rule().replace("namespace: hello-world", f"namespace: {own_namespace}")
    killed = other_run(kubeconfig, HELLO.read_text("utf-8") + "\n---\n" + theirs)
    (left,) = find(api)
    assert left.owner is not None
    assert left.owner.process == killed.pid
    assert left.owner_runs
    assert end_abandoned(api, quiet) == [], "it goes on, so it is left alone"
    end(killed)
    assert not find(api)[0].owner_runs
    assert take_fingerprints(api).since(before) != []
    said: list[str] = []
    assert [one.run for one in end_abandoned(api, said.append)] == [left.run]
    assert "was killed" in said[0]
    assert take_fingerprints(api).since(before) == []
    assert remains(api) == []


def test_labkit_down_removes_what_a_killed_run_left(api: Api, kubeconfig: str) -> None:
    before = take_fingerprints(api)
    words = [sys.executable, "-m", "labkit", "down", "--meshes"]
    own = {**os.environ, "KUBECONFIG": kubeconfig}
    killed = other_run(kubeconfig, IN_HELLO_WORLD)
    try:
        spared = subprocess.run(words, env=own, capture_output=True, text=True, check=True).stdout
        assert f"belongs to process {killed.pid}" in spared
        assert exists("hello-world")
    finally:
        end(killed)
    said = subprocess.run(words, env=own, capture_output=True, text=True, check=True).stdout
    assert ": ended" in said
    assert take_fingerprints(api).since(before) == []
    assert remains(api) == []


def test_the_next_mesh_removes_what_a_killed_run_left(api: Api, kubeconfig: str) -> None:
    before = take_fingerprints(api)
    killed = other_run(kubeconfig, HELLO.read_text("utf-8"))
    end(killed)
    assert exists("hello-world")
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet):
        assert not exists("hello-world")
        assert [left.owner for left in find(api)] == [own()]
    assert take_fingerprints(api).since(before) == []


def test_two_learners_share_the_gateway_and_not_a_namespace(
    api: Api, kubeconfig: str, own_namespace: str
) -> None:
    """The second one who wants a namespace is told who has it, before anything is written there."""
    before = take_fingerprints(api)
    first = other_run(kubeconfig, IN_HELLO_WORLD)
    try:
        with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet) as second:
            assert len(users(api)) == 2
            with pytest.raises(MeshError, match="belongs to another run") as caught:
                second.apply(HELLO)
            assert f"process {first.pid}" in caught.value.seen
            assert kubectl(
                "-n", "hello-world", "get", "deployments,configmaps", "-o", "name"
            ).stdout.split() == [
                "configmap/istio-ca-crl",
                "configmap/istio-ca-root-cert",
                "configmap/kube-root-ca.crt",
            ]
            second.apply(rule().replace("namespace: hello-world", f"namespace: {own_namespace}"))
        assert exists("hello-world"), "it is the first one's"
        assert (
            kubectl(
                "-n", own_namespace, "get", "destinationrules,envoyfilters", "-o", "name"
            ).stdout
            == ""
        )
        assert len(users(api)) == 1
        assert prepared(api), "the first one needs it still"
    finally:
        end(first)
    end_abandoned(api, quiet)
    assert take_fingerprints(api).since(before) == []


def test_a_second_mesh_of_the_same_process_takes_over(api: Api, kubeconfig: str) -> None:
    """As when a learner runs the cell with open_mesh twice: what the forgotten mesh closes is no
    longer its own.
    """
    forgotten = labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet)
    forgotten.apply(IN_HELLO_WORLD)
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet) as mesh:
        mesh.apply(IN_HELLO_WORLD)
        forgotten.close()
        assert exists("hello-world")
    assert not exists("hello-world")
    assert remains(api) == []


def prepared(api: Api) -> bool:
    deployment = api.find(GATEWAY_PATH)
    assert deployment is not None
    return CONFIG in deployment["spec"]["template"]["metadata"].get("annotations", {})


def test_many_enter_and_leave_the_gateway_at_the_same_time(api: Api) -> None:
    """No name is lost, and it is changed back exactly when the last one has left."""
    names = [f"test{number}" for number in range(6)]

    def side_by_side(act: object) -> None:
        threads = [threading.Thread(target=act, args=(name,)) for name in names]  # type: ignore[arg-type]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    side_by_side(lambda name: enter_gateway(api, name, own().text, quiet))
    assert set(users(api)) == set(names)
    assert prepared(api)
    last = names.pop()
    side_by_side(lambda name: leave_gateway(api, name))
    assert set(users(api)) == {last}
    assert prepared(api)
    leave_gateway(api, last)
    assert not prepared(api)
    assert remains(api) == []


def test_a_kept_gateway_does_not_start_anew_for_each_mesh(api: Api, kubeconfig: str) -> None:
    def pods() -> list[str]:
        return kubectl(
            "-n", "istio-system", "get", "pods", "-l", "istio=ingressgateway", "-o", "name"
        ).stdout.split()

    with kept_gateway(kubeconfig=kubeconfig, say=quiet):
        wait_until(lambda: len(pods()) == 1, 60, "the old gateway's pod to be gone")
        before = pods()
        with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet) as mesh:
            assert isinstance(mesh, ClusterMesh)
        assert pods() == before
    assert not prepared(api)

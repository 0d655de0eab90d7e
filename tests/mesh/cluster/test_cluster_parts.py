"""Parts of the cluster mesh that need no cluster."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psutil
import pytest

from labkit.errors import MeshError, NotReady, TrafficError, UnsupportedError
from labkit.mesh.cluster.barrier import Barrier
from labkit.mesh.cluster.cleanup.fingerprints import Fingerprints, configured_parts, wishes
from labkit.mesh.cluster.cleanup.leftovers import ClusterRun
from labkit.mesh.cluster.client import streams
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.forward import Forward
from labkit.mesh.cluster.client.guard import Pinned
from labkit.mesh.cluster.load import SERVICE, ClusterFortio, refuse_source
from labkit.mesh.cluster.mesh import ClusterMesh
from labkit.mesh.cluster.objects import to_apply
from labkit.mesh.cluster.ownership.owner import Owner, own, started_at
from labkit.mesh.cluster.proxies import Proxies
from labkit.traffic.plan import Load


def test_this_process_runs_and_is_known_again() -> None:
    assert own().process == os.getpid()
    assert own().runs
    assert Owner.read(own().text) == own()


def test_an_owner_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        there = Owner(own().machine, process.pid, started_at(process.pid))
        assert there.runs
        process.stdin.close()
    assert not there.runs


def test_another_process_with_the_same_id_is_another_owner() -> None:
    assert not Owner(own().machine, os.getpid(), own().started - 1000).runs


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere the system notes the time when a process starts"
)
def test_a_clock_that_is_set_makes_no_run_look_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Owner(own().machine, os.getpid(), started_at(os.getpid()))
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 1.0)
    assert owner.runs
    assert started_at(os.getpid()) == owner.started


def test_of_another_machine_nothing_is_known() -> None:
    assert Owner("somewhere-else", 1, 1).runs


@pytest.mark.parametrize("text", ["", "desk", "desk/a/b", "desk/1"])
def test_what_is_no_owner(text: str) -> None:
    assert Owner.read(text) is None
    assert not ClusterRun("a", Owner.read(text), ()).owner_runs, "nobody says that it is his"


def test_an_object_that_was_read_is_applied_without_the_clusters_notes() -> None:
    metadata = {"name": "a", "namespace": "b", "labels": {"c": "d"}}
    notes = {"uid": "1", "resourceVersion": "2", "generation": 3, "creationTimestamp": "now"}
    read = {
        "kind": "Deployment",
        "metadata": {**metadata, **notes},
        "spec": {"replicas": 1},
        "status": {"replicas": 1},
    }
    assert to_apply(read) == {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 1}}
    assert read["status"] == {"replicas": 1}


def test_what_a_snapshot_compares() -> None:
    before = Fingerprints({"a": "1", "b": "1"}, {"gateway: listeners x": "1"})
    after = Fingerprints(
        {"a": "2", "c": "1"}, {"gateway: listeners x": "1", "gateway: listeners y": "1"}
    )
    assert after.since(before) == ["+ c", "+ gateway: listeners y", "- b", "~ a"]
    assert before.since(before) == []


def test_a_snapshot_leaves_out_what_the_cluster_writes_itself() -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "a", "annotations": {"mine": "1"}},
        "spec": {"x": 1},
    }
    noted = {
        "metadata": {
            "name": "a",
            "resourceVersion": "7",
            "annotations": {"mine": "1", "deployment.kubernetes.io/revision": "4"},
        },
        "spec": {"x": 1},
        "status": {},
    }
    assert wishes(noted) == wishes(body)
    assert wishes({**noted, "spec": {"x": 2}}) != wishes(body)


def test_a_listener_that_drains_is_gone_with_its_routes() -> None:
    def listener(name: str, route: str) -> dict[str, Any]:
        return {"name": name, "listener": {"name": name, "rds": {"route_config_name": route}}}

    def routes(name: str) -> dict[str, Any]:
        return {"version_info": "1", "last_updated": "now", "route_config": {"name": name}}

    dump = {
        "configs": [
            {
                "dynamic_listeners": [
                    {"name": "a", "active_state": listener("a", "http.1")},
                    {"name": "b", "draining_state": listener("b", "http.2")},
                ]
            },
            {"dynamic_route_configs": [routes("http.1"), routes("http.2")]},
            {"dynamic_active_clusters": [{"last_updated": "now", "cluster": {"name": "c"}}]},
        ]
    }
    names = [name for name, _ in configured_parts(dump)]
    assert names == ["gateway: listeners a", "gateway: configs http.1", "gateway: clusters c"]


STOCK = "outbound|80||stock.shop.svc.cluster.local"


def gateway_that_knows(*hosts: tuple[str, dict[str, Any]]) -> Barrier:
    """A barrier whose every proxy lists these addresses, with their health."""
    rows = [
        {"address": {"socket_address": {"address": ip}}, "health_status": health}
        for ip, health in hosts
    ]

    class Known:
        def admin(self, pod: Any) -> Known:
            return self

        def clusters(self) -> dict[str, Any]:
            return {"cluster_statuses": [{"name": STOCK, "host_statuses": rows}]}

    return Barrier(None, Known(), "run", "namespace")  # type: ignore[arg-type]


def test_pods_that_became_ready_meanwhile_are_asked_for_again() -> None:
    barrier = gateway_that_knows(("10.0.0.1", {"eds_health_status": "HEALTHY"}), ("10.0.0.2", {}))
    answers = iter([{"10.0.0.2"}, {"10.0.0.2"}, {"10.0.0.1", "10.0.0.2"}])
    barrier.wait_endpoints(lambda: {STOCK: next(answers)}, {"gateway": {}}, 5)
    assert next(answers, None) is None


def test_a_pod_that_is_not_ready_stays_listed_and_gets_nothing() -> None:
    barrier = gateway_that_knows(
        ("10.0.0.1", {"eds_health_status": "UNHEALTHY"}),
        ("10.0.0.2", {"eds_health_status": "HEALTHY", "failed_outlier_check": True}),
    )
    barrier.wait_endpoints(lambda: {STOCK: {"10.0.0.2"}}, {"gateway": {}}, 5)
    with pytest.raises(NotReady, match=r"has \['10.0.0.2'\], ready are \['10.0.0.1', '10.0.0.2'\]"):
        barrier.wait_endpoints(lambda: {STOCK: {"10.0.0.1", "10.0.0.2"}}, {"gateway": {}}, 0.1)


def test_the_command_of_fortio_in_the_cluster() -> None:
    load = Load("127.0.0.1", 41234, "/v2", fields={"Host": "test.example.com"}, requests=20)
    words = ClusterFortio(None, "labkit-marker-1").command(load)  # type: ignore[arg-type]
    assert words[-1] == f"http://{SERVICE}:80/v2"
    assert "Host: test.example.com" in words
    with pytest.raises(UnsupportedError, match="through the ingress gateway only"):
        refuse_source("client")


@contextlib.contextmanager
def api_server(serve: Callable[[socket.socket], None]) -> Iterator[Api]:
    """An API server that treats each connection so, and then says nothing more."""
    open_ones = []

    def accept() -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                connection, _ = listener.accept()
                open_ones.append(connection)
                serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield Api(
            Pinned(
                "lab",
                url := f"http://127.0.0.1:{listener.getsockname()[1]}",
                one_context(url),
                cleared="a test's",
            )
        )
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in open_ones:
        one.close()


def one_context(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}],
        "clusters": [{"name": "lab", "cluster": {"server": server}}],
        "users": [{"name": "lab", "user": {"token": "t"}}],
    }


def silent(connection: socket.socket) -> None:
    """What a way to nowhere does."""


def upgraded(connection: socket.socket) -> None:
    """Becomes a WebSocket, and is silent then."""
    request = connection.recv(65536).decode()
    assert "authorization: Bearer t" in request
    key = next(
        line.split(": ")[1]
        for line in request.splitlines()
        if line.lower().startswith("sec-websocket-key")
    )
    accepted = base64.b64encode(
        hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    ).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [
        f"Sec-WebSocket-Accept: {accepted}",
        f"Sec-WebSocket-Protocol: {streams.PROTOCOL}",
        "",
        "",
    ]
    connection.sendall("\r\n".join(lines).encode())


def cut(connection: socket.socket) -> None:
    """Becomes a WebSocket and is gone."""
    upgraded(connection)
    connection.shutdown(socket.SHUT_RDWR)


def no_such_pod(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("serve", [silent, upgraded, cut, no_such_pod])
def test_a_tunnel_that_does_not_open_is_said_in_time(
    serve: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A laptop that slept has connections on which nothing comes any more."""
    monkeypatch.setattr(streams, "OPEN_S", 0.2)
    with api_server(serve) as api:
        with pytest.raises(MeshError, match="opens no stream"):
            streams.PodStream.to_port(api, "shop", "stock-1", 8080)
        with pytest.raises(
            TrafficError, match="Port 8080 of pod 'stock-1' in 'shop' does not answer"
        ):
            streams.PodClient(api, "shop", "stock-1", 8080).request("GET", "/")


def test_controls_go_by_a_port_forward_to_a_port_that_no_manifest_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A port-forward ends on the pod's own loopback, which is where they listen."""
    asked: list[str] = []

    def note(connection: socket.socket) -> None:
        asked.append(connection.recv(65536).decode().partition("\r\n")[0])
        connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    container = {"name": "stock", "ports": [{"containerPort": 8080}]}
    pod = {
        "metadata": {"namespace": "shop", "name": "stock-1"},
        "spec": {"containers": [container]},
    }
    with api_server(note) as api:
        mesh = object.__new__(ClusterMesh)
        mesh.__dict__ |= {"_api": api, "_applications": {}}
        monkeypatch.setattr(ClusterMesh, "_pod", lambda *_: pod)
        with pytest.raises(MeshError, match="'stock-1' does not answer"):
            mesh.app("stock-1", "POST", "/control/fail?next=3")
        del container["ports"]
        with pytest.raises(MeshError, match="no application with controls"):
            mesh.app("stock-1", "POST", "/control/fail?next=3")
    (line,) = set(asked)
    assert line.startswith("GET /api/v1/namespaces/shop/pods/stock-1/portforward?ports=8081 ")


def test_a_pod_that_is_gone_while_an_apply_waits_is_for_the_wait_to_decide() -> None:
    """Its name was looked up a moment ago, and now the API server opens no
    stream to it any more.
    """
    with api_server(no_such_pod) as api:
        barrier = Barrier(api, Proxies(api), "run", "namespace")
        gone = {"metadata": {"namespace": "shop", "name": "stock-1", "uid": "1"}}
        assert barrier.routes(barrier.proxies.admin(gone)) == b""
        with pytest.raises(NotReady):
            barrier.wait_endpoints(lambda: {STOCK: {"10.0.0.1"}}, {"stock-1": gone}, 0.1)


def test_a_spare_tunnel_that_fails_in_whatever_way_is_no_longer_being_opened() -> None:
    def broken() -> streams.PodStream:
        raise RuntimeError("nobody expected this")

    forward = Forward(broken, spare=0)
    forward.opening = 1
    with pytest.raises(RuntimeError):
        forward.open_one()
    assert forward.opening == 0
    forward.close()


def test_an_api_server_that_goes_away_between_list_and_watch() -> None:
    with api_server(silent) as api:
        pass  # it was there for the list
    with pytest.raises(MeshError, match="does not answer"):
        list(api.events("/api/v1/pods", "1", 1))


def test_a_close_that_failed_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the cluster is given back by the second one, or at the end of the process."""
    calls, answers = [], [MeshError("The API server does not answer"), None]

    def end(api: Any, left: ClusterRun) -> None:
        calls.append("end")
        if error := answers.pop(0):
            raise error

    monkeypatch.setattr("labkit.mesh.cluster.mesh.end", end)
    monkeypatch.setattr("atexit.unregister", lambda function: calls.append("unregister"))
    mesh = object.__new__(ClusterMesh)
    parts = MagicMock()
    mesh.__dict__ |= {
        name: getattr(parts, name)
        for name in ("_api", "_connections", "_proxies", "_barrier", "_pinned")
    }
    mesh.__dict__ |= {"_ledger": SimpleNamespace(run="1", paths=[]), "_applications": {}}
    mesh._closed = mesh._given_back = False
    mesh._process = os.getpid() + 1  # somebody who was forked from the one that opened it
    mesh.close()
    assert calls == []
    mesh._process = os.getpid()
    with pytest.raises(MeshError, match="does not answer"):
        mesh.close()
    assert calls == ["end"]
    with pytest.raises(MeshError, match="has been closed"):
        mesh.check_open()
    mesh.close()
    mesh.close()
    assert calls == ["end", "end", "unregister"]


def test_a_notebook_that_ends_when_its_cluster_is_gone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(self: ClusterMesh) -> None:
        raise MeshError(
            "The API server of context 'minikube' does not answer", try_next="minikube status"
        )

    monkeypatch.setattr(ClusterMesh, "close", gone)
    ClusterMesh._close_at_exit(object.__new__(ClusterMesh))
    said = capsys.readouterr().err
    assert "could not be removed: The API server of context 'minikube' does not answer" in said
    assert "minikube status" in said

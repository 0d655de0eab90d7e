"""What goes wrong with a cluster around a mesh: a context that is not meant, a slow API server, a
token that ran out, an istiod that is gone for a while."""

from __future__ import annotations

import atexit
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import labkit
from labkit.errors import MeshError
from labkit.mesh.cluster.cleanup.kept_gateway import kept_gateway
from labkit.mesh.cluster.cleanup.leftovers import api_of, end, find, remains
from labkit.mesh.cluster.client.refusals import Refused
from labkit.mesh.cluster.mesh import ClusterMesh
from labkit.waiting import wait_until
from tests.mesh.conftest import GATEWAY, HELLO, ROUTE, URL, rule, virtual_service
from tests.translate.record import kubectl

from .conftest import claim_hello_world
from .relay import Relay, kubeconfig

FAR = "prod.example.com"
MARKED = (
    "[{{headers: {{response: {{set: {{x-n: n{n}}}}}}}, route: [{{destination: {{host: "
    "hello-world}}}}]}}]"
)


def quiet(text: str) -> None:
    del text


@pytest.fixture(scope="module")
def config(kubeconfig: str) -> dict[str, Any]:
    """The cluster's own kubeconfig."""
    claim_hello_world()
    loaded: dict[str, Any] = yaml.safe_load(Path(kubeconfig).read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module", autouse=True)
def gateway(kubeconfig: str) -> Iterator[None]:
    with kept_gateway(kubeconfig=kubeconfig, say=quiet):
        yield
    api = api_of(kubeconfig=kubeconfig)
    assert remains(api) == []
    api.close()


@pytest.fixture
def through(config: dict[str, Any], tmp_path: Path) -> Iterator[Callable[..., tuple[Relay, Path]]]:
    """Makes a relay to the API server, and a kubeconfig that leads through it."""
    made: list[Relay] = []

    def make(host: str = "127.0.0.1", delay_s: float = 0.0) -> tuple[Relay, Path]:
        one = Relay(config["clusters"][0]["cluster"]["server"], delay_s=delay_s)
        made.append(one)
        path = tmp_path / "kubeconfig"
        user = config["users"][0]["user"]
        path.write_text(
            yaml.safe_dump(kubeconfig(f"http://{host}:{one.port}", user, "through")), "utf-8"
        )
        return one, path

    yield make
    for one in made:
        one.close()


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that looks like somebody's production, and leads to this machine: so what is sent
    there can be counted.
    """
    look_up = socket.getaddrinfo

    def looked_up(host: Any, *rest: Any, **more: Any) -> Any:
        return look_up("127.0.0.1" if host == FAR else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)


def test_a_context_that_is_not_local_gets_not_one_request(
    through: Callable[..., tuple[Relay, Path]], far_away: None
) -> None:
    """Every way to begin is tried. The last one names the context, and shows that the relay does
    count.
    """
    counted, path = through(FAR)
    for begin in (
        lambda: labkit.open_mesh("cluster", kubeconfig=path),
        lambda: kept_gateway(kubeconfig=path).__enter__(),
        lambda: api_of(kubeconfig=path),
    ):
        with pytest.raises(MeshError, match="not known to be on this machine") as caught:
            begin()
        assert 'context="through"' in caught.value.try_next
    assert counted.requests == []
    with labkit.open_mesh("cluster", kubeconfig=path, context="through", say=quiet) as mesh:
        assert mesh.get("namespaces")
    assert counted.writes != []


def test_a_slow_api_server(through: Callable[..., tuple[Relay, Path]]) -> None:
    """A fifth of a second on the way for each request: all takes longer, and what apply returns is
    in force.
    """
    slow, path = through(delay_s=0.2)
    with labkit.open_mesh("cluster", kubeconfig=path, say=quiet) as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        for n in range(3):
            mesh.apply(virtual_service(MARKED.format(n=n)))
            (answer,) = mesh.curl(URL)
            assert answer.headers["x-n"] == f"n{n}"
    assert len(slow.requests) > 20


def test_an_api_server_that_is_gone(
    through: Callable[..., tuple[Relay, Path]], kubeconfig: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the context; a notebook that ends tells it without a traceback; what is left
    can be removed.
    """
    gone, path = through()
    mesh = labkit.open_mesh("cluster", kubeconfig=path, say=quiet)
    gone.close()
    with pytest.raises(MeshError, match="'through' does not answer"):
        mesh.get("namespaces")
    assert isinstance(mesh, ClusterMesh)
    mesh._close_at_exit()
    assert "'through' does not answer" in capsys.readouterr().err
    end_all(kubeconfig, mesh)


def end_all(path: str, mesh: labkit.Mesh) -> None:
    """Tidies up after a mesh that could not."""
    assert isinstance(mesh, ClusterMesh)
    api = api_of(kubeconfig=path)
    (left,) = (one for one in find(api) if one.run == mesh._ledger.run)
    end(api, left)
    api.close()
    atexit.unregister(mesh._close_at_exit)  # it would try again, and tell that it can't


def test_a_token_that_is_valid_no_longer(
    config: dict[str, Any], kubeconfig: str, own_namespace: str, tmp_path: Path
) -> None:
    """A ServiceAccount's token, and then the account goes: the answer is the same as for a token
    that has run out.
    """
    name = f"learner-{own_namespace}"
    kubectl("-n", own_namespace, "create", "serviceaccount", "learner")
    kubectl(
        "create",
        "clusterrolebinding",
        name,
        "--clusterrole=cluster-admin",
        f"--serviceaccount={own_namespace}:learner",
    )
    try:
        token = kubectl("-n", own_namespace, "create", "token", "learner").stdout.strip()
        path = tmp_path / "kubeconfig"
        own = {**config, "users": [{**config["users"][0], "user": {"token": token}}]}
        path.write_text(yaml.safe_dump(own), "utf-8")
        mesh = labkit.open_mesh("cluster", kubeconfig=path, say=quiet)
        kubectl("-n", own_namespace, "delete", "serviceaccount", "learner")
        errors: list[Refused] = []

        def refused() -> bool:
            try:
                mesh.get("namespaces")
            except Refused as error:
                errors.append(error)
            return bool(errors)

        # it remembers one for 10 s
        wait_until(refused, 30, "the API server to forget the token", longest_s=0.5)
        assert errors[0].status == 401
        assert "does not know who you are" in errors[0].message
        assert "log in again" in errors[0].try_next
        assert token not in str(errors[0])
        with pytest.raises(Refused, match="does not know who you are"):
            mesh.close()
        end_all(kubeconfig, mesh)
    finally:
        kubectl("delete", "clusterrolebinding", name)


def test_istiod_gone_and_back(kubeconfig: str) -> None:
    """Without its control plane the mesh goes on with what it has, and says why it takes nothing
    new.
    """
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig, say=quiet) as mesh:
        mesh.apply(HELLO, GATEWAY, ROUTE)
        istiod(0)
        try:
            wait_until(lambda: pods_of_istiod() == 0, 60, "istiod to be gone", longest_s=0.5)
            assert mesh.curl(URL, n=20).codes == {200: 20}
            with pytest.raises(MeshError, match="istiod") as caught:
                mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
            assert "istio-system" in caught.value.try_next
        finally:
            istiod(1)
            kubectl("-n", "istio-system", "rollout", "status", "deployment/istiod", "--timeout=90s")
        wait_until(lambda: answers(mesh), 30, "istiod to answer", longest_s=0.5)
        began = time.monotonic()
        mesh.apply(virtual_service(MARKED.format(n=1)))
        (answer,) = mesh.curl(URL)
        assert answer.headers["x-n"] == "n1"
        assert time.monotonic() - began < 90, "proxies look for istiod again and again"


def istiod(replicas: int) -> None:
    kubectl("-n", "istio-system", "scale", "deployment/istiod", f"--replicas={replicas}")


def pods_of_istiod() -> int:
    return len(
        kubectl(
            "-n", "istio-system", "get", "pods", "-l", "app=istiod", "-o", "name"
        ).stdout.split()
    )


def answers(mesh: labkit.Mesh) -> bool:
    """Whether the API server reaches istiod's check; the way there is open some moments after
    istiod is ready.
    """
    try:
        mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    except MeshError as error:
        if "istiod" not in error.message:
            raise
        return False
    return True

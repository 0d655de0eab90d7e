"""Nothing is sent to a cluster that is not local and was not named: counted by a server that stands
for the whole world.

In these tests every name and address, of any form, leads to one listening socket. What arrives
there was sent: the count is of connections, so a handshake counts as well as a GET. At the end each
guard is taken out, and the same attack must arrive.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from labkit.cli import main
from labkit.errors import LabkitError, MeshError
from labkit.mesh import open_mesh
from labkit.mesh.cluster.cleanup.leftovers import api_of
from labkit.mesh.cluster.client import address as addresses
from labkit.mesh.cluster.client import api as client
from labkit.mesh.cluster.client import guard, localtools
from labkit.mesh.cluster.client.address import Address, address_of
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import guarded, pin, read
from labkit.mesh.cluster.client.streams import PodStream
from tests.trust import measured

from .test_guard import ELSEWHERE, UNCLEAR, config, written

BACKSLASH = "http://evil.example.com:80\\@127.0.0.1"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


class World:
    """What answers at every address; `seen` has the first bytes of each connection."""

    def __init__(self, port: int, answer: bytes = ANSWER) -> None:
        self.port, self.answer = port, answer
        self.seen: list[bytes] = []


@contextlib.contextmanager
def listening(answer: bytes = ANSWER) -> Iterator[World]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        world = World(listener.getsockname()[1], answer)

        def accept() -> None:
            with contextlib.suppress(OSError):  # the end
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(2)
                        world.seen.append(connection.recv(65536))
                        connection.sendall(world.answer)
                        # closed with some of a request unread, the kernel would reset it, and the
                        # answer with it
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass

        thread = threading.Thread(target=accept)
        thread.start()
        yield world
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """Every name and every address, also that of a proxy, is this one server's."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path / "state"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "MINIKUBE_HOME"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with listening() as found:

        def everywhere(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
            where = ("127.0.0.1", found.port)
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]

        monkeypatch.setattr(socket, "getaddrinfo", everywhere)
        yield found


def kubeconfig(folder: Path, server: str, user: Any = None, **cluster: Any) -> Path:
    found = config("some", server, **cluster)
    found["users"][0]["user"] = user or {"token": "SECRET"}
    return written(folder / "kubeconfig", found)


def plugin(folder: Path) -> tuple[dict[str, Any], Path]:
    """A user whose token comes from a program, and the file that tells that it ran."""
    ran, program = folder / "ran", folder / "login"
    program.write_text(f'#!/bin/sh\ntouch "{ran}"\necho "{{}}"\n')
    program.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(program), "args": []}}, ran


def ask(file: Path, context: str | None = None) -> None:
    """What a mesh does first, without the mesh."""
    with contextlib.suppress(LabkitError):
        Api(guarded(context, file)).json("GET", "/version")


WAYS: dict[str, Callable[[Path], object]] = {
    "open_mesh": lambda file: open_mesh("cluster", kubeconfig=file),
    "leftovers": lambda file: api_of(None, file),
    "labkit up": lambda _: main(["up"]),
    "labkit down": lambda _: main(["down"]),
    "labkit doctor": lambda _: main(["doctor", "--backend", "cluster"]),
}


@pytest.mark.parametrize("server", [*dict.fromkeys(s for _, s in ELSEWHERE), *UNCLEAR])
def test_no_form_of_an_address_gets_a_connection(server: str, world: World, tmp_path: Path) -> None:
    ask(kubeconfig(tmp_path, server))
    assert world.seen == []
    measured(
        "address-forms",
        "a server's address that one parser reads as this machine and another as a stranger's: a "
        "backslash, a user, blanks, control characters, decimal, hexadecimal and octal forms, "
        "`.local`",
        "refused before anything is sent",
        forms=len({*(s for _, s in ELSEWHERE), *UNCLEAR}),
        connections=0,
    )


@pytest.mark.parametrize(("name", "server"), ELSEWHERE)
def test_no_name_of_a_context_gets_a_connection(
    name: str, server: str, world: World, tmp_path: Path
) -> None:
    authority = {"certificate-authority": str(tmp_path / ".minikube" / "ca.crt")}
    ask(written(tmp_path / "kubeconfig", config(name, server, **authority)))
    assert world.seen == []
    measured(
        "context-names",
        "a context with the name of a local tool, a private address, certificates in `.minikube`",
        "refused before anything is sent",
        contexts=len(ELSEWHERE),
        connections=0,
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("server", [BACKSLASH, "https://10.1.2.3:6443", "http://minikube:8443"])
def test_no_way_in_sends_anything(
    way: str, server: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kubeconfig(tmp_path, server)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with contextlib.suppress(LabkitError, SystemExit):
        WAYS[way](file)
    assert world.seen == []
    measured(
        "ways-in",
        "such addresses by every way in: `open_mesh`, `labkit up`, `down`, `doctor`",
        "refused before anything is sent",
        ways=len(WAYS),
        connections=0,
    )


def test_what_is_named_is_asked(world: World, tmp_path: Path) -> None:
    """The control: this world counts what is sent."""
    ask(kubeconfig(tmp_path, "http://10.1.2.3:6443"), "some")
    (seen,) = world.seen
    assert b"SECRET" in seen


def test_a_program_that_logs_in_is_not_run(world: World, tmp_path: Path) -> None:
    user, ran = plugin(tmp_path)
    for server in ("https://10.1.2.3:6443", "http://127.0.0.1:6443"):
        file = kubeconfig(tmp_path, server, user)
        ask(file)
        assert not ran.exists()
        assert world.seen == []
    ask(file, "some")
    assert ran.exists()  # the control
    measured(
        "login-program",
        "a program that logs in, for a context that was not named",
        "the program is not run",
        connections=0,
    )


@pytest.mark.parametrize(
    "cluster",
    [{"proxy-url": "http://proxy.example.com:3128"}, {"tls-server-name": "prod.example.com"}],
)
def test_no_proxy_and_no_foreign_name_gets_a_connection(
    cluster: dict[str, str], world: World, tmp_path: Path
) -> None:
    ask(kubeconfig(tmp_path, "http://127.0.0.1:6443", **cluster))
    assert world.seen == []
    measured(
        "proxy-and-name",
        "a proxy, or a foreign name in the certificate, in a context on this machine",
        "refused before anything is sent",
        connections=0,
    )


@contextlib.contextmanager
def a_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with listening() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        yield proxy


def talk(file: Path) -> None:
    """By both clients: requests, and a stream into a pod."""
    api = Api(guarded(None, file))
    with contextlib.suppress(MeshError):
        api.json("GET", "/version")
    with contextlib.suppress(MeshError):
        PodStream.to_port(api, "default", "pod", 80)


def test_a_proxy_of_the_environment_does_not_see_what_is_local(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as server, a_proxy(monkeypatch) as proxy:
        talk(kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}"))
        assert (len(server.seen), len(proxy.seen)) == (2, 0)
    measured(
        "environment-proxy",
        "a proxy of the environment, for a context on this machine",
        "it sees nothing, of requests and of streams",
        connections=0,
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int, tmp_path: Path) -> None:
    with listening() as elsewhere:
        where = f"location: http://127.0.0.1:{elsewhere.port}/taken\r\n"
        answer = f"HTTP/1.1 {status} Moved\r\n{where}content-length: 0\r\nconnection: close\r\n\r\n"
        with listening(answer.encode()) as server:
            api = Api(guarded(None, kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")))
            for act in (
                lambda: api.json("GET", "/version"),
                lambda: api.put("/api/v1/namespaces/one", {}),
                lambda: api.delete("/api/v1/namespaces/one"),
                lambda: list(api.events("/api/v1/pods", "1", 1)),
            ):
                with pytest.raises(MeshError, match="labkit follows nowhere") as caught:
                    act()
                assert f"{status}, location http://127.0.0.1:{elsewhere.port}/taken" in str(
                    caught.value
                )
            with pytest.raises(MeshError, match="opens no stream"):
                PodStream.to_port(api, "default", "pod", 80)
            assert len(server.seen) == 5
        assert elsewhere.seen == []
    measured(
        "redirects",
        "an API server that redirects (301, 302, 307, 308), also a stream into a pod",
        "not followed, and said",
        connections=0,
    )


@pytest.mark.parametrize(
    "body", [b"", b"<html>login</html>", b"[]", b"null", b"\xff\xfe", b"[" * 99999]
)
def test_what_is_no_api_server_is_said(body: bytes, tmp_path: Path) -> None:
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    with listening(head.encode() + body) as server:
        api = Api(guarded(None, kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")))
        for act in (
            lambda: api.json("GET", "/version"),
            lambda: api.list("Pod"),
            lambda: api.patch("/api/v1/namespaces/one", {}),
            lambda: api.wait("/api/v1/pods", bool, 1, "a pod"),
        ):
            with pytest.raises(MeshError, match="is no API server"):
                act()
    measured(
        "no-api-server",
        "what answers is no API server: no JSON, no object, nothing",
        "said in words",
        raw_exceptions=0,
    )


@pytest.mark.parametrize(
    "body", [{}, {"items": 1}, {"items": [None]}, {"items": [{}]}, {"items": [{"metadata": {}}]}]
)
def test_a_list_that_is_none_is_said(body: Any, tmp_path: Path) -> None:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    with listening(head.encode() + data) as server:
        api = Api(guarded(None, kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")))
        with pytest.raises(MeshError, match="is no API server: its answer is no list"):
            api.list("Pod")


# what local tools report


@pytest.fixture
def minikube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What Minikube has written down of its profile `lab`."""
    home = tmp_path / ".minikube"
    monkeypatch.setenv("MINIKUBE_HOME", str(home))
    folder = home / "profiles" / "lab"
    folder.mkdir(parents=True)
    (home / "ca.crt").write_text("its authority\n")
    node = {"Name": "", "IP": "192.168.49.2", "Port": 8443, "ControlPlane": True}
    (folder / "config.json").write_text(
        json.dumps({"Name": "lab", "Driver": "docker", "Nodes": [node]})
    )
    return home


ITS = base64.b64encode(b"its authority\n").decode()


def local(server: str, **cluster: Any) -> str:
    return guard.why_local(pin(config("lab", server, **cluster)))


def test_the_address_and_the_authority_that_minikube_reports(minikube: Path) -> None:
    server, data = "https://192.168.49.2:8443", {"certificate-authority-data": ITS}
    said = "Minikube, profile lab, has its server 192.168.49.2"
    assert local(server, **data) == said
    assert local(server, **{"certificate-authority": str(minikube / "ca.crt")}) == said
    other = base64.b64encode(b"another").decode()
    for wrong in (
        {},
        {"certificate-authority-data": other},
        {"certificate-authority-data": "%"},
        {"certificate-authority": str(minikube / "none")},
        {**data, "insecure-skip-tls-verify": True},
    ):
        assert not local(server, **wrong)
    for elsewhere in ("https://192.168.49.3:8443", "https://192.168.49.2:1", "http://192.168.49.2"):
        assert not local(elsewhere, **data)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Nodes": [1]}', '{"Nodes": 5}', "[" * 99999])
def test_what_minikube_did_not_write_proves_nothing(text: str, minikube: Path) -> None:
    (minikube / "profiles" / "lab" / "config.json").write_text(text)
    assert not local("https://192.168.49.2:8443", **{"certificate-authority-data": ITS})


def test_a_minikube_on_another_machine_is_not_local(minikube: Path) -> None:
    file = minikube / "profiles" / "lab" / "config.json"
    file.write_text(file.read_text().replace("docker", "ssh"))
    assert not local("https://192.168.49.2:8443", **{"certificate-authority-data": ITS})


@pytest.mark.parametrize(("program", "context"), [("kind", "kind-lab"), ("k3d", "k3d-lab")])
def test_what_kind_and_k3d_report(
    program: str, context: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIKUBE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    server, data = "https://0.0.0.0:6550", {"certificate-authority-data": ITS}
    here = pin(config(context, server, **data))
    assert not guard.why_local(here)  # it can't be asked
    (tmp_path / "theirs").write_text(yaml.safe_dump(config(context, server, **data)))
    tool = tmp_path / program
    tool.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/theirs\n')
    tool.chmod(0o755)
    assert guard.why_local(here) == f"{program}, cluster lab, has its server 0.0.0.0"
    asked = (tmp_path / "asked").read_text()
    assert asked in ("get kubeconfig --name=lab\n", "kubeconfig get lab\n")
    assert not guard.why_local(pin(config(context, "https://0.0.0.0:6551", **data)))
    other = {"certificate-authority-data": base64.b64encode(b"another").decode()}
    assert not guard.why_local(pin(config(context, server, **other)))
    (tmp_path / "asked").unlink()
    bad = f"{context.partition('-')[0]}--"  # a name that the tool would take for an option
    assert not guard.why_local(pin(config(bad, server, **data)))
    assert not (tmp_path / "asked").exists()
    for rubbish in ("", "[]", "clusters: []", "\x00", "a: [", "clusters: [{cluster: {}}]"):
        (tmp_path / "theirs").write_text(rubbish)
        assert not guard.why_local(here)


# each guard taken out


def naive(server: object) -> Address:
    """How a host was found before: by the standard library."""
    url = urlsplit(str(server))
    return Address(url.scheme, url.hostname or "", 80)


def without_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (addresses, guard, client):
        monkeypatch.setattr(module, "address_of", naive)


def without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Address, "is_here", property(lambda _: True))


def without_what_speaks_against(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "why_elsewhere", lambda _: "")


def without_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "reported_by", lambda *_: "a tool")


def without_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(localtools, "authority_of", lambda _: b"its authority")


TAKEN_OUT = {
    "the plain form": (without_plain_form, BACKSLASH, {}),
    "the address": (without_addresses, "http://10.1.2.3:6443", {}),
    "what speaks against it": (
        without_what_speaks_against,
        "http://127.0.0.1:6443",
        {"tls-server-name": "prod.example.com"},
    ),
    "what tools report": (without_tools, "http://10.1.2.3:6443", {}),
    "the authority": (without_authority, "https://192.168.49.2:8443", {}),
}


@pytest.mark.parametrize("what", TAKEN_OUT)
def test_with_a_guard_taken_out_the_attack_arrives(
    what: str, world: World, minikube: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_out, server, cluster = TAKEN_OUT[what]
    file = kubeconfig(tmp_path, server, **cluster)
    ask(file)
    assert world.seen == []
    take_out(monkeypatch)
    ask(file)
    assert world.seen != []
    measured(
        "guards-taken-out",
        "each guard of addresses and contexts taken out",
        "the attack arrives, so the test can fail",
        guards=len(TAKEN_OUT),
    )


def test_the_client_takes_no_context_that_was_not_cleared(world: World, tmp_path: Path) -> None:
    user, ran = plugin(tmp_path)
    file = kubeconfig(tmp_path, "http://10.1.2.3:6443", user)
    with pytest.raises(MeshError, match="was not cleared by the guard"):
        Api(pin(read([file])))
    assert not ran.exists()
    assert world.seen == []


def test_without_its_words_a_client_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redirects and proxies, with their guards taken out."""
    import websocket

    connect = websocket.create_connection

    def follows(url: str, **options: Any) -> Any:
        return connect(url, **{**options, "redirect_limit": 3})

    with listening() as elsewhere:
        where = f"location: http://127.0.0.1:{elsewhere.port}/taken\r\n"
        answer = f"HTTP/1.1 307 Moved\r\n{where}content-length: 0\r\nconnection: close\r\n\r\n"
        stream = answer.replace("location: http", "location: ws")
        with listening(stream.encode()) as server:
            file = kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")
            monkeypatch.setattr(websocket, "create_connection", follows)
            with contextlib.suppress(MeshError):
                PodStream.to_port(Api(guarded(None, file)), "default", "pod", 80)
            assert len(elsewhere.seen) == 1
        with listening(answer.encode()) as server:
            api = Api(guarded(None, kubeconfig(tmp_path, f"http://127.0.0.1:{server.port}")))
            request = api.pool.request
            monkeypatch.setattr(
                api.pool,
                "request",
                lambda *a, **k: request(*a, **{**k, "redirect": True, "retries": 3}),
            )
            api.json("GET", "/version")
            assert len(elsewhere.seen) == 2
    with listening() as server, a_proxy(monkeypatch) as proxy:
        cleared = guard.clear
        monkeypatch.setattr(
            guard, "clear", lambda *a, **k: guard.replace(cleared(*a, **k), direct=False)
        )
        talk(kubeconfig(tmp_path, f"http://127.0.0.2:{server.port}"))
        assert len(proxy.seen) == 2


def test_the_plain_form_is_what_urllib3_reads() -> None:
    assert str(address_of("https://LOCALHOST:6443/a/b")) == "https://localhost:6443"
    assert address_of("http://127.0.0.1") == Address("http", "127.0.0.1", 80)
    assert str(address_of("https://[::1]")) == "https://[::1]:443"

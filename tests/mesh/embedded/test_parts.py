"""The smaller parts of the embedded mesh, each alone."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.errors import NotFound, UnsupportedError
from labkit.mesh.embedded import pod as pod_module
from labkit.mesh.embedded.images import app_files, program_of
from labkit.mesh.embedded.pod import Backoff
from labkit.mesh.embedded.ports import FIRST, LAST, Ports, hold
from labkit.mesh.embedded.store import Store
from labkit.mesh.lookup import kind_of
from labkit.mesh.table import age, table
from labkit.processes import Family, group_members, tail
from labkit.resources import Resource
from labkit.waiting import wait_until


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = Ports()
    yield ports
    ports.close()


class TestPorts:
    def test_a_port_is_handed_out_once(self, ports: Ports) -> None:
        taken = {ports.take() for _ in range(50)}
        assert len(taken) == 50
        assert all(FIRST <= port < LAST for port in taken)

    def test_node_ports_of_a_cluster_on_this_machine_are_left_alone(self) -> None:
        assert not set(range(FIRST, LAST)) & set(range(30000, 32768)), (
            "kube-proxy would take what is sent there"
        )

    def test_a_port_where_somebody_listens_is_not_taken(self, ports: Ports) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert hold(server.getsockname()[1]) is None

    @pytest.mark.skipif(
        sys.platform != "linux", reason="only Linux lets a port be kept for who listens later"
    )
    def test_another_mesh_finds_a_port_taken_before_anybody_listens(self, ports: Ports) -> None:
        port = ports.take()
        assert hold(port) is None
        again = (
            "from labkit.mesh.embedded.ports import hold; import sys; print(hold(int(sys.argv[1])))"
        )
        other = subprocess.run(
            [sys.executable, "-c", again, str(port)], capture_output=True, text=True, check=True
        )
        assert other.stdout == "None\n"

    def test_who_it_was_taken_for_listens_there(self, ports: Ports) -> None:
        port = ports.take()
        for _ in range(2):  # the second time as after a crash
            with (
                socket.create_server(("127.0.0.1", port)) as server,  # sets SO_REUSEADDR
                socket.create_connection(("127.0.0.1", port)) as client,
                server.accept()[0] as accepted,
            ):
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"

    def test_a_port_given_back_is_free(self, ports: Ports) -> None:
        port = ports.take()
        ports.give_back(port)
        holder = hold(port)
        assert holder is not None
        holder.close()


class TestStore:
    def rule(self, name: str, namespace: str = "default", **spec: object) -> Resource:
        metadata = {"name": name, "namespace": namespace}
        return Resource({"kind": "DestinationRule", "metadata": metadata, "spec": spec})

    def test_an_object_keeps_the_time_of_its_first_appearance(self) -> None:
        store = Store()
        assert store.put(self.rule("a", host="x")) == "created"
        born = store.find("DestinationRule", "a").metadata["creationTimestamp"]
        assert store.put(self.rule("a", host="x")) == "unchanged"
        assert store.put(self.rule("a", host="y")) == "configured"
        assert store.find("DestinationRule", "a").metadata["creationTimestamp"] == born

    def test_with_a_namespace_goes_all_that_is_in_it(self) -> None:
        store = Store()
        store.put(Resource({"kind": "Namespace", "metadata": {"name": "n"}}))
        store.put(self.rule("a", "n"))
        store.remove(("Namespace", "", "n"))
        assert not list(store.all("DestinationRule"))

    def test_no_two_services_have_one_address(self) -> None:
        store = Store()
        for name, wish in (("a", "10.96.1.2"), ("b", ""), ("c", ""), ("d", "None")):
            metadata = {"name": name, "namespace": "default"}
            spec = {"clusterIP": wish} if wish else {}
            store.put(Resource({"kind": "Service", "metadata": metadata, "spec": spec}))
        assert list(store.service_ips.values()) == ["10.96.1.2", "10.96.1.1", "10.96.1.3", "None"]

    def test_a_name_in_two_namespaces_must_be_told_apart(self) -> None:
        store = Store()
        store.put(Resource({"kind": "Namespace", "metadata": {"name": "n"}}))
        store.put(self.rule("a"))
        store.put(self.rule("a", "n"))
        with pytest.raises(NotFound, match="namespace="):
            store.find("DestinationRule", "a")
        assert store.find("DestinationRule", "a", "n").namespace == "n"

    def test_a_copy_is_untouched_by_what_comes_after(self) -> None:
        store = Store()
        before = store.copy()
        store.put(self.rule("a"))
        assert not list(before.all("DestinationRule"))

    @pytest.mark.parametrize(
        ("word", "kind"),
        [
            ("po", "Pod"),
            ("Pods", "Pod"),
            ("svc", "Service"),
            ("destinationrules", "DestinationRule"),
            ("gw", "Gateway"),
        ],
    )
    def test_kinds_are_named_as_kubectl_names_them(self, word: str, kind: str) -> None:
        assert kind_of(word) == kind


class TestImages:
    def template(self, image: str, *command: str, **spec: object) -> dict[str, object]:
        mounts = [{"name": "app", "mountPath": "/app"}]
        container = {"name": "c", "image": image, "command": list(command), "volumeMounts": mounts}
        volumes = [{"name": "app", "configMap": {"name": "hello"}}]
        return {"spec": {"containers": [container], "volumes": volumes, **spec}}

    def test_the_course_application(self) -> None:
        files = {"hello": app_files()}
        program = program_of(
            self.template("python:3.13-alpine", "python3", "-u", "/app/app.py"),
            "Deployment d",
            files,
        )
        assert program.port == 8080
        assert program.argv[-1].endswith("hello_world.py")

    @pytest.mark.parametrize(
        ("template", "files", "says"),
        [
            (("nginx:1",), {}, "nginx:1"),
            (("python:3.13", "python3", "/app/other.py"), {"hello": {"app.py": "x"}}, "other.py"),
            (
                ("python:3.13", "python3", "/app/app.py"),
                {"hello": {"app.py": "print()"}},
                "not the course's",
            ),
            (
                ("python:3.13", "python3", "/app/app.py"),
                {"hello": app_files() | {"server.py": "print()"}},
                "'server.py' .* not the course's",
            ),
            (
                ("python:3.13", "python3", "/app/app.py"),
                {"hello": {"app.py": app_files()["app.py"]}},
                "'server.py' .* not the course's",
            ),
            (("python:3.13", "python3", "/app/app.py"), {}, "no ConfigMap 'hello'"),
            (
                ("python:3.13", "python3", "/srv/app.py"),
                {"hello": app_files()},
                "/srv/app.py",
            ),
            (("python:2.7", "python3", "/app/app.py"), {}, "python:2.7"),
        ],
    )
    def test_what_is_not_known_is_refused_by_name(self, template, files, says) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(UnsupportedError, match=says):
            program_of(self.template(*template), "Deployment 'd'", files)

    def test_init_containers_and_second_containers_are_refused(self) -> None:
        with pytest.raises(UnsupportedError, match="initContainers"):
            program_of(self.template("curlimages/curl", "sleep", initContainers=[{}]), "d", {})
        two = self.template("curlimages/curl", "sleep")
        two["spec"]["containers"] *= 2  # type: ignore[index]
        with pytest.raises(UnsupportedError, match="2 containers"):
            program_of(two, "d", {})


def test_backoff_starts_at_once_then_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(pod_module.time, "monotonic", lambda: now[0])
    backoff = Backoff()
    assert backoff.may_start()
    for pause in (1, 2, 4, 8, 16, 16):
        assert not backoff.may_start()
        assert backoff.waiting
        now[0] += pause - 0.1
        assert not backoff.may_start()
        now[0] += 0.2
        assert backoff.may_start()
    now[0] += pod_module.CALM_S + 1
    assert backoff.may_start()  # it was calm for long: the count starts anew
    assert backoff.restarts == 8


class TestTable:
    def test_text_is_aligned(self) -> None:
        assert (
            repr(table(("NAME", "AGE"), [("a", 1), ("longer", 22)]))
            == "NAME     AGE\na        1\nlonger   22"
        )

    def test_an_empty_one_says_so(self) -> None:
        assert repr(table(("NAME",), [])) == "No resources found."

    def test_html_is_escaped(self) -> None:
        assert "&lt;b&gt;" in table(("NAME",), [("<b>",)])._repr_html_()

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0, "0s"), (119, "119s"), (7200, "120m"), (90000, "25h")]
    )
    def test_age_as_kubectl_writes_it(self, seconds: int, text: str) -> None:
        assert age(0, now=seconds) == text


class TestFamily:
    def test_members_end_with_it_and_so_does_the_folder(self, tmp_path: Path) -> None:
        folder = tmp_path / "family"
        with Family(folder) as family:
            log = folder / "log"
            process = family.start("one", ["sh", "-c", "sleep 600 & echo ready; wait"], log=log)
            wait_until(lambda: "ready" in tail(log), 5, "the member to start")
            assert process.pid in {p.pid for p in group_members(family.group)}
        # a grandchild is not ours to wait for: it has been told to end, and does so in its own time
        wait_until(lambda: not group_members(family.group), 2, "the grandchild to end")
        assert not folder.exists()

    def test_stop_ends_one_that_ignores_being_asked(self, tmp_path: Path) -> None:
        with Family(tmp_path / "family") as family:
            log = family.folder / "log"
            stubborn = "trap '' TERM; echo ready; sleep 600 & while :; do wait; done"
            process = family.start("one", ["bash", "-c", stubborn], log=log)
            wait_until(lambda: "ready" in tail(log), 5, "the member to start")
            family.stop("one", grace_s=0.1)
            assert process.poll() == -9

"""The context guard: which contexts count as local, and that a copy of the kubeconfig is what
counts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit.errors import MeshError, NotFound
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import guarded, kubeconfig_paths, pin, read, why_local


def config(
    name: str = "some", server: str = "https://10.0.0.1:6443", **entries: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "clusters": [{"name": name, "cluster": {"server": server, **entries}}],
        "users": [{"name": name, "user": {"token": "t"}}],
    }


def written(path: Path, *parts: dict[str, Any]) -> Path:
    """One kubeconfig of several: the first's current context."""
    whole = config() | parts[0]
    for section in ("contexts", "clusters", "users"):
        whole[section] = [entry for part in parts for entry in part[section]]
    path.write_text(yaml.safe_dump(whole))
    return path


LOCAL = [
    ("lab", "https://127.0.0.1:6443"),
    ("lab", "https://127.8.9.10:6443"),
    ("lab", "https://[::1]:6443"),
    ("lab", "https://localhost:6443"),
    ("lab", "http://127.0.0.1:8001"),
    ("kind-kind", "https://127.0.0.1:41234"),
    ("microk8s", "https://127.0.0.1:16443/k8s/clusters/local"),
]
ELSEWHERE = [
    ("prod-eu", "https://ABCDEF.gr7.eu-central-1.eks.amazonaws.com"),
    ("gke_project_zone_name", "https://34.89.1.2"),
    ("some", "https://api.example.com:6443"),
    ("kind-of-important", "https://api.example.com:6443"),  # a name is a claim
    ("kind-prod", "https://10.20.30.40:6443"),
    ("colimax", "https://10.20.30.40:6443"),
    ("minikube", "https://8.8.8.8:8443"),
    ("minikube", "https://192.168.49.2:8443"),  # its tool was not there to say so
    ("anything", "https://10.1.2.3:6443"),
    ("ten", "https://10.example.com:6443"),
    ("v6", "https://[2a00:1450::1]:6443"),
    ("v6", "https://[fd00::1]:6443"),
    ("long", "https://[0:0:0:0:0:0:0:1]:6443"),
    ("mapped", "https://[::ffff:127.0.0.1]:6443"),
    ("linklocal", "https://169.254.169.254"),
    ("k3d-lab", "https://0.0.0.0:6550"),
    ("docker-desktop", "https://kubernetes.docker.internal:6443"),
    ("lab", "https://printer.local:6443"),
    ("lab", "https://localhost.example.com:6443"),
    ("lab", "https://localhost.:6443"),
    ("lab", "https://127.0.0.1.example.com:6443"),
    ("decimal", "https://2130706433:6443"),
    ("hexadecimal", "https://0x7f000001:6443"),
    ("octal", "https://0177.0.0.1:6443"),
    ("zeros", "https://127.0.0.01:6443"),
    ("short", "https://127.1:6443"),
    ("kind-of-prod", "https://ip-1.ec2.internal"),  # clouds have such names too
    ("documented", "https://203.0.113.7:6443"),
]
UNCLEAR = [
    "http://evil.example.com:80\\@127.0.0.1",
    "http://evil.example.com:80/\\@127.0.0.1",
    "https://127.0.0.1@evil.example.com",
    "https://me:secret@127.0.0.1:6443",
    "https://127.0.0.1:6443@evil.example.com",
    "https://127.0.0.1 .example.com",
    " https://127.0.0.1",
    "https://127.0.0.1\n.example.com",
    "https://127.0.0.1\t:6443",
    "https://127.0.0.1\x00.example.com",
    "https://127.0.0.1\x7f",
    "https://evil.example.com#@127.0.0.1",
    "https://evil.example.com?@127.0.0.1",
    "https://127.0.0.1%2eexample.com",
    "https://[::1%25eth0]:6443",
    "https://[127.0.0.1]:6443",
    "https://[prod",
    "https://①27.0.0.1",
    "https://127。0。0。1",
    "https:127.0.0.1",
    "https:///127.0.0.1",
    "https://127.0.0.1:99999",
    "https://127.0.0.1:0",
    "https://127.0.0.1:６443",
    "HTTPS://127.0.0.1",
    "ftp://127.0.0.1",
    "file:///etc/passwd",
    "127.0.0.1:6443",  # kubectl takes it for http://
    "prod.acme.com:6443",
    "localhost:6443",
    "https://",
]
EXEC = {
    "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "gke-gcloud-auth-plugin"}
}
FAR_ALL_THE_SAME = [
    ("https://127.0.0.1:443", {}, EXEC, "gke-gcloud-auth-plugin logs in"),
    ("https://127.0.0.1:6443", {}, {"auth-provider": {"name": "oidc"}}, "an auth-provider logs in"),
    (
        "https://127.0.0.1:6443",
        {"proxy-url": "socks5://bastion.acme.com:1080"},
        {},
        "proxy socks5://bastion.acme.com",
    ),
    (
        "https://127.0.0.1:6443",
        {"tls-server-name": "api.prod.acme.com"},
        {},
        "its certificate is api.prod.acme.com",
    ),
    (
        "https://127.0.0.1:6443",
        {"tls-server-name": "kubernetes"},
        {},
        "its certificate is kubernetes",
    ),
    ("https://127.0.0.1:6443", {"tls-server-name": "10.0.0.1"}, {}, "its certificate is 10.0.0.1"),
]


@pytest.mark.parametrize(("name", "server"), LOCAL)
def test_local_contexts_are_taken(name: str, server: str) -> None:
    assert why_local(pin(config(name, server)))


@pytest.mark.parametrize(("name", "server"), ELSEWHERE)
def test_a_context_elsewhere_is_refused_with_the_sentence_to_type(
    name: str, server: str, tmp_path: Path
) -> None:
    file = written(tmp_path / "config", config(name, server))
    with pytest.raises(MeshError) as caught:
        guarded(kubeconfig=file)
    assert server in caught.value.seen
    assert not pin(read([file])).cleared
    assert f'labkit.open_mesh("cluster", context="{name}")' in caught.value.try_next


@pytest.mark.parametrize("named", [None, "some"])
@pytest.mark.parametrize("server", UNCLEAR)
def test_an_address_that_can_be_read_in_two_ways_is_refused_also_when_named(
    server: str, named: str | None, tmp_path: Path
) -> None:
    file = written(tmp_path / "config", config("some", server))
    with pytest.raises(MeshError, match="not one that can be read in one way only"):
        guarded(named, file)


def test_an_empty_name_names_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "config", config("prod", "https://34.89.1.2"))
    with pytest.raises(MeshError, match="not known to be on this machine"):
        guarded("", file)


@pytest.mark.parametrize(("server", "cluster", "user", "words"), FAR_ALL_THE_SAME)
def test_an_address_alone_is_no_proof(
    server: str, cluster: dict[str, str], user: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """A private cluster of a cloud, one behind a proxy, and the near end of a tunnel."""
    far = config(
        "minikube", server, **{"certificate-authority": "/home/me/.minikube/ca.crt", **cluster}
    )
    far["users"][0]["user"] = user
    file = written(tmp_path / "config", far)
    with pytest.raises(MeshError) as caught:
        guarded(kubeconfig=file)
    assert words in caught.value.seen
    assert guarded("minikube", file).server == server


@pytest.mark.parametrize(
    "name", ["localhost", "minikube", "127.0.0.1", "kubernetes.docker.internal"]
)
def test_a_name_of_this_machines_own_in_the_certificate(name: str) -> None:
    assert why_local(pin(config("lab", "https://127.0.0.1:6443", **{"tls-server-name": name})))


def test_a_context_that_is_named_is_taken(tmp_path: Path) -> None:
    file = written(
        tmp_path / "config",
        config("lab", "https://127.0.0.1:6443"),
        config("prod", "https://34.89.1.2"),
    )
    assert guarded(kubeconfig=file).context == "lab"
    assert guarded("prod", file).server == "https://34.89.1.2"


def test_what_was_read_stays_whatever_happens_to_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "config", config("lab", "https://127.0.0.1:6443"))
    pinned = guarded(kubeconfig=file)
    written(file, config("prod", "https://34.89.1.2"))
    assert (
        pinned.server
        == pinned.config["clusters"][0]["cluster"]["server"]
        == "https://127.0.0.1:6443"
    )


def test_the_copy_has_one_context_and_no_other_secrets(tmp_path: Path) -> None:
    file = written(
        tmp_path / "config",
        config("lab", "https://127.0.0.1:6443"),
        config("prod", "https://34.89.1.2"),
    )
    pinned = guarded(kubeconfig=file)
    assert {s: len(pinned.config[s]) for s in ("contexts", "clusters", "users")} == dict.fromkeys(
        ("contexts", "clusters", "users"), 1
    )
    assert "token" not in repr(pinned)


def test_files_of_a_kubeconfig_are_found_from_its_folder(tmp_path: Path) -> None:
    file = written(
        tmp_path / "config",
        config("lab", "https://127.0.0.1:6443", **{"certificate-authority": "ca.crt"}),
    )
    assert guarded(kubeconfig=file).cluster["certificate-authority"] == str(tmp_path / "ca.crt")


def test_several_kubeconfigs_are_merged_as_kubectl_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = written(tmp_path / "one", config("lab", "https://127.0.0.1:6443"))
    two = written(
        tmp_path / "two",
        config("lab", "https://34.89.1.2"),
        config("other", "https://127.0.0.2:6443"),
    )
    monkeypatch.setenv(
        "KUBECONFIG", os.pathsep.join([str(one), str(two), str(tmp_path / "missing")])
    )
    merged = read(kubeconfig_paths(None))
    assert pin(merged).server == "https://127.0.0.1:6443"
    assert pin(merged, "other").server == "https://127.0.0.2:6443"


def test_a_missing_kubeconfig_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="embedded"):
        guarded(kubeconfig=tmp_path / "missing")


def test_an_unknown_context_says_which_there_are(tmp_path: Path) -> None:
    file = written(tmp_path / "config", config("lab", "https://127.0.0.1:6443"))
    with pytest.raises(NotFound, match="contexts: lab"):
        guarded("lba", file)


@pytest.mark.parametrize(
    "text", ["- a\n- b\n", "a: [", "\x80", "[" * 9999, f"a: {'9' * 5000}", "a: 2020-99-99"]
)
def test_what_is_no_kubeconfig_is_said(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(MeshError, match="kubeconfig"):
        guarded(kubeconfig=file)


@pytest.mark.parametrize(
    ("section", "entries"),
    [
        ("contexts", [{"context": {"cluster": "some"}}]),
        ("clusters", ["some"]),
        ("clusters", [{"name": "some", "cluster": "https://127.0.0.1"}]),
        ("users", {"name": "some"}),
        ("users", [None]),
    ],
)
def test_entries_that_are_none_are_said(section: str, entries: Any, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(config() | {section: entries}))
    with pytest.raises(MeshError, match=f"its {section} are no list"):
        guarded(kubeconfig=file)


def test_a_user_without_anything_is_an_entry(tmp_path: Path) -> None:
    assert guarded(
        kubeconfig=written(
            tmp_path / "config",
            config(server="https://127.0.0.1:6443") | {"users": [{"name": "some", "user": None}]},
        )
    )


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"client-certificate": "gone.crt", "client-key": "gone.key"}, "gone.crt"),
        ({"client-certificate-data": "abc"}, "seen: Incorrect padding"),
        ({"tokenFile": "gone.token"}, "gone.token"),
    ],
)
def test_credentials_that_cannot_be_read_are_said(
    user: dict[str, str], words: str, tmp_path: Path
) -> None:
    file = written(
        tmp_path / "config",
        config("lab", "https://127.0.0.1:6443") | {"users": [{"name": "lab", "user": user}]},
    )
    with pytest.raises(MeshError, match="context 'lab' can't be used") as caught:
        Api(guarded(kubeconfig=file))
    assert words in str(caught.value)


def test_no_current_context(tmp_path: Path) -> None:
    file = written(tmp_path / "config", config() | {"current-context": ""})
    with pytest.raises(NotFound, match="no current context"):
        guarded(kubeconfig=file)

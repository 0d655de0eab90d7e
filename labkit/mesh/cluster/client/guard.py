"""The context guard: labkit writes to local clusters only, unless the learner names the context.

A lesson creates, breaks and deletes things. On a machine whose kubeconfig leads to more than one
cluster, the current context may well be somebody's production. So before the first write:

- the kubeconfig is read once and *pinned*: a copy with one context, one cluster and one user, kept
  in memory. A `kubectl config use-context` in another terminal changes nothing for an open mesh.
- the context must be local: its server has a loopback or private address, or it is one that a local
  tool made (Minikube, kind, k3d, Docker Desktop, MicroK8s). A name alone proves little, so a tool's
  name counts only while the server's address does not speak against it.
- an address alone proves little too: a company's clusters have private ones, and the near end of a
  tunnel is this machine. So a context counts as local only with plain credentials (certificates, a
  token), and without a proxy (`proxy-url`), a foreign name in the server's certificate
  (`tls-server-name`) or a program that logs in (`exec`, `auth-provider`): no local tool writes
  these. A tunnel that leaves no such trace can't be seen here.
- or the learner says which context is meant: `labkit.open_mesh("cluster", context="NAME")`.

Nothing here asks the network; a name is not looked up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from labkit.errors import MeshError, NotFound

Json = dict[str, Any]

TOOLS = (
    "minikube",
    "kind-",
    "k3d-",
    "docker-desktop",
    "docker-for-desktop",
    "microk8s",
    "rancher-desktop",
    "colima",
)
LOCAL_NAMES = (".local", ".localhost", ".test")
# what local tools call this machine or theirs; clouds have names in .internal as well
INTERNAL_NAMES = (
    "host.docker.internal",
    "gateway.docker.internal",
    "kubernetes.docker.internal",
    "host.minikube.internal",
    "control-plane.minikube.internal",
    "host.k3d.internal",
    "host.lima.internal",
    "host.rancher-desktop.internal",
)
OWN_NAMES = ("localhost", "minikube", *INTERNAL_NAMES)
# `is_private` would also take addresses of documentation, of benchmarks and other reserved ones
PRIVATE = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "fc00::/7",
            "fe80::/10",
        ),
    )
)
SECTIONS = {"contexts": "context", "clusters": "cluster", "users": "user"}
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class Pinned:
    """One context of a kubeconfig, as it was when the mesh was opened."""

    context: str
    server: str
    config: Json = field(repr=False)

    @property
    def cluster(self) -> Json:
        return dict(self.config["clusters"][0]["cluster"])

    @property
    def user(self) -> Json:
        return dict(self.config["users"][0]["user"]) if self.config["users"] else {}


def kubeconfig_paths(
    kubeconfig: str | Path | None, environment: Mapping[str, str] | None = None
) -> list[Path]:
    """The files that kubectl would read: the one given, else those of KUBECONFIG, else
    ~/.kube/config.
    """
    environment = os.environ if environment is None else environment
    if kubeconfig is not None:
        return [Path(kubeconfig).expanduser()]
    listed = [Path(p) for p in environment.get("KUBECONFIG", "").split(os.pathsep) if p]
    return listed or [Path.home() / ".kube" / "config"]


def read(paths: Sequence[Path]) -> Json:
    """Kubeconfigs merged as kubectl does: of two entries with one name the first counts; paths are
    made absolute.
    """
    merged: Json = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "",
        **{s: [] for s in SECTIONS},
    }
    there = [p for p in paths if p.is_file()]
    if not there:
        raise NotFound(
            "There is no kubeconfig, so there is no cluster to work on",
            seen="looked for " + ", ".join(map(str, paths)),
            try_next="start a cluster (minikube start), or use labkit.open_mesh('embedded'), "
            "which needs none",
        )
    for path in there:
        try:
            found = yaml.safe_load(path.read_text("utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise MeshError(f"The kubeconfig {path} can't be read", seen=str(error)) from error
        if not isinstance(found, dict):
            raise MeshError(f"The kubeconfig {path} is not one: it holds no mapping")
        merged["current-context"] = merged["current-context"] or found.get("current-context") or ""
        for section, inner in SECTIONS.items():
            known = {entry["name"] for entry in merged[section]}
            entries = found.get(section) or []
            if not isinstance(entries, list) or not all(
                is_entry(entry, inner) for entry in entries
            ):
                raise MeshError(
                    f"The kubeconfig {path} can't be used",
                    seen=f"its {section} are no list of entries with a name and a {inner}",
                    try_next="restore it, or name another one in KUBECONFIG; kubectl config view "
                    "shows it",
                )
            for entry in entries:
                if entry["name"] not in known:
                    merged[section].append(
                        {"name": entry["name"], inner: absolute(entry.get(inner) or {}, path)}
                    )
    return merged


def is_entry(entry: object, inner: str) -> bool:
    """Whether something is an entry of a kubeconfig's list, as far as we use it."""
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("name"), str)
        and isinstance(entry.get(inner) or {}, dict)  # empty: kubectl writes such users
    )


def absolute(entry: Json, file: Path) -> Json:
    """Paths in a kubeconfig are meant from its own folder."""
    return {k: str(file.parent / v) if k in FILES and v else v for k, v in entry.items()}


def pin(config: Json, context: str | None = None) -> Pinned:
    """The part of a kubeconfig that one context needs; the current one where none is named."""
    contexts = {entry["name"]: entry["context"] for entry in config["contexts"]}
    name = context or config["current-context"]
    known = ", ".join(contexts) or "none"
    if not name:
        raise NotFound(
            "The kubeconfig has no current context",
            seen=f"contexts: {known}",
            try_next="kubectl config use-context NAME, or labkit.open_mesh('cluster', "
            "context='NAME')",
        )
    if name not in contexts:
        raise NotFound(
            f"The kubeconfig has no context {name!r}",
            seen=f"contexts: {known}",
            try_next="kubectl config get-contexts",
        )
    chosen = contexts[name]
    clusters = [e for e in config["clusters"] if e["name"] == chosen.get("cluster")]
    users = [e for e in config["users"] if e["name"] == chosen.get("user")]
    if not clusters or not clusters[0]["cluster"].get("server"):
        raise MeshError(
            f"The context {name!r} names a cluster without a server",
            seen=str(chosen.get("cluster")),
        )
    pinned = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": chosen}],
        "clusters": clusters,
        "users": users,
    }
    return Pinned(name, str(clusters[0]["cluster"]["server"]), pinned)


def why_local(pinned: Pinned) -> str:
    """Why a context counts as local; "" when nothing says that it is, or something says that it is
    not.

    >>> why_local(pin(read([Path("~/.kube/config").expanduser()])))
    'its server 192.168.49.2 has a private address'
    """
    if why_elsewhere(pinned):
        return ""
    host = host_of(pinned.server)
    address = numeric(host)
    if address is not None and is_here(address):
        return f"its server {host} is this machine"
    if address is not None and any(address in net for net in PRIVATE):
        return f"its server {host} has a private address"
    if host == "localhost":
        return "its server is this machine"
    values = [*pinned.cluster.items(), *pinned.user.items()]
    if any(key in FILES and ".minikube" in Path(str(value)).parts for key, value in values):
        return "its certificates are Minikube's"
    undecided = address is None and (
        "." not in host or host.endswith(LOCAL_NAMES) or host in INTERNAL_NAMES
    )
    if host and undecided and pinned.context.startswith(TOOLS):
        return f"its name {pinned.context!r} is one that a local tool gives"
    return ""


def why_elsewhere(pinned: Pinned) -> str:
    """What in a context says that its server may be far away, whatever its address; "" when nothing
    does.
    """
    cluster, user = pinned.cluster, pinned.user
    if cluster.get("proxy-url"):
        return f"it is reached by the proxy {cluster['proxy-url']}"
    name = str(cluster.get("tls-server-name") or "")
    address = numeric(name)
    if name and name not in OWN_NAMES and not (address and is_here(address)):
        return f"the name in its certificate is {name}"
    if user.get("exec"):
        program = user["exec"].get("command") if isinstance(user["exec"], dict) else user["exec"]
        return f"the program {program} logs in to it"
    if user.get("auth-provider"):
        return "an auth-provider logs in to it"
    return ""


def seen_of(pinned: Pinned) -> str:
    """What the guard saw of a context that it does not take for local."""
    return ", and ".join(filter(None, (f"its server is {pinned.server}", why_elsewhere(pinned))))


def host_of(server: str) -> str:
    """The host of a server's address, which may lack its scheme; "" where there is none."""
    try:
        found = urlsplit(server if "://" in server else f"//{server}")
    except ValueError:  # brackets without an address in them
        return ""
    return (found.hostname or "").rstrip(".")


def numeric(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(host)
    except ValueError:  # a name
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_here(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is this machine: k3d writes 0.0.0.0, all of its own."""
    return address.is_loopback or address.is_unspecified


def guarded(context: str | None = None, kubeconfig: str | Path | None = None) -> Pinned:
    """The pinned context, if labkit may write to it. Raises MeshError with the sentence to type
    otherwise.

    >>> guarded()
    MeshError: The context 'prod-eu' is not known to be on this machine, so labkit changes nothing
    there
    """
    pinned = pin(read(kubeconfig_paths(kubeconfig)), context)
    if context is None and not why_local(pinned):
        raise MeshError(
            f"The context {pinned.context!r} is not known to be on this machine, so labkit "
            "changes nothing there",
            seen=seen_of(pinned),
            try_next=f'if you mean it: labkit.open_mesh("cluster", context="{pinned.context}")'
            "; if not: kubectl config use-context minikube",
        )
    return pinned

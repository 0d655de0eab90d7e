"""The context guard: nothing is sent to a cluster that is not local, unless the learner names it.

A lesson creates, breaks and deletes things, and each request carries the learner's credentials. On
a machine whose kubeconfig leads to more than one cluster, the current context may well be
somebody's production; and a kubeconfig may come from anybody. So before the first request, also
before a GET:

- the kubeconfig is read once and *pinned*: a copy with one context, one cluster and one user, kept
  in memory. A `kubectl config use-context` in another terminal changes nothing for an open mesh.
- its server's address must be one that every parser reads in the same way (address.py).
- the context must be local, by that address alone: this machine, or the very address and
  certificate authority that Minikube, kind or k3d report for a cluster of theirs (localtools.py).
  The name of a context proves nothing, nor does a private address: companies' clusters have them.
- the near end of a tunnel is this machine too. So a context counts as local only with plain
  credentials (certificates, a token), and without a proxy (`proxy-url`), a foreign name in the
  server's certificate (`tls-server-name`) or a program that logs in (`exec`, `auth-provider`): no
  local tool writes these. A tunnel that leaves no such trace can't be seen here.
- or the learner says which context is meant: `labkit.open_mesh("cluster", context="NAME")`.

Only a context that came through here is *cleared*, and the client (api.py) takes no other. Nothing
here asks the network; a name is not looked up. No program of the kubeconfig is run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from labkit.errors import MeshError, NotFound
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.address import Address, address_of
from labkit.mesh.cluster.client.localtools import reported_by

# what local tools put into the certificate of a server of theirs; clouds have names in .internal
# as well
OWN_NAMES = (
    "localhost",
    "minikube",
    "host.docker.internal",
    "gateway.docker.internal",
    "kubernetes.docker.internal",
    "host.minikube.internal",
    "control-plane.minikube.internal",
    "host.k3d.internal",
    "host.lima.internal",
    "host.rancher-desktop.internal",
)
SECTIONS = {"contexts": "context", "clusters": "cluster", "users": "user"}
FILES = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class Pinned:
    """One context of a kubeconfig, as it was when the mesh was opened."""

    context: str
    server: str
    config: Json = field(repr=False)
    cleared: str = ""  # why requests may be sent there; "" where nothing says that they may
    direct: bool = False  # it is local, so no proxy has a place between us

    @property
    def address(self) -> Address:
        return address_of(self.server)

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
    there = [p for p in paths if is_ordinary(p)]
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
        # ValueError: no UTF-8, or a number that is no date; RecursionError: too deep
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
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
                    known.add(entry["name"])
                    merged[section].append(
                        {"name": entry["name"], inner: absolute(entry.get(inner) or {}, path)}
                    )
    return merged


def is_ordinary(path: Path) -> bool:
    """Whether there is a file to read: no FIFO, no circle of links."""
    try:
        return path.is_file()
    except OSError:
        return False


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
    server = clusters[0]["cluster"]["server"]
    address_of(server)  # raises where it can be read in two ways
    return Pinned(name, server, pinned)


def why_local(pinned: Pinned) -> str:
    """Why a context counts as local; "" when nothing says that it is, or something says that it is
    not.

    >>> why_local(pin(read([Path("~/.kube/config").expanduser()])))
    'Minikube, profile minikube, has its server 192.168.49.2'
    """
    if why_elsewhere(pinned):
        return ""
    address = pinned.address
    if address.is_here:
        return f"its server {address.host} is this machine"
    if tool := reported_by(pinned.context, address, pinned.cluster):
        return f"{tool}, has its server {address.host}"
    return ""


def why_elsewhere(pinned: Pinned) -> str:
    """What in a context says that its server may be far away, whatever its address; "" when nothing
    does.
    """
    cluster, user = pinned.cluster, pinned.user
    if cluster.get("proxy-url"):
        return f"it is reached by the proxy {cluster['proxy-url']}"
    name = str(cluster.get("tls-server-name") or "")
    if name and name not in OWN_NAMES and not Address("https", name, 443).is_here:
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


def clear(pinned: Pinned, *, named: bool) -> Pinned:
    """The same context, cleared where it is local or was named; `named` says that the learner named
    it. Without either it stays as it is, and no client takes it.
    """
    if local := why_local(pinned):
        return replace(pinned, cleared=local, direct=True)
    return replace(pinned, cleared="you named it") if named else pinned


def guarded(context: str | None = None, kubeconfig: str | Path | None = None) -> Pinned:
    """The pinned context, if labkit may ask and change what is there. Raises MeshError with the
    sentence to type otherwise.

    >>> guarded()
    MeshError: The context 'prod-eu' is not known to be on this machine, so labkit changes nothing
    there
    """
    pinned = clear(pin(read(kubeconfig_paths(kubeconfig)), context), named=bool(context))
    if not pinned.cleared:
        raise MeshError(
            f"The context {pinned.context!r} is not known to be on this machine, so labkit "
            "changes nothing there",
            seen=seen_of(pinned),
            try_next="if you mean it: "
            f'labkit.open_mesh("cluster", context={json.dumps(pinned.context)})'
            "; if not: kubectl config use-context minikube",
        )
    return pinned

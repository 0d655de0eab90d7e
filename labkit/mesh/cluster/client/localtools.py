"""Whether a local tool says that a cluster is its own: Minikube, kind, k3d.

A kubeconfig may come from anybody, and a name in it is a claim. What Minikube keeps in its own
folder, and what kind and k3d read out of their own containers, is not of the kubeconfig. A cluster
is theirs when both agree on the *address* and on the *certificate authority*: TLS then lets nobody
else answer there. A tool that can't be asked has said nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from labkit.errors import MeshError
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.address import Address, address_of

ASK_S = 10.0
LARGEST = 1 << 20
ELSEWHERE = ("ssh",)  # Minikube's driver for a machine that somebody else has
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")
# how each tool gives out the kubeconfig of one of its clusters, by the prefix of its contexts
PRINTS = {
    "kind-": ("kind", "get", "kubeconfig", "--name={}"),
    "k3d-": ("k3d", "kubeconfig", "get", "{}"),
}


def reported_by(context: str, address: Address, cluster: Json) -> str:
    """The tool, with its name for the cluster, that reports this very address and certificate
    authority; "" where none does.

    >>> reported_by("minikube", address_of("https://192.168.49.2:8443"), cluster)
    'Minikube, profile minikube'
    """
    authority = authority_of(cluster)
    if not authority or address.scheme != "https" or cluster.get("insecure-skip-tls-verify"):
        return ""
    return minikube(address, authority) or printed(context, address, authority)


def authority_of(cluster: Mapping[str, Any]) -> bytes:
    """The certificate authority of a kubeconfig's cluster, whether its text or its file is given;
    b"" where there is none.
    """
    if data := cluster.get("certificate-authority-data"):
        try:
            return base64.b64decode(str(data), validate=True).strip()
        except (binascii.Error, ValueError):
            return b""
    file = cluster.get("certificate-authority")
    return contents(Path(str(file))) if file else b""


def contents(path: Path) -> bytes:
    """A small ordinary file; b"" where it is none: a FIFO, say, would make the reader wait."""
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return b""
        return path.read_bytes().strip()
    except OSError:
        return b""


def minikube(address: Address, authority: bytes) -> str:
    """Minikube's profile with a node at this address, by what Minikube has written down itself."""
    home = minikube_home()
    if not authority or contents(home / "ca.crt") != authority:
        return ""
    try:
        profiles = sorted((home / "profiles").iterdir())
    except OSError:
        return ""
    for profile in profiles:
        try:
            config = json.loads(contents(profile / "config.json") or b"{}")
            if config.get("Driver") in ELSEWHERE:
                continue
            for node in config.get("Nodes") or []:
                port = int(node.get("Port") or config.get("APIServerPort") or 0)
                if (str(node.get("IP")), port) == (address.host, address.port):
                    return f"Minikube, profile {profile.name}"
        except (ValueError, TypeError, AttributeError, RecursionError):  # not Minikube's writing
            continue
    return ""


def minikube_home() -> Path:
    """Where Minikube keeps its profiles: it adds .minikube to MINIKUBE_HOME unless it is there."""
    given = os.environ.get("MINIKUBE_HOME")
    if not given:
        return Path.home() / ".minikube"
    path = Path(given)
    return path if path.name == ".minikube" else path / ".minikube"


def printed(context: str, address: Address, authority: bytes) -> str:
    """kind or k3d, where its own kubeconfig for the cluster has this address and authority."""
    for prefix, (program, *words) in PRINTS.items():
        name = context.removeprefix(prefix)
        path = shutil.which(program)
        if name == context or not NAME.fullmatch(name) or path is None:
            continue
        try:
            found = subprocess.run(
                [path, *(word.format(name) for word in words)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ASK_S,
            )
            if found.returncode or len(found.stdout) > LARGEST:
                continue
            cluster = yaml.safe_load(found.stdout)["clusters"][0]["cluster"]
            if address_of(cluster["server"]) == address and authority_of(cluster) == authority:
                return f"{program}, cluster {name}"
        except (
            OSError,
            subprocess.TimeoutExpired,
            yaml.YAMLError,
            MeshError,
            ValueError,  # no UTF-8
            RecursionError,
            LookupError,  # no such entry
            TypeError,
        ):
            continue
    return ""

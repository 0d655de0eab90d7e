"""A mesh to learn on: one interface, and what stands behind it."""

from __future__ import annotations

from typing import Any

from labkit.errors import UnsupportedError
from labkit.mesh.base import Applied, Mesh, PodInfo
from labkit.mesh.gate import Gate
from labkit.mesh.table import Table

__all__ = ["Applied", "Gate", "Mesh", "PodInfo", "Table", "open_mesh"]

BACKENDS = ("embedded", "cluster")


def open_mesh(backend: str = "embedded", **options: Any) -> Mesh:
    """Opens a mesh: a context manager that ends all it started.

    `embedded` needs nothing but this package: real Envoy processes and local processes as pods, on
    127.0.0.1. Its option: seed (of the names of pods; the proxies' own choices can't be seeded).

    `cluster` is a Kubernetes with Istio: the kubeconfig's current context if that is a local one
    (see guard.py). Its options: context (which one; named, it may also be elsewhere) and kubeconfig
    (a file's path).

    >>> with labkit.open_mesh("embedded") as mesh:
    ...     mesh.apply("manifests/hello-world.yaml")
    """
    if backend == "embedded":
        from labkit.mesh.embedded import EmbeddedMesh

        return EmbeddedMesh(**options)
    if backend == "cluster":
        from labkit.mesh.cluster import ClusterMesh

        return ClusterMesh(**options)
    raise UnsupportedError(f"There is no mesh {backend!r}", seen="known: " + ", ".join(BACKENDS))

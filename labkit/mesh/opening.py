"""Opening a mesh by its backend's name: the one place that knows both."""

from __future__ import annotations

from typing import Any

from labkit.errors import UnsupportedError
from labkit.mesh.base import Mesh

BACKENDS = ("embedded", "cluster")


def open_mesh(backend: str = "embedded", **options: Any) -> Mesh:
    """Opens a mesh: a context manager that ends all it started.

    `embedded` needs nothing but this package: real Envoy processes and local processes as pods, on
    127.0.0.1. Its options: seed (of the names of pods; the proxies' own choices can't be seeded)
    and settings (Istio's MeshConfig as a dict; later, apply the ConfigMap `istio` in
    `istio-system`).

    `cluster` is a Kubernetes with Istio: the kubeconfig's current context if that is a local one
    (see guard.py). Its options: context (which one; named, it may also be elsewhere) and kubeconfig
    (a file's path).

    Raises UnsupportedError for another backend; EnvoyUnavailable where the embedded mesh has no
    Envoy for this machine; MeshError or NotFound where the cluster can't be reached, has no Istio
    or is not known to be a local one.

    >>> with labkit.open_mesh("embedded") as mesh:
    ...     mesh.apply("manifests/hello-world.yaml")
    """
    # imported here, since neither needs what the other one does
    if backend == "embedded":
        from labkit.mesh.embedded import EmbeddedMesh

        return EmbeddedMesh(**options)
    if backend == "cluster":
        from labkit.mesh.cluster import ClusterMesh

        return ClusterMesh(**options)
    raise UnsupportedError(f"There is no mesh {backend!r}", seen="known: " + ", ".join(BACKENDS))

"""The one interface to a mesh. What stands behind it, local processes or a cluster, a lesson never
asks.

Its methods are in four parts, by what they are about: objects, applications, proxies, requests. A
backend brings what these parts ask for by a name with an underscore.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, Self

from labkit.mesh.applications import MeshApplications
from labkit.mesh.gate import Gate
from labkit.mesh.objects import MeshObjects
from labkit.mesh.proxies import MeshProxies
from labkit.mesh.requests import MeshRequests
from labkit.waiting import wait_until


class Mesh(MeshObjects, MeshApplications, MeshProxies, MeshRequests):
    """A mesh to learn on. Made by `labkit.open_mesh`; a context manager that leaves nothing behind.

    >>> with labkit.open_mesh() as mesh:
    ...     mesh.apply("manifests/hello-world.yaml", "manifests/gateway.yaml")
    ...     mesh.curl("http://test.example.com/", n=10).codes
    {200: 10}
    """

    backend: ClassVar[str] = ""

    def gate(self, workload: str, *, namespace: str | None = None) -> Gate:
        """Holds every request that reaches the pods of a workload until told: "at the same time"
        becomes a fact. Raises NotFound.

        >>> with mesh.gate("hello-world") as gate:
        ...     burst = gate.send(url, n=10)
        ...     gate.open()
        ...     result = burst.wait()
        """
        return Gate(self, [p.name for p in self.pods(workload, namespace=namespace)])

    def wait_for(
        self, condition: Callable[[], bool], what: str, *, timeout_s: float = 30.0
    ) -> None:
        """Waits for something to come true, looking again and again. Raises NotReady after
        `timeout_s` seconds.

        >>> mesh.wait_for(lambda: "failed_outlier_check" in set(mesh.endpoints()["health"]), "a pod to be ejected")
        """  # noqa: E501
        wait_until(condition, timeout_s, what)

    @abstractmethod
    def close(self) -> None:
        """Ends the mesh and removes all it made; a second call does nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

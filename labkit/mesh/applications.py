"""The part of a mesh that is its pods: which there are, their logs, and what their applications are
told to do.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from labkit.errors import MeshError
from labkit.mesh.model import PodInfo

if TYPE_CHECKING:
    import pandas as pd


class MeshApplications(ABC):
    """Pods and the applications in them."""

    @abstractmethod
    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        """The pods, or those of one Deployment (or of one Service, by its name). Raises NotFound
        where that one has none.
        """

    @abstractmethod
    def logs(
        self,
        pod: str,
        *,
        container: str | None = None,
        namespace: str | None = None,
        lines: int = 100,
    ) -> str:
        """The last lines of a container's log; container "istio-proxy" is the sidecar. `pod` is a
        pod's name, or a Deployment's for its first pod. Raises NotFound.
        """

    @abstractmethod
    def pod_url(self, pod: str) -> str:
        """An address of this machine that leads straight to a pod's application, past every proxy.
        Raises NotFound, or MeshError where the pod's program listens on no port.

        It is what `kubectl port-forward pod/NAME 8080` gives: a way into the cluster that is not
        the gateway's.

        >>> mesh.pod_url(mesh.pods("hello-world-v1")[0].name)
        'http://127.0.0.1:27694'
        """

    def app(self, pod: str, method: str, path: str) -> dict[str, Any]:
        """Asks the application of one pod directly, past every proxy: its controls are not traffic.

        Returns its JSON, or {} for any other answer. Raises NotFound for a pod that is not there,
        and MeshError when the application does not answer or refuses.

        >>> mesh.app(pod, "GET", "/control/state")["served"]
        12
        """
        status, body = self._ask(pod, method, path)
        if status != 200:
            raise MeshError(
                f"The application of {pod!r} refused {path}",
                seen=f"{status} {body.decode(errors='replace').strip()}",
            )
        answer: dict[str, Any] = json.loads(body) if body.lstrip().startswith(b"{") else {}
        return answer

    def control(
        self,
        workload: str,
        *,
        fail_next: int | None = None,
        fail_share: float | None = None,
        fail_status: int = 503,
        delay_ms: float | None = None,
        jitter_ms: float = 0,
        ready: bool | None = None,
        reset: bool = False,
        namespace: str | None = None,
    ) -> None:
        """Tells applications how to behave: a pod by its name, or every pod of a workload.

        `fail_next` of its requests, or a share of them (0 to 1), are answered with `fail_status`;
        each answer waits `delay_ms`, give or take `jitter_ms`; `ready=False` fails the readiness
        probe; `reset=True` puts all of that right first. Raises NotFound.

        >>> mesh.control("hello-world-v2", fail_next=7)
        """
        names = [p.name for p in self.pods(namespace=namespace) if p.name == workload]
        names = names or [p.name for p in self.pods(workload, namespace=namespace)]
        for name in names:
            if reset:
                self.app(name, "POST", "/control/reset")
            if fail_next is not None:
                self.app(name, "POST", f"/control/fail?next={fail_next}&status={fail_status}")
            if fail_share is not None:
                self.app(name, "POST", f"/control/fail?share={fail_share}&status={fail_status}")
            if delay_ms is not None:
                self.app(name, "POST", f"/control/delay?ms={delay_ms:g}&jitter_ms={jitter_ms:g}")
            if ready is not None:
                self.app(name, "POST", f"/control/ready?ok={str(ready).lower()}")

    def states(self, workload: str, *, namespace: str | None = None) -> pd.DataFrame:
        """What each pod of a workload counted: a frame, a row a pod, of pod, version, served, held,
        failed and its settings. Raises NotFound.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                self.app(p.name, "GET", "/control/state")
                for p in self.pods(workload, namespace=namespace)
            ]
        )

    @abstractmethod
    def _ask(self, pod: str, method: str, path: str) -> tuple[int, bytes]:
        """One request to a pod's own application: status and body. Raises NotFound or MeshError."""

"""The one interface to a mesh. What stands behind it, local processes or a cluster, a lesson never
asks.
"""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from labkit.errors import NotFound
from labkit.mesh.gate import Gate
from labkit.mesh.history import History
from labkit.mesh.table import Table
from labkit.resources import Resource
from labkit.traffic import (
    ID_HEADER,
    FortioResult,
    Pending,
    Result,
    Target,
    concurrent,
    curl,
    fortio,
)
from labkit.traffic.programs.fortio import find_fortio
from labkit.waiting import wait_until

if TYPE_CHECKING:
    import threading

    import pandas as pd

    from labkit.resources.lint import Diagnoses

Program = Literal["auto", "built-in", "fortio", "docker", "cluster"]
Progress = Callable[[int, int], None]

# where Istio's ingress gateway really listens, by the port of its Service (Istio's default
# installation)
GATEWAY_PORTS = {80: 8080, 443: 8443}


@dataclass(frozen=True)
class PodInfo:
    """One pod, as kubectl shows it."""

    name: str
    namespace: str
    workload: str
    version: str
    ready: str  # containers ready, "2/2"
    status: str
    restarts: int
    ip: str
    created: float  # seconds since 1970

    @property
    def is_ready(self) -> bool:
        have, of = self.ready.split("/")
        return have == of and self.status == "Running"


@dataclass(frozen=True)
class Applied:
    """What an apply did: a line an object, as kubectl prints, and how long each proxy took to hold
    it.
    """

    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    propagation_ms: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        text = [f"Warning: {w}" for w in self.warnings] + list(self.lines)
        if self.propagation_ms:
            slowest = max(self.propagation_ms.values())
            proxies = (
                "1 proxy holds"
                if len(self.propagation_ms) == 1
                else f"{len(self.propagation_ms)} proxies hold"
            )
            text.append(f"({proxies} it after {slowest:.0f} ms)")
        return "\n".join(text)


class Mesh(ABC):
    """A mesh to learn on. Made by `labkit.open_mesh`; a context manager that leaves nothing behind.

    >>> with labkit.open_mesh() as mesh:
    ...     mesh.apply("manifests/hello-world.yaml", "manifests/gateway.yaml")
    ...     mesh.curl("http://test.example.com/", n=10).codes
    {200: 10}
    """

    backend = ""

    # objects

    @abstractmethod
    def apply(self, *manifests: Any, wait: bool = True, timeout_s: float = 60.0) -> Applied:
        """Applies manifests: paths, folders, YAML text, dicts or Resources, as `kubectl apply`
        does.

        Returns when every proxy concerned holds the new configuration and, with `wait`, when the
        pods asked for are ready. Raises ParseError, ValidationError, UnsupportedError or
        ConfigRejected; what was in force before is then in force again. Raises NotReady when pods
        take longer than that: what was applied stays, as with kubectl.
        """

    @abstractmethod
    def delete(
        self, what: Any, name: str | None = None, *, namespace: str | None = None
    ) -> Applied:
        """Deletes by kind and name, or every object of a manifest.

        >>> mesh.delete("DestinationRule", "hello-world-dr")
        destinationrule/hello-world-dr deleted
        """

    @abstractmethod
    def get(self, kind: str, name: str | None = None, *, namespace: str | None = None) -> Table:
        """A table of objects, as `kubectl get` prints it."""

    @abstractmethod
    def resource(self, kind: str, name: str, *, namespace: str | None = None) -> Resource:
        """One object as it is now, as `kubectl get KIND NAME -o yaml` shows it."""

    @abstractmethod
    def describe(self, kind: str, name: str, *, namespace: str | None = None) -> str:
        """One object in detail, as `kubectl describe` prints it."""

    @abstractmethod
    def label(
        self,
        kind: str,
        name: str,
        labels: Mapping[str, str | None],
        *,
        namespace: str | None = None,
    ) -> Applied:
        """Sets labels (None removes one), as `kubectl label --overwrite` does."""

    @abstractmethod
    def scale(
        self, deployment: str, replicas: int, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        """Sets how many pods a Deployment has."""

    @abstractmethod
    def restart(
        self, deployment: str, *, namespace: str | None = None, wait: bool = True
    ) -> Applied:
        """Replaces a Deployment's pods one after the other, as `kubectl rollout restart` does."""

    @abstractmethod
    def objects(self) -> list[Resource]:
        """Every object there is, pods as they run among them: `kubectl get -A -o yaml` of all
        kinds.
        """

    @abstractmethod
    def reset(self) -> Applied:
        """Deletes every Gateway, VirtualService and DestinationRule, and puts every application
        right again.
        """

    def lint(self, *manifests: Any) -> Diagnoses:
        """Mistakes in all that is applied; or in manifests, as if they were applied here. Changes
        nothing.

        >>> mesh.lint("manifests/as-published/published-04-destinationrule.yaml").codes
        ('KIA0201',)
        """
        from labkit.resources.lint import lint

        known = self.objects()
        return (
            lint(*manifests, context=known, complete=True)
            if manifests
            else lint(known, complete=True)
        )

    @cached_property
    def history(self) -> History:
        """What was applied, scaled or deleted through this object and when, the oldest first.

        >>> mesh.history[-1].what
        'destinationrule/hello-world-dr configured'
        """
        return History()

    # pods

    @abstractmethod
    def pods(self, workload: str | None = None, *, namespace: str | None = None) -> list[PodInfo]:
        """The pods, or those of one Deployment (or of one Service, by its name)."""

    @abstractmethod
    def logs(
        self,
        pod: str,
        *,
        container: str | None = None,
        namespace: str | None = None,
        lines: int = 100,
    ) -> str:
        """The last lines of a container's log; container "istio-proxy" is the sidecar."""

    @abstractmethod
    def app(self, pod: str, method: str, path: str) -> dict[str, Any]:
        """Asks the application of one pod directly, past every proxy: its controls
        are not traffic.
        """

    # proxies

    @abstractmethod
    def stats(self, proxy: str = "gateway", match: str = "") -> pd.DataFrame:
        """A proxy's own counters: a frame of proxy, stat, value. `match` is a
        regular expression.
        """

    @abstractmethod
    def endpoints(self, proxy: str = "gateway") -> pd.DataFrame:
        """Whom a proxy may send to: a frame of cluster, subset, pod, version, address, health,
        weight, requests.

        health is "healthy", or what Envoy holds against it ("failed_outlier_check" for an ejected
        pod).
        """

    @abstractmethod
    def config(self, proxy: str = "gateway") -> dict[str, Any]:
        """Everything a proxy was told: Envoy's config_dump."""

    @abstractmethod
    def access_log(self, proxy: str = "gateway") -> pd.DataFrame:
        """A proxy's access log: a row a request."""

    @abstractmethod
    def runtime(self, settings: Mapping[str, object], proxy: str = "gateway") -> None:
        """Overrides values of a proxy's runtime until it is started again: what Envoy has and Istio
        has no field for.

        An empty text takes an override back. On a cluster: kubectl exec -n NAMESPACE POD -c
        istio-proxy -- pilot-agent request POST 'runtime_modify?KEY=VALUE'

        >>> mesh.runtime({"outlier_detection.max_ejection_time_ms": 2000})
        """

    @property
    @abstractmethod
    def gateway_url(self) -> str:
        """Where a browser or curl reaches the ingress gateway, with a Host header for the name."""

    @abstractmethod
    def pod_url(self, pod: str) -> str:
        """An address of this machine that leads straight to a pod's application, past every proxy.

        It is what `kubectl port-forward pod/NAME 8080` gives: a way into the cluster that is not
        the gateway's.

        >>> mesh.pod_url(mesh.pods("hello-world-v1")[0].name)
        'http://127.0.0.1:27694'
        """

    @abstractmethod
    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        """Where a request for `url` must be sent, and the path: through the gateway, or from the
        pod `source`.
        """

    @abstractmethod
    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        """Envoy's response flags of requests, by their x-labkit-id."""

    @abstractmethod
    def logged(self, run: str, n: int, source: str | None = None) -> pd.DataFrame:
        """The n entries of an access log whose x-labkit-id is `run`, as rows of a result."""

    @abstractmethod
    def close(self) -> None:
        """Ends the mesh and removes all it made; a second call does nothing."""

    def __enter__(self) -> Mesh:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # traffic

    def curl(
        self,
        url: str,
        *,
        n: int = 1,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: bytes | str | None = None,
        source: str | None = None,
        timeout_s: float = 10.0,
        **options: Any,
    ) -> Result:
        """Sends n requests one after the other; host and path of `url` decide where they go, as on
        a cluster.

        `source="client"` calls from inside the mesh, through that pod's own sidecar. A row a
        request in `.frame`.

        >>> mesh.curl("http://test.example.com/", n=10, headers={"x-forwarded-for": "10.0.0.1"}).frame
        """  # noqa: E501
        target, path = self.target(url, source)
        result = curl(
            target,
            path,
            n=n,
            headers=headers,
            method=method,
            body=body,
            timeout_s=timeout_s,
            **options,
        )
        # what got no answer may have reached no proxy, and then no log has it
        answered = [
            i
            for i, s in zip(result.column("id"), result.column("status"), strict=True)
            if i and s > 0
        ]
        return result.with_flags(self.flags(answered, source))

    def fortio(
        self,
        url: str,
        *,
        connections: int = 4,
        requests: int | None = None,
        duration_s: float | None = None,
        qps: float = 0,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        source: str | None = None,
        program: Program = "auto",
        progress: Progress | None = None,
        cancel: threading.Event | None = None,
        **options: Any,
    ) -> FortioResult:
        """Load as `fortio load -c CONNECTIONS -qps QPS -n REQUESTS -t DURATION -X METHOD URL` makes
        it.

        qps 0 means as fast as possible: each connection sends its next request when the last is
        answered. The real Fortio is used where it is on PATH (`program`); it throws the answers
        away, so its rows come from Envoy's log. program="docker" runs Fortio's own image, and
        program="cluster", on a cluster, a pod of it next to the gateway.
        """
        target, path = self.target(url, source)
        fields = dict(headers or {})
        run = secrets.token_hex(6)
        real = program in ("docker", "cluster") or (
            program != "built-in" and find_fortio() is not None
        )
        if real:
            fields[ID_HEADER] = run
        result = fortio(
            target,
            path,
            connections=connections,
            requests=requests,
            duration_s=duration_s,
            qps=qps,
            method=method,
            headers=fields,
            body=body,
            program=program,
            progress=progress,
            cancel=cancel,
            **options,
        )
        if real:
            return result.with_rows(self.logged(run, len(result), source))
        refused = [
            i
            for i, status in zip(result.column("id"), result.column("status"), strict=True)
            if status >= 400
        ]
        return (
            result.with_flags(self.flags([i for i in refused if i], source)) if refused else result
        )

    def start(
        self,
        url: str,
        *,
        n: int,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        source: str | None = None,
        timeout_s: float = 30.0,
    ) -> Pending:
        """Sends n requests at the same time, on n connections, and does not wait for the answers
        (see gate).
        """
        target, path = self.target(url, source)
        return concurrent(
            target, path, n=n, headers=headers or {}, method=method, timeout_s=timeout_s
        )

    # what the applications do

    def gate(self, workload: str, *, namespace: str | None = None) -> Gate:
        """Holds every request that reaches the pods of a workload until told: "at the same time"
        becomes a fact.

        >>> with mesh.gate("hello-world") as gate:
        ...     burst = gate.send(url, n=10)
        ...     gate.open()
        ...     result = burst.wait()
        """
        return Gate(self, [p.name for p in self.pods(workload, namespace=namespace)])

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
        """What each pod of a workload counted: a frame of pod, version, served, held, failed and
        its settings.
        """
        import pandas as pd

        return pd.DataFrame(
            [
                self.app(p.name, "GET", "/control/state")
                for p in self.pods(workload, namespace=namespace)
            ]
        )

    def counter(self, name: str, *, cluster: str | None = None, proxy: str = "gateway") -> int:
        """One of a proxy's counters, of one cluster or summed over all of them.

        >>> mesh.counter("upstream_rq_pending_overflow", proxy="client")
        0
        """
        pattern = rf"^cluster\.{re.escape(cluster) if cluster else '.+'};?\.{re.escape(name)}$"
        frame = self.stats(proxy, match=pattern)
        if frame.empty and cluster:
            raise NotFound(
                f"{proxy} has no counter {name!r} for cluster {cluster!r}",
                try_next="mesh.stats(proxy, match='upstream') lists the counters",
            )
        return int(frame["value"].sum())

    def wait_for(
        self, condition: Callable[[], bool], what: str, *, timeout_s: float = 30.0
    ) -> None:
        """Waits for something to come true, looking again and again. Raises NotReady after
        `timeout_s` seconds.

        >>> mesh.wait_for(lambda: "failed_outlier_check" in set(mesh.endpoints()["health"]), "a pod to be ejected")
        """  # noqa: E501
        wait_until(condition, timeout_s, what)

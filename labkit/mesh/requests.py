"""The part of a mesh that is traffic: requests sent through the gateway, or from a pod inside."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from labkit.errors import UnsupportedError
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

if TYPE_CHECKING:
    import threading

    import pandas as pd

    from labkit.explain import Explanation
    from labkit.explain.proxies import Proxy
    from labkit.traffic.programs.fortio_stream import Elsewhere

Program = Literal["auto", "built-in", "fortio", "docker", "cluster"]
Progress = Callable[[int, int], None]


class MeshRequests(ABC):
    """Sends requests; host and path of a URL decide where they go, as on a cluster.

    Every method raises TrafficError where a request can't be sent at all, and NotFound for a
    `source` that no pod is of.
    """

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
        """Sends n requests one after the other, each with `timeout_s` seconds for its answer.

        `source="client"` calls from inside the mesh, through that pod's own sidecar. A row a
        request in `.frame`; one that got no answer has a status below 1. `options` are those of
        `labkit.traffic.curl`.

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
        return self._with_flags(result, source)

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
        it; ends after `requests`, or else after `duration_s` seconds (5 if neither is given).

        qps 0 means as fast as possible: each connection sends its next request when the last is
        answered. The real Fortio is used where it is on PATH (`program`); it throws the answers
        away, so its rows come from Envoy's log. program="docker" runs Fortio's own image, and
        program="cluster", on a cluster, a pod of it next to the gateway.
        """
        elsewhere = self._load_generator(program, source)  # refuses before a pod is looked for
        target, path = self.target(url, source)
        fields = dict(headers or {})
        run = secrets.token_hex(6)
        real = program in ("docker", "cluster") or (
            program != "built-in" and find_fortio() is not None
        )
        if real:
            fields[ID_HEADER] = run
        if elsewhere:
            options["elsewhere"] = elsewhere
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
            return result.with_rows(self._logged(run, len(result), source))
        refused = [i for i in ids_of(result, 400) if i]
        return result.with_flags(self.flags(refused, source)) if refused else result

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
        (see gate), each of which may take `timeout_s` seconds.
        """
        target, path = self.target(url, source)
        return concurrent(
            target, path, n=n, headers=headers or {}, method=method, timeout_s=timeout_s
        )

    def explain(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        source: str | None = None,
    ) -> Explanation:
        """Why a request goes where it goes, without sending it: listener, virtual host, route and
        what nearly took it, clusters, endpoints and policy, with the lines of the YAML.

        The embedded mesh only: raises UnsupportedError on a cluster, with the way to do it there.

        >>> mesh.explain("http://test.example.com/v2", headers={"x-user": "jane"})
        """
        from labkit.explain.explaining import explain_at  # a mesh that explains nothing loads less

        return explain_at(self._explained(source), f"{method} {url}", headers)

    @property
    @abstractmethod
    def gateway_url(self) -> str:
        """Where a browser or curl reaches the ingress gateway, with a Host header for the name."""

    @abstractmethod
    def target(self, url: str, source: str | None = None) -> tuple[Target, str]:
        """Where a request for `url` must be sent, and the path: through the gateway, or from the
        pod `source`. For programs that send by themselves.
        """

    @abstractmethod
    def flags(self, ids: list[str], source: str | None = None) -> dict[str, str]:
        """Envoy's response flags of requests, by their x-labkit-id: "UO" for one that overflowed,
        "" for one that has none. A request that the access log does not have is left out.
        """

    # what a backend brings

    def _explained(self, source: str | None) -> Proxy:
        """The proxy to which requests from here come first, with all that it was told."""
        raise UnsupportedError(
            "This mesh can't explain a request: what its proxies were told is istiod's work",
            seen="the objects of a cluster, as kubectl prints them, can be explained without it",
            try_next="kubectl get ns,svc,deploy,gw,vs,dr,se,we,sidecar -A -o yaml | "
            "labkit explain - --request 'GET http://test.example.com/'",
        )

    @abstractmethod
    def _logged(self, run: str, n: int, source: str | None) -> pd.DataFrame:
        """The n entries of an access log whose x-labkit-id is `run`, as rows of a result."""

    def _with_flags(self, result: Result, source: str | None) -> Result:
        """A result with the response flags of its requests."""
        # what got no answer may have reached no proxy, and then no log has it
        return result.with_flags(self.flags(ids_of(result, 1), source))

    def _load_generator(self, program: Program, source: str | None) -> Elsewhere | None:
        """A generator of this mesh's own, where `program` means that."""
        return None


def ids_of(result: Result | FortioResult, status: int) -> list[str]:
    """The x-labkit-ids of the requests that were answered with at least this status."""
    return [
        i
        for i, s in zip(result.column("id"), result.column("status"), strict=True)
        if i and s >= status
    ]

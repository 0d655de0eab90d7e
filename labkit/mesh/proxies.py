"""The part of a mesh that is its Envoys: what they count, know and log."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from labkit.envoy.admin import Admin
from labkit.errors import NotFound
from labkit.mesh.views import Backing, endpoints_frame

if TYPE_CHECKING:
    import pandas as pd

GATEWAY = "gateway"
_TIMES = r"^cluster\.(outbound\|[^;]+?\.svc\.[^;]+?);?\.upstream_rq_time$"


class MeshProxies(ABC):
    """The proxies, each by a name: "gateway", a pod's, or a Deployment's for its first pod.

    Every method raises NotFound for a proxy that is not there.
    """

    def stats(self, proxy: str = GATEWAY, match: str = "") -> pd.DataFrame:
        """A proxy's own counters and gauges: a frame of proxy, stat, value (int), a row each.
        `match` is a regular expression that is searched for in the names.
        """
        import pandas as pd

        found = self._admin(proxy).stats(match)
        return pd.DataFrame({"proxy": proxy, "stat": list(found), "value": list(found.values())})

    def counter(self, name: str, *, cluster: str | None = None, proxy: str = GATEWAY) -> int:
        """One of a proxy's counters, of one cluster or summed over all of them. Raises NotFound for
        a counter that this cluster does not have.

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

    def endpoints(self, proxy: str = GATEWAY) -> pd.DataFrame:
        """Whom a proxy may send to: a frame of cluster, subset, pod, version, address, health,
        weight, requests, errors; a row an endpoint of each of its outbound clusters.

        health is "healthy", or what Envoy holds against it ("failed_outlier_check" for an ejected
        pod). requests counts each try that was sent to it, errors those that came to a 5xx or to no
        answer.
        """
        clusters = self._admin(proxy, inspect=True).clusters()
        return endpoints_frame(clusters, *self._endpoint_lookup())

    def p99_ms(self, proxy: str = GATEWAY) -> dict[str, float]:
        """By outbound cluster: the p99 of what a proxy waited for its answers in the last five
        seconds, in ms, as Envoy measures it (upstream_rq_time); without clusters that were not
        called. A proxy of a cluster may not keep it: then there is none.

        >>> mesh.p99_ms()
        {'outbound|80||hello-world.hello-world.svc.cluster.local': 5.05}
        """
        told = self._admin(proxy).percentiles(_TIMES)
        found = {of[1]: value for name, value in told.items() if (of := re.match(_TIMES, name))}
        # Envoy counts each answer a second time, by where its caller is
        return {c: ms for c, ms in found.items() if not c.endswith((".external", ".internal"))}

    def config(self, proxy: str = GATEWAY) -> dict[str, Any]:
        """Everything a proxy was told: Envoy's config_dump, as its administration answers it."""
        return self._admin(proxy, inspect=True).config_dump()

    @abstractmethod
    def access_log(self, proxy: str = GATEWAY) -> pd.DataFrame:
        """A proxy's access log: a frame, a row a request, the oldest first. Its columns are the
        fields of `labkit.envoy.accesslog.ACCESS_LOG_FORMAT` and the direction of the listener.
        """

    def runtime(self, settings: Mapping[str, object], proxy: str = GATEWAY) -> None:
        """Overrides values of a proxy's runtime until it is started again: what Envoy has and Istio
        has no field for.

        An empty text takes an override back. On a cluster: kubectl exec -n NAMESPACE POD -c
        istio-proxy -- pilot-agent request POST 'runtime_modify?KEY=VALUE'

        >>> mesh.runtime({"outlier_detection.max_ejection_time_ms": 2000})
        """
        self._admin(proxy).runtime_modify(settings)

    # what a backend brings

    @abstractmethod
    def _admin(self, proxy: str, *, inspect: bool = False) -> Admin:
        """A proxy's administration interface; with `inspect` the proxy knows its endpoints in the
        same way as Istio's do.
        """

    @abstractmethod
    def _endpoint_lookup(self) -> tuple[Callable[[str, int], Backing], Callable[[str], bool]]:
        """Which pod is behind an address and port of an endpoint, and which clusters are shown."""

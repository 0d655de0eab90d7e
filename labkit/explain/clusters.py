"""Clusters: where their names are written, which pods are behind them, and by what policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from labkit.explain.absent import why_empty, why_missing
from labkit.explain.places import Place, Places
from labkit.explain.policies import Policies
from labkit.explain.proxies import Proxy
from labkit.explain.steps import Step
from labkit.explain.words import percent
from labkit.jsontypes import Json
from labkit.translate.clusters import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER
from labkit.translate.routes.http_routes import Route
from labkit.translate.values import at

UNAVAILABLE = 503


@dataclass(frozen=True)
class ClusterSteps:
    """The steps of the clusters of one proxy."""

    proxy: Proxy
    places: Places

    @cached_property
    def policies(self) -> Policies:
        return Policies(self.proxy, self.places)

    def step(
        self, cluster: str, weights: Mapping[str, int], route: Json | None
    ) -> tuple[Step, bool]:
        """The step of a cluster, and whether anybody can answer there."""
        text = cluster
        if len(weights) > 1:
            total = sum(weights.values())
            text += f", weight {weights[cluster]} of {total} ({percent(weights[cluster] / total)})"
        places = self.named_by(cluster, route)
        if cluster in (PASSTHROUGH_CLUSTER, BLACKHOLE_CLUSTER):
            return Step("cluster", text, places), True
        message = self.message(cluster)
        if message is None:
            parts = tuple(why_missing(self.policies, cluster))
            return Step("cluster", f"{text}: there is none of that name", places, parts), False
        endpoints, healthy = self.endpoints(cluster)
        endpoints = endpoints or list(why_empty(self.policies, cluster))
        parts = (*endpoints, *self.policies.steps(cluster))
        if message["type"] == "ORIGINAL_DST" and self.proxy.is_gateway:
            text += ": it goes where a connection was going, which a gateway does not know"
            return Step("cluster", text, places, parts), False
        if not healthy:
            return Step("cluster", f"{text}: nobody is there", places, parts), False
        return Step("cluster", text, places, parts), True

    def mirror(self, cluster: str, share: float) -> Step:
        """The step of a cluster that gets copies."""
        text = f"{percent(share)} of the requests are copied to {cluster}"
        missing = "" if self.message(cluster) else ", which there is not"
        return Step("mirror", text + missing, (), tuple(self.policies.steps(cluster)))

    def message(self, cluster: str) -> Json | None:
        return next((c for c in self.proxy.config.clusters if c["name"] == cluster), None)

    def named_by(self, cluster: str, route: Json | None) -> tuple[Place, ...]:
        """The destinations by which a route names a cluster."""
        if not isinstance(route, Route):
            return ()
        origin = route.vs.origins[route.http].route
        entries = list(enumerate(route.vs.http[route.http].get("route") or ()))
        weighted = at(route, "route", "weighted_clusters", "clusters")
        if weighted is None:
            names = [cluster for _ in entries]
        else:  # a destination of weight 0 is not among them
            entries = [(index, entry) for index, entry in entries if entry.get("weight")]
            names = [each["name"] for each in weighted]
        return tuple(
            self.places.first(origin, ("route", index, "destination"))
            for (index, _), name in zip(entries, names, strict=True)
            if name == cluster
        )

    def endpoints(self, cluster: str) -> tuple[list[Step], bool]:
        """A step for each endpoint, and whether any takes requests."""
        config = self.proxy.config
        pods = {pod.ip: pod for pod in self.proxy.registry.pods}
        found: list[Step] = []
        healthy = False
        own = (self.message(cluster) or {}).get("load_assignment")
        inline = [own] if own else []
        for assignment in (*config.endpoints, *config.original_destinations, *inline):
            if assignment["cluster_name"] != cluster:
                continue
            for group in assignment.get("endpoints", ()):
                for row in group["lb_endpoints"]:
                    where = at(row, "endpoint", "address", "socket_address") or {}
                    address = f"{where.get('address')}:{where.get('port_value')}"
                    pod = pods.get(str(where.get("address")))
                    well = row.get("health_status") != "UNHEALTHY"
                    healthy = healthy or well
                    text = f"{pod.name if pod else '(no pod)'} at {address}"
                    found.append(Step("endpoint", text if well else f"{text}, not ready"))
        # where too few are well, panic mode sends requests to all of them, unless it is turned off
        message = self.message(cluster) or {}
        panic = at(message, "common_lb_config", "healthy_panic_threshold")
        return found, healthy or (bool(found) and panic != {})

"""Clusters: where their names are written, which pods are behind them, and by what policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labkit.explain.places import Place, Places
from labkit.explain.proxies import Proxy
from labkit.explain.steps import Step
from labkit.explain.words import percent
from labkit.jsontypes import Json
from labkit.resources.model import Key, Path, Resource
from labkit.resources.precedence import Rule
from labkit.translate.clusters import BLACKHOLE_CLUSTER, PASSTHROUGH_CLUSTER
from labkit.translate.registry import Service
from labkit.translate.routes.http_routes import Route
from labkit.translate.rules.destination_rules import port_policy
from labkit.translate.values import at

UNAVAILABLE = 503


@dataclass(frozen=True)
class ClusterSteps:
    """The steps of the clusters of one proxy."""

    proxy: Proxy
    places: Places

    def step(
        self, cluster: str, weights: Mapping[str, int], route: Json | None
    ) -> tuple[Step, bool]:
        """The step of a cluster, and whether anybody can answer there."""
        text = cluster
        if len(weights) > 1:
            total = sum(weights.values())
            text += f", weight {weights[cluster]} of {total} ({percent(weights[cluster] / total)})"
        places = self.named_by(cluster, route)
        message = self.message(cluster)
        if message is None:
            if cluster in (PASSTHROUGH_CLUSTER, BLACKHOLE_CLUSTER):
                return Step("cluster", text, places), True
            parts = tuple(self.missing(cluster))
            return Step("cluster", f"{text}: there is none of that name", places, parts), False
        endpoints, healthy = self.endpoints(cluster)
        parts = (*endpoints, *self.policy(cluster))
        if message["type"] == "ORIGINAL_DST" and self.proxy.pod is None:
            text += ": it goes where a connection was going, which a gateway does not know"
            return Step("cluster", text, places, parts), False
        special = cluster in (PASSTHROUGH_CLUSTER, BLACKHOLE_CLUSTER)
        if not healthy and not special:
            return Step("cluster", f"{text}: nobody is there", places, parts), False
        return Step("cluster", text, places, parts), True

    def mirror(self, cluster: str, share: float) -> Step:
        """The step of a cluster that gets copies."""
        text = f"{percent(share)} of the requests are copied to {cluster}"
        missing = "" if self.message(cluster) else ", which there is not"
        return Step("mirror", text + missing, (), tuple(self.policy(cluster)))

    def message(self, cluster: str) -> Json | None:
        return next((c for c in self.proxy.config.clusters if c["name"] == cluster), None)

    def named_by(self, cluster: str, route: Json | None) -> tuple[Place, ...]:
        """The destinations by which a route names a cluster."""
        if not isinstance(route, Route):
            return ()
        origin = route.vs.origins[route.http].route
        viewer = self.proxy.viewer(route.vs, self.route_config_of(route), self.port_of(route))
        return tuple(
            self.places.first(origin, ("route", index, "destination"))
            for index, entry in enumerate(route.vs.http[route.http].get("route") or ())
            if viewer.cluster_of(entry.get("destination") or {}) == cluster
        )

    def route_config_of(self, route: Route) -> str:
        return next(
            str(name["name"])
            for name in self.proxy.config.routes
            if any(r is route for h in name["virtual_hosts"] for r in h.get("routes", ()))
        )

    def port_of(self, route: Route) -> int:
        name = self.route_config_of(route)
        number = name.rpartition(":")[2].split(".")[-1]
        return int(number) if number.isdigit() else 0

    def missing(self, cluster: str) -> Iterator[Step]:
        """Why there is no such cluster: the subset, the port or the Service is not there."""
        service, number, subset = self.split(cluster)
        if service is None or not self.proxy.registry.sees(self.proxy.namespace, service):
            text = "no Service that this proxy knows has that name"
            yield Step("service", f"{cluster.split('|')[-1]}: {text}")
            return
        key: Key = ("Service", service.namespace, service.name)
        if service.port(number) is None:
            ports = ", ".join(str(port.number) for port in service.ports)
            place = self.places.of(key, ("spec", "ports"))
            yield Step("port", f"{number}: the Service has {ports}", (place,))
        elif subset:
            rule = self.rule(cluster)
            if rule is None:
                yield Step("subset", f"{subset}: no DestinationRule for this host defines it")
                return
            names = ", ".join(str(each.get("name")) for each in rule.subsets) or "none"
            places = tuple(self.places.of(r.key, ("spec", "subsets")) for r in self.sources(rule))
            yield Step("subset", f"{subset}: the DestinationRule defines {names}", places)

    def endpoints(self, cluster: str) -> tuple[list[Step], bool]:
        """A step for each endpoint, and whether any takes requests."""
        config = self.proxy.config
        pods = {pod.ip: pod for pod in self.proxy.registry.pods}
        found: list[Step] = []
        healthy = False
        for assignment in (*config.endpoints, *config.original_destinations):
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

    # policy

    def split(self, cluster: str) -> tuple[Service | None, int, str]:
        _, number, subset, host = [*cluster.split("|"), "", "", "", ""][:4]
        return (
            self.proxy.registry.by_host.get(host),
            int(number) if number.isdigit() else 0,
            subset,
        )

    def rule(self, cluster: str) -> Rule | None:
        service, _, _ = self.split(cluster)
        if service is None:
            return None
        rules = self.proxy.registry.destination_rules
        return rules.find(service.host, service.namespace, self.proxy.namespace, self.proxy.labels)

    def sources(self, rule: Rule) -> list[Resource]:
        """The DestinationRules that a rule was merged of, as far as something of them counts."""
        subsets = [id(each) for each in rule.subsets]
        found: list[Resource] = []
        for each in self.proxy.registry.resources:
            if each.kind != "DestinationRule" or each.namespace != rule.namespace:
                continue
            own = [id(s) for s in each.spec.get("subsets") or ()]
            policy = each.spec.get("trafficPolicy")
            is_policy = policy is not None and policy is rule.policy
            if is_policy or set(own) & set(subsets) or (each.name == rule.name and not found):
                found.append(each)
        return found

    def policy(self, cluster: str) -> Iterator[Step]:
        """The DestinationRule that counts for a cluster: its subset, the parts of its policy."""
        rule = self.rule(cluster)
        _, number, name = self.split(cluster)
        if rule is None:
            return
        parts: list[Step] = []
        subset = rule.subset(name) if name else None
        if subset is not None:
            home, path = self.home_of_subset(rule, subset)
            labels = ", ".join(f"{k}: {v}" for k, v in (subset.get("labels") or {}).items())
            text = f"{name}, the pods with {labels or 'no more labels'}"
            parts.append(Step("subset", text, (self.places.of(home.key, path),)))
            parts += self.fields(
                home, (*path, "trafficPolicy"), subset.get("trafficPolicy"), number
            )
        homes = self.sources(rule)
        general = next((r for r in homes if r.spec.get("trafficPolicy") is rule.policy), None)
        own = {step.text for step in parts if step.name == "trafficPolicy"}
        if general is not None and rule.policy is not None:
            whole = self.fields(general, ("spec", "trafficPolicy"), rule.policy, number)
            parts += [step for step in whole if step.text not in own]
        titles = ", ".join(dict.fromkeys(f"{each.namespace}/{each.name}" for each in homes))
        places = tuple(dict.fromkeys(self.places.of(each.key) for each in homes))
        yield Step("policy", f"DestinationRule {titles}", places, tuple(parts))

    def home_of_subset(self, rule: Rule, subset: Json) -> tuple[Resource, Path]:
        for each in self.sources(rule):
            for index, own in enumerate(each.spec.get("subsets") or ()):
                if own is subset:
                    return each, ("spec", "subsets", index)
        raise AssertionError("a subset of a rule comes from one of the rule's objects")

    def fields(
        self, home: Resource, path: Path, policy: Json | None, number: int
    ) -> Iterator[Step]:
        """A step for each part of a trafficPolicy that counts at a port."""
        own, by_port = port_policy(policy, number)
        if by_port:
            for index, each in enumerate(at(policy, "portLevelSettings") or ()):
                if at(each, "port", "number") == number:
                    path = (*path, "portLevelSettings", index)
                    break
        for key in own or {}:
            if key != "portLevelSettings":
                yield Step("trafficPolicy", key, (self.places.of(home.key, (*path, key)),))

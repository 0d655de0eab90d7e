"""The DestinationRule that counts for a cluster, and where each part of it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from labkit.explain.places import Places
from labkit.explain.proxies import Proxy
from labkit.explain.steps import Step
from labkit.jsontypes import Json
from labkit.resources.model import Path, Resource
from labkit.resources.precedence import Rule
from labkit.translate.rules.destination_rules import port_policy
from labkit.translate.services.service import Service
from labkit.translate.values import at


@dataclass(frozen=True)
class Policies:
    """The DestinationRules as one proxy obeys them."""

    proxy: Proxy
    places: Places

    def split(self, cluster: str) -> tuple[Service | None, int, str]:
        """The Service, the port and the subset that a cluster's name says."""
        _, number, subset, host = [*cluster.split("|"), "", "", "", ""][:4]
        service = next((s for s in self.proxy.registry.services if s.host == host), None)
        return service, int(number) if number.isdigit() else 0, subset

    def rule(self, cluster: str) -> Rule | None:
        """The rule that the proxy obeys for a cluster's Service."""
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

    def steps(self, cluster: str) -> Iterator[Step]:
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
        """Where a subset of a rule is written."""
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

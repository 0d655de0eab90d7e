"""Which DestinationRule a proxy obeys for a host.

Rules of one host in one namespace become one: the oldest rule's policy counts, later rules only add
subsets of new names. A second rule with nothing but a policy is therefore ignored, in silence: the
article's trap.

As istiod's `pilot/pkg/model/destination_rule.go` merges rules and `push_context.go` chooses one.
The translator asks, and so does the linter, which tells of rules that nobody obeys.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labkit.jsontypes import Json
from labkit.resources.hosts import most_specific
from labkit.resources.istio import ROOT_NAMESPACE, full_host
from labkit.resources.model import Resource


@dataclass
class Rule:
    """One DestinationRule, or several merged. `policy` is None where no trafficPolicy is written,
    `name` that of the first."""

    host: str
    namespace: str
    export_to: frozenset[str]
    selector: Mapping[str, str] | None
    policy: Json | None
    subsets: list[Json]
    name: str = ""

    def subset(self, name: str) -> Json | None:
        """The subset of that name as the rule writes it; None where there is none."""
        return next((subset for subset in self.subsets if subset.get("name") == name), None)

    def copy(self) -> Rule:
        """A rule that can be merged with another without changing this one."""
        return Rule(
            self.host,
            self.namespace,
            self.export_to,
            self.selector,
            self.policy,
            list(self.subsets),
            self.name,
        )


ByHost = dict[str, list[Rule]]


class DestinationRules:
    """All DestinationRules. Give them oldest first. The root namespace, and whether a rule without
    exportTo is for its own namespace alone, are settings of the mesh.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        *,
        root_namespace: str = ROOT_NAMESPACE,
        private_by_default: bool = False,
    ) -> None:
        self.root_namespace = root_namespace
        rules = [rule_of(resource) for resource in resources]
        # Rules with a workloadSelector come first, so that others' policies never leak into them.
        rules.sort(key=lambda rule: rule.selector is None)
        self.local: dict[str, ByHost] = {}
        self.exported: dict[str, ByHost] = {}
        self.root_private: ByHost = {}
        for rule in rules:
            own = rule.export_to & {".", rule.namespace}
            private = private_by_default if not rule.export_to else own and len(rule.export_to) == 1
            if not rule.export_to or own or "*" in rule.export_to:
                merge_into(self.local.setdefault(rule.namespace, {}), rule)
            if not private:
                merge_into(self.exported.setdefault(rule.namespace, {}), rule)
            elif rule.namespace == root_namespace:
                merge_into(self.root_private, rule)

    def find(
        self,
        host: str,
        service_namespace: str,
        proxy_namespace: str,
        labels: Mapping[str, str] | None,
    ) -> Rule | None:
        """The rule that a proxy obeys for `host`.

        Looked for in the proxy's own namespace, then in the Service's, then in Istio's root
        namespace. `labels` are the proxy's, to compare with a workloadSelector; None (inbound)
        obeys no such rule.
        """
        candidates = self.candidates(host, service_namespace, proxy_namespace)
        for rule in candidates:
            chosen = (
                rule.selector is not None
                and labels is not None
                and rule.namespace == proxy_namespace
            )
            if chosen and all((labels or {}).get(k) == v for k, v in (rule.selector or {}).items()):
                return rule
        general = [rule for rule in candidates if rule.selector is None]
        return general[-1] if general else None

    def candidates(self, host: str, service_namespace: str, proxy_namespace: str) -> list[Rule]:
        """The rules of the most special host in the first of the three namespaces that has any,
        oldest first.
        """
        if proxy_namespace == self.root_namespace:
            own = most_specific(host, self.root_private)
        else:
            own = most_specific(host, self.local.get(proxy_namespace, {}))
        if own is not None:
            return own
        for namespace in (service_namespace, self.root_namespace):
            rules = most_specific(host, self.exported.get(namespace, {})) or []
            seen = [r for r in rules if not r.export_to or r.export_to & {"*", proxy_namespace}]
            if seen:
                return seen
        return []


def rule_of(resource: Resource) -> Rule:
    """A DestinationRule as it stands: its host's name made full, nothing merged."""
    spec = resource.spec
    selector = spec.get("workloadSelector")
    return Rule(
        host=full_host(str(spec.get("host") or ""), resource.namespace),
        namespace=resource.namespace,
        # A rule with a workloadSelector stays in its namespace, whatever it exports.
        export_to=frozenset(spec.get("exportTo") or []) if selector is None else frozenset({"."}),
        selector=None if selector is None else selector.get("matchLabels") or {},
        policy=spec.get("trafficPolicy"),
        subsets=list(spec.get("subsets") or []),
        name=resource.name,
    )


def merge_into(index: ByHost, rule: Rule) -> None:
    """Adds a rule to the rules of its host, merging it with those it may merge with."""
    present = index.setdefault(rule.host, [])
    separate = True
    for position, existing in enumerate(present):
        if rule.export_to == existing.export_to:
            separate = False
        elif existing.export_to and rule.export_to >= existing.export_to:
            separate = True
        else:
            separate = True
            continue
        if (
            rule.selector is not None
            and existing.selector is not None
            and rule.selector != existing.selector
        ):
            separate = True
            continue
        if (rule.selector is None) == (existing.selector is None):
            separate = False
        merged = existing.copy()
        names = {subset.get("name") for subset in merged.subsets}
        merged.subsets += [subset for subset in rule.subsets if subset.get("name") not in names]
        if merged.policy is None:
            merged.policy = rule.policy
        present[position] = merged
    if separate:
        present.append(rule)

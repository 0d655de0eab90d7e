"""Which `Sidecar` a proxy obeys, and what it lets the proxy know of.

As istiod's `pilot/pkg/model/sidecar.go` reads it. Only listeners that catch everything are
translated, so that a Sidecar has one list of hosts at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from labkit.resources.hosts import is_wildcard, matches, subset_of
from labkit.resources.model import Resource
from labkit.translate.values import at

ANY = "*"


@dataclass
class Hosts:
    """The hosts that are imported from one namespace (or from any), and those left out."""

    exact: set[str] = field(default_factory=set)
    every: list[str] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)

    def excludes(self, host: str) -> bool:
        return any(subset_of(host, each) for each in self.excluded)

    def has_service(self, host: str) -> bool:
        """Whether a service of that host is imported: by its name, or by a wildcard over it."""
        return host in self.exact or any(
            subset_of(host, each) for each in self.every if is_wildcard(host) or is_wildcard(each)
        )

    def has_rule_of(self, host: str) -> bool:
        """Whether a VirtualService of that host is imported: here a wildcard of either counts."""
        return host in self.exact or any(
            matches(host, each) for each in self.every if is_wildcard(host) or is_wildcard(each)
        )


class Egress:
    """What the sidecars of a namespace import: `namespace/host` as `egress[].hosts` has it.

    >>> Egress(["./*", "istio-system/*"], "shop").has_service("shop", "web.shop.svc.cluster.local")
    True
    """

    def __init__(self, hosts: Iterable[str], namespace: str) -> None:
        self.by_namespace: dict[str, Hosts] = {}
        for text in hosts:
            owner, _, host = str(text).partition("/")
            excluded = owner.startswith("~")
            owner = (owner.removeprefix("~") or ANY) if excluded else owner
            own = self.by_namespace.setdefault(namespace if owner == "." else owner, Hosts())
            if excluded:
                own.excluded.append(host)
                continue
            if not is_wildcard(host):
                own.exact.add(host)
            own.every.append(host)

    @property
    def exact(self) -> list[tuple[str, str]] | None:
        """(namespace, host) where each is a single one, and None where some stand for many."""
        parts = self.by_namespace.items()
        if ANY in self.by_namespace and self.by_namespace[ANY].every:
            return None
        if any(is_wildcard(host) for _, part in parts for host in part.every):
            return None
        return [(namespace, host) for namespace, part in parts for host in sorted(part.exact)]

    def parts(self, namespace: str) -> list[Hosts]:
        found = [self.by_namespace.get(namespace), self.by_namespace.get(ANY)]
        return [each for each in found if each is not None]

    def has_service(self, namespace: str, host: str) -> bool:
        parts = self.parts(namespace)
        excluded = any(each.excludes(host) for each in parts)
        return not excluded and any(each.has_service(host) for each in parts)

    def has_rule(self, namespace: str, hosts: Iterable[str]) -> bool:
        """Whether a VirtualService with these hosts is imported."""
        parts = self.parts(namespace)
        return any(
            each.has_rule_of(host) and not any(other.excludes(host) for other in parts)
            for host in hosts
            for each in parts
        )


EVERYTHING = ("*/*",)


@dataclass(frozen=True)
class SidecarRule:
    """A Sidecar. `labels` are those of the pods that it is for, None where it is for all of its
    namespace; `registry_only` is None where it says nothing of that.
    """

    name: str
    namespace: str
    labels: Mapping[str, str] | None
    hosts: tuple[str, ...]
    registry_only: bool | None


def sidecar_rule(resource: Resource) -> SidecarRule:
    spec = resource.spec
    egress = spec.get("egress") or []
    policy, selector = spec.get("outboundTrafficPolicy"), spec.get("workloadSelector")
    return SidecarRule(
        resource.name,
        resource.namespace,
        None if selector is None else selector.get("labels") or {},
        # of listeners that catch everything the first one has it all
        tuple(egress[0].get("hosts") or ()) if egress else EVERYTHING,
        None if policy is None else at(policy, "mode") != "ALLOW_ANY",
    )


class SidecarRules:
    """All Sidecars; give them oldest first."""

    def __init__(self, resources: Iterable[Resource], root_namespace: str) -> None:
        rules = [sidecar_rule(resource) for resource in resources]
        # those with a workloadSelector count before those for a whole namespace
        rules.sort(key=lambda rule: rule.labels is None)
        self.by_namespace: dict[str, list[SidecarRule]] = {}
        for rule in rules:
            self.by_namespace.setdefault(rule.namespace, []).append(rule)
        self.of_all = next(
            (r for r in self.by_namespace.get(root_namespace, ()) if r.labels is None), None
        )

    def find(self, namespace: str, labels: Mapping[str, str]) -> SidecarRule | None:
        """The one that a proxy obeys: the first of its namespace that is for its pod, or else the
        root namespace's, which is for everybody.
        """
        for rule in self.by_namespace.get(namespace, ()):
            if all(labels.get(key) == value for key, value in (rule.labels or {}).items()):
                return rule
        return self.of_all

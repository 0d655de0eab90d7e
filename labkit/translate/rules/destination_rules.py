"""Which policy the DestinationRule that a proxy obeys gives to a port and a subset."""

from __future__ import annotations

from labkit.jsontypes import Json
from labkit.resources.precedence import Rule
from labkit.translate.values import at

POLICY_FIELDS = ("connectionPool", "outlierDetection", "loadBalancer", "tls")
EXTRA_FIELDS = ("tunnel", "proxyProtocol", "retryBudget")


def port_policy(policy: Json | None, port: int) -> tuple[Json | None, bool]:
    """The part of a trafficPolicy that holds for a port, and whether `portLevelSettings` said so.

    A port's settings replace the policy whole: what they leave out falls back to defaults.
    """
    for settings in at(policy, "portLevelSettings") or []:
        if at(settings, "port", "number") == port:
            return {
                key: settings[key] for key in POLICY_FIELDS if settings.get(key) is not None
            }, True
    return policy, False


def subset_policy(base: Json | None, subset: Json, port: int) -> Json | None:
    """A subset's policy for a port, of the service's for that port. Each part that the subset has
    replaces the service's part whole.
    """
    own = subset.get("trafficPolicy")
    if own is None:
        return base
    own, by_port = port_policy(own, port)
    if base is None or own is None:
        return own
    merged = {key: base[key] for key in POLICY_FIELDS + EXTRA_FIELDS if base.get(key) is not None}
    for key in POLICY_FIELDS:
        if by_port:
            merged.pop(key, None)
        if own.get(key) is not None:
            merged[key] = own[key]
    merged.update({key: own[key] for key in EXTRA_FIELDS if own.get(key) is not None})
    return merged


def consistent_hash(policy: Json | None) -> Json | None:
    """The policy's `loadBalancer.consistentHash`; None where it has none."""
    found = at(policy, "loadBalancer", "consistentHash")
    return found if isinstance(found, dict) else None


def hash_for_port(rule: Rule | None, port: int) -> Json | None:
    """The consistentHash of a route to a whole service: the service's, unless its port has one of
    its own.
    """
    if rule is None:
        return None
    own, by_port = port_policy(rule.policy, port)
    if by_port and consistent_hash(own) is not None:
        return consistent_hash(own)
    return consistent_hash(rule.policy)


def hash_for_destination(rule: Rule | None, destination: Json) -> Json | None:
    """The consistentHash of a VirtualService's destination: the subset's before the port's before
    the service's.

    A port's settings count only when the destination names the port.
    """
    if rule is None:
        return None
    number = at(destination, "port", "number")

    def of_port(policy: Json | None) -> Json | None:
        own, by_port = port_policy(policy, number) if number is not None else (None, False)
        return consistent_hash(own) if by_port else None

    subset = rule.subset(str(destination.get("subset") or "")) or {}
    own_policy = subset.get("trafficPolicy")
    for found in (of_port(own_policy), consistent_hash(own_policy), of_port(rule.policy)):
        if found is not None:
            return found
    return consistent_hash(rule.policy)

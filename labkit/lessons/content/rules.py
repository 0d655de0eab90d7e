"""The rules that there are for hello-world: what a judge says of an answer that is nearly right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labkit.resources import Resource

if TYPE_CHECKING:
    from labkit.mesh import Mesh

NAMESPACE = "hello-world"
KIND = "DestinationRule"
ANEW = "The check takes your rules away and applies them again, "
"""How a check begins to say that it uses `apply_anew`."""
KEYS: dict[str, Callable[[Any], str]] = {
    "httpHeaderName": lambda value: f"the header `{value}`",
    "httpCookie": lambda value: f"the cookie `{value.get('name')}`",
    "httpQueryParameterName": lambda value: f"the query parameter `{value}`",
    "useSourceIp": lambda value: "the caller's address" if value else "",
}
"""The keys of consistentHash, in words."""


def rules_of(mesh: Mesh) -> list[Resource]:
    """Its DestinationRules, the oldest first: that one's policy counts."""
    names = [row["NAME"] for row in mesh.get(KIND, namespace=NAMESPACE)]
    found = [mesh.resource(KIND, name, namespace=NAMESPACE) for name in names]
    return sorted(found, key=lambda rule: (str(rule.metadata.get("creationTimestamp")), rule.name))


def forget_rules(mesh: Mesh) -> None:
    """Deletes them, so that an exercise begins the same whatever was done before."""
    for rule in rules_of(mesh):
        mesh.delete(KIND, rule.name, namespace=NAMESPACE)


def apply_anew(mesh: Mesh) -> None:
    """Takes the rules away and applies them again, so that every pool begins without connections:
    on a cluster an idle one of another worker counts, and fewer requests are held than may be.
    """
    kept = rules_of(mesh)
    forget_rules(mesh)
    if kept:
        mesh.apply(*kept)


def balancer(rule: Resource) -> dict[str, Any]:
    """Its load balancer, {} where none is written."""
    found: dict[str, Any] = rule.spec.get("trafficPolicy", {}).get("loadBalancer", {})
    return found


def policy_of(mesh: Mesh) -> str:
    """The simple load-balancing policy that counts; "" where none is written."""
    rules = rules_of(mesh)
    return str(balancer(rules[0]).get("simple", "")) if rules else ""


def hash_of(rule: Resource) -> str:
    """The key of its affinity in words; "" where it asks for none."""
    asked = balancer(rule).get("consistentHash", {})
    return next((words(asked[key]) for key, words in KEYS.items() if key in asked), "")

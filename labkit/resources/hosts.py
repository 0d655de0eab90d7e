"""Host names: which full name a short one stands for, and which of two patterns
covers the other.

As istiod's `pkg/config/host` and, for short names, `pilot/pkg/model/config.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from labkit.resources.istio import MESH, gateway_key

T = TypeVar("T")


def gateway_name(name: str, namespace: str) -> str:
    """The `namespace/name` of a Gateway as a VirtualService refers to it.

    >>> gateway_name("hello-world-gateway", "hello-world"), gateway_name("gw.infra.svc.cluster.local", "x")
    ('hello-world/hello-world-gateway', 'infra/gw')
    """  # noqa: E501
    return name if name == MESH else "/".join(gateway_key(name, namespace))


def is_wildcard(host: str) -> bool:
    """Whether it stands for many names: `*`, `*.example.com`."""
    return host.startswith("*")


def subset_of(host: str, other: str) -> bool:
    """True when every name that `host` stands for is one of `other`.

    >>> subset_of("a.example.com", "*.example.com"), subset_of("*.example.com", "a.example.com")
    (True, False)
    """
    if is_wildcard(host):
        return is_wildcard(other) and len(host) >= len(other) and host[1:].endswith(other[1:])
    if is_wildcard(other):
        return host.endswith(other[1:])
    return host == other


def matches(host: str, other: str) -> bool:
    """True when one of the two covers the other."""
    return subset_of(host, other) or subset_of(other, host)


def intersection(hosts: Iterable[str], others: Iterable[str]) -> list[str]:
    """The hosts covered by both lists, the more special of each pair, in the order of the first
    list.

    >>> intersection(["*.example.com"], ["a.example.com", "b.org"])
    ['a.example.com']
    """
    second = list(others)
    found: dict[str, None] = {}
    for host in hosts:
        for other in second:
            if subset_of(host, other):
                found[host] = None
            elif subset_of(other, host):
                found[other] = None
    return list(found)


def for_namespace(hosts: Iterable[str], namespace: str) -> list[str]:
    """Of a Gateway server's hosts, those that a VirtualService of `namespace` may use, without the
    namespace.

    >>> for_namespace(["a/one.com", "two.com"], "b")
    ['two.com']
    """
    usable = []
    for host in hosts:
        owner, slash, name = host.partition("/")
        if not slash:
            usable.append(host)
        elif owner in ("*", namespace):
            usable.append(name)
    return usable


def specificity(host: str) -> tuple[bool, int, str]:
    """A sort key that puts the most special host first: no wildcard, then the longer, then the
    alphabet.
    """
    return (is_wildcard(host), -len(host), host)


def most_specific(host: str, rules: Mapping[str, T]) -> T | None:
    """The value whose key is `host`, or else the most special wildcard that covers it."""
    if host in rules:
        return rules[host]
    tail = host[1:] if is_wildcard(host) else host
    covering = [key for key in rules if is_wildcard(key) and tail.endswith(key[1:])]
    return rules[min(covering, key=specificity)] if covering else None

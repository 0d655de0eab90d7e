"""Host names: which full name a short one stands for, and which of two patterns
covers the other.

As istiod's `pkg/config/host` and, for short names, `pilot/pkg/model/config.go`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

CLUSTER_DOMAIN = "cluster.local"
MESH_GATEWAY = "mesh"
ROOT_NAMESPACE = "istio-system"


def service_host(name: str, namespace: str) -> str:
    """The full name of a Service: NAME.NAMESPACE.svc.cluster.local."""
    return f"{name}.{namespace}.svc.{CLUSTER_DOMAIN}"


def full_host(host: str, namespace: str) -> str:
    """The host that a rule means: a name without a dot is a Service of the rule's own namespace.

    A name with a dot is taken as it is written: `hello-world.hello-world` does *not* become a full
    name.

    >>> full_host("hello-world", "hello-world")
    'hello-world.hello-world.svc.cluster.local'
    """
    if not host or host == "*" or "." in host or is_address(host):
        return host
    return service_host(host, namespace)


def gateway_name(name: str, namespace: str) -> str:
    """The `namespace/name` of a Gateway as a VirtualService refers to it.

    >>> gateway_name("hello-world-gateway", "hello-world"), gateway_name("gw.infra.svc.cluster.local", "x")
    ('hello-world/hello-world-gateway', 'infra/gw')
    """  # noqa: E501
    if name == MESH_GATEWAY:
        return name
    before, slash, after = name.partition("/")
    if slash:
        return f"{namespace}/{after}" if before == "." else name
    short, dot, rest = name.partition(".")
    if not dot:
        return f"{namespace}/{name}"
    return f"{rest.partition('.')[0]}/{short}"


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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

"""A VirtualService's routes, of all its protocols, and a DestinationRule's policies."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.resources.model import Path, Resource
from labkit.resources.rules.shared import Fields, block, items

SECTIONS = ("http", "tls", "tcp")


def routes_of(service: Resource) -> Iterator[tuple[Path, Fields]]:
    """(path, route) of each route of a VirtualService."""
    for section in SECTIONS:
        for index, route in enumerate(items(service.spec, section)):
            yield ("spec", section, index), route


def policies_of(rule: Resource) -> Iterator[tuple[Path, Fields]]:
    """(path, policy) of a DestinationRule: that of the whole service, and those of its subsets."""
    whole = block(rule.spec, "trafficPolicy")
    if whole is not None:
        yield ("spec", "trafficPolicy"), whole
    for index, subset in enumerate(items(rule.spec, "subsets")):
        own = block(subset, "trafficPolicy")
        if own is not None:
            yield ("spec", "subsets", index, "trafficPolicy"), own

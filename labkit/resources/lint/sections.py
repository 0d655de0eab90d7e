"""A VirtualService's routes, of all its protocols."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.resources.model import Path, Resource
from labkit.resources.rules.shared import Fields, items

SECTIONS = ("http", "tls", "tcp")


def routes_of(service: Resource) -> Iterator[tuple[Path, Fields]]:
    """(path, route) of each route of a VirtualService."""
    for section in SECTIONS:
        for index, route in enumerate(items(service.spec, section)):
            yield ("spec", section, index), route

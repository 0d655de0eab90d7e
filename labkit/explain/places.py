"""Where something is written: object, field, and the line of its file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labkit.resources.finding import written
from labkit.resources.model import Key, Path, Resource
from labkit.translate.rules.virtual_services import Part
from labkit.translate.services.service import Service


@dataclass(frozen=True)
class Place:
    """A field of an object; `file` and `line` are "" and 0 where nobody knows them, as for an
    object that was not made from a text.

    >>> str(Place("VirtualService shop/web", "spec.http[0].match[1]", "web.yaml", 12))
    'web.yaml:12 VirtualService shop/web, spec.http[0].match[1]'
    """

    object: str
    field: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.file}:{self.line} " if self.line else ""
        return f"{where}{self.object}{', ' if self.field else ''}{self.field}"


class Places:
    """Finds the places of objects."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = {resource.key: resource for resource in resources}

    def of(self, key: Key, path: Path = ()) -> Place:
        """The place of a field of an object."""
        kind, namespace, name = key
        full = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
        resource = self.resources.get(key)
        source = resource.source if resource is not None else None
        if source is None or not source.lines:
            return Place(full, written(path))
        return Place(full, written(path), source.name, source.line_of(path))

    def of_service(self, service: Service, path: Path = ()) -> Place:
        """The place of a field of a Service, or of the ServiceEntry that names a host."""
        if not service.entry:
            return self.of(("Service", service.namespace, service.name), path)
        for key, resource in self.resources.items():
            hosts = resource.spec.get("hosts") or ()
            if key[:2] == ("ServiceEntry", service.namespace) and service.name in hosts:
                return self.of(key, path)
        return Place(f"ServiceEntry {service.namespace}/{service.name}")

    def first(self, parts: Iterable[Part], path: Path = ()) -> Place:
        """The place of a field in the first of these parts that has it; else the first part."""
        known = list(parts)
        for part in known:
            if self._has(part.key, (*part.path, *path)):
                return self.of(part.key, (*part.path, *path))
        return self.of(known[0].key, known[0].path)

    def _has(self, key: Key, path: Path) -> bool:
        resource = self.resources.get(key)
        value: Any = None if resource is None else resource.body
        for step in path:
            there = step in value if isinstance(value, dict) else _is_index(step, value)
            if not there:
                return False
            value = value[step]
        return True


def _is_index(step: object, value: object) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)

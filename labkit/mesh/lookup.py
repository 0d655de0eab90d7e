"""Finding objects by the words that kubectl takes: a kind by any of its names, an object by its
name alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from labkit.errors import NotFound
from labkit.resources import Resource, kinds


def kind_of(word: str) -> str:
    """The kind that a word means, as kubectl reads it. Raises NotFound for any other word.

    >>> kind_of("dr"), kind_of("virtualservices"), kind_of("Pod")
    ('DestinationRule', 'VirtualService', 'Pod')
    """
    row = kinds.named(word)
    if row is not None:
        return row.kind
    raise NotFound(
        f"The mesh has no kind {word!r}",
        try_next="one of " + ", ".join(sorted(row.plural for row in kinds.RUN)),
    )


def only_one(
    found: list[Resource],
    kind: str,
    name: str,
    namespace: str | None,
    names: Callable[[], Iterable[str]],
) -> Resource:
    """The one object that was found by its name. Raises NotFound where there is none (`names` tells
    which ones there are), or one in each of several namespaces.
    """
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(
            f"More than one namespace has a {kind} {name!r}",
            seen=", ".join(r.namespace for r in found),
            try_next=f"name it: namespace={found[0].namespace!r}",
        )
    raise no_such(kind, name, namespace, names())


def no_such(kind: str, name: str, namespace: str | None, names: Iterable[str]) -> NotFound:
    """The error that says there is no object of that name, and which ones there are."""
    where = f" in namespace {namespace!r}" if namespace else ""
    there = ", ".join(names) or "none"
    return NotFound(
        f"There is no {kind} {name!r}{where}", seen=f"{kinds.of(kind).plural} there: {there}"
    )


def no_such_pod(name: str, names: Iterable[str]) -> NotFound:
    """The error that says there is no pod of that name, and which ones there are."""
    return NotFound(
        f"There is no pod {name!r}",
        seen="pods: " + (", ".join(names) or "none"),
        try_next="mesh.get('pods')",
    )


def no_pods_of(workload: str, workloads: Iterable[str]) -> NotFound:
    """The error that says neither a Deployment nor a Service of that name has pods."""
    return NotFound(
        f"No pods of {workload!r}: no Deployment and no Service of that name has any",
        seen="workloads: " + (", ".join(sorted(set(workloads))) or "none"),
        try_next="mesh.get('pods')",
    )

"""Circles of imports in the package: `python -m tools.circles` prints each as a path and exits
with 1 where there is one.

Two kinds are looked for: modules that import one another in a circle, and neighbours in one folder
(two packages, a package and a module) that do so by way of what is in them. Imports within
functions count, and so do those under `TYPE_CHECKING`: a circle that is only typed is one that a
reader walks in all the same.
"""

from __future__ import annotations

import itertools
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Set

import grimp

PACKAGE = "labkit"
Edges = Mapping[str, Set[str]]


def main() -> int:
    found = list(circles_of(PACKAGE))
    for path in found:
        print(" -> ".join(path))
    print(f"{len(found)} circle{'' if len(found) == 1 else 's'} of imports in {PACKAGE}")
    return 1 if found else 0


def circles_of(package: str) -> Iterator[tuple[str, ...]]:
    """Each circle of a package on the import path, first module = last.

    First those of single modules, then those of neighbours in a folder that none of the first
    explains.
    """
    graph = grimp.build_graph(package, exclude_type_checking_imports=False, cache_dir=None)
    modules = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    yield from circles(modules)
    for folder in sorted(graph.modules):
        neighbours = between(modules, graph.find_children(folder))
        for path in circles(neighbours):
            if not walks(modules, path):
                yield path


def between(modules: Edges, members: Set[str]) -> dict[str, set[str]]:
    """What members of one folder import of each other, each taken with all that is in it."""

    def home(module: str) -> str:
        while module and module not in members:
            module = module.rpartition(".")[0]
        return module

    found: dict[str, set[str]] = {member: set() for member in members}
    for module, imported in modules.items():
        own = home(module)
        if own:
            found[own] |= {other for other in map(home, imported) if other and other != own}
    return found


def walks(edges: Edges, path: tuple[str, ...]) -> bool:
    """Whether each step of the path is an edge."""
    return all(there in edges[here] for here, there in itertools.pairwise(path))


def circles(edges: Edges) -> Iterator[tuple[str, ...]]:
    """The shortest circle through each node that no circle before it has shown.

    >>> list(circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}))
    [('a', 'b', 'a')]
    """
    shown: set[str] = set()
    for node in sorted(edges):
        if node in shown:
            continue
        path = way_back(edges, node)
        if path:
            shown.update(path)
            yield path


def way_back(edges: Edges, start: str) -> tuple[str, ...]:
    """The shortest path from a node to itself; () where there is none."""
    before = dict.fromkeys(edges[start], start)
    queue = deque(sorted(before))
    while queue:
        node = queue.popleft()
        if node == start:
            path = [start]
            while (node := before[node]) != start:
                path.append(node)
            return (start, *reversed(path[1:]), start)
        for other in sorted(edges.get(node, ())):
            if other not in before:
                before[other] = node
                queue.append(other)
    return ()


if __name__ == "__main__":
    sys.exit(main())

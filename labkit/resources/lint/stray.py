"""An object that landed in `default` because it names no namespace, and that no proxy uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from labkit.resources.lint.linting import lint
from labkit.resources.model import Resource

IN_DEFAULT = re.compile(r"\.default\.|\bnamespace default$")
"""How a finding says that it looked for a short name there."""


def strays(applied: Sequence[Resource], known: Iterable[Resource]) -> Iterator[str]:
    """A sentence for each such object of those just applied, among all there are.

    No proxy uses a DestinationRule whose host is no Service, nor a VirtualService whose Gateway is
    not there; that its namespace was never asked for is the likely reason.

    >>> list(strays([rule], mesh.objects()))
    ['destinationrule/users names no namespace, so it is in `default`, where no proxy uses it: …']
    """
    without = {r.key for r in applied if r.namespace and not r.metadata.get("namespace")}
    for found in lint(list(known), complete=True) if without else ():
        dangling = found.code == "IST0174" or found.path.startswith("spec.gateways")
        if found.key in without and dangling and IN_DEFAULT.search(found.what):
            without.discard(found.key)  # once is enough
            kind, _, name = found.key
            yield (
                f"{kind.lower()}/{name} names no namespace, so it is in `default`, where no proxy "
                f"uses it: {found.what}. {found.fix[:1].upper()}{found.fix[1:]}"
            )

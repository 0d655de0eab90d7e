"""Keeps the ingress gateway as the lessons need it while several meshes are opened one after the
other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.mesh.cluster.cleanup.leftovers import api_of, end_abandoned
from labkit.mesh.cluster.observability import enter_gateway, leave_gateway
from labkit.mesh.cluster.ownership.owner import own


@contextmanager
def kept_gateway(
    context: str | None = None,
    kubeconfig: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[None]:
    """Else the gateway would start anew twice for each of them: when the mesh is opened, and when
    it is closed.

    >>> with kept_gateway():
    ...     run_lessons(lessons(), {"backend": "cluster"})
    """
    api, run = api_of(context, kubeconfig), secrets.token_hex(4)
    try:
        enter_gateway(api, run, own().text, say)
        end_abandoned(api, say)
        yield
    finally:
        leave_gateway(api, run)
        api.close()

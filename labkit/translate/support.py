"""What this mesh does not do, refused by name before anything is translated.

Istio does much that needs certificates, TCP or a data plane of its own. An object that asks for it
gets an UnsupportedError that names the object, the field and the way to do it; nothing is dropped
in silence. Which fields these are, and why, is said in `labkit.translate.fates`.
"""

from __future__ import annotations

from collections.abc import Iterable

from labkit.errors import UnsupportedError
from labkit.resources import kinds
from labkit.resources.model import Resource
from labkit.translate import fates

ON_A_CLUSTER = 'do it on a cluster: labkit.open_mesh("cluster")'


def check_supported(resources: Iterable[Resource]) -> None:
    """Raises UnsupportedError for the first thing that can't be translated.

    >>> check_supported(load("proxy-config.yaml"))
    UnsupportedError: ProxyConfig hello-world/external is not supported here …
    """
    for resource in resources:
        if not is_translated(resource.kind):
            raise refusal(resource, "", f"objects of kind {resource.kind} are not translated")
        for path, why in fates.refused_in(resource.kind, resource.body):
            raise refusal(resource, path, why)


def is_translated(kind: str) -> bool:
    """Whether objects of a kind are translated, or are of a kind that proxies hear nothing of."""
    tells_proxies = kind in kinds.RUN_NAMES and kinds.of(kind).role in ("policy", "service")
    return kind in fates.TABLE if tells_proxies else kind in kinds.RUN_NAMES


def refusal(resource: Resource, path: str, why: str) -> UnsupportedError:
    """The error for a field (`path`, "" for the object itself)."""
    where = f", {path}," if path else ""
    name = f"{resource.namespace}/{resource.name}" if resource.namespace else resource.name
    return UnsupportedError(
        f"{resource.kind} {name}{where} is not supported here",
        seen=why,
        try_next=ON_A_CLUSTER,
    )

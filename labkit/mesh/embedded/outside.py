"""What leads out of the mesh, which has nothing outside of it on this machine."""

from __future__ import annotations

from labkit.translate import Registry
from labkit.translate.support import refusal

KINDS = ("ServiceEntry", "WorkloadEntry", "Sidecar")


def check_inside(registry: Registry) -> None:
    """Raises UnsupportedError for an object that leads to a host outside of the mesh, or lets
    through what no service has.
    """
    for resource in registry.resources:
        if resource.kind in KINDS:
            raise refusal(resource, "", "no process of this machine stands for a host outside")

"""An interactive course on the traffic management of Istio.

>>> import labkit
>>> with labkit.open_mesh() as mesh:
...     mesh.apply("manifests/hello-world.yaml")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.errors import LabkitError
    from labkit.mesh import Applied, Mesh, PodInfo, open_mesh
    from labkit.resources import Resource, load

__all__ = ["Applied", "LabkitError", "Mesh", "PodInfo", "Resource", "load", "open_mesh"]

# Imported when first used: `labkit --help` and the start of a mesh should not wait for what they do
# not need.
HOMES = {
    "Applied": "labkit.mesh",
    "LabkitError": "labkit.errors",
    "Mesh": "labkit.mesh",
    "PodInfo": "labkit.mesh",
    "Resource": "labkit.resources",
    "load": "labkit.resources",
    "open_mesh": "labkit.mesh",
}


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    raise AttributeError(f"module 'labkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

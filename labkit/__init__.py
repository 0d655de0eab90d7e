"""An interactive course on the traffic management of Istio.

>>> import labkit
>>> with labkit.open_mesh() as mesh:
...     mesh.apply("manifests/hello-world.yaml")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lazy import attach

if TYPE_CHECKING:
    from labkit.errors import LabkitError
    from labkit.mesh import Applied, Mesh, PodInfo, open_mesh
    from labkit.resources import Resource, load

__all__ = ["Applied", "LabkitError", "Mesh", "PodInfo", "Resource", "load", "open_mesh"]

# Imported when first used: `labkit --help` and the start of a mesh should not wait for what they do
# not need.
_HOMES = {
    "Applied": "mesh",
    "LabkitError": "errors",
    "Mesh": "mesh",
    "PodInfo": "mesh",
    "Resource": "resources",
    "load": "resources",
    "open_mesh": "mesh",
}

__getattr__, __dir__ = attach(__name__, _HOMES)

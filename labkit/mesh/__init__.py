"""A mesh to learn on: one interface, and what stands behind it."""

from __future__ import annotations

from labkit.mesh.base import Mesh
from labkit.mesh.gate import Gate
from labkit.mesh.model import Applied, PodInfo
from labkit.mesh.opening import open_mesh
from labkit.mesh.table import Table

__all__ = ["Applied", "Gate", "Mesh", "PodInfo", "Table", "open_mesh"]

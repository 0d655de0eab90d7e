"""A mesh of local processes: real Envoys, no cluster."""

from labkit.mesh.embedded.mesh import EmbeddedMesh

__all__ = ["EmbeddedMesh"]

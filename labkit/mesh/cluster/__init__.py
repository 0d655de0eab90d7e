"""The mesh of a real cluster: Kubernetes with Istio, behind the interface of a mesh."""

from labkit.mesh.cluster.mesh import ClusterMesh

__all__ = ["ClusterMesh"]

"""VirtualServices as Envoy's routes."""

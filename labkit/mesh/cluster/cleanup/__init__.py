"""What runs leave on a cluster, and that nothing is left."""

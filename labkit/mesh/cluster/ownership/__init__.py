"""Whose a run on a cluster is, and what it has made there."""

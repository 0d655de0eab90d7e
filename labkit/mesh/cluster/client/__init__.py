"""Talking to a cluster: the API server, the guard in front of it, and byte streams into pods."""

"""Requests and their results: `curl` for one after the other, `fortio` for load, `concurrent` for many at once.

Knows HTTP and addresses, not meshes: `labkit.mesh` gives it a Target and gets rows back.
"""

from __future__ import annotations

from labkit.traffic.curl import curl
from labkit.traffic.result import Response, Result
from labkit.traffic.target import Target

__all__ = ["Response", "Result", "Target", "curl"]

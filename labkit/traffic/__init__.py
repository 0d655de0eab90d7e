"""Requests and their results: `curl` for one after the other, `fortio` for load, `concurrent` for
many at once.

Knows HTTP and addresses, not meshes: `labkit.mesh` gives it a Target and gets rows back.
"""

from __future__ import annotations

from labkit.traffic.curl import ID_HEADER, curl
from labkit.traffic.load import FortioResult, fortio
from labkit.traffic.pending import Pending, concurrent
from labkit.traffic.result import FAILED, Response, Result
from labkit.traffic.target import Target, split_url

__all__ = [
    "FAILED",
    "ID_HEADER",
    "FortioResult",
    "Pending",
    "Response",
    "Result",
    "Target",
    "concurrent",
    "curl",
    "fortio",
    "split_url",
]

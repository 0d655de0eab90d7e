"""A run of the built-in generator as Fortio's JSON result: the same keys, units and histograms.

Fortio's web interface and `fortio report` read it. Durations are in seconds in the histograms, in
nanoseconds elsewhere.
"""

from __future__ import annotations

import base64
import platform
import re
import time
from collections import Counter
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from labkit.traffic.exchange import is_ok
from labkit.traffic.generator import Generator
from labkit.traffic.histogram import PERCENTILES, histogram

RESOLUTION_S = 0.001
SIZE_DIVIDER, HEADER_SIZE_DIVIDER = 100, 5


def fortio_json(run: Generator) -> dict[str, Any]:
    """The result as plain values, ready for json.dumps."""
    load, plan, rows = run.load, run.plan, run.recorder
    count = len(rows.status)
    address = f"{load.host}:{load.port}"
    if run.address is not None:
        address = f"{run.address[1][0]}:{load.port}"
    labels = f"{load.host}:{load.port}{load.path} , {platform.node()}"
    sockets = [connection.sockets for connection in run.connections]
    duration = plan.requested_duration
    if load.requests is not None and count != load.requests:
        duration += f", interrupted after {count}"
    errors = [
        latency
        for latency, status in zip(rows.latency, rows.status, strict=True)
        if not is_ok(status)
    ]
    codes = Counter(rows.status)
    nanoseconds = f"{int(run.began_at % 1 * 1e9):09d}".rstrip("0") or "0"
    return {
        "RunType": "HTTP",
        "Labels": labels,
        "StartTime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(run.began_at))
        + f".{nanoseconds}Z",
        "RequestedQPS": plan.requested_qps,
        "RequestedDuration": duration,
        "ActualQPS": count / run.elapsed_s if run.elapsed_s else 0.0,
        "ActualDuration": int(run.elapsed_s * 1e9),
        "NumThreads": plan.connections,
        "Version": labkit_version(),
        "DurationHistogram": histogram(rows.latency, RESOLUTION_S, PERCENTILES),
        "ErrorsDurationHistogram": histogram(errors, RESOLUTION_S, PERCENTILES),
        "Exactly": load.requests or 0,
        "Jitter": load.jitter,
        "Uniform": load.uniform,
        "NoCatchUp": not load.catch_up,
        "RunID": 0,
        "AccessLoggerInfo": "",
        "ID": run_id(run.began_at, labels),
        "RetCodes": {str(code): codes[code] for code in sorted(codes)},
        "IPCountMap": {address: sum(sockets)},
        "Insecure": False,
        "MTLS": False,
        "CACert": "",
        "Cert": "",
        "Key": "",
        "UnixDomainSocket": "",
        "URL": f"http://{load.host}:{load.port}{load.path}",
        "NumConnections": 1,
        "Compression": False,
        "DisableFastClient": False,
        "HTTP10": False,
        "H2": False,
        "DisableKeepAlive": False,
        "AllowHalfClose": False,
        "FollowRedirects": False,
        "Resolve": "",
        "HTTPReqTimeOut": int(load.timeout_s * 1e9),
        "UserCredentials": "",
        "ContentType": "",
        "Payload": base64.b64encode(load.body).decode(),
        "MethodOverride": load.method,
        "LogErrors": True,
        "SequentialWarmup": False,
        "ConnReuseRange": [0, 0],
        "NoResolveEachConn": False,
        "Offset": 0,
        "Resolution": RESOLUTION_S,
        "Sizes": histogram(rows.size, SIZE_DIVIDER),
        "HeaderSizes": histogram(rows.header_size, HEADER_SIZE_DIVIDER),
        "Sockets": sockets,
        "SocketCount": sum(sockets),
        "ConnectionStats": histogram(rows.connect_times, RESOLUTION_S, PERCENTILES),
        "AbortOn": 0,
    }


@lru_cache
def labkit_version() -> str:
    return f"labkit {version('labkit')}"


def run_id(at: float, labels: str) -> str:
    """The name under which Fortio would save the result: the time and the labels, _ for all but
    letters and digits.

    >>> run_id(0, "127.0.0.1:80/ , host")
    '1970-01-01-000000_127_0_0_1_80_host'
    """
    words = re.sub(r"[^A-Za-z0-9]+", "_", labels).strip("_")
    return (time.strftime("%Y-%m-%d-%H%M%S", time.gmtime(at)) + "_" + words)[:96]

"""The yardstick: a bare Envoy with one fixed answer, from its start to its first response."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from labkit.envoy import envoy_path
from labkit.waiting import wait_until

TYPE = "type.googleapis.com/envoy.extensions."


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listener(port: int) -> dict[str, object]:
    router = {"@type": TYPE + "filters.http.router.v3.Router"}
    manager = {
        "@type": TYPE + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                }
            ]
        },
    }
    return {
        "name": "bare",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "hcm", "typed_config": manager}]}],
    }


@contextlib.contextmanager
def bare_envoy() -> Iterator[tuple[int, float]]:
    """Starts a bare Envoy; gives its port and the seconds from start to first response."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        config = Path(folder) / "bare.json"
        config.write_text(json.dumps({"static_resources": {"listeners": [listener(port)]}}))
        words = [
            envoy_path(),
            "-c",
            str(config),
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "-l",
            "off",
        ]
        started = time.perf_counter()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: answers(port), 20, "a bare Envoy to answer", longest_s=0.002)
            yield port, time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()

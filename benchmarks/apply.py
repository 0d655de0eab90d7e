"""From `mesh.apply` to its effect on a request, beside a bare Envoy that takes a
moved route file.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import labkit
from benchmarks.bare import free_port, listener
from benchmarks.startup import MANIFESTS, ROUTE
from labkit.envoy import envoy_path
from labkit.waiting import wait_until

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: hello-world-dr, namespace: hello-world}
spec:
  host: hello-world
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""


def to_subset(version: str) -> str:
    return ROUTE.split("---")[1].replace(
        "{host: hello-world}", f"{{host: hello-world, subset: {version}}}"
    )


def mesh_times(runs: int) -> list[float]:
    """Seconds from apply to the first answer of the other version."""
    times = []
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(MANIFESTS / "hello-world.yaml", ROUTE, RULE)
        host, port = mesh.gateway_url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port))
        for run in range(runs):
            wanted = ("v1", "v2")[run % 2]
            manifest = to_subset(wanted)
            started = time.perf_counter()
            mesh.apply(manifest)
            wait_until(
                lambda wanted=wanted: version(connection) == wanted,
                5,
                "the effect",
                longest_s=0.001,
            )  # type: ignore[misc]
            times.append(time.perf_counter() - started)
        connection.close()
    return times


def version(connection: http.client.HTTPConnection) -> str | None:
    connection.request("GET", "/", headers={"Host": "test.example.com"})
    response = connection.getresponse()
    response.read()
    return response.getheader("x-version")


def bare_times(runs: int) -> list[float]:
    """Seconds from moving a route file into place to its first effect, on a bare Envoy."""
    times = []
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        routes = folder / "rds.json"

        def move(text: str) -> None:
            route = {
                "match": {"prefix": "/"},
                "direct_response": {"status": 200, "body": {"inline_string": text}},
            }
            resource = {
                "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
                "name": "routes",
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
            }
            beside = folder / "new"
            beside.write_text(json.dumps({"version_info": text, "resources": [resource]}))
            os.replace(beside, routes)

        move("start")
        bare = listener(port)
        manager = bare["filter_chains"][0]["filters"][0]["typed_config"]  # type: ignore[index]
        del manager["route_config"]
        source = {"resource_api_version": "V3", "path_config_source": {"path": str(routes)}}
        manager["rds"] = {"route_config_name": "routes", "config_source": source}
        config = folder / "bare.json"
        config.write_text(
            json.dumps(
                {"static_resources": {"listeners": [bare]}, "node": {"id": "b", "cluster": "b"}}
            )
        )
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
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def body() -> str:
            try:
                connection.request("GET", "/")
                return connection.getresponse().read().decode()
            except OSError:
                connection.close()
                return ""

        try:
            wait_until(lambda: body() == "start", 20, "a bare Envoy")
            for run in range(runs):
                started = time.perf_counter()
                move(str(run))
                wait_until(lambda run=run: body() == str(run), 5, "the effect", longest_s=0.0005)  # type: ignore[misc]
                times.append(time.perf_counter() - started)
        finally:
            connection.close()
            process.terminate()
            process.wait()
    return times


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


def run(runs: int = 400) -> None:
    bare, mesh = bare_times(runs), mesh_times(runs)
    print(
        f"apply: mesh.apply to effect, against a bare Envoy that takes a moved file ({runs} "
        "times each)"
    )
    print(
        f"  mesh p50 {percentile(mesh, 0.5):.1f} ms, p99 {percentile(mesh, 0.99):.1f} ms  "
        "(wanted: 10 and 40)"
    )
    print(f"  bare p50 {percentile(bare, 0.5):.1f} ms, p99 {percentile(bare, 0.99):.1f} ms")
    print(f"  ratio of medians: {statistics.median(mesh) / statistics.median(bare):.1f}")


if __name__ == "__main__":
    run()

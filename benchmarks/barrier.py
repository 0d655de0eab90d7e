"""The config barrier of the cluster mesh: how long after a change is seen by requests does
`mesh.apply` return?

Needs a cluster: the kubeconfig's current context, or the one in LABKIT_TEST_KUBECONFIG. Continuous
requests, sent by a process of their own so that the two don't disturb each other, see the change;
both times are of one clock and of one run, so their difference tells what the barrier adds, however
fast the machine is.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import time

import labkit
from benchmarks.apply import percentile
from benchmarks.startup import MANIFESTS

HOST = "test.example.com"
ROUTE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: hello-world-vs, namespace: hello-world}}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http: [{{headers: {{response: {{set: {{x-run: "{run}"}}}}}}, route: [{{destination: {{host: hello-world}}}}]}}]
"""  # noqa: E501
PAUSE_S = 0.002


def watch(host: str, port: int) -> None:
    """Sends requests without end; a line for each new value of the header x-run: when it was seen,
    and the value.
    """
    connection, last = http.client.HTTPConnection(host, port), None
    while True:
        connection.request("GET", "/", headers={"Host": HOST})
        response = connection.getresponse()
        seen = time.monotonic()
        response.read()
        if response.getheader("x-run") != last:
            last = response.getheader("x-run")
            print(seen, last, flush=True)
        time.sleep(PAUSE_S)


def measure(runs: int) -> tuple[list[float], list[float]]:
    """Seconds from apply to its effect, and from its effect to apply's return."""
    effects, added = [], []
    with labkit.open_mesh("cluster", kubeconfig=os.environ.get("LABKIT_TEST_KUBECONFIG")) as mesh:
        mesh.apply(
            MANIFESTS / "hello-world.yaml",
            MANIFESTS / "client.yaml",
            MANIFESTS / "02_first_microservice",
        )
        mesh.apply(ROUTE.format(run="start"))
        host, port = mesh.gateway_url.removeprefix("http://").split(":")
        words = [sys.executable, "-m", "benchmarks.barrier", host, port]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            assert watcher.stdout.readline().split()[1] == "start"
            try:
                for run in range(runs):
                    manifest, began = ROUTE.format(run=run), time.monotonic()
                    mesh.apply(manifest)
                    returned = time.monotonic()
                    seen, value = watcher.stdout.readline().split()
                    assert value == str(run)
                    effects.append(float(seen) - began)
                    added.append(returned - float(seen))
            finally:
                watcher.kill()
    return effects, added


def run(runs: int = 60) -> None:
    effects, added = measure(runs)
    print(
        "barrier: from mesh.apply to its effect on a request, and from the effect to apply's "
        f"return ({runs} times)"
    )
    print(f"  effect p50 {percentile(effects, 0.5):.0f} ms, p95 {percentile(effects, 0.95):.0f} ms")
    print(
        f"  added  p50 {percentile(added, 0.5):.0f} ms, p95 {percentile(added, 0.95):.0f} ms  "
        "(wanted: 30)"
    )
    print(f"  ratio of medians: {statistics.median(added) / statistics.median(effects):.2f}")


if __name__ == "__main__":
    watch(sys.argv[1], int(sys.argv[2])) if sys.argv[1:] else run()

"""From `open_mesh` to the first 200 through gateway and sidecar, against a bare Envoy's start, in
turn.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import labkit
from benchmarks.bare import bare_envoy

MANIFESTS = Path(__file__).resolve().parent.parent / "manifests"
ROUTE = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: hello-world-gateway, namespace: hello-world}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [test.example.com]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello-world-vs, namespace: hello-world}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http: [{route: [{destination: {host: hello-world}}]}]
"""
URL = "http://test.example.com/"


def mesh_start() -> float:
    started = time.perf_counter()
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(MANIFESTS / "hello-world.yaml", ROUTE)
        assert mesh.curl(URL).codes == {200: 1}
        return time.perf_counter() - started


def run(runs: int = 7) -> None:
    mesh_start()  # imports, and the files in the system's cache
    ratios, meshes, bares = [], [], []
    for _ in range(runs):
        with bare_envoy() as (_, bare):
            pass
        mesh = mesh_start()
        ratios.append(mesh / bare)
        meshes.append(mesh)
        bares.append(bare)
    print(
        "start: open_mesh to the first 200 (2 + 1 pods with sidecars) / a bare Envoy's first "
        "response"
    )
    print(
        f"  mesh {statistics.median(meshes) * 1000:.0f} ms, bare "
        f"{statistics.median(bares) * 1000:.0f} ms (medians)"
    )
    print(
        f"  ratio: median {statistics.median(ratios):.1f}, worst {max(ratios):.1f}  (wanted: at "
        "most 6, aim 4)"
    )


if __name__ == "__main__":
    run()

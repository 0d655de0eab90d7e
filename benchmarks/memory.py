"""Memory of the whole mesh (2 + 1 pods with sidecars, gateway): the proportional set size of all
its processes.
"""

from __future__ import annotations

import sys

import psutil

import labkit
from benchmarks.bare import bare_envoy
from benchmarks.startup import MANIFESTS, ROUTE, URL
from labkit.mesh.embedded import EmbeddedMesh
from labkit.processes import group_members


def run() -> None:
    if not sys.platform.startswith("linux"):
        print("memory: skipped, only Linux tells the proportional set size")
        return
    with labkit.open_mesh("embedded") as mesh:
        assert isinstance(mesh, EmbeddedMesh)
        mesh.apply(MANIFESTS / "hello-world.yaml", ROUTE)
        mesh.curl(URL, n=100)
        sizes = {
            p.pid: (p.name(), p.memory_full_info().pss)
            for p in group_members(mesh._controller.family.group)
        }
    with bare_envoy():
        bare = (
            next(p for p in psutil.Process().children() if p.name() == "envoy")
            .memory_full_info()
            .pss
        )
    total = sum(size for _, size in sizes.values()) / 1e6
    envoys = [size / 1e6 for name, size in sizes.values() if name == "envoy"]
    print("memory: the whole mesh, proportional set size")
    print(
        f"  {total:.0f} MB in {len(sizes)} processes, {sum(envoys):.0f} MB of it in "
        f"{len(envoys)} Envoys (wanted: 180)"
    )
    print(f"  ratio to one bare Envoy ({bare / 1e6:.0f} MB): {total / (bare / 1e6):.1f}")


if __name__ == "__main__":
    run()

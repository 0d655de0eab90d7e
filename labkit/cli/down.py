"""`labkit down`: ends meshes that were left running, and removes what they kept."""

from __future__ import annotations

import argparse

from labkit.mesh.embedded import state


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="also meshes whose owner (a notebook, say) still runs")


def run(args: argparse.Namespace) -> int:
    ended = 0
    for mesh in list(state.meshes()):
        if mesh.owner_runs and not args.all:
            print(f"mesh {mesh.folder.name}: belongs to process {mesh.owner}, which still runs; --all ends it too")
            continue
        state.end(mesh)
        ended += 1
        print(f"mesh {mesh.folder.name}: ended")
    if not ended:
        print("nothing to end")
    return 0

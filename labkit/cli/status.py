"""`labkit status`: the meshes of this user on this machine."""

from __future__ import annotations

import argparse

from labkit.mesh.embedded import state
from labkit.mesh.table import age, table


def configure(parser: argparse.ArgumentParser) -> None:
    del parser  # no options


def run(args: argparse.Namespace) -> int:
    del args
    rows = [
        (
            m.folder.name,
            f"http://127.0.0.1:{m.gateway_port}",
            m.owner,
            "runs" if m.owner_runs else "gone (labkit down removes it)",
            age(m.created),
        )
        for m in state.meshes()
    ]
    print(table(("MESH", "GATEWAY", "OWNER", "OWNER IS", "AGE"), rows) if rows else "No mesh is open.")
    return 0

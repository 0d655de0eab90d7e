"""`labkit status`: the meshes of this user on this machine, and the clusters that `labkit up` has
worked on.
"""

from __future__ import annotations

import argparse
import socket
from urllib.parse import urlsplit

from labkit.cli.terminal import show
from labkit.mesh.embedded import state
from labkit.mesh.table import age, table
from labkit.setup.record import Record, records

ANSWER_S = 1.0


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
    if rows:
        show(table(("MESH", "GATEWAY", "OWNER", "OWNER IS", "AGE"), rows))
    else:
        print("No mesh is open.")
    up = [
        (
            r.context or r.profile,
            r.server or "none yet",
            made(r),
            r.state,
            answers(r.server),
            age(r.begun),
        )
        for r in records()
    ]
    if up:
        print()
        show(table(("CLUSTER", "SERVER", "LABKIT MADE", "STATE", "SERVER ANSWERS", "AGE"), up))
    return 0


def made(record: Record) -> str:
    """What `labkit down` would give back."""
    parts = []
    if record.profile:
        parts.append(f"Minikube {record.profile}" + ("" if record.profile_made else " (started)"))
    if record.installer:
        parts.append(f"Istio by {record.installer}")
    return " and ".join(parts) or "nothing"


def answers(server: str) -> str:
    """Whether something listens there: a look, without a question."""
    if not server:
        return "-"
    place = urlsplit(server)
    try:
        socket.create_connection((place.hostname or "", place.port or 443), ANSWER_S).close()
    except OSError:
        return "no"
    return "yes"

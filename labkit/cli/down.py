"""`labkit down`: ends meshes that were left running, and gives back what `labkit up` has made."""

from __future__ import annotations

import argparse
import sys

from labkit.errors import LabkitError
from labkit.mesh.embedded import state


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="also what somebody (a notebook, say) still uses"
    )
    parser.add_argument(
        "--meshes", action="store_true", help="only meshes; what labkit up has made stays"
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="of clusters that are gone for good, remove the record",
    )


def run(args: argparse.Namespace) -> int:
    ended = 0
    for mesh in list(state.meshes()):
        if mesh.owner_runs and not args.all:
            print(
                f"mesh {mesh.folder.name}: belongs to process {mesh.owner}, which still runs; "
                "--all ends it too"
            )
            continue
        state.end(mesh)
        ended += 1
        print(f"mesh {mesh.folder.name}: ended")
    ended += runs(everything=args.all)
    returned, failed = (0, 0) if args.meshes else clusters(everything=args.all, forget=args.forget)
    if not ended and not returned and not failed:
        print("nothing to end")
    return 1 if failed else 0


def runs(*, everything: bool) -> int:
    """Ends runs on the cluster of the kubeconfig's current context, if that is a local one and
    answers.
    """
    from labkit.mesh.cluster.client.guard import kubeconfig_paths

    if not any(path.is_file() for path in kubeconfig_paths(None)):
        return 0
    from labkit.mesh.cluster.cleanup.leftovers import api_of, end, find

    try:
        api = api_of()
        found = find(api)
    except LabkitError:  # not ours to touch, or not there
        return 0
    ended = 0
    for left in found:
        name = f"run {left.run} on the cluster {api.pinned.context}"
        if left.owner_runs and not everything:
            print(f"{name}: belongs to {left.owner}, which still runs; --all ends it too")
            continue
        end(api, left)
        ended += 1
        print(f"{name}: ended")
    return ended


def clusters(*, everything: bool, forget: bool) -> tuple[int, int]:
    """Gives back each cluster that `labkit up` has worked on; how many were, and how many could not
    be.
    """
    from labkit.setup.record import records

    found = list(records())
    if not found:
        return 0, 0
    from labkit.cli.up import say
    from labkit.setup.commands import Commands
    from labkit.setup.removal import ClusterGone, give_back

    failed = 0
    for record in found:
        name = record.context or record.profile
        try:
            with Commands(say) as commands:
                give_back(record, commands, everything=everything)
            say(f"cluster {name}: given back")
        except LabkitError as error:
            # any other error comes from a cluster that is there
            if forget and isinstance(error, ClusterGone):
                record.forget()
                say(f"cluster {name}: forgotten. {error.message}")
                continue
            failed += 1
            print(f"cluster {name}: {error}", file=sys.stderr)
    return len(found) - failed, failed

"""`labkit down` for a cluster: gives back what `labkit up` made, by its record,
and nothing else.
"""

from __future__ import annotations

from pathlib import Path

from labkit.errors import LabkitError, MeshError, NotFound
from labkit.mesh.cluster.cleanup import leftovers
from labkit.mesh.cluster.client.api import Api
from labkit.mesh.cluster.client.guard import clear, pin, read
from labkit.mesh.cluster.istio import cluster_uid
from labkit.setup import hosts
from labkit.setup.commands import Commands
from labkit.setup.footprint import certificates, footprint, in_use, made_since, remove
from labkit.setup.installers import ToolOptions, access_to, installers
from labkit.setup.minikube import Minikube
from labkit.setup.record import Record

SHOWN = 5


def give_back(record: Record, commands: Commands, *, everything: bool = False) -> None:
    """Undoes one `labkit up`, then forgets it. Raises MeshError while somebody uses it, unless
    `everything`.

    Where another cluster has taken the place of the one that was worked on, nothing is undone:
    whoever ran `minikube delete` took all of ours away with it, and what is there now is theirs.

    >>> for record in records():
    ...     give_back(record, commands)
    """
    minikube = Minikube(commands, record.profile) if record.profile else None
    api: Api | None = None
    theirs = minikube is not None and minikube.is_other_than(record.certificate)
    if not theirs and record.context and (record.installer or minikube):
        try:
            api = connect(record)
            theirs = api is None
        except LabkitError:
            if record.installer and not record.profile_made:
                # else it is a Minikube to delete or to stop, which may be stopped or broken already
                raise
    if theirs:
        commands.note(
            f"The cluster of context {record.context or record.profile} is another one by now: "
            "nothing of ours is there"
        )
    elif record.profile_made and minikube:
        if api and not everything:
            check_runs(record, api, commands)
        delete_minikube(record, minikube, commands)
    elif record.installer and api:
        uninstall(record, api, commands, minikube, everything=everything)
    if record.hosts and hosts.remove(Path(record.hosts)):
        commands.note(f"{record.hosts} is without labkit's line again")
    if record.profile_started and minikube and not theirs:
        minikube.stop()
    record.forget()


def delete_minikube(record: Record, minikube: Minikube, commands: Commands) -> None:
    """A Minikube that we made goes as a whole, and with it the Istio in it."""
    if not commands.find("minikube"):
        raise ClusterGone(
            f"The Minikube {minikube.profile!r} that labkit made can't be deleted: there is no "
            "minikube on the PATH",
            try_next="install it again, then labkit down; or, when it is gone for good: labkit "
            "down --forget",
        )
    minikube.delete()
    if not record.former_context:
        return
    try:
        current = read([Path(p) for p in record.kubeconfig])["current-context"]
    except LabkitError:
        return
    if current:  # Minikube leaves none behind; somebody has chosen one since
        return
    if commands.find("kubectl"):
        commands.run("kubectl", "config", "use-context", record.former_context)
    else:
        commands.note(
            f"Your kubeconfig's current context was {record.former_context}; now it has none"
        )


class ClusterGone(MeshError):
    """The cluster of a record can't be reached, so nothing can be given back there. It may be gone
    for good.
    """


def connect(record: Record) -> Api | None:
    """The API server of the record's cluster; None where another cluster has taken its place.
    Raises Gone.

    The uid decides: a Minikube in Docker on a Mac has another port after each start. Only where a
    uid may not be read is it the address.
    """
    try:
        pinned = pin(read([Path(p) for p in record.kubeconfig]), record.context)
    except NotFound as error:
        raise ClusterGone(
            "The cluster that labkit installed Istio on is in no kubeconfig any more: context "
            f"{record.context}",
            seen=error.message,
            try_next="put the kubeconfig back; or, when the cluster is gone: labkit down --forget",
        ) from error
    # where it is not local, the learner named this server for `up`, and no other
    pinned = clear(pinned, named=pinned.server == record.server)
    if not pinned.cleared:
        raise ClusterGone(
            f"The context {record.context} leads to another server now, and nothing says that it "
            "is local, so nothing is sent there",
            seen=f"its server is {pinned.server}, it was {record.server}",
            try_next="put the kubeconfig right; or, when the cluster is gone: labkit down --forget",
        )
    try:
        api = Api(pinned)
        uid = cluster_uid(api)
    except MeshError as error:
        raise ClusterGone(
            "The cluster that labkit installed Istio on can't be reached: context "
            f"{record.context}",
            seen=error.seen,
            try_next="start it, then labkit down; or, when it is gone for good: labkit down "
            "--forget",
        ) from error
    if uid and record.uid:
        return api if uid == record.uid else None
    if pinned.server == record.server:
        return api
    raise ClusterGone(
        f"Nothing tells whether the context {record.context} still leads to the cluster that "
        "labkit installed Istio on",
        seen=f"its server is {pinned.server}, it was {record.server}; its uid can't be read",
        try_next="log in to it, then labkit down; or, when it is gone for good: labkit down "
        "--forget",
    )


def check_runs(record: Record, api: Api, commands: Commands) -> None:
    """A mesh that is open on the cluster is in use, whoever opened it. What killed runs have left
    goes first.
    """
    leftovers.end_abandoned(api, commands.note)
    open_runs = leftovers.find(api)
    if open_runs:
        raise MeshError(
            f"A mesh is open on the cluster {record.context}",
            seen="; ".join(f"run {left.run} of {left.owner}" for left in open_runs[:SHOWN]),
            try_next="close it (mesh.close(), or end its notebook); or labkit down --all",
        )


def uninstall(
    record: Record, api: Api, commands: Commands, minikube: Minikube | None, *, everything: bool
) -> None:
    """Takes Istio away. Raises MeshError while a mesh or an object of somebody's needs it."""
    commands.note(f"Istio goes from {record.server}, context {record.context}")
    if everything:
        for left in leftovers.find(api):
            leftovers.end(api, left)
    else:
        check_runs(record, api, commands)
        used = in_use(api, still_there(record, api))
        if used:
            more = f" and {len(used) - SHOWN} more" if len(used) > SHOWN else ""
            raise MeshError(
                "Objects of Istio's kinds would go with Istio, and labkit did not make them",
                seen=", ".join(used[:SHOWN]) + more,
                try_next="delete them yourself, or labkit down --all",
            )
    installer = installers(commands, ToolOptions(istioctl=tuple(record.istioctl)), minikube).get(
        record.installer
    )
    if installer is not None:
        try:
            installer.uninstall(access_to(api.pinned, commands))
        # istioctl finds nothing to uninstall where it was killed early, and calls that an error
        except MeshError as error:
            commands.note(
                f"{error.message} ({error.seen}); what it has made is removed all the same"
            )
    remove(
        api,
        {p: uid for p, uid in still_there(record, api).items() if not is_certificate(p)},
        commands.note,
    )
    # only now that istiod is gone: it would write them again
    remove(api, made_since(record.before, certificates(api)), commands.note)


def still_there(record: Record, api: Api) -> dict[str, str]:
    """What we made and is there: by the list of a finished installation, else all of Istio's that
    is new.
    """
    now = footprint(api)
    if not record.done:
        return made_since(record.before, now)
    return {path: uid for path, uid in now.items() if record.made.get(path) == uid}


def is_certificate(path: str) -> bool:
    """Whether a path is that of a certificate that istiod writes."""
    return "/configmaps/istio-ca-" in path

"""What an API server says when it says no, in words that tell what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labkit.errors import MeshError, shorten
from labkit.jsontypes import Json


@dataclass(frozen=True)
class Server:
    """Which API server it was: its address, and the context that led there."""

    host: str
    context: str


class Refused(MeshError):
    """The API server said no; `status` is HTTP's."""

    def __init__(self, message: str, *, status: int, seen: str = "", try_next: str = "") -> None:
        super().__init__(message, seen=seen, try_next=try_next)
        self.status = status
        self.owners: tuple[str, ...] = ()  # of a conflict: which fields somebody else has set

    def only_by(self, manager: str) -> bool:
        """Whether it is a conflict with earlier changes of this manager's, and of nobody else's."""
        return bool(self.owners) and all(f'set by "{manager}"' in owner for owner in self.owners)


def refusal(
    server: Server, method: str, path: str, status: int, body: bytes, headers: Mapping[str, str]
) -> Refused:
    """The error for an answer that is no success, in words for whoever asked."""
    if status < 400:
        return Refused(
            f"The API server of context {server.context!r} sends requests on to another "
            "address, and labkit follows nowhere",
            status=status,
            seen=f"{server.host}{path}: {status}, location {headers.get('location', 'none')}",
            try_next="put the cluster's own address into the kubeconfig",
        )
    try:
        words = json_object(body)
        message = str(words.get("message") or body.decode(errors="replace"))
    except ValueError:
        words, message = {}, body.decode(errors="replace")
    if status == 401:
        return Refused(
            "The API server does not know who you are",
            status=status,
            seen=message,
            try_next=f"the token or certificate of context {server.context!r} may have "
            "run out: log in again",
        )
    if status == 409 and (owners := conflicts(words)):
        conflict = Refused(
            "Somebody else has set these fields, and labkit forces nothing",
            status=status,
            seen="; ".join(owners),
            try_next="take the fields out of the manifest, or delete the object if it is yours",
        )
        conflict.owners = tuple(owners)
        return conflict
    if "failed calling webhook" in message and "istio" in message:
        return Refused(
            "istiod checks every rule before the cluster takes it, and it does not answer",
            status=status,
            seen=shorten(message),
            try_next="kubectl -n istio-system get pods; once istiod is ready, apply again",
        )
    return Refused(f"The API server refused {method} {path}", status=status, seen=shorten(message))


def without(body: bytes, secrets: Iterable[str]) -> bytes:
    """What a server said, without what only it may know: an answer that repeats the token of its
    request must not bring it into a notebook.
    """
    for secret in secrets:
        body = body.replace(secret.encode(), b"(a secret)")
    return body


def conflicts(status: Json) -> list[str]:
    """Who owns the fields of a conflict, one line a field."""
    causes = (status.get("details") or {}).get("causes") or []
    return [
        f"{cause.get('field', '')} is {cause.get('message', '').replace('conflict with', 'set by')}"
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    ]


def json_object(body: bytes) -> Json:
    """The JSON object that a body holds. Raises ValueError where it holds none."""
    try:
        found = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found

"""The API server, as plain JSON: server-side apply, lists and watches.

The official client (`kubernetes`) reads the kubeconfig, with its certificates, tokens and exec
plugins, and has the pool of connections. Its typed calls are left aside: they differ from release
to release, turn every object into classes and back, and know no Istio. Its `dynamic` client first
downloads the API's whole catalogue.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from labkit.errors import MeshError, NotFound, NotReady, ValidationError, shorten
from labkit.jsontypes import Json
from labkit.mesh.cluster.client.address import address_of
from labkit.mesh.cluster.client.guard import Pinned
from labkit.mesh.cluster.client.refusals import Refused, Server, json_object, refusal, without
from labkit.resources import Resource, kinds

Key = tuple[str, str, str]
Objects = list[Json]  # in a class whose method has the name of the type

MANAGER = "labkit"
APPLY = "application/apply-patch+yaml"
READ_TIMEOUT_S = 30.0
SHORTEST_SECRET = 6  # characters; a shorter one would be found in ordinary words
# a manifest's fault, whatever the status says (it may be 500)
REFUSALS = ("admission webhook", "typed patch object")


def path_of(kind: str, namespace: str | None = None, name: str = "", version: str = "") -> str:
    """Where the API server has objects of a kind.

    >>> path_of("Deployment", "hello-world", "hello-world-v1")
    '/apis/apps/v1/namespaces/hello-world/deployments/hello-world-v1'
    """
    return kinds.of(kind).path(namespace, name, version)


class Api:
    """One cluster's API server, by a pinned context."""

    def __init__(self, pinned: Pinned) -> None:
        from kubernetes import client, config

        reader: Any = config
        if not pinned.cleared:  # the client below would run its programs and send its token
            raise MeshError(
                f"The context {pinned.context!r} was not cleared by the guard, so nothing is sent "
                "there",
                seen=pinned.server,
            )
        self.pinned = pinned
        self.settings: Any = client.Configuration()
        try:
            reader.load_kube_config_from_dict(pinned.config, client_configuration=self.settings)
            self.settings.connection_pool_maxsize = 16
            if pinned.direct:  # no proxy of the environment, as kubectl does for this machine
                self.settings.proxy = None
            if address_of(self.settings.host) != pinned.address:
                raise MeshError("The client would ask another server", seen=self.settings.host)
            self.client = client.ApiClient(self.settings)
        except (
            Exception
        ) as error:  # a file that is gone, no base64, …: the client has another error for each
            raise MeshError(
                f"The kubeconfig's context {pinned.context!r} can't be used",
                seen=str(error) or type(error).__name__,
                try_next="put right what it says of its certificates and credentials, or use "
                "another context; "
                "kubectl config view shows it",
            ) from error
        self.pool = self.client.rest_client.pool_manager

    @property
    def host(self) -> str:
        """The API server's address, such as "https://127.0.0.1:6443"; no slash at its end."""
        return str(self.settings.host).rstrip("/")

    @property
    def server(self) -> Server:
        """Which API server this is, for errors."""
        return Server(self.host, self.pinned.context)

    def headers(self) -> dict[str, str]:
        """What says who asks; an exec plugin's token is fetched anew when it has run out."""
        settings = self.settings.auth_settings().values()
        return {
            s["key"]: s["value"] for s in settings if s.get("in") == "header" and s.get("value")
        }

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "application/json",
        accept: str = "application/json",
        **query: Any,
    ) -> Any:
        """The answer to one request; raises Refused or MeshError."""
        import urllib3

        url = self.host + path + ("?" + urlencode(query) if query else "")
        headers = {**self.headers(), "accept": accept, "content-type": kind}
        timeout = urllib3.Timeout(connect=5, read=READ_TIMEOUT_S)
        try:
            answer = self.pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise self.silent(error) from error
        if answer.status >= 300:
            said = without(answer.data, self.secrets())
            raise refusal(self.server, method, path, answer.status, said, answer.headers)
        return answer

    def secrets(self) -> Iterator[str]:
        """What a request of ours tells the server alone."""
        for value in self.headers().values():
            scheme, _, secret = value.rpartition(" ")
            if len(secret) >= SHORTEST_SECRET:
                yield secret
                if scheme.lower() == "basic":
                    with contextlib.suppress(ValueError):
                        yield base64.b64decode(secret).decode("latin-1").partition(":")[2]

    def silent(self, error: Exception) -> MeshError:
        """The error for a request that got no answer."""
        return MeshError(
            f"The API server of context {self.pinned.context!r} does not answer",
            seen=f"{self.host}: {error}",
            try_next="minikube status, or kubectl cluster-info",
        )

    def json(self, method: str, path: str, body: Any = None, **query: Any) -> Json:
        """Sends a request; the JSON of its answer. Raises Refused or MeshError."""
        data = None if body is None else json.dumps(body).encode()
        return self.parsed(path, self.send(method, path, data, **query).data)

    def parsed(self, path: str, body: bytes) -> Json:
        """The object of an answer. Raises MeshError where it holds none."""
        try:
            return json_object(body)
        except ValueError as error:
            said = without(body, self.secrets())
            raise MeshError(
                f"What answers for context {self.pinned.context!r} is no API server: its answer is "
                "no JSON object",
                seen=f"{self.host}{path}: {said[:200].decode(errors='replace')!r}",
                try_next="kubectl cluster-info",
            ) from error

    def find(self, path: str) -> Json | None:
        """One object, or None where there is none."""
        try:
            return self.json("GET", path)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, **query: Any) -> list[Json]:
        """Objects of a kind, in one namespace or in all."""
        return [{"kind": kind, **item} for item in self.items(path_of(kind, namespace), **query)[0]]

    def items(self, path: str, **query: Any) -> tuple[Objects, str]:
        """The objects under a path, and the version of their list."""
        listing = self.json("GET", path, **query)
        try:
            items = listing["items"] or []  # null: some servers write an empty list so
            for item in items:
                if not isinstance(item["metadata"]["name"], str):
                    raise TypeError
            return items, str((listing.get("metadata") or {}).get("resourceVersion", ""))
        except (LookupError, TypeError, AttributeError) as error:
            raise MeshError(
                f"What answers for context {self.pinned.context!r} is no API server: its answer is "
                "no list",
                seen=f"{self.host}{path}: {shorten(json.dumps(listing), 200)}",
                try_next="kubectl cluster-info",
            ) from error

    def apply(self, resource: Resource) -> tuple[str, Json, tuple[str, ...]]:
        """Server-side apply, strict, never forced: what happened, the object, and the API server's
        warnings.
        """
        path = path_of(resource.kind, resource.namespace, resource.name, resource.api_version)
        before = self.find(path)
        body = {**resource.body, "metadata": {**resource.metadata}}
        if resource.namespace:
            body["metadata"].setdefault("namespace", resource.namespace)
        try:
            answer = self.put(path, body)
        except Refused as error:
            if error.status in (400, 422) or any(words in error.seen for words in REFUSALS):
                raise ValidationError(
                    f"The cluster refuses {resource.kind} {resource.name!r}", seen=error.seen
                ) from error
            if error.status == 404 and resource.namespace:
                raise self.no_namespace(resource) from error
            raise
        found = self.parsed(path, answer.data)
        warnings = tuple(warning_text(w) for w in answer.headers.getlist("Warning"))
        if before is None:
            return "created", found, warnings
        same = version_of(before) == version_of(found)
        return ("unchanged" if same else "configured"), found, warnings

    def put(self, path: str, body: Json) -> Any:
        """Server-side apply of one object: the answer as it came."""
        query = {"fieldManager": MANAGER, "fieldValidation": "Strict"}
        data = json.dumps(body).encode()
        try:
            return self.send("PATCH", path, data, APPLY, **query)
        except Refused as error:
            if not error.only_by(MANAGER):
                raise
        # only labkit's own earlier changes are in the way (it scaled or labelled the object): those
        # it may take back
        return self.send("PATCH", path, data, APPLY, **query, force="true")

    def no_namespace(self, resource: Resource) -> NotFound:
        names = ", ".join(n["metadata"]["name"] for n in self.list("Namespace"))
        return NotFound(
            f"{resource.kind} {resource.name!r} can't be created: there is no namespace "
            f"{resource.namespace!r}",
            seen=f"namespaces: {names}",
            try_next="apply the Namespace first, or set metadata.namespace to one of these",
        )

    def patch(self, path: str, change: Json) -> Json:
        """A merge patch, by labkit's own name."""
        data = json.dumps(change).encode()
        answer = self.send(
            "PATCH", path, data, "application/merge-patch+json", fieldManager=MANAGER
        )
        return self.parsed(path, answer.data)

    def delete(self, path: str, **query: Any) -> bool:
        """Deletes; False where it was gone already."""
        try:
            self.send("DELETE", path, **{"propagationPolicy": "Background", **query})
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    def events(self, path: str, version: str, timeout_s: float, **query: Any) -> Iterator[Json]:
        """What happens to objects after a version of their list, until the time is up."""
        import urllib3

        seconds = max(1, int(timeout_s + 0.999))
        words = {**query, "watch": "1", "resourceVersion": version, "timeoutSeconds": seconds}
        url = f"{self.host}{path}?{urlencode(words)}"
        timeout = urllib3.Timeout(connect=5, read=timeout_s + 2)
        try:
            answer = self.pool.request(
                "GET",
                url,
                headers=self.headers(),
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (
            urllib3.exceptions.HTTPError
        ) as error:  # it went away since it was asked for the list
            raise self.silent(error) from error
        try:
            if answer.status >= 300:
                raise refusal(
                    self.server, "GET", path, answer.status, answer.read(), answer.headers
                )
            rest = b""
            for part in answer.stream(amt=None):
                *lines, rest = (rest + part).split(b"\n")
                yield from (self.event(path, line) for line in lines if line)
        except urllib3.exceptions.HTTPError:  # the watch ended early: the caller looks again
            return
        finally:
            answer.close()

    def event(self, path: str, line: bytes) -> Json:
        """One line of a watch. Raises MeshError where it is none."""
        found = self.parsed(path, line)
        if found.get("type") != "ERROR":
            try:
                found["type"], found["object"]["metadata"]["name"]
            except (LookupError, TypeError) as error:
                raise MeshError(
                    f"What answers for context {self.pinned.context!r} is no API server: its watch "
                    "tells of no object",
                    seen=f"{self.host}{path}: {shorten(json.dumps(found), 200)}",
                ) from error
        return found

    def wait(
        self,
        path: str,
        done: Callable[[Mapping[str, Json]], bool],
        timeout_s: float,
        what: str,
        explain: Callable[[], str] | None = None,
        *,
        name: str = "",
    ) -> None:
        """Watches the objects under a path, or one of them, until `done` (of objects by name) is
        true.

        Raises NotReady, with what `explain` says.
        """
        query = {"fieldSelector": f"metadata.name={name}"} if name else {}
        deadline = time.monotonic() + timeout_s
        while True:
            items, version = self.items(path, **query)
            objects = {item["metadata"]["name"]: item for item in items}
            if done(objects):
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotReady(
                    f"Waited {timeout_s:g} s for {what}, in vain", seen=explain() if explain else ""
                )
            for event in self.events(path, version, left, **query):
                if event["type"] == "ERROR":  # the version is too old: list again
                    break
                one = event["object"]
                if event["type"] == "DELETED":
                    objects.pop(one["metadata"]["name"], None)
                else:
                    objects[one["metadata"]["name"]] = one
                if done(objects):
                    return
                if time.monotonic() > deadline:
                    break

    def wait_gone(self, path: str, timeout_s: float, what: str) -> None:
        """Watches until there is no object at a path any more. Raises NotReady."""
        folder, _, name = path.rpartition("/")
        self.wait(
            folder, lambda found: name not in found, timeout_s, f"{what} to be gone", name=name
        )

    def close(self) -> None:
        """Closes the connections that are kept open."""
        self.pool.clear()


def version_of(body: Json) -> object:
    """An object's version; None where it names none."""
    return (body.get("metadata") or {}).get("resourceVersion")


def warning_text(header: str) -> str:
    """
    >>> warning_text('299 - "unknown field"')
    'unknown field'
    """
    return header.split('"', 1)[1].rsplit('"', 1)[0] if '"' in header else header

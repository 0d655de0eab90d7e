"""An API server in this process: enough of Kubernetes to install on, and a list of all that was
asked of it.

It keeps objects by their paths, gives each a uid, and knows lists, selectors, server-side apply and
deletion. A `Scene` stands for what a tool does to a cluster: its objects appear when its file
appears (a stand-in "touches" it) and go when the file goes.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from labkit.jsontypes import Json

NAMESPACED = re.compile(r"(/(?:api/v1|apis/[^/]+/[^/]+))/namespaces/([^/]+)/([^/]+)/([^/]+)")
PLAIN = re.compile(r"/(?:api/v1|apis/[^/]+/[^/]+)/[a-z]+/[^/]+")
WATCH_S = 0.05


class FakeCluster:
    """The objects, and what was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects: dict[str, Json] = {}
        self.scenes: dict[str, list[str]] = {}
        self.shown: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.lock = threading.RLock()
        self.url = ""
        for name in ("default", "kube-system", "mine"):
            self.add(f"/api/v1/namespaces/{name}")
        self.add("/api/v1/nodes/one", status={"allocatable": {"cpu": "8", "memory": "16Gi"}})
        self.add("/apis/rbac.authorization.k8s.io/v1/clusterroles/theirs", labels={"app": "theirs"})

    def add(self, path: str, labels: dict[str, str] | None = None, **parts: Any) -> None:
        """Puts an object there."""
        metadata: Json = {
            "name": path.rpartition("/")[2],
            "uid": str(uuid.uuid4()),
            "labels": labels or {},
        }
        metadata |= {
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        if match := NAMESPACED.fullmatch(path):
            metadata["namespace"] = match[2]
        metadata |= parts.pop("metadata", {})
        with self.lock:
            self.objects[path] = {"metadata": metadata, **parts}

    def scene(self, name: str, objects: dict[str, Json]) -> None:
        """Objects that are there while the file `name` is."""
        self.scenes[name] = list(objects)
        self.parts = getattr(self, "parts", {}) | {name: objects}

    def sync(self) -> None:
        with self.lock:
            for name, paths in self.scenes.items():
                there = (self.folder / name).exists()
                if there and name not in self.shown:
                    self.shown.add(name)
                    for path in paths:
                        if path not in self.objects:
                            self.add(path, **json.loads(json.dumps(self.parts[name][path])))
                elif not there and name in self.shown:
                    self.shown.remove(name)
                    for path in paths:
                        self.objects.pop(path, None)

    def names(self) -> set[str]:
        self.sync()
        return set(self.objects)

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path in self.asked if method != "GET"]

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Json]:
        url = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        with self.lock:
            self.sync()
            self.asked.append((method, url.path))
            if method == "GET":
                return self.get(url.path, query)
            if method == "PATCH":
                given = json.loads(body)
                known = self.objects.get(url.path)
                if known is None:
                    self.add(url.path, labels=given["metadata"].get("labels"))
                return 200, self.objects[url.path]
            if method == "DELETE":
                if url.path not in self.objects:
                    return 404, {"message": "not found"}
                self.remove(url.path)
                return 200, {}
        return 405, {"message": method}

    def remove(self, path: str) -> None:
        del self.objects[path]
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            inner = f"/namespaces/{path.rpartition('/')[2]}/"
            self.objects = {p: o for p, o in self.objects.items() if inner not in p}

    def get(self, path: str, query: dict[str, str]) -> tuple[int, Json]:
        if path == "/version":
            return 200, {"gitVersion": "v1.36.3"}
        if path in self.objects:
            return 200, self.objects[path]
        items = [o for p, o in self.objects.items() if self.is_of(p, path) and chosen(o, query)]
        if NAMESPACED.fullmatch(path) or PLAIN.fullmatch(path):  # one object, and it is not there
            return 404, {"message": "not found"}
        return 200, {"items": items, "metadata": {"resourceVersion": "1"}}

    @staticmethod
    def is_of(path: str, folder: str) -> bool:
        if path.rpartition("/")[0] == folder:
            return True
        match = NAMESPACED.fullmatch(path)
        return bool(match) and f"{match[1]}/{match[3]}" == folder  # type: ignore[index]


def chosen(body: Json, query: dict[str, str]) -> bool:
    labels = body["metadata"].get("labels") or {}
    for pair in filter(None, query.get("labelSelector", "").split(",")):
        key, _, value = pair.partition("=")
        if labels.get(key) != value:
            return False
    name = query.get("fieldSelector", "").removeprefix("metadata.name=")
    return not name or body["metadata"]["name"] == name


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[FakeCluster]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

        def handle_one(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if "watch=1" in self.path:  # nothing is said; who watches looks again
                threading.Event().wait(WATCH_S)
                status, data = 200, b""
            else:
                status, answer = cluster.answer(self.command, self.path, body)
                data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_DELETE = do_POST = handle_one

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield cluster
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(
    file: Path, url: str, *, context: str = "lab", current: str | None = None, **more: str
) -> Path:
    """A kubeconfig with one context, and others by name and server."""
    servers = {context: url, **more}
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context if current is None else current,
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in servers],
        "clusters": [{"name": n, "cluster": {"server": s}} for n, s in servers.items()],
        "users": [{"name": n, "user": {"token": "secret-token"}} for n in servers],
    }
    file.write_text(yaml.safe_dump(body))
    return file


# what istioctl and Helm make, in short: names and labels are those of a real Istio 1.31

PART = {"app.kubernetes.io/part-of": "istio", "istio.io/rev": "default"}
READY = {
    "observedGeneration": 1,
    "updatedReplicas": 1,
    "replicas": 1,
    "readyReplicas": 1,
    "availableReplicas": 1,
}
SYSTEM = "/api/v1/namespaces/istio-system"
HOOKS = "/apis/admissionregistration.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def deployment(app: str, image: str) -> Json:
    containers = [{"name": app, "image": image}]
    return {
        "labels": {**PART, "app": app},
        "spec": {"replicas": 1, "template": {"spec": {"containers": containers}}},
        "status": READY,
    }


def pod(labels: dict[str, str]) -> Json:
    statuses = [{"name": "istio-proxy", "ready": True, "restartCount": 0, "state": {"running": {}}}]
    return {
        "labels": labels,
        "spec": {"containers": [{"name": "istio-proxy"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.9", "containerStatuses": statuses},
    }


def hook() -> Json:
    return {
        "labels": {**PART, "app": "sidecar-injector"},
        "webhooks": [{"clientConfig": {"caBundle": "c2Vj"}}],
    }


def istio(version: str = "1.31.0") -> dict[str, Json]:
    """What `istioctl uninstall` takes away again."""
    apps = "/apis/apps/v1/namespaces/istio-system/deployments"
    return {
        f"{apps}/istiod": deployment("istiod", f"docker.io/istio/pilot:{version}"),
        f"{apps}/istio-ingressgateway": deployment("istio-ingressgateway", "auto"),
        f"{SYSTEM}/pods/istio-ingressgateway-1": pod({"istio": "ingressgateway"}),
        f"{HOOKS}/mutatingwebhookconfigurations/istio-sidecar-injector": hook(),
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/istiod-clusterrole-istio-system": {
            "labels": PART
        },
    }


def rest() -> dict[str, Json]:
    """What it leaves."""
    spec = {
        "group": "networking.istio.io",
        "names": {"plural": "virtualservices", "singular": "virtualservice"},
        "versions": [{"name": "v1", "storage": True}],
    }
    certificates = [
        f"/api/v1/namespaces/{n}/configmaps/istio-ca-root-cert"
        for n in ("default", "mine", "istio-system")
    ]
    return {
        SYSTEM: {},
        f"{CRDS}/virtualservices.networking.istio.io": {"labels": PART, "spec": spec},
        f"{SYSTEM}/configmaps/istio-leader": {},
        f"{HOOKS}/validatingwebhookconfigurations/istiod-default-validator": {"labels": PART},
        **{path: {} for path in certificates},
    }

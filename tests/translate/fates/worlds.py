"""For each field of a schema a small world in which it says one thing, and the same world in which
it says another.

What stands around a field and what it says is found in `field_values` by the field's path; for most
the type in the schema is enough.
"""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from labkit.errors import UnsupportedError
from labkit.jsontypes import Json
from labkit.mesh.embedded.images import app_files, program_of
from labkit.mesh.embedded.workloads import next_step
from labkit.resources import load
from labkit.resources.model import Resource
from labkit.resources.rules.schemas import Schema, schema_of
from labkit.translate import Registry, gateway_config, registry_of, sidecar_config
from labkit.translate.fates import TABLE, fate_of
from labkit.translate.fates.row import segments
from labkit.translate.on_a_cluster import with_workloads
from tests.translate.fates.field_values import CONTEXT, RIVALS, VALUES

WORLD: list[Json] = list(
    yaml.safe_load_all("""
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: other, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  clusterIP: 10.96.0.7
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: http-more, port: 81, targetPort: web}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop, creationTimestamp: "2026-01-02T00:00:00Z"}
spec:
  clusterIP: 10.96.0.8
  selector: {tier: api}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec:
      containers:
      - name: app
        image: python:3.13-alpine
        command: [python3, -u, /app/app.py]
        ports: [{name: web, containerPort: 8080}]
        volumeMounts: [{name: app, mountPath: /app}]
      volumes: [{name: app, configMap: {name: app}}]
---
apiVersion: v1
kind: Pod
metadata: {name: solo, namespace: shop, labels: {tier: api, version: v2}}
spec:
  containers:
  - name: app
    image: python:3.13-alpine
    command: [python3, -u, /app/app.py]
    ports: [{name: web, containerPort: 8080}]
    volumeMounts: [{name: app, mountPath: /app}]
  volumes: [{name: app, configMap: {name: app}}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: other, labels: {app: client}}
spec: {containers: [{name: sh, image: curlimages/curl, command: [sleep, infinity]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: shop, creationTimestamp: "2026-01-03T00:00:00Z"}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs, namespace: shop, creationTimestamp: "2026-01-04T00:00:00Z"}
spec:
  hosts: [web]
  gateways: [mesh, gw]
  http: [{route: [{destination: {host: web, port: {number: 80}}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: dr, namespace: shop, creationTimestamp: "2026-01-05T00:00:00Z"}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: se, namespace: shop, creationTimestamp: "2026-01-06T00:00:00Z"}
spec:
  hosts: [db.example.com]
  resolution: STATIC
  ports: [{name: http, number: 80, protocol: HTTP}]
  endpoints: [{address: 10.7.7.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vms, namespace: shop, creationTimestamp: "2026-01-07T00:00:00Z"}
spec:
  hosts: [vm.example.com]
  resolution: STATIC
  ports: [{name: http, number: 80, protocol: HTTP}]
  workloadSelector: {labels: {app: vm}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: we, namespace: shop}
spec: {address: 10.7.7.2, labels: {app: vm}, ports: {http: 7070}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: sc, namespace: other, creationTimestamp: "2026-01-08T00:00:00Z"}
spec: {egress: [{hosts: ["*/*"]}]}
""")
)
CONFIG_MAP: Json = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "app", "namespace": "shop"},
    "data": app_files(),
}
OBJECT = {
    "Namespace": "shop",
    "Service": "web",
    "Deployment": "web-v1",
    "Pod": "solo",
    "Gateway": "gw",
    "VirtualService": "vs",
    "DestinationRule": "dr",
    "ServiceEntry": "se",
    "WorkloadEntry": "we",
    "Sidecar": "sc",
}
"""The object of the world in which a kind's fields are changed."""


@dataclass(frozen=True)
class Field:
    """A field of a kind; `schema` is its own part of the kind's schema."""

    kind: str
    path: str
    schema: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


def fields_of(kind: str) -> Iterator[Field]:
    """The fields of a kind. Of Istio's kinds every single one; of Kubernetes' own kinds those that
    the table names, and those beside them."""
    version = next(each["apiVersion"] for each in WORLD if each["kind"] == kind)
    known = schema_of(Resource({"apiVersion": version, "kind": kind}))
    for name, part in known.root["properties"].items():
        if name == "metadata":
            part = known.definitions["ObjectMeta"]
        elif name not in ("spec", "status"):
            continue
        yield from below(kind, name, part, known)
    for row in TABLE[kind]:
        for path in row.paths:
            if re.search(r"\[[^\]]+\]$", path):  # an annotation or a label
                yield Field(kind, path, {"type": "string"})


def below(kind: str, path: str, part: Mapping[str, Any], known: Schema) -> Iterator[Field]:
    part = known.resolve(part)
    row = fate_of(kind, path)
    if row is not None and path in row.paths:
        yield Field(kind, path, part)
        return
    if part.get("properties"):
        for name, inner in part["properties"].items():
            yield from below(kind, f"{path}.{name}", inner, known)
    elif part.get("type") == "array":
        yield from below(kind, f"{path}[]", part["items"], known)
    elif isinstance(part.get("additionalProperties"), Mapping):
        yield from below(kind, path + "{}", part["additionalProperties"], known)
    else:
        yield Field(kind, path, part)


Around = tuple[tuple[str, Any], ...]


def around(field: Field) -> Around:
    """What stands around a field: (place, value)s."""
    found = []
    for pattern, places in CONTEXT:
        match = re.fullmatch(pattern, field.path.replace("[]", "@"))
        if match:
            found += [
                (match.expand(place).replace("@", "[]"), value) for place, value in places.items()
            ]
    return tuple(found)


def world_of(kind: str, context: Around, values: Iterable[tuple[str, Any]]) -> list[Json]:
    """The world with some values in the object of a kind."""
    world = copy.deepcopy(WORLD)
    body = subject(world, kind)
    for place, value in context:
        where, space, path = place.rpartition(" ")
        put(subject(world, where) if space else body, path, copy.deepcopy(value))
    for path, value in values:
        put(body, path, value)
    return world


def variants(field: Field) -> tuple[list[Json], list[Json]]:
    """The two worlds of a field."""
    more = delegates(field) + rivals(field)
    first, second = (
        world_of(field.kind, around(field), [(field.path, value)]) + more
        for value in values_of(field)
    )
    return first, second


def subject(world: list[Json], kind: str) -> Json:
    return next(
        each for each in world if each["kind"] == kind and each["metadata"]["name"] == OBJECT[kind]
    )


def delegates(field: Field) -> list[Json]:
    """Where routes are delegated: four to choose from."""
    if "delegate" not in field.path:
        return []
    to_web = {"destination": {"host": "web"}}
    return [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"http": [{"name": f"{namespace}-{name}", "route": [to_web]}]},
        }
        for namespace in ("shop", "other")
        for name in ("d1", "d2")
    ]


def rivals(field: Field) -> list[Json]:
    """Where age counts: another one that says something else."""
    if field.path != "metadata.creationTimestamp" or field.kind not in RIVALS:
        return []
    rival = copy.deepcopy(subject(WORLD, field.kind))
    rival["metadata"].update(name="rival", creationTimestamp="2026-01-05T00:00:00Z")
    rival["spec"].update(RIVALS[field.kind])
    if field.kind != "Gateway":
        return [rival]
    other = copy.deepcopy(subject(WORLD, "VirtualService"))
    other["metadata"]["name"] = "of-rival"
    other["spec"].update(gateways=["rival"], http=[{"redirect": {"uri": "/a"}}])
    return [rival, other]


def values_of(field: Field) -> tuple[Any, Any]:
    name = f"{field.kind} {field.path}".replace("[]", "@")
    parts = [name, name.partition(" ")[2]]
    while "." in parts[-1]:
        parts.append(parts[-1].partition(".")[2])
    for part in parts:
        if part in VALUES:
            return VALUES[part]
    schema = field.schema
    if schema.get("enum"):
        return schema["enum"][0], schema["enum"][1]
    return {
        "string": ("one", "two"),
        "integer": (3, 5),
        "number": (12.5, 25),
        "boolean": (True, False),
    }.get(str(schema.get("type")), (example(schema), None))


def example(part: Mapping[str, Any], depth: int = 0) -> Any:
    """The least that a schema of Kubernetes takes for a value."""
    known = schema_of(Resource({"apiVersion": "v1", "kind": "Pod"}))
    part = known.resolve(part)
    if part.get("type") == "array":
        return [example(part["items"], depth + 1)]
    if part.get("properties"):
        names = part.get("required") or ()
        return {name: example(part["properties"][name], depth + 1) for name in names}
    return {"string": "a", "integer": 1, "boolean": True}.get(str(part.get("type")), {})


def put(body: Any, path: str, value: Any) -> None:
    """Sets a field; lists and maps on the way are made, `[]` is the first item, `{}` one key."""
    steps = list(segments(path))
    while len(steps) > 1:
        step, after = steps[0], steps[1]
        key: Any = 0 if step == "[]" else "x-a" if step == "{}" else step.strip("[]")
        if after == "{}" and len(steps) == 2 and isinstance(value, dict):
            break
        empty: Any = [] if after == "[]" else {}
        if isinstance(body, list):
            if not body:
                body.append(empty)
        else:
            body.setdefault(key, empty)
        body, steps = body[key], steps[1:]
    step = steps[0]
    if isinstance(body, list):
        body[:] = [] if value is None else [value]
    elif value is None:
        body.pop(step.strip("[]"), None)
    else:
        body["x-a" if step == "{}" else step.strip("[]")] = value


def plan(world: list[Json]) -> Json:
    """What every proxy gets and what would run. Raises where the world is refused."""
    resources = [loaded(json.dumps(body)) for body in world]
    registry = registry_of(resources)
    pods = [replace(p, ready=p.name != "web-v1-2") for p in registry.pods]
    registry = Registry(registry.resources, pods, registry.service_ips)
    found: Json = {"gateway": configuration(gateway_config(registry), registry)}
    for pod in pods:
        if pod.injected and pod.name != "web-v1-2":
            found[pod.name] = configuration(sidecar_config(registry, pod), registry)
        elif pod.gateway:
            own = gateway_config(registry, pod.labels, pod.namespace)
            found[pod.name] = configuration(own, registry)
    for resource in resources:
        if resource.kind in ("Deployment", "Pod"):
            found[f"{resource.kind} {resource.name}"] = would_run(resource)
    return found


@functools.cache
def loaded(body: str) -> Resource:
    return load(json.loads(body))[0]


def configuration(config: Any, registry: Registry) -> Any:
    return replace(config, endpoints=tuple(with_workloads(config.endpoints, registry.pods)))


@dataclass(frozen=True)
class Old:
    name: str
    ready: bool = True
    template_hash: str = "old"


def would_run(owner: Resource) -> Any:
    template = owner.spec.get("template") or {} if owner.kind == "Deployment" else owner.body
    try:
        program: Any = program_of(template, owner.name, {"app": CONFIG_MAP["data"]})
    except UnsupportedError as error:
        program = str(error)
    return program, owner.kind == "Deployment" and next_step(
        owner.spec, [Old("a"), Old("b"), Old("c")]
    )

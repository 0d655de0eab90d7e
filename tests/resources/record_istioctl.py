"""Records what Istio's own analyzers say of many inputs: the linter is held to it.

    python -m tests.resources.record_istioctl ANALYZE      # writes data/istioctl.json

ANALYZE is `analyze.go.txt`, beside this, built against Istio's module (`go mod init`, `go mod edit
-require istio.io/istio@VERSION`, `go build`): what `istioctl analyze` runs on a cluster. Without a
cluster istioctl itself leaves out all analyzers that look at Services, Pods or Namespaces.

The inputs are the lessons' manifests, the gallery, the reports, and rules that are drawn here.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labkit.resources import load

HERE = Path(__file__).parent / "data"
MANIFESTS = Path(__file__).parents[2] / "manifests"
DRAWN = 260
Objects = list[dict[str, Any]]


def thing(api_version: str, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata.update(rest.pop("metadata", {}))
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def rule(kind: str, namespace: str, name: str, spec: Any) -> dict[str, Any]:
    return thing("networking.istio.io/v1", kind, namespace, name, spec=spec)


def pod(namespace: str, name: str, *containers: str, **labels: str) -> dict[str, Any]:
    spec = {"containers": [{"name": each, "image": f"{each}:1"} for each in containers]}
    metadata, status = {"labels": labels}, {"phase": "Running"}
    return thing("v1", "Pod", namespace, name, metadata=metadata, spec=spec, status=status)


def service(namespace: str, name: str, *ports: tuple[str, int], **rest: Any) -> dict[str, Any]:
    spec = {
        "selector": {"app": name},
        "ports": [
            {**({"name": text} if text else {}), "port": port, "protocol": "TCP"}
            for text, port in ports
        ],
        **rest,
    }
    return thing("v1", "Service", namespace, name, spec=spec)


def world() -> Objects:
    """Two teams: the base of what is drawn."""
    made = [
        thing("v1", "Namespace", "", name, metadata={"labels": {"istio-injection": "enabled"}})
        for name in ("shop", "infra")
    ]
    made += [
        service("shop", "web", ("http", 80)),
        service("shop", "api", ("http", 80), ("grpc", 9000)),
        service("infra", "web", ("http", 80)),
    ]
    for namespace, app, version in (
        ("shop", "web", "v1"),
        ("shop", "web", "v2"),
        ("shop", "api", "v1"),
        ("infra", "web", "v1"),
    ):
        name = f"{app}-{version}"
        made.append(pod(namespace, name, "app", "istio-proxy", app=app, version=version))
    return made


class Draw:
    """Rules at random, over the fields that Istio's analyzers look at."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, values: Any, least: int = 1, most: int = 2) -> Any:
        return self.random.sample(values, self.random.randint(least, min(most, len(values))))

    def one(self, *values: Any) -> Any:
        return self.random.choice(values)

    def exported(self, spec: dict[str, Any]) -> dict[str, Any]:
        where = self.one(None, None, None, ["."], ["*"], ["shop"], ["infra"], ["shop", "infra"])
        return spec if where is None else {**spec, "exportTo": where}

    def destination(self) -> dict[str, Any]:
        host = self.one(
            "web",
            "web",
            "web",
            "api",
            "web.shop.svc.cluster.local",
            "nope",
            "web.infra",
            "web.shop",
        )
        made: dict[str, Any] = {"host": host}
        if self.one(0, 0, 1):
            made["port"] = {"number": self.one(80, 80, 9000, 99)}
        if self.one(0, 0, 1):
            made["subset"] = self.one("v1", "v2", "v9")
        return made

    def match(self) -> dict[str, Any]:
        uri = self.one({"prefix": "/"}, {"prefix": "/a/"}, {"prefix": "/a/b/"}, {"exact": "/a/c"})
        made: dict[str, Any] = {"uri": uri}
        if self.one(0, 0, 0, 1):
            made["headers"] = {"x-user": {"exact": self.one("me", "you")}}
        return made

    def http(self, delegates: list[str]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self.one(0, 1, 1):
            made["match"] = [self.match() for _ in range(self.one(1, 1, 2))]
        if delegates and self.one(0, 0, 1):
            return {**made, "delegate": {"name": self.one(*delegates)}}
        made["route"] = [{"destination": self.destination()} for _ in range(self.one(1, 1, 2))]
        if len(made["route"]) == 2:
            for each in made["route"]:
                each["weight"] = 50
        if self.one(0, 0, 0, 1):
            made["mirror"] = self.destination()
        return made

    def virtual_service(self, name: str, delegates: list[str]) -> dict[str, Any]:
        gateways = self.one(
            None, None, ["mesh"], ["gw"], ["gw", "mesh"], ["infra/gw"], ["none"], ["infra/none"]
        )
        if gateways is None or "mesh" in gateways:
            hosts = self.some(
                ["web", "api", "web.shop.svc.cluster.local", "a.example.com", "*.example.com"]
            )
        else:
            hosts = self.some(["a.example.com", "b.example.com", "*.example.com", "web.test"])
        if len(hosts) > 1 and "*.example.com" in hosts and self.one(0, 1, 1, 1):
            hosts.remove("*.example.com")  # with one of those that it covers it is refused
        spec: dict[str, Any] = {"hosts": hosts}
        if gateways is not None:
            spec["gateways"] = gateways
        spec["http"] = [self.http(delegates) for _ in range(self.one(1, 1, 2, 3))]
        return rule("VirtualService", self.one("shop", "shop", "infra"), name, self.exported(spec))

    def destination_rule(self, name: str) -> dict[str, Any]:
        host = self.one("web", "web", "api", "web.shop.svc.cluster.local", "nope", "web.infra")
        spec: dict[str, Any] = {"host": host}
        if self.one(0, 1):
            spec["trafficPolicy"] = {"loadBalancer": {"simple": "RANDOM"}}
        if self.one(0, 1, 1):
            spec["subsets"] = [
                {"name": each, "labels": {"version": each}}
                for each in self.some(["v1", "v2", "v9"])
            ]
        namespace = self.one("shop", "shop", "infra")
        if self.one(0, 0, 0, 0, 1):
            spec["workloadSelector"] = {"matchLabels": {"app": self.one("web", "api")}}
            return rule("DestinationRule", namespace, name, spec)
        return rule("DestinationRule", namespace, name, self.exported(spec))

    def gateway(self, namespace: str, name: str) -> dict[str, Any]:
        servers = [
            {
                "port": {
                    "number": self.one(80, 80, 80, 8080, 9000),
                    "name": f"http-{index}",
                    "protocol": "HTTP",
                },
                "hosts": self.some(
                    ["a.example.com", "*.example.com", "shop/b.example.com", "./c.example.com", "*"]
                ),
            }
            for index in range(self.one(1, 1, 2))
        ]
        selector = self.one(
            {"istio": "ingressgateway"},
            {"istio": "ingressgateway"},
            {"app": "web"},
            {"app": "none"},
        )
        return rule("Gateway", namespace, name, {"selector": selector, "servers": servers})

    def service(self, name: str) -> dict[str, Any]:
        ports = self.some(
            [
                ("", 80), ("", 8080), ("", 25), ("", 53), ("", 3306), ("", 27017), ("db", 3306),
                ("web", 8081), ("tcp-x", 9001), ("http2", 9002), ("grpcx", 9003), ("HTTP-a", 9004),
                ("mongo", 9005), ("x-http", 9006), ("udp", 9007), ("https-x", 9008), ("db", 27017),
            ],
            1, 3,
        )  # fmt: skip
        named = ports if len(ports) == 1 else [(text or f"p{port}", port) for text, port in ports]
        made = service(self.one("shop", "infra"), name, *dict(named).items())
        for port in made["spec"]["ports"]:
            if self.one(0, 0, 0, 1):
                port["appProtocol"] = self.one("http", "tcp", "kubernetes.io/h2c", "quack")
            if self.one(0, 0, 0, 0, 1):
                port["protocol"] = "UDP"
        return made

    def pod(self, name: str) -> dict[str, Any]:
        namespace = self.one("shop", "plain")
        containers = self.one(("app",), ("app",), ("app", "istio-proxy"))
        made = pod(namespace, name, *containers, app="web", version=self.one("v1", "v3"))
        inject = self.one(None, None, "true", "false", "False")
        if inject:
            place = self.one("labels", "annotations")
            made["metadata"].setdefault(place, {})["sidecar.istio.io/inject"] = inject
        if self.one(0, 0, 0, 1):
            made["spec"]["hostNetwork"] = True
        return made

    def objects(self) -> Objects:
        made = []
        if self.one(0, 1, 1):
            made.append(self.gateway("shop", "gw"))
        if self.one(0, 1):
            made.append(self.gateway("infra", "gw"))
        delegates = ["part"] if self.one(0, 0, 1) else []
        if delegates:
            spec = {"http": [{"route": [{"destination": self.destination()}]}]}
            made.append(rule("VirtualService", "shop", "part", spec))
        made += [self.virtual_service(f"v{i}", delegates) for i in range(self.one(0, 1, 2, 2, 3))]
        made += [self.destination_rule(f"d{index}") for index in range(self.one(0, 1, 2))]
        made += [self.service(f"s{index}") for index in range(self.one(0, 0, 1))]
        if self.one(0, 0, 1):
            labels = self.one({}, {"istio-injection": "disabled"}, {"istio.io/rev": "x"})
            made.append(thing("v1", "Namespace", "", "plain", metadata={"labels": labels}))
            made.append(self.pod("late"))
        return made


def written() -> Iterator[tuple[str, Objects]]:
    """The inputs that are files here."""
    files = sorted(MANIFESTS.glob("[01][0-9]_*/**/*.yaml")) + sorted(
        (HERE / "cases").glob("*.yaml")
    )
    for file in files:
        try:
            objects = [each.body for each in load(file, strict=False) if each.kind != "ConfigMap"]
        except Exception:  # not YAML: there is nothing that both could say
            continue
        yield str(file.relative_to(file.parents[2])), objects


def annotated() -> Iterator[tuple[str, Objects]]:
    """Annotations of Istio's, right and wrong, on objects of four kinds."""
    names = (
        *("sidecar.istio.io/inject", "sidecar.istio.io/injct", "networking.istio.io/exportTo"),
        *("proxy.istio.io/config", "traffic.sidecar.istio.io/excludeOutboundPort", "istio.io/rev"),
        *(
            "gateway.istio.io/name-override",
            "sidecar.istio.io/status",
            "kubernetes.io/ingress.class",
        ),
        *("example.com/istio.io", "my-istio.io/a", "galley.istio.io/analyze-suppress"),
    )
    for kind in ("Namespace", "Service", "Pod", "Deployment"):
        made = pod("hello-world", "x", "app", app="x")
        if kind == "Namespace":
            made = thing("v1", kind, "", "x", metadata={"labels": {"istio-injection": "enabled"}})
        elif kind == "Service":
            made = service("hello-world", "x", ("http", 80))
        elif kind == "Deployment":
            template = {"metadata": {"labels": {"app": "x"}}, "spec": made["spec"]}
            spec = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
            made = thing("apps/v1", kind, "hello-world", "x", spec=spec)
        made["metadata"]["annotations"] = dict.fromkeys(names, "")
        yield f"annotations of a {kind}", [made]


def ask(program: str, worlds: list[Objects]) -> list[list[list[str]]]:
    """`[code, "Kind namespace/name"]` of each message, for each world."""
    done = subprocess.run(
        [program],
        input="\n".join(map(json.dumps, worlds)),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    # Istio's own log is there too
    answers = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return [sorted(json.loads(line)) for line in answers]


def main() -> None:
    shared = [resource.body for resource in load(MANIFESTS / "hello-world.yaml", strict=False)]
    shared = [each for each in shared if each["kind"] != "ConfigMap"]
    inputs = [("file", name, objects) for name, objects in written()]
    inputs += [("file", name, objects) for name, objects in annotated()]
    inputs += [("drawn", f"{seed}", Draw(seed).objects()) for seed in range(DRAWN)]
    bases = {"file": shared, "drawn": world()}

    def full(base: str, objects: Objects) -> Objects:
        mine = {(each["kind"], each["metadata"].get("name")) for each in objects}
        rest = [b for b in bases[base] if (b["kind"], b["metadata"]["name"]) not in mine]
        return (rest if base == "file" else bases[base]) + objects

    answers = ask(sys.argv[1], [full(base, objects) for base, _, objects in inputs])
    cases = [
        {"name": name, "base": base, "objects": objects, "said": said}
        for (base, name, objects), said in zip(inputs, answers, strict=True)
    ]
    text = [json.dumps({"bases": bases})[:-1] + ', "cases": [']
    text += [
        json.dumps(case, separators=(",", ":")) + ("," if case is not cases[-1] else "")
        for case in cases
    ]
    (HERE / "istioctl.json").write_text("\n".join([*text, "]}", ""]))
    print(len(cases), "inputs")


if __name__ == "__main__":
    main()

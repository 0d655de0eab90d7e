"""Whole rule sets, drawn at random: namespaces, Services, Deployments, and the rules that somebody
could have written for them. All of it is valid; much of it refers to what is not there.

A set depends on the state of its `Draw` alone, so that a number tells it.

>>> [each["kind"] for each in ruleset(Draw(1))][:3]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labkit.resources import kinds
from labkit.resources.istio import EXPORT_TO, GATEWAY_SELECTOR, ROOT_NAMESPACE, service_host
from labkit.resources.names import overlap

from .draw import LABELS, Draw
from .policies import policy
from .routes import Names, http_routes

Object = dict[str, Any]
PORTS = (80, 80, 80, 81, 443, 8080, 9080, 3306, 27017, 5000)
PORT_NAMES = (
    *("http", "http", "http-web", "HTTP-x", "http2", "grpc", "grpc-web", "grpc-a", "tcp", "tcp-x"),
    *("web", "metrics", "mongo", "redis", "mysql", "https", "tls"),
)
NAMED_PORTS = (
    {"name": "web", "containerPort": 8080, "protocol": "TCP"},
    {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
)
APP_PROTOCOLS = (
    *(
        "http",
        "http2",
        "grpc",
        "tcp",
        "redis",
        "kubernetes.io/h2c",
        "kubernetes.io/ws",
        "other.io/x",
    ),
)
EXTERNAL = (
    *("test.example.com", "api.example.com", "Api.Example.com", "*.example.com", "example.org"),
    *("10.1.2.3", "*.svc.cluster.local", "*.com"),
)
GATEWAY_PORTS = (80, 80, 80, 8080, 443, 9000, 31400, 15021)
GATEWAY_PROTOCOLS = ("HTTP", "HTTP", "HTTP", "HTTP2", "GRPC", "http", "GRPC-WEB")


@dataclass
class World:
    """What the rules of one set can name."""

    namespaces: list[str]
    services: list[Object] = field(default_factory=list)
    deployments: list[Object] = field(default_factory=list)
    gateways: list[tuple[str, str]] = field(default_factory=list)
    delegates: list[dict[str, str]] = field(default_factory=list)
    subsets: tuple[str, ...] = ("v1", "v2", "canary", "Blue-9")

    @property
    def ports(self) -> list[int]:
        return [port["port"] for each in self.services for port in each["spec"]["ports"]] + [80]

    def hosts(self, draw: Draw, namespace: str) -> list[str]:
        """The Services as a rule of `namespace` can write them, short or in full."""
        found = []
        for each in self.services:
            name, own = each["metadata"]["name"], each["metadata"]["namespace"]
            full = service_host(name, own)
            found += [full, full if own != namespace else name]
            if draw.maybe(0.1):
                found.append(f"{name}.{own}")  # means nothing to Istio
        return found

    def gateway_names(self, draw: Draw, namespace: str) -> list[str]:
        found = []
        for own, name in self.gateways:
            full = draw.choice(
                (f"{own}/{name}", f"{own}/{name}", f"{name}.{own}.svc.cluster.local")
            )
            found.append(name if own == namespace and draw.maybe(0.7) else full)
        return [*found, f"{namespace}/missing"]


def thing(kind: str, namespace: str, name: str, spec: Object, **metadata: Any) -> Object:
    space = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": kinds.api_version(kind),
        "kind": kind,
        "metadata": {"name": name, **space, **metadata},
        "spec": spec,
    }


def ruleset(draw: Draw) -> list[Object]:
    """A set of objects in the order in which somebody created them."""
    spaces = list(dict.fromkeys(draw.name() for _ in range(draw.randint(1, 3))))
    if draw.maybe(0.03):
        spaces[0] = draw.choice(("svc", "mesh", "local"))  # words of Istio's own names
    world = World(spaces)
    made = [namespace(draw, each) for each in spaces]
    for each in spaces:
        for _ in range(draw.randint(1, 2)):
            made.append(workload(draw, world, each))
        for _ in range(draw.randint(1, 2)):
            made.append(service(draw, world, each))
    homes = [*spaces, ROOT_NAMESPACE]
    rules = [gateway(draw, world, draw.choice(homes)) for _ in range(draw.randint(0, 3))]
    for _ in range(draw.randint(0, 2)):
        rules.append(delegate(draw, world, draw.choice(spaces)))
    for _ in range(draw.randint(0, 3)):
        rules.append(virtual_service(draw, world, draw.choice(homes)))
    for _ in range(draw.randint(0, 3)):
        rules.append(destination_rule(draw, world, draw.choice(homes)))
    draw.shuffle(rules)
    return unique([*made, *rules])


def policies(draw: Draw, world: World, homes: list[str]) -> list[Object]:
    """Rules for Services that are there already, in namespaces of `homes`."""
    rules = [gateway(draw, world, draw.choice(homes)) for _ in range(draw.randint(1, 2))]
    rules += [delegate(draw, world, homes[0]) for _ in range(draw.randint(0, 1))]
    rules += [virtual_service(draw, world, draw.choice(homes)) for _ in range(draw.randint(1, 2))]
    rules += [destination_rule(draw, world, draw.choice(homes)) for _ in range(draw.randint(1, 2))]
    return unique(rules)


def unique(objects: list[Object]) -> list[Object]:
    """Without a second object of one name."""
    found: dict[tuple[str, ...], Object] = {}
    for each in objects:
        metadata = each["metadata"]
        found.setdefault((each["kind"], metadata.get("namespace", ""), metadata["name"]), each)
    return list(found.values())


def namespace(draw: Draw, name: str) -> Object:
    labels = {} if draw.maybe(0.1) else {"labels": {"istio-injection": "enabled"}}
    made = thing("Namespace", "", name, {}, **labels)
    del made["spec"]
    return made


def workload(draw: Draw, world: World, namespace: str) -> Object:
    labels = {"app": draw.choice(("web", "api", draw.name())), **draw.choice(LABELS)}
    if draw.maybe(0.15):
        labels["app.kubernetes.io/name"] = draw.name()
    ports: list[Object] = [dict(port) for port in NAMED_PORTS]
    ports += [{"containerPort": 5000, "protocol": draw.choice(("TCP", "UDP"))}]
    container = {"name": "app", "image": "app", "ports": ports}
    spec: Object = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    if draw.maybe(0.5):
        spec["replicas"] = draw.choice((0, 1, 2, 3))
    made = thing("Deployment", namespace, draw.name(), spec)
    world.deployments.append(made)
    return made


def service(draw: Draw, world: World, namespace: str) -> Object:
    known = [each for each in world.deployments if each["metadata"]["namespace"] == namespace]
    labels = draw.choice(known)["spec"]["template"]["metadata"]["labels"]
    spec: Object = {}
    if not draw.maybe(0.05):
        spec["selector"] = dict(draw.some(sorted(labels.items()), 1, 2))
    count = draw.choice((1, 1, 2, 3))
    numbers = list(dict.fromkeys(draw.choice(PORTS) for _ in range(count)))
    spec["ports"] = [service_port(draw, number, len(numbers) > 1) for number in numbers]
    kind = draw.randrange(10)
    if kind == 0:
        spec["clusterIP"] = "None"
    elif kind in (1, 2):
        spec["type"] = ("NodePort", "LoadBalancer")[kind - 1]
    if draw.maybe(0.1):
        spec["sessionAffinity"] = draw.choice(("None", "ClientIP"))
    if draw.maybe(0.05):
        spec["internalTrafficPolicy"] = "Cluster"
    metadata = {}
    if draw.maybe(0.15):
        to = ",".join(export_to(draw, world, namespace, nobody=True))
        metadata["annotations"] = {EXPORT_TO: to}
    # names that another namespace, or another kind of object, has as well
    name = draw.choice(("web", namespace, *[draw.name()] * 3))
    made = thing("Service", namespace, name, spec, **metadata)
    world.services.append(made)
    return made


def service_port(draw: Draw, number: int, several: bool) -> Object:
    found: Object = {"port": number}
    if several or draw.maybe(0.8):
        found["name"] = draw.choice(PORT_NAMES).lower()
    if several:  # names may not repeat
        found["name"] = f"{found['name'][:9]}-{number}"
    if draw.maybe(0.5):
        found["targetPort"] = draw.choice((8080, 9090, 80, "web", "metrics"))
    if draw.maybe(0.1):
        found["appProtocol"] = draw.choice(APP_PROTOCOLS)
    if draw.maybe(0.3):
        found["protocol"] = draw.choice(("TCP", "TCP", "UDP"))
    return found


def export_to(draw: Draw, world: World, own: str, *, nobody: bool = False) -> list[str]:
    kind = draw.randrange(5 if nobody else 4)
    if kind < 2:
        return [("*", ".")[kind]]
    if kind == 4:
        return ["~"]
    return draw.some([each for each in world.namespaces if each != own] + ["elsewhere", "."], 1, 2)


def exported(draw: Draw, world: World, own: str) -> Object:
    return {"exportTo": export_to(draw, world, own)} if draw.maybe(0.3) else {}


def gateway(draw: Draw, world: World, namespace: str) -> Object:
    servers = []
    for number in range(draw.randint(1, 3)):
        port = {
            "number": draw.choice(GATEWAY_PORTS),
            "protocol": draw.choice(GATEWAY_PROTOCOLS),
            "name": f"p{number}",
        }
        server: Object = {"port": port, "hosts": server_hosts(draw, world)}
        if draw.maybe(0.15):
            server["tls"] = {"httpsRedirect": draw.maybe(0.8)}
        if draw.maybe(0.1):
            server["bind"] = draw.choice(("10.9.8.7", "10.9.8.7", "10.9.8.6", "0.0.0.0"))
        if draw.maybe(0.15):
            server["name"] = draw.name()
        servers.append(server)
    selector = dict(GATEWAY_SELECTOR) if draw.maybe(0.85) else {"istio": draw.name()}
    spec: Object = {"servers": servers}
    if not draw.maybe(0.05):
        spec["selector"] = selector
    made = thing("Gateway", namespace, draw.choice(("gateway", draw.name())), spec)
    world.gateways.append((namespace, made["metadata"]["name"]))
    return made


def server_hosts(draw: Draw, world: World) -> list[str]:
    names = ("*", "test.example.com", "*.example.com", "api.example.com", "Test.Example.org")
    before = ("", "", "", "./", "*/", f"{draw.choice(world.namespaces)}/")
    found = [draw.choice(before) + draw.choice(names) for _ in range(draw.randint(1, 2))]
    return list(dict.fromkeys(found if found[0] != "*/*" else found[:1]))


def names(draw: Draw, world: World, namespace: str) -> Names:
    gateways = world.gateway_names(draw, namespace)
    return Names(
        destinations=[*world.hosts(draw, namespace), draw.choice(("missing", *EXTERNAL[:2]))],
        subsets=list(world.subsets),
        ports=world.ports,
        gateways=[*gateways, "mesh"],
        namespaces=[*world.namespaces, "elsewhere"],
        delegates=[*world.delegates, {"name": "missing"}] if world.delegates else [],
    )


def delegate(draw: Draw, world: World, namespace: str) -> Object:
    known = names(draw, world, namespace)
    spec = {**exported(draw, world, namespace), "http": http_routes(draw, known, delegate=True)}
    made = thing("VirtualService", namespace, f"d-{draw.name()}", spec)
    world.delegates.append({"name": made["metadata"]["name"], "namespace": namespace})
    if draw.maybe(0.3):
        world.delegates.append({"name": made["metadata"]["name"]})
    return made


def virtual_service(draw: Draw, world: World, namespace: str) -> Object:
    gateways = draw.choice(
        ([], [], ["mesh"], *[draw.some(world.gateway_names(draw, namespace), 1, 2)] * 4)
    )
    if gateways and draw.maybe(0.3):
        gateways = list(dict.fromkeys([*gateways, "mesh"]))
    inside = not gateways or "mesh" in gateways
    spec: Object = {"hosts": hosts(draw, world, namespace, inside)}
    if gateways:
        spec["gateways"] = gateways
    spec.update(exported(draw, world, namespace))
    spec["http"] = http_routes(draw, names(draw, world, namespace))
    return thing("VirtualService", namespace, draw.name(), spec)


def hosts(draw: Draw, world: World, namespace: str, inside: bool) -> list[str]:
    """None of which covers another."""
    known = [
        *world.hosts(draw, namespace),
        *EXTERNAL,
        f"*.{draw.choice(world.namespaces)}.svc.cluster.local",
    ]
    found: list[str] = []
    for host in draw.some(known, 1, 3) if inside or draw.maybe(0.7) else ["*"]:
        if not any(overlap(host, each) for each in found):
            found.append(host)
    return found


def destination_rule(draw: Draw, world: World, namespace: str) -> Object:
    known = world.hosts(draw, namespace) * 3
    known += ["*.example.com", f"*.{draw.choice(world.namespaces)}.svc.cluster.local", "*.local"]
    known += ["*.svc.cluster.local", "missing"]
    spec: Object = {"host": draw.choice(known)}
    if draw.maybe(0.8):
        spec["trafficPolicy"] = policy(draw, world.ports)
    if draw.maybe(0.6):
        spec["subsets"] = [
            subset(draw, world, name) for name in draw.some(world.subsets, 1, len(world.subsets))
        ]
    if draw.maybe(0.12):
        labels = draw.choice(
            [each["spec"]["selector"]["matchLabels"] for each in world.deployments]
        )
        spec["workloadSelector"] = {"matchLabels": dict(labels)}
    else:
        spec.update(exported(draw, world, namespace))
    return thing("DestinationRule", namespace, draw.name(), spec)


def subset(draw: Draw, world: World, name: str) -> Object:
    found: Object = {"name": name}
    labels = dict(draw.choice(LABELS))
    if labels or draw.maybe(0.5):
        found["labels"] = labels
    if draw.maybe(0.4):
        found["trafficPolicy"] = policy(draw, world.ports)
    return found

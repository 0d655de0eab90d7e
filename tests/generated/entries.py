"""Rule sets with ServiceEntry, WorkloadEntry and Sidecar among the others: hosts of their own,
rules about them, and what sidecars may know.

A set of these kinds is made apart from `rulesets`, so that a number there means what it meant.
"""

from __future__ import annotations

from labkit.resources.istio import ROOT_NAMESPACE, service_host

from .draw import LABELS, Draw
from .policies import policy
from .routes import Names, http_routes
from .rulesets import Object, ruleset, thing, unique

HOSTS = (
    *(
        "api.example.com",
        "db.example.com",
        "files.example.org",
        "Up.Example.com",
        "a.b.example.com",
    ),
    *("vm.internal", "short"),
)
WILDCARDS = ("*.example.com", "*.b.example.com", "*.example.net")
PORTS = (80, 80, 80, 81, 443, 8080, 9000, 3306, 27017)
HTTP = ("HTTP", "HTTP", "http", "HTTP2", "GRPC", "GRPC-Web")
TLS = ("TLS", "HTTPS", "tls")
OTHER = ("TCP", "tcp", "", "MySQL", "Mongo", "Redis", "UDP")
PLACES = ("", "", "", "r1/z1", "r1/z2", "r2/z1/s1", "r2")
NAMED = ("http", "tcp", "web", "metrics", "x-1")
VM = {"app": "vm"}


def entries(draw: Draw) -> list[Object]:
    """A set of objects in the order in which somebody created them."""
    made = ruleset(draw)
    spaces = [each["metadata"]["name"] for each in made if each["kind"] == "Namespace"]
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for each in made
        if each["kind"] == "Deployment"
    ]
    services = [each for each in made if each["kind"] == "Service"]
    homes = [*spaces, ROOT_NAMESPACE]
    more = [
        entry(draw, number, draw.choice(homes), services, labels)
        for number in range(draw.randint(1, 4))
    ]
    more += [workload(draw, draw.choice(spaces), labels) for _ in range(draw.randint(0, 3))]
    hosts = [host for each in more for host in each["spec"].get("hosts", ())]
    more += [rule(draw, draw.choice(homes), hosts) for _ in range(draw.randint(0, 2))]
    more += [route(draw, draw.choice(homes), hosts, spaces) for _ in range(draw.randint(0, 2))]
    if draw.maybe(0.5):
        more += [
            sidecar(draw, draw.choice(homes), hosts, spaces, labels)
            for _ in range(draw.randint(1, 3))
        ]
    for each in more:  # among the rules, and behind what they speak of
        made.insert(draw.randint(len(spaces), len(made)), each)
    return unique(made)


def entry(
    draw: Draw, number: int, namespace: str, services: list[Object], pods: list[dict[str, str]]
) -> Object:
    resolution = draw.choice(("DNS", "DNS", "STATIC", "STATIC", "NONE", "DNS_ROUND_ROBIN", ""))
    ports = [port(draw, n) for n in dict.fromkeys(draw.choice(PORTS) for _ in "abc")]
    many = all(each.get("protocol") in (*HTTP, *TLS) for each in ports) or resolution in (
        "",
        "NONE",
    )
    hosts = draw.some(HOSTS, 1, 3 if many else 1)
    if resolution not in ("DNS", "DNS_ROUND_ROBIN") and draw.maybe(0.3):
        hosts = [draw.choice(WILDCARDS)]
    if draw.maybe(0.1) and services:
        # a Service's, of another namespace: in its own the entry is refused
        own = draw.choice(services)["metadata"]
        if own["namespace"] != namespace:
            hosts = [service_host(own["name"], own["namespace"])]
    spec: Object = {"hosts": hosts, "ports": ports}
    if resolution:
        spec["resolution"] = resolution
    if draw.maybe(0.7):
        spec["location"] = draw.choice(("MESH_EXTERNAL", "MESH_INTERNAL"))
    if draw.maybe(0.25) and len(hosts) == 1:
        # no two entries have one address: whose routes take it for theirs is chance in istiod
        lengths = ("/16", "/32", "") if resolution in ("", "NONE", "STATIC") else ("",)
        length = draw.choice(lengths)
        spec["addresses"] = [f"10.{50 + number}.{0 if length == '/16' else 1}.0{length}"]
    kind = draw.randrange(4)
    if kind == 0:
        spec["workloadSelector"] = {"labels": dict(draw.choice([VM, VM, VM, *pods]))}
    elif resolution not in ("", "NONE") and (kind > 1 or resolution == "STATIC"):
        most = 1 if resolution == "DNS_ROUND_ROBIN" else 3
        names = [each["name"] for each in ports]
        spec["endpoints"] = [
            endpoint(draw, names, "DNS" in resolution) for _ in range(draw.randint(1, most))
        ]
    if draw.maybe(0.2):
        spec["exportTo"] = [draw.choice((".", "*", "~", "elsewhere"))]
    if draw.maybe(0.1):
        spec["subjectAltNames"] = ["spiffe://cluster.local/a"]
    metadata = {"labels": {"team": draw.choice(("a", "b"))}} if draw.maybe(0.2) else {}
    return thing("ServiceEntry", namespace, f"e-{draw.name()}", spec, **metadata)


def port(draw: Draw, number: int) -> Object:
    kinds = (HTTP, HTTP, HTTP, TLS, OTHER)
    found: Object = {"number": number, "name": f"{draw.choice(NAMED)}-{number}"}
    protocol = draw.choice(draw.choice(kinds))
    if protocol:
        found["protocol"] = protocol
    if draw.maybe(0.3):
        found["targetPort"] = draw.choice((8080, 8443, 9090))
    return found


def endpoint(draw: Draw, ports: list[str], named: bool) -> Object:
    address = f"10.60.0.{draw.randint(1, 9)}"
    if named and draw.maybe(0.6):
        address = draw.choice(("one.example.net", "two.example.net"))
    found: Object = {"address": address, **facts(draw, ports)}
    if draw.maybe(0.6):
        found["labels"] = dict(draw.choice(LABELS))
    return found


def facts(draw: Draw, ports: list[str]) -> Object:
    """What an endpoint and a WorkloadEntry may say besides."""
    found: Object = {}
    if draw.maybe(0.3):
        found["ports"] = {draw.choice(ports): draw.choice((7070, 7071))}
    if draw.maybe(0.3):
        found["weight"] = draw.randint(1, 9)
    place = draw.choice(PLACES)
    if place:
        found["locality"] = place
    if draw.maybe(0.1):
        found["serviceAccount"] = "one"
    return found


def workload(draw: Draw, namespace: str, pods: list[dict[str, str]]) -> Object:
    address = draw.choice((f"10.61.0.{draw.randint(1, 9)}", "vm.example.net"))
    labels = {**draw.choice([VM, VM, VM, *pods]), **draw.choice(LABELS)}
    spec: Object = {"address": address, **facts(draw, [f"{n}-{p}" for n in NAMED for p in PORTS])}
    metadata: Object = {}
    if draw.maybe(0.7):
        spec["labels"] = labels
    else:
        metadata["labels"] = labels
    return thing("WorkloadEntry", namespace, f"w-{draw.name()}", spec, **metadata)


def rule(draw: Draw, namespace: str, hosts: list[str]) -> Object:
    spec: Object = {"host": draw.choice([*hosts, *hosts, *hosts, *WILDCARDS])}
    if draw.maybe(0.8):
        spec["trafficPolicy"] = policy(draw, list(PORTS))
    if draw.maybe(0.6):
        spec["subsets"] = [
            {"name": name, "labels": dict(draw.choice(LABELS)) or {"version": "v1"}}
            for name in draw.some(("v1", "v2", "canary"), 1, 2)
        ]
    return thing("DestinationRule", namespace, f"r-{draw.name()}", spec)


def route(draw: Draw, namespace: str, hosts: list[str], spaces: list[str]) -> Object:
    names = Names(
        destinations=[*hosts, *hosts, "missing"],
        subsets=["v1", "v2"],
        ports=list(PORTS),
        gateways=["mesh"],
        namespaces=[*spaces, "elsewhere"],
        delegates=[],
    )
    own = draw.choice([*hosts, *hosts, *WILDCARDS, "nobody.example.com"])
    spec: Object = {"hosts": [own], "http": http_routes(draw, names)}
    return thing("VirtualService", namespace, f"v-{draw.name()}", spec)


def sidecar(
    draw: Draw, namespace: str, hosts: list[str], spaces: list[str], pods: list[dict[str, str]]
) -> Object:
    spec: Object = {}
    if draw.maybe(0.8):
        named = [each for each in hosts if "." in each] or ["a.example.com"]
        places = ("./", "*/", "*/", "~/", "istio-system/", *(f"{each}/" for each in spaces))
        what = ("*", "*", "*.svc.cluster.local", "*.example.com", *named)
        chosen = [draw.choice(places) + draw.choice(what) for _ in range(draw.randint(1, 3))]
        spec["egress"] = [{"hosts": list(dict.fromkeys(chosen))}]
    if draw.maybe(0.5) or not spec:
        spec["outboundTrafficPolicy"] = draw.choice(
            ({"mode": "REGISTRY_ONLY"}, {"mode": "ALLOW_ANY"}, {})
        )
    if draw.maybe(0.4) and namespace != ROOT_NAMESPACE:
        spec["workloadSelector"] = {"labels": dict(draw.choice(pods))}
    return thing("Sidecar", namespace, f"s-{draw.name()}", spec)

"""The exercises of lesson 11: a request in five fails, three mistakes on top of each other, and one
that no linter can find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.errors import NotFound
from labkit.lessons.checks import check
from labkit.lessons.checks.columns import tally
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.symptoms import URL, weights_80_20
from labkit.lessons.content.tasks import Task
from labkit.lessons.content.trap import APP, GATEWAY, ROUTE, SUBSETS
from labkit.lessons.files import manifest
from labkit.resources.istio import service_host

if TYPE_CHECKING:
    from labkit.mesh import Mesh
    from labkit.resources import Resource

NAMESPACE = "hello-world"
INSIDE = "http://hello-world/"
MANY = 70
"""Were one in five still sent astray, all of so many would be well once in six million runs."""


def begin(mesh: Mesh, *then: str) -> None:
    """The service and its way in, whatever was done before; and these manifests on top."""
    mesh.reset()
    mesh.apply(*(manifest(name) for name in (APP, GATEWAY, ROUTE, *then)))


# one in five


def one_in_five_fails(mesh: Mesh) -> None:
    """A fifth goes to a subset that nobody has written down."""
    begin(mesh, SUBSETS)
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello-world-vs, namespace: hello-world}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http:
  - route:
    - {destination: {host: hello-world, subset: v1}, weight: 80}
    - {destination: {host: hello-world, subset: canary}, weight: 20}
""")


MEANS = {
    "NC": "the route leads to a subset or a host that is nowhere",
    "UH": "there is such a subset, but no pod has its labels",
    "NR": "no route is left for them",
}


def nobody_fails(mesh: Mesh) -> Verdict:
    """Every request is answered well, one in five by v2, and the linter finds nothing."""
    claim = "every request is answered well"
    result = mesh.curl(URL, n=MANY)
    failed = MANY - result.codes.get(200, 0)
    said = f"{failed} of {MANY} requests fail, flags: {tally(result.flags)}"
    said += "".join(f". {flag}: {MEANS[flag]}" for flag in result.flags if flag in MEANS)
    check.that(not failed, claim, seen=said)
    found = mesh.lint()
    said = f"no request fails, but it finds: {'; '.join(one.what for one in found)}"
    check.that(not found, "the linter finds nothing", seen=said)
    return weights_80_20(mesh)


# three on top of each other


def all_by_v2(mesh: Mesh) -> Verdict:
    """The linter finds nothing, and v2 answers each request."""
    found = mesh.lint()
    check.that(not found, "the linter finds nothing", seen=found)
    return check.only(mesh.curl(URL, n=check.needed("only")), version="v2")


# what no linter can know


def insiders_are_left_out(mesh: Mesh) -> None:
    """All go to v2, says a rule that is for the gateway alone."""
    begin(mesh, SUBSETS, "client.yaml")
    mesh.apply("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello-world-vs, namespace: hello-world}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http: [{route: [{destination: {host: hello-world, subset: v2}}]}]
""")


def v2_for_everybody(mesh: Mesh) -> Verdict:
    """v2 answers callers from outside and from inside, and v1 still runs."""
    claim = "v2 answers all callers, from outside and from inside"
    there = {pod.workload for pod in mesh.pods(namespace=NAMESPACE)}
    gone = sorted({"hello-world-v1", "client"} - there)
    check.that(not gone, claim, seen=f"{' and '.join(gone)} must go on, and no pod of it is left")
    n = check.needed("only")
    for where, result in (
        ("from outside", mesh.curl(URL, n=n)),
        ("from inside", mesh.curl(INSIDE, n=n, source="client")),
    ):
        wrong = n - sum(version == "v2" for version in result.column("version"))
        said = f"{where} {wrong} of {n} requests are not answered by v2"
        if set(result.codes) != {200}:
            said += f": statuses: {tally(result.codes)}; flags: {tally(result.flags)}"
        elif where == "from inside":
            said += f". {_why_inside(mesh)}"
        check.that(not wrong, claim, seen=said)
    return check.that(True, claim, seen=f"all of {n} and {n}")


def _why_inside(mesh: Mesh) -> str:
    """Why no route acts on what sidecars send to hello-world."""
    named = [rule for rule in _routes(mesh) if _is_for(rule, "hello-world")]
    if not named:
        return f"No VirtualService has the host of {INSIDE}, which is what they call"
    shut = [rule.name for rule in named if "mesh" not in rule.spec.get("gateways", ["mesh"])]
    if len(shut) == len(named):
        return f"`gateways` of {', '.join(shut)} does not say mesh, so no sidecar goes by it"
    return "Its routes lead elsewhere"


def _is_for(rule: Resource, service: str) -> bool:
    whole = service_host(service, NAMESPACE)
    return any(host in (service, whole) for host in rule.spec.get("hosts", []))


def _routes(mesh: Mesh) -> list[Resource]:
    kind = "VirtualService"
    try:
        names = [row["NAME"] for row in mesh.get(kind, namespace=NAMESPACE)]
    except NotFound:
        return []
    return [mesh.resource(kind, name, namespace=NAMESPACE) for name in names]


SOLUTION = """mine = show("11_mistake_gallery/exercise.yaml")
mine = mine.replace("hello-world-gatway", "hello-world-gateway")
mine = mine.replace("subset: version-2", "subset: v2")
mine = mine.replace("version: two", "version: v2")
mesh.apply(mine)"""

TASKS = {
    "11-1": Task(
        prompt="“Since we send one request in five to our canary, v2, one in five fails.” Find out "
        "why, and mend it: none fails, v2 answers one in five, and the linter finds nothing.",
        judge=nobody_fails,
        prepare=one_in_five_fails,
        hints=(
            "First the symptom: mesh.curl(url, n=20).flags. Which row of the table at the top is "
            "it? Then mesh.lint().",
            "NC: the route leads to a subset that does not exist. Which subsets are there? "
            "show(mesh.resource('DestinationRule', 'hello-world-dr'))",
            "Let the route lead to the subset v2 instead of canary; or add the subset canary, with "
            "the label version: v2, to the rule.",
        ),
        solution='mesh.apply(manifest("11_mistake_gallery/canary.yaml"))',
    ),
    "11-2": Task(
        prompt="Fix the three mistakes: v2 answers every request, and the linter finds nothing.",
        judge=all_by_v2,
        prepare=lambda mesh: begin(mesh, "11_mistake_gallery/exercise.yaml"),
        hints=(
            "Run mesh.lint(): each finding says where it is and, after a click, how to fix it.",
            "One mistake hides the next. Look at the status and the flag after each fix: 404 NR, "
            "503 NC, 503 UH, 200.",
            "The name of a Gateway, the name of a subset, and the label of a subset are wrong. "
            "You can change the text with .replace(wrong, right) and apply it.",
        ),
        solution=SOLUTION,
    ),
    "11-3": Task(
        prompt="“We have sent everybody to v2, and for callers from outside it is true. But other "
        "teams' programs, inside the mesh, still get v1. The linter finds nothing.” Find out why, "
        "and mend it; v1's pods stay, for the way back.",
        judge=v2_for_everybody,
        prepare=insiders_are_left_out,
        hints=(
            "See it: mesh.curl('http://hello-world/', n=20, source='client').column('version'). "
            "Which host do these callers ask for, and whose Envoy decides?",
            "Their own sidecars decide. A VirtualService acts on them only if its `gateways` say "
            "mesh (or are left out), and its `hosts` name what they call.",
            "hosts: [test.example.com, hello-world] and gateways: [hello-world-gateway, mesh]; or "
            "a second VirtualService for the host hello-world, without gateways.",
        ),
        solution='mesh.apply(manifest("11_mistake_gallery/everybody.yaml"))',
    ),
}

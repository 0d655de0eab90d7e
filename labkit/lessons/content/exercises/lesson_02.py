"""The exercises of lesson 2: a sidecar for a pod that is already there, a caller in another
namespace, and a Service without pods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.errors import NotFound
from labkit.lessons.checks import check
from labkit.lessons.checks.columns import tally
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.content.tasks import Task
from labkit.lessons.files import manifest

if TYPE_CHECKING:
    from labkit.mesh import Mesh, PodInfo

URL = "http://test.example.com/"
INSIDE = "http://hello-world.hello-world/"
OFFICE, INJECTION = "office", "istio-injection"
VERSIONS = ("v1", "v2")


def has_sidecars(mesh: Mesh) -> Verdict:
    """Each pod of v2 is 2/2."""
    pods = _pods(mesh, "hello-world", "hello-world-v2")
    claim = "the pod of v2 has its sidecar: 2/2"
    check.that(bool(pods), claim, seen="v2 has no pod any more")
    without = [pod.name for pod in pods if pod.ready != "2/2"]
    said = f"{len(without)} of {len(pods)} pods of v2 without a sidecar"
    if without and _label(mesh, "hello-world") != "enabled":
        said += ": the namespace lacks its label, so new pods get none"
    elif without:
        said += ": a label does nothing for a pod that is there already"
    return check.that(not without, claim, seen=said)


def office_calls(mesh: Mesh) -> Verdict:
    """A pod of the namespace office reaches hello-world through a sidecar of its own."""
    claim = "a pod in the namespace office calls hello-world through its own sidecar"
    pods = _pods(mesh, OFFICE)
    if not pods:
        said = f"there is no pod in the namespace {OFFICE}"
        if _pods(mesh, "hello-world", "client"):
            said += "; the client is in hello-world, as its manifest says under metadata"
        return check.that(False, claim, seen=said)
    without = [pod for pod in pods if pod.ready != "2/2"]
    label = _label(mesh, OFFICE)
    said = f"{len(without)} of its pods without a sidecar"
    if label == "enabled":
        said += ": the label came later than the pod, so the pod must be replaced"
    else:
        said += f": the namespace has {INJECTION}={label}" if label else ": no label asks for one"
        said += f", and Istio adds one where it says {INJECTION}=enabled"
    check.that(not without, claim, seen=said)
    result = mesh.curl(INSIDE, n=3, source=pods[0].name)
    return check.that(result.codes == {200: 3}, claim, seen=f"statuses: {tally(result.codes)}")


def service_without_pods(mesh: Mesh) -> None:
    """The release's fault: the Service asks for a label that no pod carries."""
    mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))
    mesh.apply("""
apiVersion: v1
kind: Service
metadata: {name: hello-world, namespace: hello-world}
spec:
  selector: {app: helloworld}
  ports: [{name: http, port: 80, targetPort: 8080}]
""")


def all_pods_answer(mesh: Mesh) -> Verdict:
    """Every request is answered well, and every pod of the two Deployments gets some."""
    claim = "each pod of v1 and v2 answers callers again"
    found = {version: _pods(mesh, "hello-world", f"hello-world-{version}") for version in VERSIONS}
    gone = [version for version, pods in found.items() if not pods]
    pods = [pod for several in found.values() for pod in several]
    check.that(not gone, claim, seen=f"{', '.join(gone)} has no pod any more")
    result = mesh.curl(URL, n=check.needed("every_pod_answers", len(pods)))
    said = f"statuses: {tally(result.codes)}; flags: {tally(result.flags)}"
    if "UH" in result.flags:
        said += f". The Service has no pods: {_asks_for(mesh)}"
    elif "NC" in result.flags:
        said += ". The VirtualService leads to a Service that there is not"
    elif result.flags:
        said += ". The Service has pods, and nothing listens at the port that it names"
    check.that(set(result.codes) == {200}, claim, seen=said)
    idle = sorted({pod.version for pod in pods if pod.name not in result.pods})
    said = f"no request for {len(pods) - len(result.pods)} of {len(pods)} pods"
    said += f", of {', '.join(idle)}: {_asks_for(mesh)}"
    return check.that(not idle, claim, seen=said)


def _asks_for(mesh: Mesh) -> str:
    labels = mesh.resource("Service", "hello-world", namespace="hello-world").spec.get("selector")
    words = ", ".join(f"{name}: {value}" for name, value in (labels or {}).items())
    return f"its selector asks for {words}" if words else "it has no selector"


def _pods(mesh: Mesh, namespace: str, workload: str | None = None) -> list[PodInfo]:
    """Of a Deployment by its name, as a Service may have lost them; [] where there are none."""
    try:
        return mesh.pods(workload, namespace=namespace)
    except NotFound:
        return []


def _label(mesh: Mesh, namespace: str) -> str:
    return str(mesh.resource("Namespace", namespace).labels.get(INJECTION, ""))


TASKS = {
    "02-1": Task(
        prompt="Give the pod of v2 its sidecar.",
        judge=has_sidecars,
        hints=(
            "A sidecar is added when a pod is created, so the pod must be replaced.",
            "A Deployment creates new pods when it is restarted.",
            "On a cluster: kubectl rollout restart deployment hello-world-v2. Here: "
            "mesh.restart(…)",
        ),
        solution="mesh.restart('hello-world-v2')",
    ),
    "02-2": Task(
        prompt="Run a client in a namespace of its own, office. It has a sidecar, and through it "
        "calls hello-world.",
        judge=office_calls,
        hints=(
            "The file client.yaml has a client for the namespace hello-world: "
            "print(show('client.yaml')). What must change? And what must be there before?",
            "First the namespace, and its label; then the pod. A Namespace is three lines of YAML: "
            "apiVersion: v1, kind: Namespace, metadata: {name: office}.",
            "mesh.label('namespace', 'office', {'istio-injection': 'enabled'}), and then "
            "mesh.apply(show('client.yaml').replace('namespace: hello-world', 'namespace: "
            "office')). Too early? mesh.restart('client', namespace='office') replaces the pod.",
        ),
        solution="""mesh.apply(manifest("02_first_microservice/office/namespace.yaml"))
client = show("client.yaml").replace("namespace: hello-world", "namespace: office")
mesh.apply(client)""",
    ),
    "02-3": Task(
        prompt="“Since our release every caller gets 503. All pods run, 2/2, and nobody has "
        "touched the Gateway or the VirtualService.” Find out why, and mend it: each pod answers "
        "again.",
        judge=all_pods_answer,
        prepare=service_without_pods,
        hints=(
            "Follow a request: Gateway, VirtualService, Service, pods. The first two are as "
            "before. By what does a Service know its pods?",
            "Compare show(mesh.resource('Service', 'hello-world')) with the labels of a pod, in "
            "mesh.describe('pod', mesh.pods('hello-world-v1')[0].name).",
            "The Service's selector must be app: hello-world. Apply hello-world.yaml again, or a "
            "Service with the right selector.",
        ),
        solution="mesh.apply(manifest('hello-world.yaml'))",
    ),
}

"""What a mistake looks like from outside, and what one sees once it is fixed: a check for each.

Each is made for one trap or more: `fails(503, "UH")` is a function that takes a mesh and returns a
verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from labkit.envoy.dump import by_name, listeners
from labkit.errors import TrafficError
from labkit.lessons.checks import check
from labkit.lessons.checks.breaker import ejected_pods
from labkit.lessons.checks.columns import tally
from labkit.lessons.checks.verdict import Verdict
from labkit.lessons.config_dump import configured
from labkit.lessons.content.rules import apply_anew
from labkit.resources.istio import cluster_name, service_host

if TYPE_CHECKING:
    from labkit.mesh import Mesh

URL = "http://test.example.com/"
FAILING = "hello-world-v2"
CLUSTER = cluster_name(80, "", service_host("hello-world", "hello-world"))
MEANT = {
    "consecutive_5xx": 7,
    "interval": "1s",
    "base_ejection_time": "15s",
    "max_ejection_percent": 50,
}
"""The outlier detection of the gallery. Times show only after a while, so Envoy's configuration is
read.
"""
Probe = Callable[["Mesh"], Verdict]


def works(*urls: str) -> Probe:
    """Every request is answered 200, by each of these addresses."""

    def probe(mesh: Mesh) -> Verdict:
        found = [try_to_call(mesh, url) for url in urls or (URL,)]
        seen = "; ".join(
            f"{url}: {text}" for url, (_, text) in zip(urls or (URL,), found, strict=True)
        )
        return check.that(
            all(codes == {200: 3} for codes, _ in found), "every request answered 200", seen=seen
        )

    return probe


def fails(status: int, flag: str, url: str = URL) -> Probe:
    """Every request is answered by Envoy itself, with this status and this flag in its log."""

    def probe(mesh: Mesh) -> Verdict:
        result = mesh.curl(url, n=5)
        seen = f"statuses: {tally(result.codes)}; flags: {tally(result.flags)}"
        return check.that(
            result.codes == {status: 5} and result.flags == {flag: 5},
            f"every request: {status} {flag}",
            seen=seen,
        )

    return probe


def answered_by(version: str, path: str = "", subsets: tuple[str, ...] = ()) -> Probe:
    """Every request goes to one version, and the gateway knows these subsets."""

    def probe(mesh: Mesh) -> Verdict:
        known = set(mesh.endpoints()["subset"])
        check.that(set(subsets) <= known, "the gateway knows the subsets", seen=sorted(known))
        return check.only(mesh.curl(URL + path, n=check.needed("only")), version=version)

    return probe


def nothing_gets_through(mesh: Mesh) -> Verdict:
    """Nothing listens, or no route matches."""
    codes, seen = try_to_call(mesh, URL)
    return check.that(200 not in codes, "no request gets through", seen=seen)


def try_to_call(mesh: Mesh, url: str) -> tuple[dict[int, int], str]:
    """(the statuses of three requests, what was seen); no status where nothing listens."""
    try:
        codes = mesh.curl(url, n=3).codes
    except TrafficError as error:
        return {}, str(error)
    return codes, tally(codes)


def port_is(reachable: bool) -> Probe:
    """Whether callers reach the port that the Gateway names."""

    def probe(mesh: Mesh) -> Verdict:
        gateway = mesh.resource("Gateway", "hello-world-gateway", namespace="hello-world")
        number = gateway.spec["servers"][0]["port"]["number"]
        codes, seen = try_to_call(mesh, f"http://test.example.com:{number}/")
        what = f"the port that the Gateway names {'answers' if reachable else 'does not answer'}"
        return check.that((codes == {200: 3}) == reachable, what, seen=seen)

    return probe


def failing_pod_is_ejected(expected: bool) -> Probe:
    """The pod of v2 answers 500 each time. Of so many requests it gets seven errors for sure, if it
    stays.
    """

    def probe(mesh: Mesh) -> Verdict:
        mesh.control(FAILING, fail_share=1.0, fail_status=500)
        # each goes there with a chance of a third: fewer than 7 of 80 less than once in ten million
        # runs
        mesh.curl(URL, n=80)
        endpoints = mesh.endpoints()
        mesh.control(FAILING, reset=True)
        ours = endpoints[endpoints["cluster"].str.contains("hello-world.hello-world")]
        if expected:
            policy = configured(mesh, CLUSTER, "outlier_detection")
            check.equal(
                {name: policy.get(name) for name in MEANT},
                MEANT,
                "the rule is in effect as written",
            )
            return check.ejected(ours, pod=mesh.pods(FAILING)[0], subset="")
        out = ejected_pods(ours, subset="")
        return check.that(
            not out, "a pod that always fails stays in the pool", seen=out or "none ejected"
        )

    return probe


def one_client(stays: bool) -> Probe:
    """The requests of one client: by its address, which the gateway writes into x-forwarded-for."""

    def probe(mesh: Mesh) -> Verdict:
        # all of 60 random ones at one of three pods: 3 * (1/3)^60
        result = mesh.curl(URL, n=60)
        if stays:
            return check.same_pod(result, pods=3)
        return check.that(
            len(result.pods) > 1,
            "the requests of one client reach several pods",
            seen=tally(result.pods),
        )

    return probe


def weights_80_20(mesh: Mesh) -> Verdict:
    """Four in five requests go to v1, one in five to v2."""
    shares = {"v1": 80, "v2": 20}
    n = check.needed("split", shares)
    return check.split(mesh.fortio(URL, connections=4, requests=n), shares)


def six_at_once(all_served: bool) -> Probe:
    """Six requests open at the same moment: two for each of three pods."""

    def probe(mesh: Mesh) -> Verdict:
        # an idle connection to another pod than a request is for counts as one of those allowed
        apply_anew(mesh)
        with mesh.gate("hello-world") as gate:
            burst = mesh.start(URL, n=6)
            # each is held at a pod, or refused; one may wait for a connection, and shows in neither
            mesh.wait_for(lambda: gate.held() + burst.answered >= 5, "the six requests to arrive")
            gate.open()
            result = burst.wait()
        if all_served:
            (limits,) = configured(mesh, CLUSTER, "circuit_breakers")["thresholds"]
            check.equal(
                (limits["max_connections"], limits["max_pending_requests"]),
                (6, 6),
                "limits for six",
            )
            return check.status_counts(result, {200: 6})
        codes = result.codes
        return check.that(
            codes.get(503, 0) >= 1, "of six at once, some are refused with 503", seen=tally(codes)
        )

    return probe


def prefix_is(greedy: bool) -> Probe:
    """/v2x is no part of /v2, and /v2/a is /a for the application."""

    def probe(mesh: Mesh) -> Verdict:
        other = mesh.curl(f"{URL}v2x", n=check.needed("only"))
        check.only(other, version="v2" if greedy else "v1")
        itself = mesh.curl(f"{URL}v2", n=check.needed("only"))
        check.only(itself, version="v2")
        check.rewritten(itself, path="/")
        return check.rewritten(mesh.curl(f"{URL}v2/a", n=3), path="//a" if greedy else "/a")

    return probe


def caller_has_sidecar(expected: bool) -> Probe:
    """The pod of the namespace shop."""

    def probe(mesh: Mesh) -> Verdict:
        ready = {pod.ready for pod in mesh.pods("caller", namespace="shop")}
        if not expected:
            return check.equal(ready, {"1/1"}, "the pod has no sidecar: 1/1")
        check.equal(ready, {"2/2"}, "the pod has its sidecar: 2/2")
        result = mesh.curl("http://hello-world.hello-world/", n=3, source="caller")
        return check.all_ok(result, about="through its own sidecar")

    return probe


def has_to_guess(expected: bool) -> Probe:
    """A sidecar gives a port of which it knows no protocol a listener of its own, which looks at
    the first bytes.
    """

    def probe(mesh: Mesh) -> Verdict:
        names = list(by_name(listeners(mesh.config("hello-world-v1"))))
        own = [
            name
            for name in names
            if name.endswith("_80") and not name.startswith(("0.0.0.0", "inbound"))
        ]
        what = "sidecars have to guess the protocol" if expected else "sidecars know the protocol"
        return check.that(bool(own) == expected, what, seen=names)

    return probe


def team_is_reached(expected: bool) -> Probe:
    """The other team's routes mark each answer with a header."""

    def probe(mesh: Mesh) -> Verdict:
        (host,) = mesh.resource("VirtualService", "shop-vs", namespace="shop").spec["hosts"]
        result = mesh.curl(f"http://{host}/", n=5)
        marks = [response.headers.get("x-team") for response in result.responses]
        what = "the team's routes answer" if expected else "no answer comes from the team's routes"
        wanted = ["shop"] * 5 if expected else [None] * 5
        seen = f"{marks.count('shop')} of 5 answers come from the team's routes"
        return check.that(marks == wanted, what, seen=seen)

    return probe

"""The article's manifests, Y1 to Y12, behave on a real Envoy as the article's review says."""

from __future__ import annotations

from collections import Counter

import pytest

from labkit.errors import ParseError, ValidationError
from labkit.mesh import Mesh
from tests.mesh.conftest import CLUSTER, GATEWAY, SUBSETS, URL, rule, virtual_service

pytestmark = pytest.mark.embedded

ALPHA = 1e-6  # how often a random test may fail on a right configuration


def p_value(found: int, n: int, share: float, *, alternative: str = "two-sided") -> float:
    """The exact binomial test's."""
    from scipy.stats import binomtest  # a second of each worker that only collects this module

    return float(binomtest(found, n, share, alternative=alternative).pvalue)


def test_y1_random_spreads_evenly(mesh: Mesh) -> None:
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    n = 900
    pods = mesh.curl(URL, n=n).pods
    assert len(pods) == 3
    # Bonferroni over three exact binomial tests. Power against 40/40/20 at n = 900: over 0.999.
    assert all(p_value(k, n, 1 / 3) > ALPHA / 3 for k in pods.values()), pods


def test_y2_least_request_avoids_a_slow_pod_and_random_does_not(mesh: Mesh) -> None:
    slow = mesh.pods("hello-world-v2")[0].name
    mesh.control(slow, delay_ms=60)
    shares = {}
    for policy in ("RANDOM", "LEAST_REQUEST"):
        mesh.apply(rule(f"{{loadBalancer: {{simple: {policy}}}}}"))
        result = mesh.fortio(URL, connections=8, requests=400)
        shares[policy] = result.pods.get(slow, 0)
    assert p_value(shares["RANDOM"], 400, 1 / 3) > ALPHA
    # Of two pods drawn at random the less busy one gets the request: the slow one keeps about 1/9
    # (both draws) and a little more, 45 to 60 of 400. The test wants fewer than chance would ever
    # give it: 90.
    assert p_value(shares["LEAST_REQUEST"], 400, 1 / 3, alternative="less") < ALPHA, shares


def test_y3_as_published_is_refused_by_name() -> None:
    import labkit

    text = """
apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: hello-world-gateway, namespace: hello-world}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
  hosts: ["*"]
"""
    with pytest.raises(ValidationError, match="hosts"):
        labkit.load(text)


def test_y3_put_right_port_8080_answers_on_the_gateways_port_80(mesh: Mesh) -> None:
    mesh.apply(GATEWAY.replace("number: 80", "number: 8080").replace("[test.example.com]", "['*']"))
    assert mesh.curl(URL, n=3).codes == {200: 3}


def test_y4_only_the_named_host_is_routed(mesh: Mesh) -> None:
    assert mesh.curl(URL, n=3).codes == {200: 3}
    other = mesh.curl("http://other.example.com/", n=3)
    assert other.codes == {404: 3}
    assert other.flags == {"NR": 3}


def test_y5_second_rule_is_ignored_in_silence_alone_it_gives_affinity(mesh: Mesh) -> None:
    affinity = "{loadBalancer: {consistentHash: {httpHeaderName: x-forwarded-for}}}"
    headers = {"x-forwarded-for": "10.1.2.3"}
    mesh.apply(rule("{loadBalancer: {simple: RANDOM}}"))
    mesh.apply(rule(affinity, name="hellow-world-dr"))
    # all of 60 on fewer pods: 3 * (2/3)^60 < 1e-9
    assert len(mesh.curl(URL, n=60, headers=headers).pods) == 3
    mesh.delete("DestinationRule", "hello-world-dr")
    for client in ("10.1.2.3", "10.1.2.4", "10.1.2.5"):
        assert len(mesh.curl(URL, n=20, headers={"x-forwarded-for": client}).pods) == 1


def test_y6_as_published_is_not_yaml() -> None:
    import labkit

    text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\nspec:\n"
    with pytest.raises(ParseError):
        labkit.load(text + "  host: hello-world\n    outlierDetection:\n      interval: 5m\n")


def test_y6_with_the_default_percent_nobody_leaves_a_pool_of_two(mesh: Mesh) -> None:
    two = rule(
        "{loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 7, "
        "interval: 1s, "
        "baseEjectionTime: 30s}}",
        subsets=SUBSETS,
    )
    mesh.apply(two, virtual_service("[{route: [{destination: {host: hello-world, subset: v1}}]}]"))
    mesh.control("hello-world-v1", fail_share=1.0, fail_status=500)
    assert mesh.curl(URL, n=60).codes == {500: 60}
    assert ejected(mesh, "v1") == 0


@pytest.mark.parametrize(("percent", "out"), [(50, 1), (100, 2)])
def test_y6_seven_errors_eject_a_pod_six_do_not(mesh: Mesh, percent: int, out: int) -> None:
    mesh.apply(
        rule(
            "{loadBalancer: {simple: ROUND_ROBIN}, outlierDetection: {consecutive5xxErrors: 7, "
            "interval: 1s, "
            f"baseEjectionTime: 30s, maxEjectionPercent: {percent}}}}}",
            subsets=SUBSETS,
        ),
        virtual_service("[{route: [{destination: {host: hello-world, subset: v1}}]}]"),
    )
    mesh.control("hello-world-v1", fail_share=1.0, fail_status=500)
    assert mesh.curl(URL, n=12).codes == {500: 12}  # round robin: six each
    assert ejected(mesh, "v1") == 0
    result = mesh.curl(URL, n=2)  # the seventh error of each
    mesh.wait_for(lambda: ejected(mesh, "v1") >= out, "Envoy's main thread to eject", timeout_s=5)
    assert ejected(mesh, "v1") == out
    if out == 2:
        assert result.codes == {500: 2}
        # Envoy merges changes of health within a second (update_merge_window), so the second one
        # acts a little later
        mesh.wait_for(
            lambda: mesh.curl(URL).flags == {"UH": 1}, "the second ejection to act", timeout_s=5
        )
        after = mesh.curl(URL, n=3)
        assert after.codes == {503: 3}
        assert after.flags == {"UH": 3}  # nobody left: panic mode is off, as in Istio


def test_y7_as_published_refuses_some_of_a_load_and_none_of_a_single_client(mesh: Mesh) -> None:
    mesh.apply(
        rule("{connectionPool: {http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}}}")
    )
    assert mesh.fortio(URL, connections=1, requests=20, method="POST").codes == {200: 20}
    before = overflows(mesh)
    result = mesh.fortio(URL, connections=4, requests=400, method="POST")
    assert set(result.codes) == {200, 503}
    assert result.codes[503] == overflows(mesh) - before


def test_y8_alone_never_answers_503(mesh: Mesh) -> None:
    mesh.apply(rule("{connectionPool: {tcp: {maxConnections: 2}}}"))
    assert mesh.fortio(URL, connections=8, requests=200, method="POST").codes == {200: 200}


def test_y9_y10_prefix_v2_goes_to_v2_and_is_rewritten(mesh: Mesh) -> None:
    mesh.apply(
        rule(subsets=SUBSETS),
        virtual_service(
            "[{match: [{uri: {prefix: /v2}}], rewrite: {uri: /}, route: [{destination: {host: "
            "hello-world, subset: v2, "
            "port: {number: 80}}}]}, {route: [{destination: {host: hello-world, subset: v1, "
            "port: {number: 80}}}]}]"
        ),
    )
    assert set(mesh.curl(URL, n=6).versions) == {"v1"}
    on_v2 = mesh.curl(URL + "v2", n=3)
    assert set(on_v2.versions) == {"v2"}
    assert "path /\n" in on_v2[0].text
    # what the prefix swallows too, and what its rewriting makes
    assert set(mesh.curl(URL + "v2x", n=1).versions) == {"v2"}
    assert "path //a\n" in mesh.curl(URL + "v2/a", n=1)[0].text


def test_y11_another_host_is_not_served(mesh: Mesh) -> None:
    assert mesh.curl(URL, n=1).codes == {200: 1}
    assert mesh.curl("http://example.org/", n=1).codes == {404: 1}


def test_y12_as_published_sends_everything_to_v2(mesh: Mesh) -> None:
    published = virtual_service(
        "[{route: [{destination: {host: hello-world, subset: v2}, weight: 80}]}, "
        "{route: [{destination: {host: hello-world, subset: v1}, weight: 20}]}]"
    )
    applied = mesh.apply(rule(subsets=SUBSETS), published)
    assert any("never used" in w for w in applied.warnings)
    assert mesh.curl(URL, n=40).versions == {"v2": 40}


def test_y12_put_right_splits_80_to_20(mesh: Mesh) -> None:
    route = (
        "[{route: [{destination: {host: hello-world, subset: v1}, weight: 80}, "
        "{destination: {host: hello-world, subset: v2}, weight: 20}]}]"
    )
    mesh.apply(rule(subsets=SUBSETS), virtual_service(route))
    n = 1000  # power against 70/30: over 0.999
    versions = mesh.curl(URL, n=n).versions
    assert p_value(versions["v1"], n, 0.8) > ALPHA, versions


def test_k9_a_caller_in_the_mesh_has_limits_of_its_own(mesh: Mesh) -> None:
    mesh.apply(
        rule("{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}")
    )
    before = mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER)
    with mesh.gate("hello-world") as gate:
        outside = mesh.start(URL, n=6)
        gate.wait_settled(outside, cluster=CLUSTER)
        inside = mesh.start("http://hello-world/", n=1, source="client")
        gate.open()
        assert inside.wait().codes == {200: 1}
        assert outside.wait().codes.keys() <= {200, 503}
    assert mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER, proxy="client") == 0
    assert mesh.counter("upstream_rq_pending_overflow", cluster=CLUSTER) >= before


def overflows(mesh: Mesh) -> int:
    """Refusals by the gateway, and by the pods' own sidecars: the limits hold for their inbound
    clusters too.
    """
    name = "upstream_rq_pending_overflow"
    at_pods = sum(
        mesh.counter(name, cluster="inbound|8080||", proxy=pod.name)
        for pod in mesh.pods("hello-world")
    )
    return mesh.counter(name, cluster=CLUSTER) + at_pods


def ejected(mesh: Mesh, subset: str) -> int:
    frame = mesh.endpoints()
    mine = frame[frame["subset"] == subset]
    return Counter("failed_outlier_check" in h for h in mine["health"])[True]

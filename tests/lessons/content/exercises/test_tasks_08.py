"""The judge of lesson 8's exercise passes on its solution, and on no match that takes too much or
too little.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.lessons import CheckFailed, manifest, show
from labkit.lessons.content.exercises.lesson_08 import (
    OVERRIDDEN,
    TASKS,
    keeps_v1_users,
    leads_beta_to_v2,
    limits_v2_alone,
    loses_affinity,
)
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded

LESSON = "08_subsets_and_rewrite"


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        gateway = manifest("04_gateway_and_virtual_service/gateway.yaml")
        # what is in force where the exercise stands
        mesh.apply(manifest("hello-world.yaml"), gateway, manifest(f"{LESSON}/policies.yaml"))
        yield mesh


TWO_ROUTES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: hello-world-vs, namespace: hello-world}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http:
  - match: [{uri: {prefix: /beta/}}]
    rewrite: {uri: /}
    route: [{destination: {host: hello-world, subset: v2}}]
  - match: [{uri: {exact: /beta}}]
    rewrite: {uri: /}
    route: [{destination: {host: hello-world, subset: v2}}]
  - route: [{destination: {host: hello-world, subset: v1}}]
"""


def test_the_solution(mesh: Mesh) -> None:
    mesh.apply(manifest(f"{LESSON}/beta.yaml"))
    assert leads_beta_to_v2(mesh)
    mesh.apply(TWO_ROUTES)
    assert leads_beta_to_v2(mesh), "a route for each of the two matches"


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prefix", "/v2", "/beta"),
        ("exact-and-prefix", "/v2", "/v2"),
        ("beta", "        - uri:\n            exact: /beta\n", ""),
        ("beta", "        - uri:\n            prefix: /beta/\n", ""),
        ("beta", "prefix: /beta/", "prefix: /beta"),
        ("beta", "      rewrite:\n        uri: /\n", ""),
        ("beta", "subset: v2", "subset: v1"),
        ("beta", "            subset: v1\n", ""),
        ("beta", "            subset: v2\n", ""),
    ],
    ids=[
        "prefix alone",
        "unchanged",
        "no exact path",
        "no prefix",
        "prefix without a slash",
        "no rewrite",
        "v1 for both",
        "no subset for the rest",
        "no subset for beta",
    ],
)
def test_near_misses(mesh: Mesh, file: str, old: str, new: str) -> None:
    text = show(f"{LESSON}/{file}.yaml")
    assert old in text
    mesh.apply(text.replace(old, new))
    with pytest.raises(CheckFailed):
        leads_beta_to_v2(mesh)


def test_limits_for_one_version(mesh: Mesh) -> None:
    def refused(said: str) -> None:
        with pytest.raises(CheckFailed, match=said):
            limits_v2_alone(mesh)

    weak = show(f"{LESSON}/weak-beta.yaml")
    limits = weak[weak.index("      trafficPolicy") :]
    outside = weak.replace(limits, "").replace(
        "  subsets:", "\n".join(line[4:] for line in limits.splitlines()) + "\n  subsets:"
    )
    mesh.apply(
        manifest(f"{LESSON}/beta.yaml"),
        weak.replace("http1MaxPendingRequests: 1", "http1MaxPendingRequests: 2"),
    )
    refused("v2 takes 1 at a time, and refuses 2 of 5")
    mesh.apply(weak.replace("maxConnections: 1", "maxConnections: 2"))
    refused("v2 takes 2 at a time")
    mesh.apply(outside)
    refused("v1 holds . of 5 at a time: the limit is not v2's alone")
    mesh.apply(manifest(f"{LESSON}/weak-beta.yaml"))
    assert limits_v2_alone(mesh)
    mesh.apply(TWO_ROUTES)
    assert limits_v2_alone(mesh), "however the routes are written"
    mesh.apply(manifest(f"{LESSON}/exact-and-prefix.yaml"))
    refused("/beta and what is below it")


def test_users_who_lose_their_pod(mesh: Mesh) -> None:
    def refused(said: str) -> None:
        with pytest.raises(CheckFailed, match=said):
            keeps_v1_users(mesh)

    loses_affinity(mesh)
    refused("users change pods. Subset v1 has a loadBalancer of its own .*ROUND_ROBIN")
    mesh.apply(
        OVERRIDDEN.replace("{simple: ROUND_ROBIN}", "{consistentHash: {httpHeaderName: x-usr}}")
    )
    refused("Subset v1 has a loadBalancer of its own .*x-usr")
    mesh.apply(
        OVERRIDDEN.replace(
            "{consistentHash: {httpHeaderName: x-user}}", "{simple: RANDOM}"
        ).replace(", trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}", "")
    )
    refused("No policy that v1 obeys keeps users")
    mesh.apply(
        show(f"{LESSON}/exact-and-prefix.yaml").replace("            subset: v1\n", ""),
        manifest(f"{LESSON}/keeps-users.yaml"),
    )
    refused("users of v1 end at v2")
    loses_affinity(mesh)
    mesh.apply(
        OVERRIDDEN.replace("{simple: ROUND_ROBIN}", "{consistentHash: {httpHeaderName: x-user}}")
    )
    assert keeps_v1_users(mesh), "the subset may say it itself"
    loses_affinity(mesh)
    exec(TASKS["08-3"].solution, {"mesh": mesh, "manifest": manifest})
    assert keeps_v1_users(mesh)

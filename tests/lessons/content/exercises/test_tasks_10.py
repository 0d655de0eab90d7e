"""The exercise of lesson 10 takes every rule that spares the callers, and none that nearly does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.lessons import manifest, show
from labkit.lessons.content.exercises.lesson_10 import SLOW_MS
from labkit.lessons.content.tasks import task
from labkit.mesh import Mesh

pytestmark = pytest.mark.embedded

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: hello-world-vs, namespace: hello-world}}
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http: [{{{policy}, route: [{{destination: {{host: hello-world}}}}]}}]
"""


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as mesh:
        mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice/gateway.yaml"))
        mesh.apply(manifest("03_load_balancing/round-robin.yaml"))
        mesh.control(mesh.pods("hello-world-v2")[0].name, delay_ms=SLOW_MS)
        yield mesh


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("LABKIT_STRICT", raising=False)


def test_the_solution_passes_and_so_does_another_way_to_say_it(mesh: Mesh) -> None:
    mesh.apply(manifest("10_resilience/slow-pod.yaml"))
    assert task("10-1").check(mesh).line == "PASS  exercise 10-1"
    mesh.apply(
        RULE.format(
            policy="timeout: 5s, retries: {attempts: 1, perTryTimeout: 300ms, retryOn: reset}"
        )
    )
    assert task("10-1").check(mesh)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("timeout: 300ms", "200"),
        ("retries: {attempts: 1, retryOn: 5xx}", "at most 1500 ms"),
        ("retries: {attempts: 1, perTryTimeout: 2s, retryOn: 5xx}", "at most 1500 ms"),
        ("retries: {attempts: 1, perTryTimeout: 200ms, retryOn: connect-failure}", "200"),
        ("retries: {attempts: 2, perTryTimeout: 200ms, retryOn: 5xx}", "at most two attempts"),
        ("retries: {attempts: 0}", "at most 1500 ms"),
    ],
)
def test_near_misses(mesh: Mesh, policy: str, said: str) -> None:
    mesh.apply(RULE.format(policy=policy))
    verdict = task("10-1").check(mesh)
    assert verdict.line == "NOT YET  exercise 10-1"
    assert said in verdict.explain()
    slow = mesh.states("hello-world")["delay_ms"]
    assert sorted(slow) == [0, 0, SLOW_MS]  # the judge leaves the pods as it found them


ROUTE = "route: [{destination: {host: hello-world}}]"
FAULT = "fault: {abort: {httpStatus: 503, percentage: {value: 100}}}"
MATCH = "match: [{headers: {x-tester: {exact: 'yes'}}}]"


def routes(*http: str) -> str:
    return (
        RULE[: RULE.index("  http:")].format()
        + f"  http: [{', '.join(f'{{{r}}}' for r in http)}]\n"
    )


def refused(id: str, mesh: Mesh, said: str) -> None:
    verdict = task(id).check(mesh)
    assert verdict.line == f"NOT YET  exercise {id}"
    assert said in verdict.explain()


def test_a_fault_for_testers_alone(mesh: Mesh) -> None:
    mesh.control("hello-world", reset=True)
    for http, said in (
        ((f"{FAULT}, {ROUTE}",), "the fault is for everybody"),
        ((ROUTE, f"{MATCH}, {FAULT}, {ROUTE}"), "no route before the other one asks"),
        ((f"{MATCH}, {FAULT.replace('100', '50')}, {ROUTE}", ROUTE), "for a share of them"),
        ((f"{MATCH}, {FAULT.replace('503', '500')}, {ROUTE}", ROUTE), "testers get"),
        ((f"{MATCH}, {FAULT}, {ROUTE}",), "30 of 30 requests without the header fail"),
    ):
        mesh.apply(routes(*http))
        refused("10-2", mesh, said)
    exec(task("10-2").solution, {"mesh": mesh, "show": show})
    assert task("10-2").check(mesh)
    mesh.apply(routes(f"{MATCH}, {FAULT.replace('exact', 'prefix')}, {ROUTE}", ROUTE))
    assert task("10-2").check(mesh), "any match that a tester's header fits"


def test_purchases_that_are_booked_twice(mesh: Mesh) -> None:
    mesh.control("hello-world", reset=True)
    assert "booked twice" in task("10-3").prepare(mesh).prompt
    refused("10-3", mesh, "30 requests, and the pods got 60")
    mirror = "mirror: {host: hello-world}"
    mesh.apply(routes(f"{ROUTE}, {mirror}, retries: {{attempts: 0}}"))
    refused("10-3", mesh, "the pods got 60")
    mesh.apply(routes(f"{ROUTE}, {mirror}, mirrorPercentage: {{value: 50}}"))
    refused("10-3", mesh, "30 requests, and the pods got")
    mesh.apply(routes(f"{FAULT}, {ROUTE}"))
    refused("10-3", mesh, "200")
    mesh.apply(routes(f"{ROUTE}, retries: {{attempts: 2, retryOn: 5xx}}"))
    assert task("10-3").check(mesh), "the retries may stay"
    exec(task("10-3").solution, {"mesh": mesh, "manifest": manifest})
    assert task("10-3").check(mesh)

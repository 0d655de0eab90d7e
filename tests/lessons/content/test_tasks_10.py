"""The exercise of lesson 10 takes every rule that spares the callers, and none that nearly does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.lessons import manifest
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

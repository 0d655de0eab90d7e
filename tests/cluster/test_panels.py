"""The panels on a cluster: what they show is what its gateway counted. How they look is the browser
suite's to test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import labkit
from labkit.envoy import dump
from labkit.lessons import manifest
from labkit.mesh import Mesh
from labkit.ui import BreakerTimeline, MeshView, PolicyPanel, TrafficPanel
from labkit.waiting import wait_until
from tests.mesh.conftest import CLUSTER, URL, rule

from .conftest import claim_hello_world

pytestmark = pytest.mark.timeout(180)

QUICK = (
    "{outlierDetection: {consecutive5xxErrors: 2, interval: 300ms, baseEjectionTime: 10s, "
    "maxEjectionPercent: 100}}"
)


@pytest.fixture(scope="module")
def one_mesh(kubeconfig: str) -> Iterator[Mesh]:
    claim_hello_world()
    with labkit.open_mesh("cluster", kubeconfig=kubeconfig) as mesh:
        mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))
        yield mesh


@pytest.fixture
def mesh(one_mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    one_mesh.reset()
    one_mesh.apply(manifest("02_first_microservice"))
    return one_mesh


def test_from_a_control_to_the_gateways_envoy(mesh: Mesh) -> None:
    panel = PolicyPanel(mesh, "03_load_balancing/random.yaml")
    panel.set("loadBalancer.simple", "ROUND_ROBIN")
    panel.set("outlierDetection.consecutive5xxErrors", 3)
    panel.apply()
    assert panel.said.startswith("Applied at ")
    assert ("+", "  consecutive_5xx: 3") in panel.envoy["rows"]
    told = dump.by_name(dump.clusters(mesh.config()))[CLUSTER]
    assert told["outlier_detection"]["consecutive_5xx"] == 3
    assert told.get("lb_policy", "ROUND_ROBIN") == "ROUND_ROBIN"
    panel.close()


@pytest.mark.parametrize(
    "settings", [{"kind": "curl"}, {"kind": "fortio", "connections": 2}], ids=["curl", "fortio"]
)
def test_a_run_shows_its_numbers_beside_the_gateways(
    mesh: Mesh, settings: dict[str, object]
) -> None:
    panel = TrafficPanel(mesh, URL)
    panel.run(requests=40, **settings)
    assert panel.result.codes == {200: 40}
    assert panel.counted["rows"] == [["200", "40", "40", "upstream_rq_200"]]
    assert panel.verdict == "The same as the gateway counted."
    panel.close()


def test_a_stream_draws_a_line_at_each_apply(mesh: Mesh) -> None:
    panel = TrafficPanel(mesh, URL)
    panel.start(kind="stream", rate=20)
    wait_until(lambda: bool(panel.picture), 20, "the first picture")
    mesh.apply(manifest("03_load_balancing/random.yaml"))
    wait_until(lambda: panel.marks == 1, 20, "the line")
    panel.stop()
    assert panel.verdict == "The same as the gateway counted."
    panel.close()


def test_an_ejection_is_in_the_picture_and_in_the_timeline(mesh: Mesh) -> None:
    mesh.apply(rule(QUICK))
    bad = mesh.pods("hello-world-v2")[0].name
    view, timeline = MeshView(mesh), BreakerTimeline(mesh)
    view.start()
    timeline.start()
    mesh.control(bad, fail_share=1.0)

    def ejected() -> bool:
        mesh.curl(URL, n=10)
        return bool(timeline.frame["pod"].eq(bad).any())

    wait_until(ejected, 30, "the ejection to be seen", longest_s=0.2)
    wait_until(lambda: "data-state='ejected'" in view.svg, 10, "the pod to be crossed out")
    mesh.control(bad, reset=True)
    wait_until(lambda: bool(timeline.frame["to_s"].notna().any()), 30, "the pod to be back")
    view.stop()
    timeline.stop()
    timeline.look()
    view.look()
    first = timeline.frame.iloc[0]
    assert first["base_s"] == 10
    assert first["to_s"] - first["from_s"] >= 10 - 1  # looks are up to one second apart
    assert view.error == {}
    assert timeline.error == {}
    sent = mesh.endpoints().groupby("pod")["requests"].sum()
    assert {pod: view.watch.sent[pod] for pod in sent.index if pod} == {
        pod: n for pod, n in sent.items() if pod
    }
    view.close()
    timeline.close()

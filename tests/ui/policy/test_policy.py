"""The PolicyPanel's model, without a browser, on a real mesh."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import labkit
from labkit.envoy import dump
from labkit.errors import LabkitError, LessonError, ManifestError, MeshError, NotFound
from labkit.lessons import manifest
from labkit.mesh import Mesh
from labkit.resources.yaml import document
from labkit.ui import PolicyPanel
from labkit.waiting import wait_until

pytestmark = pytest.mark.embedded

RANDOM = "03_load_balancing/random.yaml"
SERVICE = "outbound|80||hello-world.hello-world.svc.cluster.local"


@pytest.fixture(scope="module")
def one_mesh() -> Iterator[Mesh]:
    with labkit.open_mesh() as mesh:
        mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))
        yield mesh


@pytest.fixture
def mesh(one_mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    one_mesh.reset()
    one_mesh.apply(manifest("02_first_microservice"))
    return one_mesh


@pytest.fixture
def panel(mesh: Mesh) -> Iterator[PolicyPanel]:
    panel = PolicyPanel(mesh, RANDOM)
    yield panel
    panel.close()


def cluster(mesh: Mesh, name: str = SERVICE) -> dict[str, Any]:
    return dump.by_name(dump.clusters(mesh.config()))[name]


def ask(panel: PolicyPanel, do: str, *args: object) -> None:
    """What a click sends."""
    panel.hear(panel, {"do": do, "args": list(args)})


def test_from_a_control_to_envoy(mesh: Mesh, panel: PolicyPanel) -> None:
    assert panel.state["is_new"]
    panel.set("loadBalancer.simple", "ROUND_ROBIN")
    ask(panel, "turn", "outlierDetection.consecutive5xxErrors", "3")
    assert "lb_policy" in cluster(mesh)  # nothing has happened so far
    panel.apply()
    found = cluster(mesh)
    assert "lb_policy" not in found  # Envoy does not write ROUND_ROBIN
    assert found["outlier_detection"]["consecutive_5xx"] == 3
    assert ("+", "  consecutive_5xx: 3") in panel.envoy["rows"]
    assert ("-", "lb_policy: LEAST_REQUEST") in panel.envoy["rows"]
    assert panel.said.startswith("Applied at ")
    assert panel.changes == []
    assert panel.state["is_applied"]


def test_each_mode_reaches_envoy(mesh: Mesh, panel: PolicyPanel) -> None:
    policies = {
        "RANDOM": "RANDOM",
        "LEAST_REQUEST": "LEAST_REQUEST",
        "ROUND_ROBIN": None,
        "": "LEAST_REQUEST",
    }
    for mode, policy in policies.items():
        ask(panel, "turn", "loadBalancer", mode)
        panel.apply()
        assert cluster(mesh).get("lb_policy") == policy
    ask(panel, "turn", "loadBalancer", "PASSTHROUGH")
    panel.apply()
    assert cluster(mesh)["type"] == "ORIGINAL_DST"
    for name in ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"):
        ask(panel, "turn", "loadBalancer", f"consistentHash.{name}")
        panel.apply()
        assert cluster(mesh)["lb_policy"] == "RING_HASH"
    ask(panel, "turn", "loadBalancer", "consistentHash.httpCookie")
    ask(panel, "turn", "loadBalancer.consistentHash.httpCookie.ttl", "90s")
    panel.apply()
    # it is the route that says what is hashed
    assert ("+", "      ttl: 90s") in panel.envoy["rows"]


def test_a_subset_gets_a_policy_of_its_own(mesh: Mesh, panel: PolicyPanel) -> None:
    ask(panel, "add", "subsets")
    ask(panel, "choose_subset", "v1")
    ask(panel, "turn", "connectionPool.tcp.maxConnections", "1")
    panel.apply()
    threshold = cluster(mesh, SERVICE.replace("||", "|v1|"))["circuit_breakers"]["thresholds"][0]
    assert threshold["max_connections"] == 1
    assert cluster(mesh)["circuit_breakers"]["thresholds"][0]["max_connections"] > 1000
    ask(panel, "turn", "spec.subsets[0].name", "one")  # the subset in view is gone under that name
    assert panel.state["subset"] == ""
    with pytest.raises(ManifestError, match="no subset"):
        panel.choose(subset="v1")


def test_weights_move_together(mesh: Mesh) -> None:
    mesh.apply(manifest("09_canary_rollout/subsets.yaml"))
    panel = PolicyPanel(mesh, "09_canary_rollout/split-80-20.yaml")
    panel.set("spec.http[0].route[1].weight", 35)
    panel.apply()
    weights = [line for line in panel.got if line.strip().startswith("weight:")]
    assert [line.strip() for line in weights] == ["weight: 65", "weight: 35"]
    panel.close()


def test_comments_and_order_stay(panel: PolicyPanel) -> None:
    published = panel.yaml
    panel.set("loadBalancer.simple", "LEAST_REQUEST")
    assert panel.yaml == published.replace("simple: RANDOM", "simple: LEAST_REQUEST")
    panel.reset()
    assert panel.yaml == published


def test_undo_goes_back_change_by_change_and_keys_in_a_row_are_one(panel: PolicyPanel) -> None:
    start = panel.yaml
    panel.set("loadBalancer.simple", "ROUND_ROBIN")
    first = panel.yaml
    for end in range(1, 6):
        ask(panel, "type", first + "# abcd"[:end], "view", end)
    panel.set("outlierDetection.interval", "5s")
    for expected in (first + "# abc", first, start, start):
        panel.undo()
        assert panel.yaml == expected


def test_what_is_wrong_is_found_beside_its_field_and_typing_goes_on(panel: PolicyPanel) -> None:
    ask(panel, "turn", "outlierDetection.interval", "10")
    ask(panel, "turn", "connectionPool.tcp.maxConnections", "-1")
    ask(panel, "turn", "outlierDetection.maxEjectionPercent", "many")
    notes = panel.state["notes"]
    assert "not a duration" in notes["outlierDetection.interval"][0][1]
    assert "outlierDetection.maxEjectionPercent" in notes
    assert {f["level"] for f in panel.findings} >= {"error"}
    assert "interval" not in notes.get("loadBalancer", [])
    ask(panel, "type", "spec: {", "view", 1)
    assert panel.state["unreadable"]
    # as it was when it could be read
    assert panel.state["values"]["outlierDetection.interval"] == "10"
    assert not panel.failed


def test_the_linter_sees_the_mesh(mesh: Mesh, panel: PolicyPanel) -> None:
    panel.type(panel.yaml.replace("host: hello-world", "host: helo-world"))
    assert "IST0174" in {f["code"] for f in panel.findings} | {f["code"] for f in panel.findings}
    assert any("helo-world" in f["what"] for f in panel.findings)


def test_a_refused_text_is_said_in_the_panel_with_the_way_back(
    mesh: Mesh, panel: PolicyPanel
) -> None:
    panel.apply()
    panel.set("loadBalancer.simple", "RANDON")
    with pytest.raises(ManifestError):
        panel.apply()
    assert "would be refused" in panel.error["message"]
    assert panel.error["back"]["do"] == "back_to_applied"
    assert cluster(mesh)["lb_policy"] == "RANDOM"
    ask(panel, "back_to_applied")
    assert panel.changes == []
    assert "simple: RANDOM" in panel.yaml
    assert not panel.failed


def test_what_this_mesh_does_not_do_is_said_too(panel: PolicyPanel) -> None:
    panel.set("tls.mode", "ISTIO_MUTUAL")
    ask(panel, "apply")
    wait_until(lambda: panel.failed and not panel.busy, 20, "the apply to be refused")
    assert "not supported here" in panel.error["message"]


def test_what_somebody_else_applies_is_what_it_is_compared_with(
    mesh: Mesh, panel: PolicyPanel
) -> None:
    panel.apply()
    mesh.apply(manifest("03_load_balancing/round-robin.yaml"))
    panel.look()
    assert panel.changes == ["-      simple: ROUND_ROBIN", "+      simple: RANDOM"]
    assert {mark for mark, _ in panel.envoy["rows"]} == {" "}
    mesh.delete("DestinationRule", "hello-world-dr")
    panel.look()
    assert panel.state["is_new"]


def test_a_text_of_several_objects(mesh: Mesh) -> None:
    both = manifest("09_canary_rollout/subsets.yaml").read_text() + "---\n"
    both += manifest("09_canary_rollout/split-80-20.yaml").read_text()
    panel = PolicyPanel(mesh, both)
    assert panel.state["documents"] == [
        "DestinationRule hello-world-dr",
        "VirtualService hello-world-vs",
    ]
    panel.choose(document=1)
    panel.set("spec.http[0].route[0].weight", 50)
    assert panel.findings == []  # the subsets are in the same text
    panel.apply()
    assert panel.changes == []
    panel.choose(document=0)
    panel.set("loadBalancer.simple", "RANDOM")
    assert panel.changes == ["+  trafficPolicy:", "+    loadBalancer:", "+      simple: RANDOM"]
    panel.close()


def test_a_draft_is_back_in_the_next_kernel_even_when_it_is_no_yaml(
    mesh: Mesh, panel: PolicyPanel
) -> None:
    half = panel.yaml + "  trafficPolicy: [ half"
    panel.type(half)
    panel.close()
    again = PolicyPanel(mesh, RANDOM)
    assert again.yaml == half
    assert again.note.startswith("Your draft from ")
    again.reset()
    again.close()
    third = PolicyPanel(mesh, RANDOM)
    assert (third.yaml, third.note) == (manifest(RANDOM).read_text(), "")
    third.close()


def test_it_shows_without_a_browser(panel: PolicyPanel) -> None:
    panel.apply()
    panel.set("loadBalancer.simple", "ROUND_ROBIN")
    panel.set("outlierDetection.interval", "<b>")
    assert "  -       simple: RANDOM\n  +       simple: ROUND_ROBIN" in panel.text()
    html = panel.page()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html.replace("<b>Change a policy</b>", "")
    assert "What Envoy got" in html
    assert "<button" not in html


def test_that_drafts_are_kept_is_said_only_where_they_are(
    mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = PolicyPanel(mesh, RANDOM)
    assert panel.drafts_kept
    panel.close()
    (tmp_path / "no folder").write_text("")
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "no folder" / "progress.json"))
    panel = PolicyPanel(mesh, RANDOM)
    panel.set("loadBalancer.simple", "ROUND_ROBIN")
    panel.draft.flush()
    panel.set("loadBalancer.simple", "RANDOM")
    assert not panel.drafts_kept
    panel.close()


def test_a_mesh_that_is_closed_is_said_and_the_text_can_still_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    with labkit.open_mesh() as mesh:
        mesh.apply(manifest("hello-world.yaml"))
        panel = PolicyPanel(mesh, RANDOM)
    with pytest.raises(MeshError, match="closed"):
        panel.apply()
    assert panel.error["try_next"]
    panel.set("loadBalancer.simple", "ROUND_ROBIN")
    assert "ROUND_ROBIN" in panel.yaml
    panel.close()


def test_a_proxy_that_is_not_there_and_a_manifest_that_is_not_there(mesh: Mesh) -> None:
    with pytest.raises(NotFound):
        PolicyPanel(mesh, RANDOM, proxy="nobody")
    with pytest.raises(LessonError, match="no manifest"):
        PolicyPanel(mesh, "03_load_balancing/radnom.yaml")
    with pytest.raises(LessonError, match="one file"):
        PolicyPanel(mesh, "03_load_balancing")


def test_many_threads_at_once(mesh: Mesh, panel: PolicyPanel) -> None:
    failures: list[LabkitError] = []

    def turn(number: int) -> None:
        try:
            for step in range(10):
                panel.set("outlierDetection.consecutive5xxErrors", 1 + number * 10 + step)
                if step % 5 == 0:
                    panel.apply()
        except LabkitError as error:
            failures.append(error)

    threads = [threading.Thread(target=turn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    panel.apply()
    assert (
        f"consecutive5xxErrors: {cluster(mesh)['outlier_detection']['consecutive_5xx']}"
        in panel.yaml
    )


@pytest.mark.parametrize("applied", [None, RANDOM, "03_load_balancing/round-robin.yaml"])
def test_a_keystroke_parses_the_text_at_most_three_times(
    mesh: Mesh, panel: PolicyPanel, applied: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if applied is not None:
        mesh.apply(manifest(applied))
        panel.look()
    parses: list[str] = []
    parse = document.compose

    def counted(text: str, name: str, first: int) -> Any:
        parses.append(text)
        return parse(text, name, first)

    monkeypatch.setattr(document, "compose", counted)
    keys = [
        ("type", panel.yaml + "# a", "view", 1),
        ("turn", "loadBalancer", "consistentHash.httpCookie"),
        ("turn", "loadBalancer.consistentHash.httpCookie.ttl", "90s"),
        ("turn", "loadBalancer", "consistentHash.httpHeaderName"),
        ("turn", "outlierDetection.interval", "5s"),
        ("turn", "outlierDetection.maxEjectionPercent", "50"),
        ("add", "subsets"),
        ("turn", "spec.subsets[0].labels", "version=v9"),
        ("turn", "loadBalancer", "RANDOM"),
        ("turn", "outlierDetection.interval", ""),
        ("remove", "spec.subsets[0]"),
        ("turn", "loadBalancer", ""),
        ("undo",),
        ("type", "spec: {", "view", 2),
        ("reset",),
    ]
    for key in keys:
        parses.clear()
        ask(panel, *key)
        assert not panel.failed, key
        assert len(parses) <= 3, key

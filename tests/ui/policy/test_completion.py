"""What the PolicyPanel's editor offers, and that the editor is the one that was built."""

from __future__ import annotations

import hashlib
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from labkit.resources import kinds
from labkit.ui import PolicyPanel
from labkit.ui.panels.policy.completion import index

FOLDER = Path(str(files("labkit.ui") / "static" / "editor"))
SOURCES = Path(__file__).parents[3] / "tools" / "editor"


def at(kind: str, path: str) -> dict[str, Any]:
    node = index()["kinds"][kind]
    for key in path.split("."):
        node = index()["shared"][node["is"]] if "is" in node else node
        node = node["item"] if key == "[]" else node["fields"][key]
    return dict(node)


def test_fields_and_values_are_those_of_the_schemas() -> None:
    policy = "spec.trafficPolicy"
    assert "RANDOM" in at("DestinationRule", f"{policy}.loadBalancer.simple")["values"]
    assert at("DestinationRule", f"{policy}.outlierDetection.interval")["type"].startswith(
        "duration"
    )
    assert at("DestinationRule", f"{policy}.connectionPool.tcp.maxConnections")["type"] == "integer"
    weight = at("VirtualService", "spec.http.[].route.[].weight")
    assert weight == {"type": "integer"}
    assert at("Service", "spec.ports.[].port")["type"] == "integer"
    assert set(index()["kinds"]) == set(kinds.RUN_NAMES)
    for row in kinds.RUN:
        assert at(row.kind, "apiVersion") == {"values": [row.api_version]}
        assert "status" not in index()["kinds"][row.kind]["fields"]


def test_a_field_with_a_control_says_the_same_as_the_control() -> None:
    for policy in ("spec.trafficPolicy", "spec.subsets.[].trafficPolicy"):
        errors = at("DestinationRule", f"{policy}.outlierDetection.consecutive5xxErrors")
        assert (
            errors["about"]
            == "A pod that answers with this many 5xx in a row is ejected. 0: never."
        )


def test_every_shared_part_is_there_and_the_whole_is_small() -> None:
    text = json.dumps(index())
    assert set(re.findall(r'"is": "(\w+)"', text)) == set(index()["shared"])
    assert all(index()["shared"].values())
    assert len(text) < 100_000


def test_the_editor_that_is_shipped_is_the_one_that_was_built() -> None:
    sums = dict(line.split()[::-1] for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {"LICENSES.txt", "editor.js"}
    assert set(sums) | {"SHA256SUMS"} == {file.name for file in FOLDER.iterdir()}
    for name, expected in sums.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == expected, name


def test_all_that_it_is_made_of_is_named_with_its_licence() -> None:
    licences = (FOLDER / "LICENSES.txt").read_text("utf-8")
    for name, version in json.loads((SOURCES / "package.json").read_text())["dependencies"].items():
        assert f"{name} {version} (MIT)" in licences


def test_it_loads_nothing_and_its_lock_names_no_registry() -> None:
    code = (FOLDER / "editor.js").read_text("utf-8")
    assert len(code) < 450_000
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|importScripts|eval)\s*\(|\bimport\s*\(|@import", code
    )
    lock = (SOURCES / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert '"integrity"' in lock


def test_a_panel_does_not_carry_the_editor_with_its_state() -> None:
    assert len(PolicyPanel._esm) < 60_000

"""The page of faults and attacks can't be made of rows that no test measures, nor without one."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tools import docs, trust_table

TEST = """
from tests.trust import measured

def test_one(who):
    measured("first", "done", "seen", lost=0)
    measured(f"ended-{who}", "done", "seen")

def helper():
    measured("no row", "not of a test", "")
"""
KNOWN: dict[str, Any] = {
    name: {
        "test": "tests/a/test_x.py::test_one",
        "done": name,
        "seen": "",
        "long": False,
        "numbers": {},
    }
    for name in ("first", "ended-owner", "ended-both")
}


@pytest.fixture
def rows(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "tests" / "a" / "test_x.py"
    file.parent.mkdir(parents=True)
    file.write_text(TEST)
    return trust_table.declared(tmp_path / "tests")


def test_the_rows_of_a_test_are_found(rows: dict[str, str]) -> None:
    assert set(rows.values()) == {"tests/a/test_x.py::test_one"}
    assert len(rows) == 2
    trust_table.check(KNOWN, rows)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("first", "tests/a/test_x.py::test_gone"),  # the test is no more
        ("first", "tests/a/test_gone.py::test_one"),
        ("no row", "tests/a/test_x.py::test_one"),  # it measures something else
        ("ended", "tests/a/test_x.py::test_one"),
    ],
)
def test_a_row_that_its_test_does_not_measure_is_refused(
    rows: dict[str, str], name: str, test: str
) -> None:
    known = copy.deepcopy(KNOWN) | {name: KNOWN["first"] | {"test": test}}
    with pytest.raises(ValueError, match="does not measure"):
        trust_table.check(known, rows)


@pytest.mark.parametrize("gone", [["first"], ["ended-owner", "ended-both"]])
def test_a_test_whose_row_is_missing_is_named(rows: dict[str, str], gone: list[str]) -> None:
    known = {name: entry for name, entry in KNOWN.items() if name not in gone}
    with pytest.raises(ValueError, match="has no row"):
        trust_table.check(known, rows)


def test_the_command_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = json.loads(trust_table.MEASURED.read_text("utf-8"))
    measured["yaml-bomb"]["test"] = "tests/generated/test_inputs.py::test_that_is_no_more"
    file = tmp_path / "measured.json"
    file.write_text(json.dumps(measured))
    monkeypatch.setattr(trust_table, "MEASURED", file)
    assert docs.main(["--check"]) == 1
    assert "test_that_is_no_more does not measure" in capsys.readouterr().err

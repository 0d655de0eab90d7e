"""`labkit lint`: what it prints, and its exit status."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from labkit.cli import main

MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"
HELLO = str(MANIFESTS / "hello-world.yaml")
GALLERY = MANIFESTS / "11_mistake_gallery"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["lint", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_nothing_to_find(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, HELLO) == (0, "no findings in 5 objects\n")


def test_a_finding_has_its_place_its_code_and_a_fix(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(GALLERY / "undefined-subset" / "broken.yaml")
    status, text = run(capsys, file, "--with", HELLO, "--with", str(GALLERY / "gateway.yaml"))
    assert status == 1
    assert (
        "undefined-subset/broken.yaml:31: error IST0101 ReferencedResourceNotFound (KIA1107)"
        in text
    )
    assert "  what  no DestinationRule defines the subset version-2" in text
    assert "  fix   define it, or name another one: those defined are v1, v2" in text
    assert text.endswith("1 error in 2 objects\n")


def test_a_hint_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, str(GALLERY / "missing-header" / "broken.yaml"))
    assert status == 0
    assert "LAB09" in text
    assert text.endswith("1 hint in 1 object\n")


def test_a_folder_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, str(MANIFESTS / "as-published"), "--with", HELLO, "--json")
    assert status == 1
    found = json.loads(text)
    assert {each["code"] for each in found} == {
        "IST0106",
        "IST0130",
        "KIA1104",
        "LAB01",
        "LAB06",
        "LAB08",
    }
    assert set(found[0]) == {
        *("code", "also", "name", "level", "file", "line", "object", "path", "what", "why", "fix"),
    }


def test_the_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a: [1\n"))
    status, text = run(capsys, "-")
    assert status == 1
    assert text.startswith("stdin:")


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(capsys, "nowhere.yaml")
    assert status == 1
    assert "there is no such file" in text

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cli import main

GOOD = (
    "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, "
    "namespace: ns}\nspec: {host: a}\n"
)
BAD = GOOD.replace(
    "{host: a}", "{host: a, trafficPolicy: {outlierDetection: {consecutiveErrors5xx: 7}}}"
)
WARNED = GOOD.replace(
    "{host: a}", "{host: a, trafficPolicy: {outlierDetection: {consecutiveErrors: 7}}}"
)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(["validate", *words])
    captured = capsys.readouterr()
    assert captured.err == ""
    return int(left.value.code or 0), captured.out


def test_an_accepted_object_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert run(capsys, str(tmp_path / "good.yaml")) == (
        0,
        "accepted  DestinationRule ns/d\n1 accepted, 0 refused\n",
    )


def test_a_refused_object_says_where_what_and_what_was_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(f"{GOOD}---\n{BAD}")
    status, out = run(capsys, str(file))
    assert status == 1
    lines = out.splitlines()
    assert lines[:3] == [
        "accepted  DestinationRule ns/d",
        "REFUSED   DestinationRule ns/d",
        f"  {file}:9: spec.trafficPolicy.outlierDetection.consecutiveErrors5xx: there is no such "
        "field",
    ]
    assert lines[3] == '      found    "consecutiveErrors5xx"'
    assert lines[4].startswith("      allowed  baseEjectionTime, consecutive5xxErrors, ")
    assert lines[5] == "      hint     did you mean `consecutive5xxErrors`?"
    assert lines[-1] == "1 accepted, 1 refused"


def test_a_warning_does_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.yaml").write_text(WARNED)
    status, out = run(capsys, str(tmp_path))
    assert status == 0
    assert "warning: spec.trafficPolicy.outlierDetection.consecutiveErrors: " in out
    assert out.endswith("1 accepted, 0 refused, 1 warning\n")


def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(BAD))
    status, out = run(capsys, "-")
    assert status == 1
    assert "stdin:4: spec.trafficPolicy" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no such file"),
        ("a: b: c\n", ":1: a field where none can be"),
        ("", "no object in it"),
    ],
)
def test_what_can_not_be_judged_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, words: str
) -> None:
    file = tmp_path / "file.yaml"
    if text is not None:
        file.write_text(text)
    status, out = run(capsys, str(file))
    assert status == 1
    assert words in out


UNKNOWN = GOOD.replace("DestinationRule", "EnvoyFilter").replace("/v1", "/v1alpha3")


def test_a_kind_that_is_not_checked_is_neither_accepted_nor_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(f"{GOOD}---\n{UNKNOWN}")
    status, out = run(capsys, str(file))
    assert status == 0
    assert "not checked  EnvoyFilter ns/d\n" in out
    assert "does not check or run" in out
    assert out.endswith("1 accepted, 0 refused, 1 not checked\n")
    assert run(capsys, "--strict", str(file)) == (1, out)
    status, out = run(capsys, "--json", str(file))
    assert [each["verdict"] for each in json.loads(out)] == ["accepted", "not checked"]
    file.write_text(f"{BAD}---\n{UNKNOWN}")
    assert run(capsys, str(file))[0] == 1


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(BAD)
    (tmp_path / "c.yaml").write_text("a: b: c\n")
    status, out = run(capsys, "--json", str(tmp_path))
    good, bad, broken = json.loads(out)
    assert status == 1
    assert (good["accepted"], good["kind"], good["findings"]) == (True, "DestinationRule", [])
    assert bad["findings"][0]["path"] == "spec.trafficPolicy.outlierDetection.consecutiveErrors5xx"
    assert bad["findings"][0]["line"] == 4
    assert broken["kind"] is None
    assert "mapping values" in broken["error"]


def test_python_m_labkit_is_the_same_command(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(BAD)
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "validate", str(tmp_path / "bad.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "did you mean `consecutive5xxErrors`?" in done.stdout
    assert done.stderr == ""


def test_validating_imports_nothing_heavy() -> None:
    """A check of a manifest must not wait for pandas, and a mesh's start not for
    a schema library.
    """
    heavy = ("pandas", "jsonschema", "difflib")
    code = "import sys, labkit.cli.manifests.validate; "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"

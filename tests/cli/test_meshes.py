"""`labkit status` and `labkit down` find meshes by their folders, also those
whose owner is gone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.mesh.embedded import state


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a mesh whose owner is gone, and whose processes are too."""
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path))
    folder = state.new_folder()
    body = {
        "owner": 4194304,
        "owner_started": 1.0,
        "group": 4194304,
        "gateway_port": 20001,
        "created": 1.0,
    }
    (folder / state.RECORD).write_text(json.dumps(body))
    return folder


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def test_a_mesh_that_was_left_is_shown_and_removed(
    left: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status") == 0
    assert "gone" in capsys.readouterr().out
    assert run("down") == 0
    assert "ended" in capsys.readouterr().out
    assert not left.exists()
    assert run("status") == 0
    assert "No mesh is open" in capsys.readouterr().out
    assert run("down") == 0
    assert "nothing to end" in capsys.readouterr().out


def test_the_folder_is_for_this_user_only(left: Path) -> None:
    assert left.stat().st_mode & 0o077 == 0


def test_no_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("-v", "status"), ("--verbose", "status"), ("status", "-v")])
def test_an_option_that_nobody_has_is_said_wherever_it_stands(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: labkit status")
    assert "unrecognized arguments: -" in said


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert re.fullmatch(r"labkit \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)

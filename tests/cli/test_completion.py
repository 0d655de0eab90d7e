"""What a shell shows after Tab, a misspelt command, and tables for people and for programs."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cli import COMMANDS, main

SHELLS = ("bash", "zsh", "fish")


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def completions(line: str, tmp_path: Path) -> set[str]:
    """What may follow, asked for as argcomplete's shell code does."""
    out = tmp_path / "out"
    asked = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    code = "import sys; sys.argv[0] = 'labkit'; from labkit.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | asked, cwd=tmp_path, timeout=60, check=True
    )
    return {word.strip() for word in out.read_text("utf-8").splitlines()}


def test_commands_are_completed(tmp_path: Path) -> None:
    assert completions("labkit ", tmp_path) >= COMMANDS.keys()
    assert completions("labkit ver", tmp_path) == {"verify"}


def test_options_and_files_of_a_command_are_completed(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").touch()
    assert completions("labkit validate --", tmp_path) >= {"--json", "--help"}
    assert completions("labkit validate ru", tmp_path) == {"rule.yaml"}
    assert completions("labkit up --with ", tmp_path) == {"istioctl", "helm", "addons"}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_code_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == 0
    code = capsys.readouterr().out
    assert "labkit" in code
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=code, text=True, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("validat", "rule.yaml") == 2
    assert "'validate'?" in capsys.readouterr().err
    assert run("xyzzy") == 2
    assert "?" not in capsys.readouterr().err


def test_a_pipe_gets_plain_columns_without_rich_and_a_terminal_a_drawn_table() -> None:
    code = (
        "import sys; from labkit.cli.terminal import show; from labkit.mesh.table import table; "
        "show(table(('A', 'BB'), [('1', '[red]')])); sys.exit('rich' in sys.modules)"
    )
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (piped.returncode, piped.stdout) == (0, "A   BB\n1   [red]\n")
    ours, theirs = pty.openpty()
    drawn = subprocess.run([sys.executable, "-c", code], stdout=theirs, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert drawn.returncode == 1
    assert "───" in shown
    assert "[red]" in shown

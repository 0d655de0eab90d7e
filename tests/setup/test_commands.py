"""How a tool's steps are shown: the command, its lines, a sign of life, the time."""

from __future__ import annotations

import pytest

from labkit.errors import MeshError, NotReady
from labkit.setup import commands as module
from labkit.setup.commands import Commands
from labkit.waiting import wait_until

from .standin import StandIns, timeless


def test_the_words_are_shown_as_a_person_would_type_them(standins: StandIns) -> None:
    said: list[str] = []
    standins.program(
        "tool", {"args": ["do", "a b", "--quiet"], "out": "one\ntwo: 10%\rtwo: 100%\nthree"}
    )
    with Commands(said.append) as commands:
        done = commands.run("tool", "do", "a b", hidden=["--quiet"])
    assert timeless(said) == [
        "$ tool do 'a b'",
        "    one",
        "    two: 100%",
        "    three",
        "  done after N s",
    ]
    assert done.output == "one\ntwo: 10%\rtwo: 100%\nthree"


def test_a_silent_tool_shows_that_things_move(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked how far things are, it says so once for each state."""
    said: list[str] = []
    monkeypatch.setattr(module, "QUIET_S", 0.05)
    standins.program("tool", {"args": [], "hang": True})
    states = iter(["istiod 0/1", "istiod 0/1", "istiod 1/1"])

    def watch() -> str:
        return next(states)

    with Commands(said.append) as commands:
        commands.watch = watch
        with pytest.raises(StopIteration):
            commands.run("tool")
    assert timeless(said) == [
        "$ tool",
        "    … N s: istiod 0/1",
        "    … N s",
        "    … N s: istiod 1/1",
    ]


def test_a_tool_that_takes_too_long_is_ended_and_its_last_words_are_said(
    standins: StandIns,
) -> None:
    standins.program("tool", {"args": [], "out": "waiting for the impossible\n", "hang": True})
    with Commands(lambda _: None) as commands:
        with pytest.raises(NotReady, match="tool to end") as caught:
            commands.run("tool", timeout_s=1)
        assert "waiting for the impossible" in caught.value.seen
        assert not commands.members().members


def test_what_fails_without_a_better_explanation_says_its_last_words(standins: StandIns) -> None:
    standins.program(
        "tool",
        {"args": ["x"], "out": "\n".join(map(str, range(20))), "err": "\nbad luck\n", "code": 3},
    )
    with (
        Commands(lambda _: None) as commands,
        pytest.raises(MeshError, match="tool x failed with exit code 3") as caught,
    ):
        commands.run("tool", "x")
    assert caught.value.seen.endswith("bad luck")


def test_a_question_that_is_not_answered_is_given_up(standins: StandIns) -> None:
    standins.program("tool", {"args": ["status"], "hang": True})
    with Commands() as commands, pytest.raises(MeshError, match=r"gave no answer within 0\.5 s"):
        commands.ask("tool", "status", timeout_s=0.5)


def test_the_folder_is_for_this_user_only_and_goes(standins: StandIns) -> None:
    with Commands() as commands:
        folder = commands.folder
        assert folder.stat().st_mode & 0o077 == 0
    wait_until(lambda: not folder.exists(), 5, "the folder to go")

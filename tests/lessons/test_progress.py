"""Progress survives crashes, damaged files and two kernels at once; drafts and predictions are part
of it.
"""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import LessonError
from labkit.lessons import (
    finish_lesson,
    keep,
    kept,
    my_predictions,
    predict,
    predictions,
    progress,
    reveal,
    start_lesson,
)

Trouble = Callable[[Path, pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "deep" / "progress.json"
    monkeypatch.setenv("LABKIT_PROGRESS", str(path))
    monkeypatch.delenv("LABKIT_STRICT", raising=False)
    return path


def test_nothing_is_kept_at_first(file: Path) -> None:
    assert progress.load()["exercises"] == {}
    assert not file.exists()


def test_lessons_go_from_started_to_done_and_not_back(file: Path) -> None:
    start_lesson("03")
    assert json.loads(file.read_text())["lessons"]["03"]["state"] == "started"
    finish_lesson("03")
    start_lesson("03")
    assert progress.entry("lessons", "03")["state"] == "done"


def test_drafts_are_kept() -> None:
    assert kept("03-1", default="kind: Service") == "kind: Service"
    keep("03-1", "kind: Gateway\n# größer: ✔\n")
    assert kept("03-1") == "kind: Gateway\n# größer: ✔\n"


@pytest.mark.parametrize("damage", ["", "{", '{"lessons": ', "[]", '{"exercises": 3}', "\x00\xff"])
def test_a_damaged_file_is_set_aside_not_lost(
    file: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.parent.mkdir()
    file.write_bytes(damage.encode("latin-1"))
    keep("a", "b")
    assert kept("a") == "b"
    [aside] = file.parent.glob("progress.json.damaged-*")
    assert aside.read_bytes() == damage.encode("latin-1")
    assert str(aside) in capsys.readouterr().err


def test_two_damaged_files_are_both_set_aside(file: Path) -> None:
    file.parent.mkdir()
    for damage in ("one", "two", "three"):
        file.write_text(damage)
        progress.load()
    assert {path.read_text() for path in file.parent.glob("*.damaged-*")} == {"one", "two", "three"}


def test_a_file_of_a_newer_version_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"version": 99}')
    with pytest.raises(LessonError, match="another version"):
        keep("a", "b")
    assert file.read_text() == '{"version": 99}'


def test_what_others_keep_in_the_file_stays(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"version": 1, "notes": ["mine"]}')
    keep("a", "b")
    assert json.loads(file.read_text())["notes"] == ["mine"]


def test_a_crash_while_writing_leaves_the_old_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("a", "old")
    before = file.read_bytes()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", crash)
        with pytest.raises(KeyboardInterrupt):
            keep("a", "new")
    assert file.read_bytes() == before
    assert sorted(path.name for path in file.parent.iterdir()) == [
        "progress.json",
        "progress.json.lock",
    ]


WRITER = """
import sys
from labkit.lessons import keep
for i in range(25):
    keep(f"{sys.argv[1]}-{i}", str(i))
"""


def test_kernels_that_write_at_the_same_time_lose_nothing() -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, name]) for name in ("a", "b", "c")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(progress.load()["drafts"]) == 75


HOLDER = """
import os, sys
from labkit.lessons import progress
with progress.locked(progress.progress_file()):
    sys.stdout.write("held")
    sys.stdout.flush()
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_kernel_is_free_again() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.read(4) == b"held"
        holder.kill()
    keep("a", "b")
    assert kept("a") == "b"


def no_folder(file: Path, patch: pytest.MonkeyPatch) -> None:
    file.parent.write_text("this is no folder")


def no_locks(file: Path, patch: pytest.MonkeyPatch) -> None:
    """As on some network folders."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    patch.setattr("fcntl.flock", refuse)


def no_writing(file: Path, patch: pytest.MonkeyPatch) -> None:
    """As in a home that is read-only, with a lock file or without."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, "Read-only file system")

    patch.setattr("tempfile.mkstemp", refuse)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks in another way")
@pytest.mark.parametrize("trouble", [no_folder, no_locks, no_writing])
def test_a_file_that_can_not_be_kept_is_said_once_and_stops_nobody(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    trouble: Trouble,
) -> None:
    trouble(file, monkeypatch)
    start_lesson("03")
    keep("a", "b")
    assert kept("a") == "b"
    assert progress.load()["lessons"]["03"]["state"] == "started"
    said = capsys.readouterr().err
    assert said.count("can't be saved") == 1
    assert "LABKIT_PROGRESS" in said
    progress.forget()
    assert kept("a") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows locks in another way")
def test_what_was_kept_before_is_there_where_nothing_can_be_written_any_more(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep("a", "old")
    before = file.read_bytes()
    no_locks(file, monkeypatch)
    assert kept("a") == "old"
    assert "can't be saved" in capsys.readouterr().err
    keep("a", "new")
    assert kept("a") == "new"
    assert file.read_bytes() == before
    progress.load()["drafts"].clear()  # what is handed out is a copy
    assert kept("a") == "new"


def test_solutions_run_in_ci_are_nobodys_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_STRICT", "1")
    assert progress.progress_file() is not None  # named, so it is wanted
    monkeypatch.delenv("LABKIT_PROGRESS")
    assert progress.progress_file() is None
    keep("a", "b")
    assert kept("a") == ""


def test_the_usual_place_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABKIT_PROGRESS")
    path = progress.progress_file()
    assert path is not None
    assert path.parts[-2:] == ("labkit", "progress.json")


def test_forget_begins_again_and_keeps_a_copy(file: Path) -> None:
    keep("a", "b")
    progress.forget()
    assert kept("a") == ""
    [aside] = file.parent.glob("progress.json.before-*")
    assert "drafts" in aside.read_text()


def test_a_prediction_is_written_down_and_held_against_what_happened() -> None:
    options = ["80/20", "v2 gets everything"]
    assert "Choose one: 80/20" in repr(predict("09-1", options=options))
    assert repr(predict("09-1", ..., options=options)) == repr(predict("09-1", options=options))
    assert (
        repr(predict("09-1", "80/20", options=options))
        == "Your guess: 80/20. Now see what happens."
    )
    revealed = reveal("09-1", "v2 gets everything", "The first route matches.")
    assert (
        repr(revealed)
        == "Your guess: 80/20. It turned out: v2 gets everything. The first route matches."
    )
    assert progress.entry("predictions", "09-1")["right"] is False
    predict("09-1", "v2 gets everything", options=options)
    assert (
        repr(reveal("09-1", "v2 gets everything"))
        == "Your guess: v2 gets everything. Correct: v2 gets everything."
    )


@pytest.mark.parametrize(
    ("guess", "words"),
    [
        ("two each", "did you mean 'two each, always' or 'two each, sometimes'?"),
        ("  Never ", "did you mean 'never'?"),
        ("nevr", "did you mean 'never'?"),
        (2, "choose one of them"),
        ("", "choose one of them"),
    ],
)
def test_a_guess_that_is_nearly_an_option_is_told_which(guess: Any, words: str) -> None:
    options = ["two each, always", "two each, sometimes", "never"]
    with pytest.raises(LessonError) as caught:
        predict("03-a", guess, options=options)
    assert caught.value.try_next == words


def test_a_prediction_without_a_guess_can_be_revealed() -> None:
    assert repr(reveal("09-2", "three")) == "You made no guess. It turned out: three."


def test_a_guess_that_is_not_an_option_names_the_nearest() -> None:
    with pytest.raises(LessonError, match="did you mean 'v2 gets everything'"):
        predict("09-1", "v2 get everything", options=["80/20", "v2 gets everything"])


OPTIONS = ["one", "two", "three"]
WIDGET = "application/vnd.jupyter.widget-view+json"


def test_a_prediction_is_clicked_where_one_can_click(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = predict("09-1", ..., options=OPTIONS)
    assert sorted(asked._repr_mimebundle_()) == ["text/html", "text/plain"], "nobody can click"
    monkeypatch.setattr(predictions, "clickable", lambda: True)
    shown = asked._repr_mimebundle_()
    assert WIDGET in shown
    assert shown["text/plain"] == "Choose one: one · two · three", "for a page without widgets"
    choice, said = predictions.buttons(asked).children
    assert choice.value is None
    choice.value = "two"
    assert "Your guess: two. Now see what happens." in said.value
    assert repr(reveal("09-1", "three")) == "Your guess: two. It turned out: three."
    again, _ = predictions.buttons(predict("09-1", ..., options=OPTIONS)).children
    assert again.value == "two", "a new kernel remembers it"
    assert WIDGET not in reveal("09-1", "three")._repr_mimebundle_()


def test_nobody_clicks_where_solutions_are_run(monkeypatch: pytest.MonkeyPatch) -> None:
    import IPython

    class Notebook:
        kernel = "one"

    assert not predictions.clickable()
    monkeypatch.setattr(IPython, "get_ipython", Notebook)
    assert predictions.clickable()
    monkeypatch.setenv("LABKIT_STRICT", "1")
    assert not predictions.clickable()


def test_what_one_believed_at_first_is_kept() -> None:
    assert "no predictions" in repr(my_predictions())
    assert "no predictions" in my_predictions()._repr_html_()
    for guess in ("one", "three"):
        predict("09-1", guess, options=OPTIONS)
    predict("10-1", "two", options=OPTIONS)
    predict("11-1", "two", options=OPTIONS)
    reveal("09-1", "three")
    reveal("10-1", "two")
    found = my_predictions()
    assert repr(found).splitlines() == [
        "1 of 2 right at first",
        "lesson  9: three (you: one)",
        "lesson 10: two",
    ]
    assert "<caption>1 of 2 right at first</caption>" in found._repr_html_()
    assert found._repr_html_().count("<tr>") == 3

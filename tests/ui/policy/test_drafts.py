"""A draft is there again after a restart; the published text is no draft."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from labkit.errors import LabkitError
from labkit.lessons import progress
from labkit.lessons.files import manifest
from labkit.ui.panels.policy import drafts
from labkit.ui.panels.policy.drafts import Draft, clock, key_of
from labkit.waiting import wait_until


@pytest.fixture(autouse=True)
def own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


def test_a_draft_comes_back_with_the_time_it_was_kept() -> None:
    draft = Draft("a", "published")
    assert draft.load() == ("published", "")
    draft.save("half ty: [")
    draft.flush()
    text, at = Draft("a", "published").load()
    assert text == "half ty: ["
    assert len(at) == len("14:05")


def test_it_is_written_by_itself_after_a_pause_and_only_the_last_one() -> None:
    written: list[str] = []
    keep = progress.keep
    draft = Draft("a", "published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            drafts.progress, "keep", lambda name, text: (keep(name, text), written.append(text))
        )
        # a busy machine may stand still for a moment between two of them
        patch.setattr(drafts, "PAUSE_S", 2.0)
        for number in range(20):
            draft.save(f"text {number}")
        wait_until(lambda: written, 10, "the draft to be written")
    assert written == ["text 19"]
    assert Draft("a", "published").load()[0] == "text 19"


def test_the_published_text_is_no_draft_and_ends_one() -> None:
    draft = Draft("a", "published")
    draft.save("mine")
    draft.flush()
    draft.save("published")
    draft.flush()
    assert progress.load()["drafts"] == {}


def test_a_process_that_ends_at_once_has_kept_it(own_progress: Path) -> None:
    code = (
        "from labkit.ui.panels.policy.drafts import Draft; Draft('a', 'published').save('last "
        "word')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert Draft("a", "published").load()[0] == "last word"


def test_of_many_threads_the_last_text_wins() -> None:
    draft = Draft("a", "published")
    threads = [
        threading.Thread(target=lambda: (draft.save("early"), draft.flush())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    draft.save("late")
    draft.close()
    assert Draft("a", "published").load()[0] == "late"


def test_a_draft_that_can_not_be_kept_is_said_and_nothing_breaks(own_progress: Path) -> None:
    own_progress.write_text('{"version": 99}', encoding="utf-8")
    said: list[LabkitError] = []
    draft = Draft("a", "published", on_error=said.append)
    draft.save("mine")
    draft.flush()
    assert [error.message for error in said] == [
        "Your progress was saved by another version of labkit"
    ]


def test_the_name_of_a_draft_is_the_place_in_the_course(tmp_path: Path) -> None:
    assert key_of(str(manifest("03_load_balancing/random.yaml"))) == "03_load_balancing/random.yaml"
    assert key_of(str(tmp_path / "mine.yaml")) == str(tmp_path / "mine.yaml")


def test_an_earlier_day_is_said_with_the_time() -> None:
    assert clock("2020-05-01T12:00:00Z").startswith("0")
    assert "May" in clock("2020-05-01T12:00:00Z")
    assert clock("rubbish") == "an earlier time"

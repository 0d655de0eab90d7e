"""The course's files, and a learner's own copy of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labkit.errors import LessonError
from labkit.lessons import manifest, my_copy, show
from labkit.lessons.notebook.report import markdown
from labkit.resources import Resource, load_text

BROKEN = "12_capstone/broken"


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABKIT_MINE", str(tmp_path / "mine"))
    return tmp_path / "mine"


def test_a_copy_is_made_once_and_then_is_the_learners(mine: Path) -> None:
    folder = my_copy(BROKEN)
    assert folder == mine / BROKEN
    assert [p.name for p in sorted(folder.iterdir())] == [
        p.name for p in sorted(manifest(BROKEN).iterdir())
    ]
    before = manifest(f"{BROKEN}/gateway.yaml").read_text()
    (folder / "gateway.yaml").write_text("mine")
    (folder / "pay-rule.yaml").unlink()
    assert my_copy(BROKEN) == folder
    assert (folder / "gateway.yaml").read_text() == "mine"
    assert (folder / "pay-rule.yaml").is_file(), "one that was deleted is as it was at first"
    assert manifest(f"{BROKEN}/gateway.yaml").read_text() == before != "mine"


def test_where_nothing_can_be_written(mine: Path) -> None:
    mine.write_text("a file where the folder should be")
    with pytest.raises(LessonError, match=r"Can't copy(?s:.*)LABKIT_MINE"):
        my_copy(BROKEN)


def test_a_folder_is_not_shown_but_its_files_are_named() -> None:
    with pytest.raises(LessonError, match=r"no file(?s:.*)'random.yaml'"):
        show("03_load_balancing")


def test_a_manifest_has_a_fixed_width_font_in_a_page_too() -> None:
    listing = show("03_load_balancing/random.yaml")
    assert repr(listing) == str(listing)
    page = markdown(listing._repr_markdown_())
    found = re.fullmatch(r"<div style=\"([^\"]*)\">\s*(.*)\s*</div>\s*", page, re.DOTALL)
    assert found
    assert "monospace" in found[1]
    assert found[2].startswith('<div class="highlight"><pre>')
    assert "apiVersion" in found[2]


def test_an_object_of_the_mesh_is_shown_as_one_would_write_it() -> None:
    text = show("02_first_microservice/gateway.yaml")
    (gateway,) = load_text(text)
    last = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    added = {"uid": "1", "resourceVersion": "7", "managedFields": [{}], "annotations": last}
    stored = {**gateway.body, "metadata": {**gateway.metadata, **added}, "status": {}}
    shown = show(Resource(stored))
    assert shown == show(gateway)
    assert load_text(shown.replace("number: 80", "number: 81"))[0].key == gateway.key
    assert "number: 80" in shown
    noted = {**stored["metadata"], "annotations": {**last, "owner": "shop"}, "labels": {"a": "b"}}
    kept = load_text(show(Resource({**stored, "metadata": noted})))[0].metadata
    assert (kept["annotations"], kept["labels"]) == ({"owner": "shop"}, {"a": "b"})

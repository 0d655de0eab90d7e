"""All that is generated is up to date, and the command that makes it sees what is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools import docs


@pytest.mark.parametrize("name", docs.GENERATED)
def test_nothing_generated_is_stale(name: str) -> None:
    assert docs.stale([name]) == {}, "run: make docs"


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The generated files alone, to be changed."""
    for name in docs.GENERATED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(docs.ROOT / name, tmp_path / name)
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    return tmp_path


def test_what_is_stale_is_named_and_then_written(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (copy / name).read_text("utf-8") for name in docs.GENERATED}
    changes = {
        "README.md": ("<!-- lessons -->\n", "<!-- lessons -->\n| 99 | none |\n"),
        "docs/traps.md": ("## The gallery", "## A gallery"),
        "manifests/12_capstone/shop.yaml": ("    import ", "    import x, "),
    }
    for name, (old, new) in changes.items():
        assert old in before[name]
        (copy / name).write_text(before[name].replace(old, new, 1), "utf-8")
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [f"{name}: STALE: make docs" for name in changes]
    assert docs.main([]) == 0
    assert {name: (copy / name).read_text("utf-8") for name in docs.GENERATED} == before
    assert docs.main(["--check"]) == 0


def test_a_mark_that_is_not_there_once_is_an_error() -> None:
    with pytest.raises(ValueError, match="once each"):
        docs.between("<!-- x -->", "x", "new")
    with pytest.raises(ValueError, match="once each"):
        docs.between("<!-- x --><!-- /x --><!-- x --><!-- /x -->", "x", "new")

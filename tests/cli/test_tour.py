"""`labkit tour`: one page, also when a lesson fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.cli import main

pytestmark = pytest.mark.notebook


def test_the_page_is_written_and_the_status_tells(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tour", "--out", str(course / "tour")])
    assert ended.value.code == 1
    page = (course / "tour" / "index.html").read_text()
    assert "A tour of the Istio traffic lab" in page
    assert "1 · Good" in page
    assert "2 · Bad" in page
    assert str(course / "tour" / "index.html") in capsys.readouterr().out

"""`python -m tools.coverage`, and what counts as covered."""

from __future__ import annotations

from pathlib import Path

import pytest

from labkit.errors import LessonError
from tools.coverage import can_fail, coverage, main, syllabus


def run(*words: str) -> int:
    return main(words)


def test_the_syllabus_is_the_articles() -> None:
    expected = (
        [f"C{n}" for n in range(1, 11)]
        + [f"Y{n}" for n in range(1, 13)]
        + [f"K{n}" for n in range(1, 14)]
    )
    assert list(syllabus()) == expected


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("check.split(result, {'v1': 80})", True),
        ("verdict = check.that(True, 'x')", True),
        ("task('01-1').check(answer)", True),
        ("assert result.codes == {200: 10}", True),
        ("%time\n!ls\ncheck.all_ok(r)", True),
        ("# check.that(True, 'x')\nmesh.curl(url)", False),
        ("check = 3", False),
        ("print('check.that(True)')", False),
    ],
)
def test_a_cell_counts_when_it_can_fail(source: str, answer: bool) -> None:
    assert can_fail(source) is answer


def test_the_table(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    said = capsys.readouterr().out
    assert "Y1   checked" in said
    assert "- 01_good cell 4" in said
    assert "C1   missing" in said
    assert "35 to cover: 1 checked, 0 told, 34 missing" in said


def test_strict_fails_while_something_is_missing(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--strict") == 1
    path = course / "notebooks" / "source" / "01_good.py"
    tags = ", ".join(f'"covers-{name}"' for name in syllabus())
    path.write_text(path.read_text().replace('"covers-Y1"', tags))
    assert run("--strict") == 0
    path.write_text(
        path.read_text().replace("check.that(", "print(").replace("import check", "import manifest")
    )
    (course / "notebooks" / "source" / "02_bad.py").unlink()
    assert run("--strict") == 1
    assert "0 checked, 35 told, 0 missing" in capsys.readouterr().out


def test_markdown_links_to_the_notebooks(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--markdown") == 0
    said = capsys.readouterr().out
    row = next(line for line in said.splitlines() if line.startswith("| Y1 |"))
    assert row.endswith(
        "| [01_good](../notebooks/01_good.ipynb), [02_bad](../notebooks/02_bad.ipynb) |"
    )


def test_a_tag_that_names_nothing_is_an_error(course: Path) -> None:
    path = course / "notebooks" / "source" / "01_good.py"
    path.write_text(path.read_text().replace("covers-Y1", "covers-Y99"))
    with pytest.raises(LessonError, match="covers 'Y99'"):
        coverage()


def test_the_lessons_that_are_there_cover_what_they_should() -> None:
    checked = {row.id for row in coverage() if row.state == "checked"}
    assert {"C2", "C4", "C5", "C6", "C7", "C8", "K1", "K4", "Y1", "Y2", "Y4", "Y11"} <= checked

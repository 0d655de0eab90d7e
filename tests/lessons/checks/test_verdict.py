"""What a verdict shows, where, and how a failing check ends a cell."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pandas as pd
import pytest

from labkit.errors import LabkitError
from labkit.lessons import CheckFailed, Verdict, Why
from labkit.lessons.checks import check
from labkit.lessons.checks.verdict import NBVAL_SANITIZE, percent

SPLIT = pd.DataFrame({"version": ["v1"] * 800 + ["v2"] * 200})
OTHER = pd.DataFrame({"version": ["v1"] * 810 + ["v2"] * 190})
WRONG = pd.DataFrame({"version": ["v1"] * 700 + ["v2"] * 300})


def test_text_is_the_line_alone_and_html_has_the_why() -> None:
    verdict = check.split(SPLIT, {"v1": 80, "v2": 20})
    assert repr(verdict) == "PASS  weighted split: v1 80 %, v2 20 %"
    shown = verdict._repr_html_()
    for part in (
        "PASS",
        "✔",
        "<details",
        "800 (80 %), right: 736 to 859",
        "exact binomial",
        "1e-06",
        "near miss",
        "99 %",
    ):
        assert part in shown
    assert '<details class="labkit-why">' in shown  # folded


def test_a_failure_is_open_and_has_a_hint() -> None:
    with pytest.raises(CheckFailed) as caught:
        check.split(WRONG, {"v1": 80, "v2": 20})
    shown = caught.value.verdict._repr_html_()
    assert "FAIL" in shown
    assert "✘" in shown
    assert '<details class="labkit-why" open>' in shown
    assert "Hint:" in shown


def test_what_was_seen_is_escaped() -> None:
    verdict = Verdict(True, "a <b>", Why("<script>", "<i>"))
    assert "<script>" not in verdict._repr_html_()
    assert "a &lt;b&gt;" in verdict._repr_html_()


def test_a_learner_reads_words_not_a_traceback() -> None:
    with pytest.raises(CheckFailed) as caught:
        check.split(WRONG, {"v1": 80, "v2": 20})
    words = "\n".join(caught.value._render_traceback_())
    assert words.startswith("FAIL  weighted split: v1 80 %, v2 20 %")
    for part in ("v1: 700 (70 %)", "p value", "hint"):
        assert part in words
    assert "Traceback" not in words
    assert isinstance(caught.value, LabkitError)


def test_explain_is_for_a_terminal() -> None:
    text = check.split(SPLIT, {"v1": 80, "v2": 20}).explain()
    assert text.splitlines()[0] == "PASS  weighted split: v1 80 %, v2 20 %"
    assert "false alarm  at most 1e-06" in text


def test_about_tells_two_checks_of_one_kind_apart() -> None:
    line = check.all_ok(pd.DataFrame({"status": [200]}), about="after the roll-back").line
    assert line == "PASS  every request answered 200 (after the roll-back)"


def test_a_verdict_is_true_when_it_passed_and_survives_pickling() -> None:
    verdict = check.that(True, "so it is")
    assert verdict
    assert pickle.loads(pickle.dumps(verdict)) == verdict
    failed = CheckFailed(Verdict(False, "no", Why("a", "b")))
    assert pickle.loads(pickle.dumps(failed)).verdict == failed.verdict


def test_the_sanitizer_leaves_the_same_html_of_two_right_runs() -> None:
    [(regex, replacement)] = re.findall(
        r"^regex: (.*)$\n^replace: (.*)$", NBVAL_SANITIZE, re.MULTILINE
    )
    one, two = (
        re.sub(regex, replacement, check.split(run, {"v1": 80, "v2": 20})._repr_html_())
        for run in (SPLIT, OTHER)
    )
    assert one == two
    assert "PASS" in one
    assert "800" not in one


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (1 / 3, "33.3 %"),
        (0.999999, "99.9999 %"),
        (0.0004, "0.04 %"),
    ],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


CELLS = """
from labkit.lessons.checks import check
import pandas as pd
"""


@pytest.mark.notebook
def test_in_a_real_kernel_a_failure_is_displayed_and_then_raised(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell(CELLS + "check.that(True, 'fine')"),
        # each check has its line, and the last value of a cell no second one
        nbformat.v4.new_code_cell(
            "one = check.that(True, 'one')\ncheck.that(True, 'two')\ncheck.that(True, 'three')"
        ),
        nbformat.v4.new_code_cell("one"),
        nbformat.v4.new_code_cell("check.all_ok(pd.DataFrame({'status': [200, 503]}))"),
    ]
    with pytest.raises(CellExecutionError):
        NotebookClient(
            notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
    first, two, again, last = notebook.cells
    passed, failed = first.outputs, last.outputs
    assert passed[0].data["text/plain"] == "PASS  fine"
    shown, error = failed
    assert shown.data["text/plain"] == "FAIL  every request answered 200"
    assert "not answered 200: 1 × 503" in shown.data["text/html"]
    assert error.ename == "CheckFailed"
    assert error.traceback == [  # the why stands above, and not twice
        "FAIL  every request answered 200: see above why. The cell ends here."
    ]
    assert [output.data["text/plain"] for output in two.outputs] == [
        "PASS  one",
        "PASS  two",
        "PASS  three",
    ]
    assert [output.data["text/plain"] for output in again.outputs] == ["PASS  one"]


def test_outside_of_a_notebook_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckFailed):
        check.that(False, "no")
    assert capsys.readouterr() == ("", "")

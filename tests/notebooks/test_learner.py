"""The short form of tests/browser/test_learner.py: one lesson's cells alone and backwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.learner import alone, backwards, code_cells, learner, notebook_of

pytestmark = [pytest.mark.notebook, pytest.mark.embedded]


def test_cells_of_a_lesson_out_of_order(tmp_path: Path) -> None:
    notebook = notebook_of("03")
    with learner(notebook, tmp_path) as kernel:
        # what is looked for would be seen
        assert kernel.run("1 / 0").bare
        assert not kernel.run("import labkit\nraise labkit.LabkitError('no advice')").advised
        assert not alone(kernel, code_cells(notebook))
        assert not backwards(kernel, code_cells(notebook))

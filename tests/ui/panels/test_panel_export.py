"""A panel in a notebook that runs without a browser, and in the HTML that is made of it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from labkit.lessons.notebook.report import whole_lesson
from labkit.lessons.notebook.run import run_lesson

pytestmark = pytest.mark.embedded

CELLS = [
    """import labkit, labkit.lessons
from labkit.ui import PolicyPanel
mesh = labkit.open_mesh()
mesh.apply(labkit.lessons.manifest("hello-world.yaml"))""",
    'panel = PolicyPanel(mesh, "03_load_balancing/random.yaml")\npanel',
    'panel.set("loadBalancer.simple", "ROUND_ROBIN")',
    "panel.apply()",
    "mesh.close()",
]


def test_an_export_shows_the_last_state_without_a_script(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    path = tmp_path / "panel.ipynb"
    nbformat.write(notebook, path)
    run = run_lesson(path)
    assert run.passed, run.failure
    (output,) = run.notebook.cells[1].outputs
    assert "simple: ROUND_ROBIN" in output.data["text/plain"]  # two cells later
    page = whole_lesson(run.notebook)
    assert "Applied at " in page
    assert "simple: ROUND_ROBIN" in page
    assert "<script" not in page
    assert "<button" not in page

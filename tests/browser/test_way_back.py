"""A prediction is clicked, a kernel that was restarted leads back into the lesson, and a saved
notebook shows what it showed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.notebook import Notebook, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_a_prediction_is_clicked(lab: str, browser, course: Path) -> None:  # type: ignore[no-untyped-def]
    ask = 'predict("09-z", ..., options=["all to v1", "all to v2"])'
    cells = [f"from labkit.lessons import predict\n{ask}", "print('done')"]
    with written(browser, lab, course, "prediction", cells) as book:
        book.run_all()
        choice = book.page.get_by_role("radio")
        assert choice.count() == 2
        assert not choice.first.is_checked()
        book.page.get_by_label("all to v2").click()
        book.page.get_by_text("Your guess: all to v2. Now see what happens.").wait_for()
        assert book.ask(f"print({ask})").startswith("Your guess: all to v2.")
        assert book.violations(".widget-radio") == []
        assert book.complaints == []


def test_a_restarted_kernel_leads_back(lab: str, browser, course: Path) -> None:  # type: ignore[no-untyped-def]
    with Notebook(browser, lab, course / "notebooks" / "03_load_balancing.ipynb") as book:
        said = book.ask("print(drawn)")
        assert "'drawn' has no value yet" in said
        assert "next: run that cell first" in said
        said = book.ask("from labkit.lessons import catch_up; print(catch_up('ROUND_ROBIN'))")
        assert "Lesson 3 is where 'ROUND_ROBIN' begins" in said
        assert book.ask("print(mesh.curl(url).codes)") == "{200: 1}"


def test_a_saved_notebook_shows_its_last_state(lab: str, browser, course: Path) -> None:  # type: ignore[no-untyped-def]
    """Its kernel has ended meanwhile: `labkit lab` has JupyterLab keep what widgets show."""
    panel = (
        "import labkit\nfrom labkit.lessons import manifest\nfrom labkit.ui import PolicyPanel\n"
        "mesh = labkit.open_mesh()\nmesh.apply(manifest('hello-world.yaml'))\n"
        "PolicyPanel(mesh, manifest('03_load_balancing/random.yaml'))"
    )
    ask = 'from labkit.lessons import predict\npredict("09-y", ..., options=["one", "two"])'
    with written(browser, lab, course, "saved", [panel, ask]) as book:
        book.run_all()
        book.page.get_by_label("two").click()
        book.page.get_by_text("Your guess: two. Now see what happens.").wait_for()
        book.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        book.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        book.open()
        book.page.get_by_text("Your guess: two. Now see what happens.").wait_for()
        assert book.page.get_by_label("two").is_checked()
        book.panel.get_by_role("button", name="Apply").wait_for()
        assert book.complaints == []

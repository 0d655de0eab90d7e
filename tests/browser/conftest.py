"""A real JupyterLab in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.jupyterlab import QUIET, chromium, copy_course, jupyterlab


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_course(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def lab(course: Path) -> Iterator[str]:
    with jupyterlab(course, 18888) as address:
        yield address


@pytest.fixture(scope="session")
def browser():  # type: ignore[no-untyped-def]
    program = chromium()
    if program is None:
        pytest.skip("there is no Chromium (tests/browser/install installs one)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed (tests/browser/install)"
    )
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()

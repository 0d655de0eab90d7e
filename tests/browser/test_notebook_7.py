"""Every panel in Notebook 7 as well, which shows the same kernel in another frame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.notebook import READY, Notebook, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

URL = "http://test.example.com/"
CELLS = [
    """import json
import labkit
from labkit.lessons import manifest
from labkit.ui import BreakerTimeline, Compare, MeshView, PolicyPanel, TrafficPanel
url = "http://test.example.com/"
mesh = labkit.open_mesh()
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))""",
    'policy = PolicyPanel(mesh, "03_load_balancing/random.yaml", draft="notebook-7")\npolicy',
    "traffic = TrafficPanel(mesh, url)\ntraffic",
    "view = MeshView(mesh)\nview",
    "breaker = BreakerTimeline(mesh)\nbreaker",
    "compare = Compare(mesh.curl(url, n=20), mesh.curl(url, n=20), names=('one', "
    "'other'))\ncompare",
]
PANELS = ("policy", "traffic", "mesh", "breaker", "compare")


@pytest.fixture
def book(browser: Any, lab: str, course: Path) -> Iterator[Notebook]:
    book = written(browser, lab, course, "notebook-7", CELLS)
    parts = urlsplit(lab)
    try:
        book.page.goto(
            f"{parts.scheme}://{parts.netloc}/notebooks/notebooks/{book.name}.ipynb?{parts.query}"
        )
        book.page.wait_for_function(READY, timeout=60_000)
        # Notebook 7 itself sometimes asks for a setting before it has read any
        book.complaints.clear()
        book.run_all()
        yield book
    except BaseException:
        book.picture("notebook-7-failed")
        raise
    finally:
        book.page.close()


def test_all_panels_work_in_notebook_7(book: Notebook) -> None:
    book.page.wait_for_function(
        "n => document.querySelectorAll('.labkit-panel').length === n",
        arg=len(PANELS),
        timeout=30_000,
    )
    found = book.page.locator(".labkit-panel")
    policy, traffic, view, breaker, compare = (found.nth(number) for number in range(len(PANELS)))

    policy.get_by_label("Which pod gets the request").select_option("ROUND_ROBIN")
    book.page.wait_for_function(
        "() => document.querySelector('.labkit-policy .labkit-editor').text().includes('simple: "
        "ROUND_ROBIN')",
        timeout=15_000,
    )
    policy.get_by_role("button", name="Apply").click()
    policy.get_by_text("Applied at").first.wait_for(timeout=15_000)
    policy.get_by_text("What Envoy got (gateway): ").first.wait_for(timeout=15_000)

    traffic.get_by_label("requests (-n)").fill("30")
    traffic.get_by_role("button", name="Start").click()
    traffic.locator(".labkit-status").get_by_text("Done: 30 requests").wait_for(timeout=30_000)
    traffic.get_by_text("The same as the gateway counted.").wait_for(timeout=15_000)

    view.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    sent = json.loads(
        book.ask("print(json.dumps({pod: int(n) for pod, n in view.watch.sent.items()}))")
    )
    assert sum(sent.values()) == 20 + 20 + 30
    assert view.locator("[data-pod][data-state=ready]").count() == 3
    breaker.get_by_text("Watching the mesh.").wait_for(timeout=30_000)
    assert breaker.locator("figure").get_attribute("data-marks") == "1"
    compare.get_by_text("No difference beyond chance").wait_for(timeout=15_000)

    assert book.violations() == []
    for name, panel in zip(PANELS, found.all(), strict=True):
        panel.evaluate("node => node.scrollIntoView({block: 'start'})")
        book.picture(f"notebook-7-{name}")
    assert book.cut_off() == []
    assert book.complaints == []

"""A notebook in a real JupyterLab, used as a person uses it; and what axe-core and the console say
of a panel.

with written(browser, lab, course, "policy", ["import labkit …", "panel"]) as book:
    book.run_all()
    book.panel.get_by_role("button", name="Apply").click()
    assert book.ask("print(mesh.counter('upstream_rq_total'))") == "3"
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import nbformat

from tests.browser.jupyterlab import PICTURES

SIZE = {"width": 1280, "height": 800}
KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
READY = f"() => {KERNEL}?.status === 'idle' && {KERNEL}.connectionStatus === 'connected'"
SERIOUS = ("serious", "critical")


class Notebook:
    """A notebook of the course's copy, open in a page of its own. On failure a picture is taken."""

    def __init__(self, browser: Any, lab: str, path: Path) -> None:
        self.path, self.name = path, path.stem
        parts = urlsplit(lab)
        self.address = (
            f"{parts.scheme}://{parts.netloc}/lab/tree/notebooks/{path.name}?{parts.query}&reset"
        )
        self.complaints: list[str] = []
        self.page = browser.new_page(viewport=SIZE)
        self.page.on("console", self.heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{error} {error.stack}"))

    def heard(self, message: Any) -> None:
        if message.type != "error":
            return
        # Chromium breaks off what is under way when the machine gets a network it did not have, as
        # a cluster's start gives it; JupyterLab asks again
        if "ERR_NETWORK_CHANGED" not in message.text:
            self.complaints.append(message.text)

    def __enter__(self) -> Notebook:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                self.picture(f"{self.name}-failed")
            # each notebook has a kernel of its own, and in it a mesh: both end here
            self.page.evaluate(
                "() => window.jupyterapp.shell.currentWidget?.sessionContext.shutdown()"
            )
        finally:
            self.page.close()

    def open(self) -> None:
        self.page.goto(self.address)
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
        # what is run before the kernel has answered is lost
        self.page.wait_for_function(READY, timeout=60_000)

    def menu(self, *names: str) -> None:
        # the name of an entry may have its keys behind it: "Restart Kernel… 0, 0"
        for name in names:
            self.page.get_by_role("menuitem", name=name, exact=not name.endswith("…")).click()

    def run_all(self, timeout_s: float = 90) -> list[dict[str, Any]]:
        """Runs all cells, waits for the last one, and returns all; what a cell raised is an
        AssertionError here.
        """
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(
            """() => {
              const panel = window.jupyterapp.shell.currentWidget;
              const code = panel.content.model.toJSON().cells.filter(
                c => c.cell_type === 'code' && c.source.length);
              const failed = code.some(c => c.outputs.some(o => o.output_type === 'error'));
              const done = code.at(-1).execution_count !== null;
              return (done || failed) && panel.sessionContext.session?.kernel?.status === 'idle';
            }""",
            timeout=1000 * timeout_s,
        )
        cells: list[dict[str, Any]] = self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.model.toJSON()"
        )["cells"]
        errors = [
            o for cell in cells for o in cell.get("outputs", []) if o["output_type"] == "error"
        ]
        assert errors == []
        return cells

    def restart_kernel(self) -> None:
        """By the menu, as a person does; the outputs of the cells stay."""
        self.menu("Kernel", "Restart Kernel…")
        self.page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        self.page.wait_for_function(READY, timeout=60_000)

    def reload(self) -> None:
        """Saves the notebook and loads the page anew."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.open()

    def ask(self, code: str) -> str:
        """Runs code in the kernel beside the notebook, and returns what it printed."""
        printed = self.page.evaluate(
            """async code => {
              const session = window.jupyterapp.shell.currentWidget.sessionContext.session;
              const future = session.kernel.requestExecute({code, store_history: false});
              let said = '';
              future.onIOPub = message => {
                if (message.header.msg_type === 'stream') said += message.content.text;
                if (message.header.msg_type === 'error')
                  said += message.content.traceback.join('\\n');
              };
              await future.done;
              return said;
            }""",
            code,
        )
        return str(printed).strip()

    @property
    def panel(self) -> Any:
        """The first panel of the notebook."""
        return self.page.locator(".labkit-panel").first

    def theme(self, name: str) -> None:
        """Changes JupyterLab's theme ("Light", "Dark", "Dark High Contrast"), and waits for its
        style sheet, which comes after its name.
        """
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            f"JupyterLab {name}",
        )
        self.page.wait_for_function(
            """light => document.body.dataset.jpThemeLight === String(light) &&
              (getComputedStyle(document.body).getPropertyValue('--jp-layout-color0').trim()
                === 'white') === light""",
            arg=name == "Light",
            timeout=30_000,
        )

    def is_read(self, name: str, theme: str) -> None:
        """The panel in that theme, in a small window and a large one: axe has nothing to say,
        nothing is cut off, and there is a picture of each.
        """
        self.theme(theme)
        for width, height in ((1280, 800), (1920, 1080)):
            self.page.set_viewport_size({"width": width, "height": height})
            self.show()
            assert self.violations() == []
            assert self.cut_off() == []
            self.picture(f"{name}-{theme.lower().replace(' ', '-')}-{width}")

    def show(self, selector: str = ".labkit-panel") -> None:
        """Scrolls so that a part begins at the top of the window."""
        self.page.locator(selector).first.evaluate("node => node.scrollIntoView({block: 'start'})")

    def picture(self, name: str) -> Path:
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def portrait(self, name: str) -> Path:
        """A picture of the panel alone. `make screenshots` takes those named panel-… over into
        docs/pictures.
        """
        path = PICTURES / f"{name}.png"
        self.page.set_viewport_size({"width": 1400, "height": 1500})  # all of it in one window
        self.page.locator(".jp-Cell").first.click()  # so that no control has a frame around it
        self.panel.evaluate(
            "root => root.querySelectorAll('[data-keep]').forEach(node => (node.scrollTop = 0))"
        )
        self.panel.screenshot(path=path)
        self.page.set_viewport_size(SIZE)
        return path

    def violations(self, selector: str = ".labkit-panel") -> list[str]:
        """What axe-core finds in a part of the page that is serious or critical:
        rule and element.
        """
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page, context=selector).response["violations"]
        return [
            f"{rule['id']} ({rule['impact']}): {node['html'][:200]} "
            f"{node.get('failureSummary', '')[:300]}"
            for rule in found
            if rule["impact"] in SERIOUS
            for node in rule["nodes"]
        ]

    def cut_off(self, selector: str = ".labkit-panel") -> list[str]:
        """Elements with text that is wider than its place and can't be scrolled to."""
        found: list[str] = self.page.locator(selector).first.evaluate(
            """root => [...root.querySelectorAll('*')].filter(node => {
              const style = getComputedStyle(node);
              const hidden = style.overflowX === 'hidden'
                && !node.classList.contains('labkit-margin');
              const edge = root.getBoundingClientRect().right;
              const outside = node.getBoundingClientRect().right > edge + 1
                && !node.closest('pre, textarea, svg, .labkit-scroll')
                && node.getClientRects().length;
              return (hidden && node.scrollWidth > node.clientWidth + 1) || outside;
            }).map(node => node.outerHTML.slice(0, 150))"""
        )
        return found


def written(browser: Any, lab: str, course: Path, name: str, cells: list[str]) -> Notebook:
    """A small notebook of our own, with these cells of code."""
    path = course / "notebooks" / f"{name}.ipynb"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(book, path)
    return Notebook(browser, lab, path)

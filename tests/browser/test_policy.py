"""The PolicyPanel as a person uses it: mouse, keyboard, a wrong value, Apply, a restart of the
kernel, a reload.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.notebook import Notebook, written

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

MESH = """import labkit
from labkit.lessons import manifest
from labkit.ui import PolicyPanel
mesh = labkit.open_mesh()
mesh.apply(manifest("hello-world.yaml"), manifest("02_first_microservice"))"""
PANEL = 'panel = PolicyPanel(mesh, "03_load_balancing/random.yaml", draft="{}")\npanel'
GATEWAY = (
    "import json; print(json.dumps([c['cluster'] for p in mesh.config()['configs'] if "
    "'Clusters' in p['@type'] "
)
GATEWAY += "for c in p['dynamic_active_clusters']]))"


@pytest.fixture
def book(
    browser: Any, lab: str, course: Path, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:60]
    failed = request.session.testsfailed
    with written(browser, lab, course, f"policy-{name}", [MESH, PANEL.format(name)]) as book:
        book.run_all()
        yield book
        if request.session.testsfailed > failed:
            book.picture(f"policy-{name}-failed")


def cluster(book: Notebook) -> dict[str, Any]:
    """The cluster of the service, as the gateway's Envoy has it."""
    found = json.loads(book.ask(GATEWAY))
    return next(
        dict(c)
        for c in found
        if c["name"] == "outbound|80||hello-world.hello-world.svc.cluster.local"
    )


TEXT = "document.querySelector('.labkit-policy .labkit-editor').text()"


def yaml_of(book: Notebook) -> Any:
    """The editor: CodeMirror, once it has come."""
    book.panel.locator(".cm-content").wait_for(timeout=15_000)
    return book.panel.get_by_role("textbox", name="The policy as YAML")


def text_of(book: Notebook) -> str:
    return str(book.page.evaluate(f"() => {TEXT}"))


def cursor(book: Notebook, at: int) -> None:
    """Puts the cursor somewhere, in the editor."""
    yaml_of(book).focus()
    book.page.evaluate(
        "at => document.querySelector('.labkit-policy .labkit-editor').select(at)", at
    )


def replace_text(book: Notebook, text: str) -> None:
    yaml_of(book).focus()
    book.page.keyboard.press("Control+a")
    book.page.keyboard.insert_text(text)


def wait_for_yaml(book: Notebook, part: str) -> None:
    book.page.wait_for_function(
        f"part => {TEXT}.includes(part)",
        arg=part,
        timeout=15_000,
    )


def said(book: Notebook, words: str) -> None:
    book.panel.get_by_text(words).first.wait_for(timeout=15_000)


def test_from_a_control_to_envoy(book: Notebook) -> None:
    panel = book.panel
    panel.get_by_label("Which pod gets the request").select_option("ROUND_ROBIN")
    wait_for_yaml(book, "simple: ROUND_ROBIN")
    panel.locator("summary", has_text="Outlier detection").click()
    panel.get_by_label("Consecutive 5xx errors consecutive5xxErrors").fill("3")
    wait_for_yaml(book, "consecutive5xxErrors: 3")
    said(book, "Not applied yet")
    panel.get_by_role("button", name="Apply").click()
    said(book, "Applied at")
    found = cluster(book)
    assert found.get("lb_policy", "ROUND_ROBIN") == "ROUND_ROBIN"
    assert found["outlier_detection"]["consecutive_5xx"] == 3
    said(book, "Nothing to apply")
    book.show()
    for part in (panel.get_by_text("Applied at"), panel.get_by_text("What Envoy got")):
        box = part.bounding_box()
        assert box["y"] + box["height"] < 760, "what Apply did is not in view"
    panel.locator("summary", has_text="What Envoy got").click()
    marked = panel.locator(".labkit-envoy .labkit-plus").all_inner_texts()
    assert "+   consecutive_5xx: 3" in [line.rstrip("\n") for line in marked]
    assert book.violations() == []
    assert book.cut_off() == []
    book.show()
    book.picture("policy-applied")
    book.show(".labkit-got")
    book.picture("policy-envoy")
    panel.get_by_label("Which pod gets the request").select_option("LEAST_REQUEST")
    panel.get_by_label("Max ejected at once maxEjectionPercent").fill("50")
    said(book, "Apply would change 3 lines")
    book.portrait("panel-policy")
    assert book.complaints == []


def test_a_slider_by_mouse_and_by_keyboard(book: Notebook) -> None:
    panel, keyboard = book.panel, book.page.keyboard
    panel.locator("summary", has_text="Outlier detection").click()
    slider = panel.get_by_label("Max ejected at once, slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    book.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    wait_for_yaml(book, "maxEjectionPercent: ")
    middle = int(panel.get_by_label("Max ejected at once maxEjectionPercent").input_value())
    assert 45 <= middle <= 55
    keyboard.press("ArrowRight")
    wait_for_yaml(book, f"maxEjectionPercent: {middle + 1}")
    errors = panel.get_by_label("Consecutive 5xx errors consecutive5xxErrors")
    errors.focus()
    keyboard.press("ArrowUp")  # from Istio's default, 5
    wait_for_yaml(book, "consecutive5xxErrors: 6")
    keyboard.press("Tab")
    keyboard.type("2")
    wait_for_yaml(book, "consecutiveGatewayErrors: 2")
    assert book.complaints == []


def test_everything_by_keyboard_alone_and_no_shortcut_of_jupyterlab_acts(book: Notebook) -> None:
    cells = book.page.locator(".jp-Cell").count()
    keyboard = book.page.keyboard
    mode = book.panel.get_by_label("Which pod gets the request")
    mode.focus()
    keyboard.type("each")  # a select takes the option that begins so
    wait_for_yaml(book, "simple: ROUND_ROBIN")
    apply = book.panel.get_by_role("button", name="Apply")
    for _ in range(20):
        if apply.evaluate("node => node === document.activeElement"):
            break
        keyboard.press("Tab")
    for key in ("d", "d", "a", "b", "x"):  # with these JupyterLab deletes and adds cells
        keyboard.press(key)
    keyboard.press("Enter")
    said(book, "Applied at")
    assert book.page.locator(".jp-Cell").count() == cells
    assert cluster(book).get("lb_policy", "ROUND_ROBIN") == "ROUND_ROBIN"
    assert book.complaints == []


def test_what_is_wrong_is_said_beside_the_field_while_typing(book: Notebook) -> None:
    panel = book.panel
    text = text_of(book)
    at = text.index("RANDOM", text.index("simple")) + len("RANDOM")
    cursor(book, at)
    book.page.keyboard.press("Backspace")
    book.page.keyboard.type("N-and-more", delay=30)
    said(book, "not a known value")
    assert text_of(book) == text[: at - 1] + "N-and-more" + text[at:]
    book.page.keyboard.type("!")  # the cursor is still where it was
    wait_for_yaml(book, "RANDON-and-more!")
    assert text_of(book) == text[: at - 1] + "N-and-more!" + text[at:]
    panel.locator(".cm-lintRange-error", has_text="simple: RANDON-and-more!").wait_for(
        timeout=15_000
    )
    assert panel.locator(".cm-lintRange-error").count() == 1
    assert panel.locator(".cm-gutter-lint .cm-lint-marker-error").count() == 1
    assert "not a known value" in panel.locator(".labkit-field .labkit-note").first.inner_text()
    panel.locator("summary", has_text="Outlier detection").click()
    looks = panel.get_by_label("Sweep interval interval")
    looks.fill("10")
    note = panel.locator(
        ".labkit-field", has=book.page.get_by_label("Sweep interval interval")
    ).locator(".labkit-note")
    note.get_by_text("not a duration").wait_for(timeout=15_000)
    assert looks.get_attribute("aria-invalid") == "true"
    assert book.violations() == []
    assert book.cut_off() == []
    book.show()
    book.picture("policy-findings")
    panel.get_by_role("button", name="Apply").click()
    panel.locator(".labkit-error", has_text="would be refused").wait_for(timeout=15_000)
    assert book.violations() == []
    book.show()
    book.picture("policy-refused")
    looks.fill("10s")
    note.get_by_text("not a duration").wait_for(state="detached", timeout=15_000)
    assert book.complaints == []


def offered(book: Notebook) -> list[str]:
    labels = book.page.locator(".cm-tooltip-autocomplete .cm-completionLabel")
    labels.first.wait_for(timeout=15_000)
    return [str(label) for label in labels.all_inner_texts()]


def test_the_editor_offers_what_the_schema_allows(book: Notebook) -> None:
    keyboard = book.page.keyboard
    cursor(book, len(text_of(book)))
    keyboard.type("    outl")
    assert offered(book) == ["outlierDetection"]
    keyboard.press("Tab")  # takes it, and does not leave
    assert text_of(book).endswith("\n    outlierDetection:\n      ")
    keyboard.press("Control+Space")
    fields = offered(book)
    assert {"consecutive5xxErrors", "interval", "splitExternalLocalOriginErrors"} <= set(fields)
    assert "simple" not in fields
    keyboard.type("split")
    assert offered(book) == ["splitExternalLocalOriginErrors"]
    keyboard.press("Enter")
    assert offered(book) == ["false", "true"]
    assert book.violations(".cm-tooltip-autocomplete") == []
    assert book.violations() == []
    book.show()
    book.picture("policy-completion")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    wait_for_yaml(book, "      splitExternalLocalOriginErrors: true")
    keyboard.type("\n")
    keyboard.press("Control+Space")
    assert "splitExternalLocalOriginErrors" not in offered(book), "it is there already"
    keyboard.press("Escape")
    # inside of braces, a value
    replace_text(book, "kind: VirtualService\nspec: {http: [{fault: {abort: {httpS")
    keyboard.press("Control+Space")
    assert offered(book) == ["httpStatus"]
    keyboard.press("Escape")
    replace_text(
        book, "kind: Gateway\nspec:\n  servers:\n  - port: {number: 80}\n    tls:\n      mode: "
    )
    keyboard.press("Control+Space")
    assert "SIMPLE" in offered(book)
    keyboard.press("Escape")
    assert book.complaints == []


@pytest.mark.parametrize("theme", ["Light", "Dark", "Dark High Contrast"])
def test_it_is_read_in_every_theme(book: Notebook, theme: str) -> None:
    panel = book.panel
    panel.get_by_label("Which pod gets the request").select_option("ROUND_ROBIN")
    panel.locator("summary", has_text="Outlier detection").click()
    panel.get_by_label("Consecutive 5xx errors consecutive5xxErrors").fill("3")
    panel.locator(".cm-lintRange-warning").wait_for(timeout=15_000)
    book.is_read("policy", theme)


def test_undo_by_keys_and_tab_leaves(book: Notebook) -> None:
    keyboard = book.page.keyboard
    before = text_of(book)
    cursor(book, 0)
    keyboard.type("# mine ")
    wait_for_yaml(book, "# mine # RANDOM")
    keyboard.press("Control+z")
    book.page.wait_for_function(f"text => {TEXT} === text", arg=before, timeout=15_000)
    assert book.panel.evaluate("root => root.contains(document.activeElement)")
    keyboard.press("Tab")
    assert not yaml_of(book).evaluate("node => node === document.activeElement")
    assert text_of(book) == before
    assert book.complaints == []


def test_without_the_editor_a_textarea_does_the_same(
    browser: Any, lab: str, course: Path, request: pytest.FixtureRequest
) -> None:
    cells = [
        MESH,
        "PolicyPanel.send_editor = lambda self: self.send({'editor': 'no script', 'index': {}})",
    ]
    cells[1] += "\nPolicyPanel.send_editor.asked_for = 'now'"
    with written(browser, lab, course, "policy-plain", [*cells, PANEL.format("plain")]) as book:
        book.run_all()
        said(book, "Plain text, without completion")
        area = book.panel.get_by_label("The policy as YAML")
        assert area.evaluate("node => node.tagName") == "TEXTAREA"
        area.fill(area.input_value().replace("RANDOM", "ROUND_ROBIN"))
        mode = book.panel.get_by_label("Which pod gets the request")
        book.page.wait_for_function(
            "node => node.value === 'ROUND_ROBIN'", arg=mode.element_handle(), timeout=15_000
        )
        mode.select_option("LEAST_REQUEST")
        wait_for_yaml(book, "simple: LEAST_REQUEST")
        book.panel.get_by_role("button", name="Apply").click()
        said(book, "Applied at")
        assert book.violations() == []
        assert book.complaints == []


def test_half_typed_yaml_survives_a_restart_of_the_kernel_and_a_reload(book: Notebook) -> None:
    half = "spec:\n  host: hello-world\n  trafficPolicy: {loadBalancer: [ # half typ"
    replace_text(book, half)
    said(book, "not YAML")
    assert text_of(book) == half
    book.restart_kernel()
    lost = book.panel.get_by_role("alert").filter(has_text="The kernel was restarted or stopped")
    lost.wait_for(timeout=15_000)
    assert "what you typed is kept" in lost.inner_text()
    book.show()
    book.picture("policy-restarted")
    # JupyterLab itself tells the console of messages that the old kernel did not answer
    book.complaints.clear()
    book.run_all()
    said(book, "Your draft from")
    yaml_of(book)
    assert text_of(book) == half
    book.show()
    book.picture("policy-draft")
    book.reload()
    book.panel.wait_for(timeout=30_000)
    yaml_of(book)
    assert text_of(book) == half
    book.panel.get_by_role("button", name="Use the published text").click()
    wait_for_yaml(book, "simple: RANDOM")
    book.panel.get_by_role("button", name="Undo").click()
    wait_for_yaml(book, "half typ")
    assert book.complaints == []


def test_the_notebook_keeps_the_last_state_and_the_view_stays(book: Notebook) -> None:
    book.panel.get_by_label("Which pod gets the request").select_option("LEAST_REQUEST")
    book.panel.get_by_role("button", name="Apply").click()
    said(book, "Applied at")
    book.panel.locator("summary", has_text="Connection pool").click()
    book.page.locator(".jp-Cell").first.click()  # out of the panel
    book.page.wait_for_function(
        """() => {
          const cells = window.jupyterapp.shell.currentWidget.content.model.toJSON().cells;
          return cells.at(-1).outputs.some(
            o => [o.data?.['text/html']].flat().join('').includes('Applied at'));
        }""",
        timeout=15_000,
    )
    assert book.page.locator(".labkit-panel").count() == 1
    book.panel.get_by_label("Max connections").wait_for()  # what was open is open
    assert book.panel.get_by_label("Which pod gets the request").input_value() == "LEAST_REQUEST"
    # the view that is there now works
    book.panel.get_by_label("Which pod gets the request").select_option("RANDOM")
    wait_for_yaml(book, "simple: RANDOM")
    assert book.complaints == []


def test_a_mesh_that_is_gone_is_said_in_words(book: Notebook) -> None:
    book.ask("mesh.close()")
    book.panel.get_by_role("button", name="Apply").click()
    alert = book.panel.locator(".labkit-error")
    alert.get_by_text("closed").first.wait_for(timeout=15_000)
    assert "Traceback" not in alert.inner_text()
    book.show()
    book.picture("policy-mesh-gone")
    # the text can still be changed
    book.panel.get_by_label("Which pod gets the request").select_option("ROUND_ROBIN")
    wait_for_yaml(book, "simple: ROUND_ROBIN")
    assert book.complaints == []

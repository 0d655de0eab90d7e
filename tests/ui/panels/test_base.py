"""The base of all panels: actions by name, errors that are shown, long work off the caller's
thread.
"""

from __future__ import annotations

import gc
import threading

import pytest
import traitlets
from jupyter_client.manager import start_new_kernel

from labkit.errors import LabkitError, MeshError
from labkit.ui.panels import base as base_module
from labkit.ui.panels.base import Panel, action, static, work
from labkit.waiting import wait_until


class Counter(Panel):
    title = "A counter"
    count = traitlets.Int(0).tag(sync=True)

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.threads: list[str] = []

    @action
    def add(self, by: int = 1) -> int:
        if by < 0:
            raise LabkitError("It counts up only", seen=str(by), try_next="a number from 0")
        self.count += by
        return self.count

    @work("Counting")
    def slowly(self) -> None:
        self.threads.append(threading.current_thread().name)
        self.go_on.wait(10)
        raise MeshError("The mesh died", try_next="open it again")

    def breaks(self) -> None:
        raise AssertionError("not an action, so nobody may ask for it")

    @action
    def slips(self) -> None:
        raise ZeroDivisionError("a mistake of the panel")

    def way_back(self, error: LabkitError, doing: str) -> dict[str, str]:
        return {"label": "Try again", "do": doing} if isinstance(error, MeshError) else {}

    def text(self) -> str:
        return f"count: {self.count} <ok>"


def test_an_action_is_the_same_for_python_and_for_the_view() -> None:
    panel = Counter()
    assert panel.add(2) == 2
    panel.hear(panel, {"do": "add", "args": [3]})
    assert panel.count == 5


def test_python_gets_an_error_raised_and_the_panel_shows_it_until_the_next_action() -> None:
    panel = Counter()
    with pytest.raises(LabkitError, match="counts up"):
        panel.add(-1)
    assert panel.error == {
        "message": "It counts up only",
        "seen": "-1",
        "try_next": "a number from 0",
        "back": {},
    }
    assert panel.failed
    panel.add(1)
    assert not panel.failed


def test_the_view_gets_it_shown_only() -> None:
    panel = Counter()
    panel.hear(panel, {"do": "add", "args": [-1]})
    assert panel.error["message"] == "It counts up only"


def test_a_mistake_of_the_panel_itself_is_said_in_words() -> None:
    panel = Counter()
    panel.hear(panel, {"do": "slips"})
    assert panel.error["seen"] == "ZeroDivisionError: a mistake of the panel"
    panel.hear(panel, {"do": "add", "args": ["x", "y"]})
    assert "TypeError" in panel.error["seen"]


@pytest.mark.parametrize(
    "asked", ["breaks", "close", "hear", "__init__", "nothing", "", None, 7, ["add"]]
)
def test_only_actions_can_be_asked_for(asked: object) -> None:
    panel = Counter()
    panel.hear(panel, {"do": asked, "args": []})
    panel.hear(panel, asked)
    assert (panel.count, panel.error) == (0, {})


def test_long_work_leaves_the_caller_and_the_lock_free_and_then_shows_its_error() -> None:
    panel = Counter()
    panel.hear(panel, {"do": "slowly"})
    assert panel.busy == "Counting"
    panel.add(1)  # would wait for ten seconds if the work held the lock
    panel.go_on.set()
    wait_until(lambda: panel.failed, 10, "the work to fail")
    assert panel.threads != [threading.current_thread().name]
    assert panel.error["back"] == {"label": "Try again", "do": "slowly"}
    assert panel.busy == ""
    panel.close()


def test_a_python_caller_waits_for_long_work() -> None:
    panel = Counter()
    panel.go_on.set()
    with pytest.raises(MeshError):
        panel.slowly()
    assert panel.threads == [threading.current_thread().name]


def test_actions_of_many_threads_do_not_meet() -> None:
    panel = Counter()
    threads = [threading.Thread(target=lambda: [panel.add() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert panel.count == 400


def test_an_export_gets_text_and_html_beside_the_view() -> None:
    panel = Counter()
    bundle = panel._repr_mimebundle_()
    assert bundle is not None
    data, _ = bundle
    assert data["text/plain"] == "count: 0 <ok>"
    assert data["text/html"] == "<pre>count: 0 &lt;ok&gt;</pre>"
    assert "application/vnd.jupyter.widget-view+json" in data


def test_what_is_shown_is_replaced_after_each_action_while_no_view_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    panel = Counter()
    published: list[bool] = []
    monkeypatch.setattr(Counter, "publish", lambda self, *, update: published.append(update))
    panel.add()
    assert published == []  # it was never displayed
    panel._ipython_display_()
    panel.add()
    assert published == [False, True]
    panel.hear(panel, {"do": "seen"})
    panel.add()
    assert published == [False, True]
    panel.hear(panel, {"do": "rest"})
    assert published == [False, True, True]


def test_the_view_is_the_common_part_and_the_panels_own() -> None:
    assert "function frame(" in static("panel.js")
    assert Counter._esm.startswith(static("panel.js"))  # type: ignore[attr-defined]


def test_a_cell_that_is_run_again_closes_the_panels_of_its_last_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # ipywidgets closes what is collected: the panels of earlier tests must not go in between
    gc.collect()
    closed: list[Counter] = []
    monkeypatch.setattr(Counter, "close", lambda self: closed.append(self))

    def run(cell: str, number: str) -> Counter:
        monkeypatch.setattr(base_module, "running_cell", lambda: (cell, number))
        return Counter()

    monkeypatch.setattr(base_module, "made", {})
    first, second = run("a", "1"), run("a", "1")  # two of one run
    other = run("b", "2")
    assert closed == []
    again = run("a", "3")
    assert set(closed) == {first, second}
    run("", "4"), run("", "5")  # not from a cell, or nobody knows from which
    assert set(closed) == {first, second}
    run("a", "6")
    assert set(closed) == {first, second, again}
    assert other not in closed


def test_a_kernel_forgets_the_panel_of_a_cell_that_is_run_again() -> None:
    """ipywidgets would hold it: seen in a real kernel, which is told the cell's id as JupyterLab
    tells it.
    """
    made = "import gc, ipywidgets; from labkit.ui.panels.base import Panel; panel = Panel()"
    held = "(gc.collect(), sum(isinstance(each, Panel) for each in gc.get_objects()))[1]"
    manager, client = start_new_kernel()
    try:
        counts = []
        for cell in ("a", "a", "b", "b", "a"):
            content = {
                "code": made,
                "silent": False,
                "user_expressions": {"held": held},
                "allow_stdin": False,
            }
            message = client.session.msg("execute_request", content)
            message["metadata"]["cellId"] = cell
            client.shell_channel.send(message)
            reply = client.get_shell_msg(timeout=30)
            while reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                reply = client.get_shell_msg(timeout=30)  # a slow start leaves answers to others
            counts.append(reply["content"]["user_expressions"]["held"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert counts == ["1", "1", "2", "2", "2"]

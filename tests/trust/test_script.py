"""Script in names, headers, paths, comments and YAML: shown as the text that it is, wherever HTML
is made.
"""

from __future__ import annotations

import html
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import labkit
from labkit.errors import LabkitError
from labkit.explain import Explanation, Outcome, Place, Step
from labkit.lessons.checks.verdict import Verdict, Why
from labkit.lessons.content.canary import DecisionRule, Rollout, RolloutStep
from labkit.lessons.content.capstone import Grade
from labkit.lessons.coursemap import OPEN, CourseMap, LessonProgress
from labkit.lessons.exercises import Exercise, Hint
from labkit.lessons.notebook.report import page, parts
from labkit.lessons.notebook.sources import CHECKED
from labkit.lessons.predictions import Believed, Prediction
from labkit.mesh import Mesh
from labkit.mesh.cluster.lazy_flags import LazyFlags
from labkit.mesh.table import table
from labkit.resources.lint.diagnosis import Diagnoses, Diagnosis
from labkit.traffic.load import FortioResult
from labkit.traffic.result import Result
from labkit.ui import BreakerTimeline, Compare, MeshView, PolicyPanel, TrafficPanel, plots
from labkit.ui.panels import picture
from labkit.ui.panels.meshview import Still
from tests.mesh.conftest import GATEWAY, HELLO, URL
from tests.trust import measured

EVIL = (
    "<img src=x onerror=alert(1)></pre></td></script></title><script>alert(2)</script>"
    "'\" onmouseover='alert(3)' x=\" `${alert(4)}` $\\evil{$"
)
SHORT = "<img src=x onerror=alert(1)>"  # fits under a bar of a plot
FORMULA = "<b x=1>$\\evil{$"  # matplotlib takes what is between dollars for a formula


class Finder(HTMLParser):
    """What would act: scripts, pictures from elsewhere, and attributes that hold script."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.found.append(tag)
        if tag == "img" and not (given.get("src") or "").startswith("data:image/png;base64,"):
            self.found.append(f"{tag} {given}")
        self.found += [name for name in given if name.startswith("on")]
        self.found += [value for value in given.values() if (value or "").startswith("javascript:")]


def acting(text: str) -> list[str]:
    """What of a text in HTML would act."""
    finder = Finder()
    finder.feed(text)
    finder.close()
    return finder.found


@pytest.fixture(autouse=True)
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress.json"))


def result() -> Result:
    columns: dict[str, Any] = {
        "n": [0, 1, 2],
        "at": [1.0, 1.5, 2.0],
        "status": [200, 200, 503],
        "pod": [SHORT, "other", ""],
        "version": [SHORT, FORMULA, ""],
        "latency_ms": [1.0, 2.0, 3.0],
        "flags": [EVIL, "", "UO"],
        "method": [EVIL] * 3,
        "path": [EVIL] * 3,
        "connection": [0, 0, 1],
        "id": [EVIL] * 3,
        "error": [EVIL] * 3,
    }
    return Result(columns)


def verdict() -> Verdict:
    why = Why(EVIL, EVIL, (EVIL,), EVIL, EVIL, near_miss=EVIL)
    return Verdict(False, EVIL, why, (EVIL,))


def diagnoses() -> Diagnoses:
    return Diagnoses([Diagnosis("IST0101", EVIL, EVIL, 1, EVIL, EVIL, EVIL, (EVIL,))])


def explanation() -> Explanation:
    step = Step(EVIL, EVIL, (Place(EVIL, EVIL, EVIL, 1),))
    return Explanation(EVIL, EVIL, Outcome(EVIL), EVIL, (Step(EVIL, EVIL, parts=(step,)),))


def picture_model() -> dict[str, Any]:
    """MeshView's, where each text is script."""
    pod = {"name": EVIL, "state": "ready", "words": EVIL, "left_s": None, "per_second": 1.0}
    pod |= {"requests": 1, "restarts": 0, "share": 1.0, "errors": 0.5}
    group = {"name": EVIL, "version": EVIL, "share": 1.0, "p99_ms": 5.0, "pods": [pod]}
    model = {"source": EVIL, "per_second": 1.0, "requests": 1, "counters": {}, "groups": [group]}
    return {**model, "moment": EVIL}


TIMES = [{"Percentile": each, "Value": 0.1} for each in (50.0, 90.0, 99.0)]
FORTIO = {
    "DurationHistogram": {"Count": 3, "Percentiles": TIMES},
    "ActualDuration": 1e9,
    "ActualQPS": 3,
    "NumThreads": EVIL,
    "RetCodes": {"200": 3},
    "Labels": EVIL,
}

SAMPLES: dict[str, Callable[[], Any]] = {
    "Verdict": verdict,
    "Rollout": lambda: Rollout(DecisionRule(), (RolloutStep(5, 1, 0, ((1, 0),), EVIL),)),  # type: ignore[arg-type]
    "Grade": lambda: Grade((verdict(),)),
    "CourseMap": lambda: CourseMap((LessonProgress("01", EVIL, EVIL, OPEN, (), (EVIL,)),)),
    "Hint": lambda: Hint(EVIL, EVIL, True),
    "Exercise": lambda: Exercise("01-1", EVIL, bool, (EVIL,) * 3, EVIL),
    "Prediction": lambda: Prediction(EVIL, (EVIL,), EVIL, EVIL, EVIL),
    "Believed": lambda: Believed((("03-a", EVIL, EVIL),)),
    "LazyFlags": lambda: LazyFlags(result(), dict),
    "Table": lambda: table((EVIL,), [(EVIL,)]),
    "Diagnoses": diagnoses,
    "FortioResult": lambda: FortioResult(result()._columns, FORTIO, EVIL),
    "Result": result,
    "Explanation": explanation,
    "Still": lambda: Still(picture_model()),
    "PlotAxes": lambda: plots.share(result(), by="pod"),
}


def that_show_html() -> Iterator[str]:
    for module in pkgutil.walk_packages(labkit.__path__, "labkit."):
        if not module.name.endswith("__main__"):
            found = importlib.import_module(module.name)
            for name, each in vars(found).items():
                if (
                    inspect.isclass(each)
                    and each.__module__ == module.name
                    and hasattr(each, "_repr_html_")
                ):
                    yield name


def test_whatever_shows_itself_as_html_is_here() -> None:
    assert set(that_show_html()) == set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_script_is_shown_as_text(name: str) -> None:
    shown = SAMPLES[name]()._repr_html_()
    assert acting(shown) == []
    measured(
        "script-in-values",
        "script in names of pods and versions, headers, paths, flags, titles, messages",
        "text in every table, verdict, plot and report; with the escaping taken out, the test sees "
        "it",
        kinds=len(SAMPLES),
        acting=0,
    )


def without_escaping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "escape", lambda text, quote=True: str(text))
    to_html = pd.DataFrame.to_html
    monkeypatch.setattr(pd.DataFrame, "to_html", lambda *a, **k: to_html(*a, escape=False, **k))


@pytest.mark.parametrize("name", SAMPLES)
def test_with_the_escaping_taken_out_script_is_seen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = SAMPLES[name]()
    without_escaping(monkeypatch)
    assert acting(sample._repr_html_()) != []


@pytest.mark.parametrize("draw", [plots.share, plots.over_time, plots.latency])
def test_plots_take_any_text(draw: Callable[..., Any]) -> None:
    """Text between dollars is a formula to matplotlib, and this one is wrong."""
    assert acting(draw(result(), by="version")._repr_html_()) == []


def test_a_comparison_takes_any_names() -> None:
    both = {SHORT: result(), FORMULA: result()}
    assert acting(plots.compare(by="pod", **both)._repr_html_()) == []


def test_the_picture_of_the_mesh() -> None:
    assert acting(picture.svg(picture_model())) == []


def test_reports(tmp_path: Path) -> None:
    """What a lesson wrote as plain text, its headings, and what went wrong in it."""
    data = {"text/plain": EVIL}
    cell = new_code_cell(EVIL, outputs=[new_output("execute_result", data)])
    cell.metadata["tags"] = [CHECKED]
    stream = new_code_cell(EVIL, outputs=[new_output("stream", text=EVIL)])
    stream.metadata["tags"] = [CHECKED]
    notebook = new_notebook(cells=[new_markdown_cell(f"## {EVIL}"), cell, stream])
    nbformat.validate(notebook)
    found = parts(notebook)
    assert found
    for part in found:
        for item in part.items:
            assert acting(item) == []
    run = SimpleNamespace(title=EVIL, lesson=EVIL)
    page(tmp_path / "page.html", "lesson.html", run=run, body="")
    shown = (tmp_path / "page.html").read_text()
    assert "onerror" in shown
    assert not [tag for tag in acting(shown) if "onerror" in tag or tag == "script"]


def test_no_script_of_ours_makes_html_of_text() -> None:
    """Only pictures are put into a page as markup, and they are made here."""
    known = {"live.js": 1, "policy_parts.js": 2}  # the latter only reads
    parsed = {"meshview.js": 1}
    for file in sorted((Path(labkit.__file__).parent / "ui" / "static").glob("*.js")):
        text = file.read_text("utf-8")
        assert text.count("innerHTML") == known.get(file.name, 0), file.name
        assert text.count("DOMParser") == parsed.get(file.name, 0), file.name
        for word in ("outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"):
            assert word not in text


RULE = f"""# {EVIL}
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: evil
  namespace: hello-world
  annotations:
    note: "<img src=x onerror=alert(1)>"   # <script>alert(2)</script>
spec:
  hosts: [test.example.com]
  gateways: [hello-world-gateway]
  http:
    - match: [{{headers: {{x-evil: {{exact: "<img src=x onerror=alert(1)>"}}}}}}]
      route: [{{destination: {{host: hello-world}}}}]
      headers: {{response: {{set: {{x-said: "<script>alert(1)</script>"}}}}}}
    - route: [{{destination: {{host: hello-world}}}}]
"""


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    """A mesh in which all that may hold script does: the pods' version, annotations, headers."""
    hello = HELLO.read_text("utf-8").replace("value: v1\n", f"value: {SHORT!r}\n")
    with labkit.open_mesh() as found:
        found.apply(hello, GATEWAY, RULE)
        yield found


@pytest.mark.embedded
def test_panels(mesh: Mesh, tmp_path: Path) -> None:
    path = f"{URL}%3Cimg%20src=x%20onerror=alert(1)%3E"
    answers = mesh.curl(path, headers={"x-evil": EVIL, "accept": "text/html"}, n=6)
    assert SHORT in set(answers.frame["version"])
    file = tmp_path / "rule.yaml"
    file.write_text(RULE)
    policy = PolicyPanel(mesh, file)
    traffic = TrafficPanel(mesh, URL + "?<script>alert(1)</script>")
    shown = [
        *[answer.body.decode() for answer in answers.responses],  # the application's own pages
        answers._repr_html_(),
        policy.page(),
        traffic.page(),
        MeshView(mesh).page(),
        BreakerTimeline(mesh).page(),
        Compare(answers, answers, names=(SHORT, FORMULA)).page(),
        mesh.get("virtualservices")._repr_html_(),
        mesh.lint(file)._repr_html_(),
        plots.share(answers, by="version")._repr_html_(),
    ]
    for text in shown:
        assert acting(text) == []
    assert "&lt;script&gt;" in policy.page()
    measured(
        "script-in-panels",
        "script in a rule's comments, annotations and header values, in paths and the "
        "application's version, in every panel",
        "shown as text",
        pages=len(shown),
        acting=0,
    )


@pytest.mark.embedded
def test_names_that_are_script_are_refused(mesh: Mesh) -> None:
    with pytest.raises(LabkitError):
        mesh.apply(HELLO.read_text("utf-8").replace("name: hello-world\n", f"name: {EVIL!r}\n"))

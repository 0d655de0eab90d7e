"""Running lessons: parameters, failures, progress, and what the report shows of it. No mesh is
needed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import psutil
import pytest

from labkit.errors import LessonError
from labkit.lessons.notebook.sources import Lesson, lessons
from labkit.lessons.notebook.report import write_report, xml_text
from labkit.lessons.notebook.run import GRACE_S, CellDone, run_lesson, run_lessons
from labkit.waiting import wait_until

pytestmark = pytest.mark.notebook


def test_unknown_parameters_are_refused_with_those_there_are(course: Path) -> None:
    with pytest.raises(LessonError) as caught:
        run_lesson(lessons("1")[0], {"sed": 3})
    assert "no parameter 'sed'" in str(caught.value)
    assert "backend, scale, seed" in str(caught.value)


def test_unknown_parameters_are_refused_before_the_first_lesson_runs(course: Path) -> None:
    done: list[object] = []
    with pytest.raises(LessonError):
        run_lessons(lessons(), {"nope": 1}, on_done=done.append)
    assert done == []


def test_parameters_reach_the_lesson(course: Path) -> None:
    run = run_lesson(lessons("1")[0], {"seed": 99})
    assert run.failure
    assert "CheckFailed" in run.failure.message
    run = run_lesson(lessons("2")[0], {"seed": 99})
    assert run.passed
    assert run.verdicts == ["PASS  the seed is small"]


def test_a_failure_names_its_cell_and_hides_no_other_lesson(course: Path, tmp_path: Path) -> None:
    steps: list[CellDone] = []
    good, bad = run_lessons(lessons(), out=tmp_path / "out", jobs=2, on_cell=steps.append)
    assert good.passed
    assert bad.failure is not None
    assert bad.failure.cell == 4
    assert "check.that(seed > 10" in bad.failure.source
    assert {step.lesson for step in steps} == {"01_good", "02_bad"}
    assert all(step.cells == 6 for step in steps)
    assert (tmp_path / "out" / "02_bad.ipynb").exists()


def test_a_dead_kernel_is_a_failure_of_its_cell(course: Path) -> None:
    path = course / "notebooks" / "source" / "01_good.py"
    path.write_text(path.read_text().replace("secret = 42", "import os\nos._exit(3)"))
    run = run_lesson(lessons("1")[0])
    assert run.failure is not None
    assert run.failure.cell == 5
    assert "os._exit(3)" in run.failure.source


def test_the_environment_of_the_kernel_is_its_own(course: Path) -> None:
    path = course / "notebooks" / "source" / "01_good.py"
    before = dict(os.environ)
    text = path.read_text().replace("secret = 42", "import os\nassert "
        "os.environ['LABKIT_STRICT'] == WANTED")
    for strict in (True, False):
        path.write_text(text.replace("WANTED", repr("1" if strict else "")))
        assert run_lesson(lessons("1")[0], strict=strict).passed
    assert dict(os.environ) == before


RUN = """
import sys
from labkit.lessons.notebook.sources import lessons
from labkit.lessons.notebook.run import run_lessons
try:
    run_lessons(lessons(), jobs=int(sys.argv[1]), on_done=lambda run: print("done", run.lesson, flush=True))
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
SLOW = """import atexit, os, pathlib, time
here = pathlib.Path(os.environ["LABKIT_COURSE"])
atexit.register((here / "closed").touch)
(here / "pid").write_text(str(os.getpid()))
{what}"""
STUBBORN = """while True:
    try:
        time.sleep(100)
    except KeyboardInterrupt:
        pass"""


@pytest.mark.parametrize(
    ("what", "jobs", "closes"),
    [("time.sleep(100)", 1, True), ("time.sleep(100)", 2, True), (STUBBORN, 1, False)],
    ids=["one", "two", "stubborn"],
)
def test_ctrl_c_ends_a_run_and_its_kernels_soon(course: Path, what: str, jobs: int, closes: bool) -> None:
    """After GRACE_S a kernel is ended that does not end by itself: a stubborn one, or one that was
    interrupted between two cells, whose answer is lost. The cell would take 100 s."""
    path = course / "notebooks" / "source" / "01_good.py"
    path.write_text(path.read_text().replace("secret = 42", SLOW.format(what=what)))
    pid = course / "pid"
    words = [sys.executable, "-c", RUN, str(jobs)]
    with subprocess.Popen(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        wait_until(lambda: pid.exists() and pid.read_text(), 30, "the slow cell")
        run.send_signal(signal.SIGINT)
        began = time.monotonic()
        said, complaints = run.communicate(timeout=60)
    assert time.monotonic() - began < GRACE_S + 40
    assert said.splitlines()[-1] == "stopped"
    assert "done 01_good" not in said
    assert "Traceback" not in complaints
    assert not psutil.pid_exists(int(pid.read_text()))
    assert (course / "closed").exists() == closes


def test_no_lessons_is_an_error_not_a_success(course: Path) -> None:
    with pytest.raises(LessonError, match="no lesson to run"):
        run_lessons([])
    with pytest.raises(LessonError, match=r"no lesson '7'"):
        lessons("7")


def test_lessons_are_found_by_name_number_and_path(course: Path) -> None:
    for word in ("2", "02", "02_bad", "notebooks/02_bad.ipynb"):
        assert [one.name for one in lessons(word)] == ["02_bad"]


class Page(HTMLParser):
    """What of a page a person or a browser would notice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.outside: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if tag == "a" and "href" in given else []
        self.pictures += [given] if tag == "img" else []
        for name in ("src", "href"):
            address = given.get(name) or ""
            if address.startswith(("http:", "https:", "//")) and tag != "a":
                self.outside.append(address)


def test_the_report_is_one_page_with_all_that_was_seen(course: Path, tmp_path: Path) -> None:
    runs = run_lessons(lessons(), jobs=2)
    index = write_report(runs, tmp_path / "report", "A <tour>")
    text = index.read_text()
    page = Page(text)
    assert page.outside == []
    assert "script" not in page.tags
    assert {"main", "nav", "h1", "h2", "h3"} <= page.tags
    assert len(page.pictures) == 2
    assert all(picture.get("src", "").startswith("data:") and "alt" in picture for picture in page.pictures)  # type: ignore[union-attr]
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert "A &lt;tour&gt;" in text
    assert "the seed is small" in text
    assert "Cell 4 stopped" in text
    assert "See that it runs." in text
    for run in runs:
        whole = (tmp_path / "report" / f"{run.lesson}.html").read_text()
        assert Page(whole).outside == []
        assert "secret = " in whole.replace("<span", "\n<span") or "secret" in whole


def test_junit_counts_failures_and_holds_any_text(course: Path, tmp_path: Path) -> None:
    write_report(run_lessons(lessons()), tmp_path, "x")
    suite = ET.parse(tmp_path / "junit.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite.findall("testcase")
    assert good.find("failure") is None
    failure = bad.find("failure")
    assert failure is not None
    assert "cell 4" in (failure.get("message") or "")
    assert xml_text("a\x1b[0mb\x00") == "a?[0mb?"


def test_a_lesson_runs_where_it_lies(course: Path) -> None:
    path = course / "notebooks" / "source" / "01_good.py"
    path.write_text(path.read_text().replace("secret = 42", "import os\nassert "
        "os.getcwd().endswith('notebooks')"))
    lesson = lessons("1")[0]
    assert isinstance(lesson, Lesson)
    assert run_lesson(lesson).passed

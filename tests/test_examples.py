"""The examples in docstrings say what really comes back.

An example that needs a mesh, a cluster or a result shows how something is used, and cannot run
here: it names what only its reader has, and the rest of its docstring is left out. Every other one
is run, and what it says must be what comes; `…` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import pkgutil
from typing import Any

import labkit

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

SHOWN = {
    "labkit.cli.manifests.validate.as_text": "a file of the reader",
    "labkit.errors.LabkitError": "raises it",
    "labkit.lessons.content.tasks.task": "a learner's progress",
    "labkit.lessons.coursemap.CourseMap": "a learner's progress",
    "labkit.lessons.predictions.my_predictions": "a learner's progress",
    "labkit.lessons.progress.record": "writes a learner's progress",
    "labkit.lessons.progress.update": "writes a learner's progress",
    "labkit.lessons.wayback.catch_up": "a cell of a lesson",
    "labkit.mesh.cluster.cleanup.kept_gateway.kept_gateway": "a cluster",
    "labkit.mesh.cluster.cleanup.leftovers.api_of": "a cluster",
    "labkit.mesh.cluster.client.guard.guarded": "a cluster",
    "labkit.mesh.cluster.client.guard.why_local": "a cluster",
    "labkit.setup.commands.Commands": "a program of the reader's machine",
    "labkit.setup.installation.Up": "a cluster",
    "labkit.setup.machine.machine": "the reader's machine",
    "labkit.setup.minikube.Minikube": "a program of the reader's machine",
    "labkit.traffic.curl.curl": "something that listens",
    "labkit.traffic.load.fortio": "something that listens",
    "labkit.traffic.programs.curl.real_curl": "something that listens",
}
"""Examples that can't be told by a name that is missing, with what they need."""


class Checker(doctest.OutputChecker):
    """Takes `…` where doctest has three points."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want.replace("…", "..."), got, optionflags)


class Examples(doctest.DocTestRunner):
    """Stops at the first example of a docstring that needs what only its reader has."""

    def __init__(self) -> None:
        super().__init__(Checker(), verbose=False, optionflags=FLAGS | doctest.FAIL_FAST)
        self.wrong: list[str] = []

    def report_failure(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str
    ) -> None:
        if example.want:  # one that says nothing of what comes back shows the call alone
            self.wrong.append(f"{example.source}says   {example.want}and is {got}")

    def report_unexpected_exception(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, exc_info: Any
    ) -> None:
        if not issubclass(exc_info[0], NameError):
            self.wrong.append(f"{example.source}raises {exc_info[1]!r}")


def written() -> list[doctest.DocTest]:
    """Every docstring with examples."""
    found = []
    for module in pkgutil.walk_packages(labkit.__path__, "labkit."):
        if not module.name.endswith("__main__"):
            loaded = importlib.import_module(module.name)
            found += doctest.DocTestFinder().find(loaded, module.name)
    return [test for test in found if test.examples]


def test_what_an_example_says_is_what_comes_back() -> None:
    wrong, examples = {}, written()
    for test in examples:
        if test.name not in SHOWN:
            runner = Examples()
            with contextlib.redirect_stdout(io.StringIO()):
                runner.run(test, clear_globs=False)
            if runner.wrong:
                wrong[test.name] = runner.wrong[0]
    assert not wrong, "\n\n".join(wrong.values())
    assert set(SHOWN) <= {test.name for test in examples}
    assert len(examples) > 250

"""Holds the tests of the exercises to what each exercise must have: right answers that pass, and
near misses that are told by name. Judges are wrapped, so that what they said is counted; after the
last test of a lesson's module the count is looked at.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from labkit.errors import LabkitError
from labkit.lessons.content import capstone
from labkit.lessons.content.tasks import module_of, tasks_of
from labkit.lessons.notebook.sources import lessons
from labkit.mesh import Mesh

RIGHT, NEAR = 2, 3
"""So many answers at least must pass and be refused in the tests of each exercise, the refused ones
each for another reason.
"""


@dataclass
class Said:
    """What a judge said of the answers that the tests gave it."""

    passed: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def lacks(self) -> str:
        """In words; "" where nothing is missing."""
        lacking = []
        if len(self.passed) < RIGHT:
            lacking.append(f"{len(self.passed)} right answers, not {RIGHT}")
        if len(self.refused) < NEAR:
            lacking.append(f"{len(self.refused)} near misses, not {NEAR}: {sorted(self.refused)}")
        return "; ".join(lacking)


HASH = re.compile(r"(?<=-)(\w{9}-)?[a-z0-9]{5}\b")
"""What a pod's name ends with: another one in each run."""
SAID: dict[str, Said] = defaultdict(Said)
_inside = False


def counted(judge: Callable[..., Any], id_of: Callable[..., str]) -> Callable[..., Any]:
    """The judge, with its verdicts noted; one that another judge asks is that one's matter."""

    @functools.wraps(judge)
    def asked(*args: Any) -> Any:
        global _inside
        if _inside:
            return judge(*args)
        _inside, said, answer = True, SAID[id_of(*args)], answer_of(args)
        try:
            found = judge(*args)
        except LabkitError as refused:
            said.refused.add(HASH.sub("", str(refused)))
            raise
        finally:
            _inside = False
        if found:
            said.passed.add(answer)
        else:
            said.refused.add(HASH.sub("", found.explain()))
        return found

    return asked


def answer_of(args: tuple[Any, ...]) -> str:
    """What a judge was given: the objects of the mesh as they are, or the answer itself."""
    for value in args:
        if isinstance(value, Mesh):
            return str(sorted((each.key, str(each.spec), each.labels) for each in value.objects()))
    return repr(args[0])


def wrap() -> None:
    """Before the modules of tests are imported, as they take the judges by their names."""
    for lesson in lessons():
        module = module_of(lesson.name[:2])
        for id, task in tasks_of(lesson.name[:2]).items():
            if hasattr(module, task.judge.__name__) and task.judge.__module__ == module.__name__:
                judge = counted(task.judge, lambda *_, id=id: id)
                setattr(module, task.judge.__name__, judge)
                module.TASKS[id] = replace(task, judge=judge)
    capstone.judge = counted(capstone.judge, lambda _, number: f"12-{number}")


wrap()


LEFT_OUT: set[str] = set()
"""The modules of which -k or -m left something out, or a test failed: they can't be complete."""


def pytest_deselected(items: list[pytest.Item]) -> None:
    LEFT_OUT.update(item.nodeid.partition("::")[0] for item in items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        LEFT_OUT.add(report.nodeid.partition("::")[0])


@pytest.fixture(scope="module", autouse=True)
def complete(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module test_tasks_NN has right answers and near misses for each exercise of its lesson."""
    yield
    name = request.node.nodeid
    found = re.search(r"test_tasks_(\d\d)\.py$", name) or re.search(r"test_(capstone)\.py$", name)
    one_alone = any("::" in argument for argument in request.config.args)
    if not found or one_alone or name in LEFT_OUT:
        return
    lesson = found[1].replace("capstone", "12")
    lacking = {id: SAID[id].lacks() for id in tasks_of(lesson)}
    assert not any(lacking.values()), {id: lack for id, lack in lacking.items() if lack}

"""Generated rule sets: every proxy gets from labkit what istiod's own code gives it, or the field
is refused by name.

`python -m pytest -m oracle tests/generated` tries 2,000 of each generator, drawn anew each
time. A failure tells the number of a set: `LABKIT_SEED=NUMBER LABKIT_RULESETS=1` tries it again.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labkit.errors import UnsupportedError
from tests.translate.test_offline import RECORDED
from tests.trust import WRITES

from .draw import Draw
from .entries import entries
from .oracle import (
    FOLDER,
    VARIABLE,
    Object,
    as_text,
    by_proxy,
    differences,
    differs,
    offline,
    smallest,
)
from .record import as_lines, recorded
from .rulesets import ruleset

COUNT = int(os.environ.get("LABKIT_RULESETS", "2000"))
FIRST = int(os.environ.get("LABKIT_SEED", secrets.randbelow(2**40)))
COMPARED = Path(__file__).parent / "compared.json"
PROGRAMS = 2
SETS = 200
"""That one program is asked for: it keeps some megabytes of each."""
MOST_REFUSED = 0.1
TRIES = 1500
STARTING = threading.Lock()
BY_NAME = re.compile(r"^\w+ \S+/\S+, \S.* is not supported here")

pytestmark = pytest.mark.oracle


@contextmanager
def standard_error_aside() -> Iterator[None]:
    """For programs that are started meanwhile: istiod tells of each CRD that it does not find."""
    with STARTING, tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)


@contextmanager
def istiod() -> Iterator[Any]:
    if not (FOLDER / "build").exists():
        pytest.skip(f"no istiod to compare with: {VARIABLE} names its folder, now {FOLDER}")
    with standard_error_aside():
        program = offline().Offline()
    try:
        yield program
    finally:
        program.close()
        program.process.stdout.close()


@pytest.fixture(scope="module")
def program() -> Iterator[Any]:
    with istiod() as started:
        yield started


@dataclass(frozen=True)
class Answer:
    """What came of one set: equal, refused or different, for so many proxies."""

    word: str
    proxies: int = 0
    found: list[str] = field(default_factory=list)


Generator = Callable[[Draw], list[Object]]


def answer(made: Generator, number: int, program: Any) -> Answer:
    try:
        found = by_proxy(program, made(Draw(number)))
    except UnsupportedError as error:
        if BY_NAME.match(str(error)):
            return Answer("refused")
        return Answer("different", found=[str(error)])
    except Exception as error:  # no set may have one, whatever it is
        return Answer("different", found=[f"{type(error).__name__}: {error}"])
    wrong = [f"{proxy} {each}" for proxy, several in found.items() for each in several]
    return Answer("different" if wrong else "equal", len(found), wrong)


def compared(made: Generator, numbers: range) -> dict[int, Answer]:
    with istiod() as program:
        return {number: answer(made, number, program) for number in numbers}


def noted(name: str, answers: Collection[Answer]) -> None:
    """Keeps the figures of the last three runs of a generator, for docs/agreement.md."""
    known = json.loads(COMPARED.read_text("utf-8")) if COMPARED.exists() else {}
    runs = known.get(name, [])
    said = Counter(each.word for each in answers)
    figures = {word: said[word] for word in ("equal", "refused", "different")}
    proxies = sum(each.proxies for each in answers)
    day = datetime.now(UTC).date().isoformat()
    runs = [*runs, {"day": day, "seed": FIRST, "proxies": proxies, **figures}][-3:]
    COMPARED.write_text(json.dumps({**known, name: runs}, indent=1) + "\n", "utf-8")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("made", [ruleset, entries], ids=lambda made: made.__name__)
def test_every_proxy_gets_what_istiod_gives_it(
    made: Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    with istiod():  # built, once
        pass
    with capsys.disabled():
        print(f"\n{COUNT} sets of {made.__name__}, LABKIT_SEED={FIRST}", flush=True)
    end = FIRST + COUNT
    shares = [range(at, min(at + SETS, end)) for at in range(FIRST, end, SETS)]
    answers: dict[int, Answer] = {}
    with ThreadPoolExecutor(PROGRAMS) as pool:
        for part in pool.map(partial(compared, made), shares):
            answers.update(part)
    said = Counter(each.word for each in answers.values())
    with capsys.disabled():
        print(dict(said))
    if WRITES:
        noted(made.__name__, answers.values())
    wrong = {number: each.found for number, each in answers.items() if each.found}
    if wrong:
        first = min(wrong, key=lambda number: len(as_text(made(Draw(number)))))
        with istiod() as program:
            least = smallest_part(made(Draw(first)), program)
        pytest.fail(
            f"{len(wrong)} of {COUNT} differ: {sorted(wrong)[:20]}\n"
            f"LABKIT_SEED={first} LABKIT_RULESETS=1, at first:\n"
            + "\n".join(wrong[first][:10])
            + f"\nThe smallest part of it that differs:\n{least}"
        )
    assert said["equal"] >= COUNT * (1 - MOST_REFUSED)


def smallest_part(whole: list[Object], program: Any) -> str:
    try:
        known = differences(program, whole)[0]
    except Exception:  # what was raised is told already
        return as_text(whole)
    return as_text(smallest(whole, differs(program, known), TRIES))


def test_a_difference_is_seen(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: istiod is not told of a rule that labkit has."""
    numbers = iter(range(100))
    for number in numbers:
        objects = ruleset(Draw(number))
        rules = [each for each in objects if each["kind"] == "DestinationRule"]
        if rules and not differences(program, objects):
            break
    told = program.ask

    def ask(given: list[Any], proxies: list[str]) -> Any:
        return told([each for each in given if each["kind"] != "DestinationRule"], proxies)

    monkeypatch.setattr(program, "ask", ask)
    assert any(differences(program, ruleset(Draw(number))) for number in (number, *numbers))


def test_what_is_recorded_is_what_istiod_says(program: Any) -> None:
    assert as_lines(recorded(program)) == RECORDED.read_text("utf-8")

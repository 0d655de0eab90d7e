"""Generated rule sets: every proxy gets from labkit what istiod's own code gives it, or the field
is refused by name.

`python -m pytest -m oracle tests/generated` tries 2,000, drawn anew each time. A failure tells the
number of a set: `LABKIT_SEED=NUMBER LABKIT_RULESETS=1` tries it again.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from labkit.errors import UnsupportedError
from tests.translate.test_offline import RECORDED

from .draw import Draw
from .oracle import FOLDER, VARIABLE, as_text, differences, differs, offline, smallest
from .record import as_lines, recorded
from .rulesets import ruleset

COUNT = int(os.environ.get("LABKIT_RULESETS", "2000"))
FIRST = int(os.environ.get("LABKIT_SEED", secrets.randbelow(2**40)))
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


def answer(number: int, program: Any) -> tuple[str, list[str]]:
    """What came of one set, and the differences."""
    try:
        found = differences(program, ruleset(Draw(number)))
    except UnsupportedError as error:
        return ("refused", []) if BY_NAME.match(str(error)) else ("different", [str(error)])
    except Exception as error:  # no set may have one, whatever it is
        return "different", [f"{type(error).__name__}: {error}"]
    return ("different", found) if found else ("equal", [])


def compared(numbers: range) -> dict[int, tuple[str, list[str]]]:
    with istiod() as program:
        return {number: answer(number, program) for number in numbers}


@pytest.mark.timeout(3600)
def test_every_proxy_gets_what_istiod_gives_it(capsys: pytest.CaptureFixture[str]) -> None:
    with istiod():  # built, once
        pass
    with capsys.disabled():
        print(f"\n{COUNT} rule sets, LABKIT_SEED={FIRST}", flush=True)
    end = FIRST + COUNT
    shares = [range(at, min(at + SETS, end)) for at in range(FIRST, end, SETS)]
    answers: dict[int, tuple[str, list[str]]] = {}
    with ThreadPoolExecutor(PROGRAMS) as pool:
        for part in pool.map(compared, shares):
            answers.update(part)
    said = Counter(word for word, _ in answers.values())
    with capsys.disabled():
        print(dict(said))
    wrong = {number: found for number, (word, found) in answers.items() if word == "different"}
    if wrong:
        first = min(wrong, key=lambda number: len(as_text(ruleset(Draw(number)))))
        with istiod() as program:
            least = smallest_part(first, program)
        pytest.fail(
            f"{len(wrong)} of {COUNT} differ: {sorted(wrong)[:20]}\n"
            f"LABKIT_SEED={first} LABKIT_RULESETS=1, at first:\n"
            + "\n".join(wrong[first][:10])
            + f"\nThe smallest part of it that differs:\n{least}"
        )
    assert said["equal"] >= COUNT * (1 - MOST_REFUSED)


def smallest_part(number: int, program: Any) -> str:
    whole = ruleset(Draw(number))
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

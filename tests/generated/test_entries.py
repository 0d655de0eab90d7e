"""Generated sets with ServiceEntry, WorkloadEntry and Sidecar: valid, complete, and every proxy
gets what istiod gives it, or the field is refused by name.

`python -m pytest -m oracle tests/generated/test_entries.py` compares 2,000, drawn anew each time; a
failure tells the number of a set: `LABKIT_SEED=NUMBER LABKIT_RULESETS=1` tries it again.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from labkit.errors import UnsupportedError
from labkit.resources import load
from labkit.translate import check_supported
from tests.translate.fates.worlds import fields_of

from .draw import Draw
from .entries import entries
from .maker import schema
from .oracle import as_text, by_proxy, differences, differs, smallest
from .test_oracle import BY_NAME, COUNT, FIRST, MOST_REFUSED, PROGRAMS, SETS, TRIES, Answer, istiod
from .test_rulesets import drawn, is_done, plain

KINDS = ("ServiceEntry", "WorkloadEntry", "Sidecar")
TRIED = 300


def test_every_field_that_is_translated_is_drawn_and_every_set_is_valid() -> None:
    found: set[str] = set()
    for number in range(TRIED):
        objects = load(entries(Draw(number)))  # raises where one would be refused
        check_supported(objects)
        for each in objects:
            if each.kind in KINDS:
                known = schema(each.kind)
                found.update(drawn(known, known.root["properties"]["spec"], each.spec, each.kind))
    done = {
        plain(f"{kind}.{field.path.removeprefix('spec.')}")
        for kind in KINDS
        for field in fields_of(kind)
        if field.path.startswith("spec") and is_done(field)
    }
    assert done - set(map(plain, found)) == set()


def test_a_number_tells_a_set() -> None:
    assert entries(Draw(7)) == entries(Draw(7)) != entries(Draw(8))


def compared(numbers: range) -> dict[int, Answer]:
    found = {}
    with istiod() as program:
        for number in numbers:
            try:
                by = by_proxy(program, entries(Draw(number)))
            except UnsupportedError as error:
                refused = bool(BY_NAME.match(str(error)))
                found[number] = Answer("refused" if refused else str(error))
                continue
            except Exception as error:  # no set may have one, whatever it is
                found[number] = Answer("different", found=[f"{type(error).__name__}: {error}"])
                continue
            wrong = [f"{proxy} {each}" for proxy, several in by.items() for each in several]
            found[number] = Answer("different" if wrong else "equal", len(by), wrong)
    return found


@pytest.mark.oracle
@pytest.mark.timeout(3600)
def test_every_proxy_gets_what_istiod_gives_it(capsys: pytest.CaptureFixture[str]) -> None:
    with istiod():  # built, once
        pass
    with capsys.disabled():
        print(f"\n{COUNT} sets with entries, LABKIT_SEED={FIRST}", flush=True)
    end = FIRST + COUNT
    shares = [range(at, min(at + SETS, end)) for at in range(FIRST, end, SETS)]
    answers: dict[int, Answer] = {}
    with ThreadPoolExecutor(PROGRAMS) as pool:
        for part in pool.map(compared, shares):
            answers.update(part)
    said = Counter(each.word for each in answers.values())
    with capsys.disabled():
        print(dict(said))
    wrong = {number: each.found for number, each in answers.items() if each.found}
    if wrong:
        first = min(wrong, key=lambda number: len(as_text(entries(Draw(number)))))
        with istiod() as program:
            whole = entries(Draw(first))
            try:
                known = differences(program, whole)[0]
                least = as_text(smallest(whole, differs(program, known), TRIES))
            except Exception:  # what was raised is told already
                least = as_text(whole)
        pytest.fail(
            f"{len(wrong)} of {COUNT} differ: {sorted(wrong)[:20]}\n"
            f"LABKIT_SEED={first} LABKIT_RULESETS=1, at first:\n"
            + "\n".join(wrong[first][:10])
            + f"\nThe smallest part of it that differs:\n{least}"
        )
    assert said["equal"] >= COUNT * (1 - MOST_REFUSED)

"""Every trap of the gallery, taken from its entry: nothing here needs a change
when one is added.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import labkit
from labkit.errors import LessonError
from labkit.lessons.checks.verdict import CheckFailed
from labkit.lessons.content.trap import Trap, walk
from labkit.lessons.content.traps import TRAPS, trap
from labkit.lessons.files import course_folder
from labkit.mesh import Mesh
from labkit.resources.lint import CODES, lint

each_trap = pytest.mark.parametrize("one", TRAPS, ids=lambda one: one.id)


@pytest.fixture(scope="module")
def mesh() -> Iterator[Mesh]:
    with labkit.open_mesh("embedded") as opened:
        yield opened


def test_the_gallery_is_large_enough_and_each_name_is_there_once() -> None:
    assert len(TRAPS) >= 15
    assert len({one.id for one in TRAPS}) == len(TRAPS)


@each_trap
def test_the_lesson_walks_through_it(one: Trap) -> None:
    (source,) = (course_folder() / "notebooks" / "source").glob("11_*.py")
    text = source.read_text(encoding="utf-8")
    assert f'"{one.id}"' in text, (
        "put its id into one of the lists of lesson 11 (CONTRIBUTING.md, step 4)"
    )


def test_a_misspelt_id_is_corrected() -> None:
    with pytest.raises(LessonError, match="did you mean 'missing-header'"):
        trap("mising-header")


@pytest.mark.embedded
def test_a_diagnosis_does_not_hand_out_the_fix(mesh: Mesh) -> None:
    for one in (trap("undefined-subset"), trap("hosts-beside-servers")):
        one.break_it(mesh)
        told, advised = one.diagnose(mesh), one.advice(mesh)
        assert told.codes == advised.codes != ()
        for before, after in zip(told, advised, strict=True):
            assert before.what == after.what
            assert before.fix == f"trap('{one.id}').advice(mesh) says how"
            assert after.fix not in str(told)


@each_trap
def test_the_entry(one: Trap) -> None:
    assert trap(one.id) is one
    assert one.code in CODES
    assert one.show() != one.fixed.read_text(encoding="utf-8")
    assert "+" in one.difference()


@each_trap
def test_nothing_is_found_in_the_corrected_manifest(one: Trap) -> None:
    assert lint(one.fixed, context=one.given) == ()


@pytest.mark.embedded
@each_trap
def test_broken_the_symptom_is_there_and_the_linter_names_it(one: Trap, mesh: Mesh) -> None:
    one.break_it(mesh)
    one.symptom(mesh)
    assert one.code in one.diagnose(mesh).codes
    with pytest.raises(CheckFailed):
        one.verify(mesh)


@pytest.mark.embedded
@each_trap
def test_fixed_the_symptom_is_gone_and_nothing_is_found(one: Trap, mesh: Mesh) -> None:
    one.break_it(mesh)
    one.fix(mesh)
    one.verify(mesh)
    assert mesh.lint() == ()
    with pytest.raises(CheckFailed):
        one.symptom(mesh)


def test_a_trap_that_is_not_there() -> None:
    with pytest.raises(LessonError, match="second-rule"):
        trap("third-rule")


@pytest.mark.embedded
def test_walk_stops_where_a_step_is_not_as_it_should_be(mesh: Mesh) -> None:
    good, other = trap("undefined-subset"), trap("subset-without-pods")
    assert (
        walk(mesh, [good], "one trap").line
        == "PASS  one trap: broken, seen, diagnosed, fixed, verified"
    )
    mixed = Trap(other.id, other.title, other.code, symptom=good.symptom, verify=other.verify)
    with pytest.raises(CheckFailed, match="subset-without-pods"):
        walk(mesh, [good, mixed], "two traps")
    wrong_code = Trap(good.id, good.title, "KIA0201", symptom=good.symptom, verify=good.verify)
    with pytest.raises(CheckFailed, match="KIA0201"):
        walk(mesh, [wrong_code], "one trap")

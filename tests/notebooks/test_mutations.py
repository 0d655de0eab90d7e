"""A wrong value in a lesson's manifest makes the lesson fail.

All of them are tried by `make mutations`. Here each lesson has one, picked by a hash of the lesson
and its manifests: the same tree tries the same ones, and whoever changes a lesson has another one
tried.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from labkit.lessons.files import course_folder
from tools.mutations import (
    UNSEEN,
    Mutation,
    Outcome,
    main,
    message,
    mutations,
    run,
    sample,
    wrong,
    wrong_values,
)
from labkit.lessons.notebook.sources import Lesson, lessons
from labkit.resources import load

LESSONS = lessons()
MANIFESTS = course_folder() / "manifests"


@pytest.mark.notebook
@pytest.mark.embedded
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.name)
def test_one_wrong_value_is_found(lesson: Lesson) -> None:
    mutation = sample(lesson, [one for one in mutations(lesson.name) if one.name not in UNSEEN])
    outcome = run(lesson, mutation, timeout_s=110)
    assert not outcome.survived, outcome
    assert not outcome.void, outcome.said


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda one: one.name)
def test_every_wrong_value_is_one_that_the_api_server_takes(lesson: Lesson) -> None:
    found = mutations(lesson.name)
    assert found
    assert len({one.name for one in found}) == len(found)
    for one in found:
        original = (MANIFESTS / one.file).read_text("utf-8")
        before, after = (list(yaml.safe_load_all(text)) for text in (original, one.text(original)))
        assert before != after, one.name
        assert load(one.text(original)), one.name


def test_what_is_named_as_unseen_is_there() -> None:
    there = {one.name for lesson in LESSONS for one in mutations(lesson.name)}
    assert set(UNSEEN) <= there
    assert all(UNSEEN.values())


@pytest.mark.parametrize(
    ("field", "value", "other"),
    [
        ("weight", 80, 20),
        ("weight", 50, 25),
        ("weight", 100, 0),
        ("maxEjectionPercent", 50, 100),
        ("maxEjectionPercent", 100, 50),
        ("consecutive5xxErrors", 7, 8),
        ("simple", "LEAST_REQUEST", "RANDOM"),
        ("useSourceIp", True, False),
        ("timeout", "200ms", "2000ms"),
        ("baseEjectionTime", "1.5s", "15s"),
        ("baseEjectionTime", "15m", "1s"),
        ("ttl", "0s", "3600s"),
        ("retryOn", "5xx,reset", "cancelled"),
        ("prefix", "/v2", "/v2/wrong"),
        ("exact", "/", "/wrong"),
        ("subset", "v1", "v1-wrong"),
        ("host", "*", "wrong.example.com"),
    ],
)
def test_wrong_values(field: str, value: object, other: object) -> None:
    assert wrong(value, ("spec", field)) == other


def test_shares_of_a_fault_are_changed_by_half() -> None:
    assert wrong(30, ("spec", "http", 0, "fault", "abort", "percentage", "value")) == 80
    assert wrong(100, ("spec", "http", 0, "mirrorPercentage", "value")) == 50


def test_which_values_are_policy() -> None:
    rule = yaml.safe_load("""
        kind: VirtualService
        metadata: {name: a, labels: {app: a}}
        spec:
          hosts: [b]
          http:
          - name: only a name
            match: [{headers: {x-user: {exact: c}}}]
            headers: {request: {set: {x-a: "1"}}}
            route: [{destination: {host: d}, weight: 100}]
    """)
    found = [(".".join(map(str, path)), key) for path, _, _, key in wrong_values(rule)]
    assert found == [
        ("spec.hosts.0", False),
        ("spec.http.0.match.0.headers.x-user", True),
        ("spec.http.0.match.0.headers.x-user.exact", False),
        ("spec.http.0.headers.request.set.x-a", True),
        ("spec.http.0.headers.request.set.x-a", False),
        ("spec.http.0.route.0.destination.host", False),
    ]
    namespace = {"kind": "Namespace", "metadata": {"name": "a", "labels": {"istio-injection": "enabled"}}}
    assert [new for _, _, new, _ in wrong_values(namespace)] == ["enabled-wrong"]
    assert list(wrong_values({"kind": "ConfigMap", "data": {"a": "b"}})) == []


def test_a_field_can_be_renamed() -> None:
    one = Mutation("f", 1, ("spec", "labels", "version"), "version", "version-wrong", key=True)
    assert list(yaml.safe_load_all(one.text("{a: 1}\n---\nspec: {labels: {version: v1}}\n"))) == [
        {"a": 1},
        {"spec": {"labels": {"version-wrong": "v1"}}},
    ]


def test_wrong_manifests_are_left_alone() -> None:
    files = {one.file for lesson in LESSONS for one in mutations(lesson.name)}
    assert not [file for file in files if "broken" in file or "as-published" in file]
    assert "01_installation/misspelt.yaml" not in files


LESSON = """
from labkit.lessons.files import manifest
import os, yaml
port = yaml.safe_load(manifest("01_small/rule.yaml").read_text())["spec"]["http"][0]["retries"]["attempts"]
assert os.environ["LABKIT_STRICT"] == "1"
from labkit.errors import LessonError
if port != 2:
    raise LessonError("the second line", seen="more")
"""
RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: a}
spec: {hosts: [b], http: [{retries: {attempts: 2}, route: [{destination: {host: c}}]}]}
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """A course of one lesson that looks at one of its three values."""
    source = tmp_path / "notebooks" / "source" / "01_small.py"
    rule = tmp_path / "manifests" / "01_small" / "rule.yaml"
    for path, text in ((source, LESSON), (rule, RULE)):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path))
    return Lesson("01_small", source, source)


def test_survivors_are_named(small: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    said = capsys.readouterr().out
    assert "3 wrong values, 2 survived, 0 could not be tried" in said
    assert "SURVIVED 01_small/rule.yaml spec.hosts[0]: b → b-wrong" in said
    assert "found    01_small/rule.yaml spec.http[0].retries.attempts: 2 → 3" in said
    assert main(["--shard", "2/3"]) == 0
    assert "1 wrong values, 0 survived" in capsys.readouterr().out
    assert main(["--list", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert small.source.parent.parent.parent.joinpath("manifests/01_small/rule.yaml").read_text() == RULE


def test_a_lesson_that_fails_anyway_is_no_witness(small: Lesson) -> None:
    from labkit.errors import LessonError

    small.source.write_text("raise SystemExit(3)")
    with pytest.raises(LessonError, match="fails without any mutation"):
        main([])


def test_a_lesson_without_end_is_ended(small: Lesson) -> None:
    small.source.write_text("import threading\nthreading.Event().wait()")
    outcome = run(small, None, timeout_s=1)
    assert not outcome.passed
    assert outcome.said == "no end after 1 s"


def test_the_sample_moves_on_when_the_lesson_changes(small: Lesson) -> None:
    found = mutations("01_small")
    tried = set()
    for number in range(40):
        small.source.write_text(f"{LESSON}# {number}")
        first = sample(small, found)
        assert sample(small, found) == first
        tried.add(first)
    assert len(tried) == 3  # a value that is never tried in 40 versions: three times in ten million


def test_a_machine_that_is_too_small_finds_nothing() -> None:
    one = Mutation("f", 0, ("spec",), 1, 2)
    outcome = Outcome("01", one, False, "EnvoyDied: Consider increasing value of "
        "fs.inotify.max_user_instances", 1)
    assert outcome.void
    assert str(outcome).startswith("VOID")


def test_the_message_of_a_failed_script_is_its_error() -> None:
    trace = (
        'Traceback:\n  File "x", line 1\nlabkit.lessons.checks.verdict.CheckFailed: FAIL  '
        'a\n  seen: b\n'
    )
    assert message(trace) == "labkit.lessons.checks.verdict.CheckFailed: FAIL  a\n  seen: b"
    assert message("") == ""

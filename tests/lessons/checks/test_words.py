"""What a learner reads under a verdict: sentences that are true of what was seen; small bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from labkit.envoy.admin import EJECTED
from labkit.errors import LabkitError
from labkit.lessons.checks import check
from labkit.lessons.checks.bars import Bar, picture
from labkit.lessons.checks.verdict import CheckFailed
from labkit.lessons.checks.words import and_so, begun, in_words

POD = "hello-world-{}-75f85dfdc6-{}"
A, B = POD.format("v1", "aaaaa"), POD.format("v2", "bbbbb")


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def pool(*out: str) -> pd.DataFrame:
    return rows(
        subset=["", ""], pod=[A, B], health=[EJECTED if p in out else "healthy" for p in (A, B)]
    )


def refuse() -> None:
    raise LabkitError("no selector")


NEAR_MISSES: dict[str, tuple[Callable[[], Any], str]] = {
    "that": (
        lambda: check.that(False, "three pods run", seen={"2/2", "1/2"}),
        "Seen: 1/2, 2/2.",
    ),
    "that, in a sentence": (
        lambda: check.that(False, "three pods run", seen="two pods run"),
        "Two pods run.",
    ),
    "that, and nothing seen": (
        lambda: check.that(False, "three pods run"),
        "This is not so: three pods run.",
    ),
    "equal": (
        lambda: check.equal({"1/1"}, {"2/2"}, "both ready"),
        "Seen was 1/1, where 2/2 is right.",
    ),
    "equal, by name": (
        lambda: check.equal({"max": 1, "min": 2}, {"max": 6, "min": 2}, "limits"),
        "Different: max: 1, not 6.",
    ),
    "within": (
        lambda: check.within(950, 150, 900, "in time"),
        "950 is above the limits, 150 and 900.",
    ),
    "accepted": (lambda: check.refused(lambda: None, "host"), "It was accepted."),
    "refused for another reason": (
        lambda: check.refused(refuse, "host"),
        "It was refused, and not for host: no selector",
    ),
    "took_at_least": (
        lambda: check.took_at_least(rows(latency_ms=[1.0, 300.0]), 200),
        "1 of 2 took less than 200 ms.",
    ),
    "split": (
        lambda: check.split(rows(version=["v1"] * 700 + ["v2"] * 300), {"v1": 80, "v2": 20}),
        "v1 got 70 % of 1000 requests, too far from 80 % to be chance.",
    ),
    "split, a stranger": (
        lambda: check.split(
            rows(version=["v1"] * 800 + ["v2"] * 199 + [None]), {"v1": 80, "v2": 20}
        ),
        "Nobody answered 1 of the requests.",
    ),
    "random_order": (
        lambda: check.random_order(rows(pod=["a", "b", "c"] * 40), among=3),
        "The same pod answered twice in a row 0 times in 119: too few.",
    ),
    "error_rate": (
        lambda: check.error_rate(rows(status=[200] * 300 + [503] * 200), at_most=0.05),
        "200 of 500 failed (40 %): too many.",
    ),
    "only": (
        lambda: check.only(rows(pod=[A] * 20 + [B]), pod=A),
        "1 of 21 requests did not go to v1-aaaaa: 1 × v2-bbbbb.",
    ),
    "all_ok": (
        lambda: check.all_ok(rows(status=[200] * 7 + [503, 503, -1])),
        "3 of 10 requests were not answered 200: 2 × 503, 1 × no answer.",
    ),
    "all_ok, none": (
        lambda: check.all_ok(rows(status=[404] * 3)),
        "None of 3 requests was answered 200: 3 × 404.",
    ),
    "status_counts of one": (
        lambda: check.status_counts(rows(status=[200]), {504: 1}),
        "It was 1 × 200, and not 1 × 504.",
    ),
    "status_counts": (
        lambda: check.status_counts(rows(status=[200] * 3 + [503] * 7), {200: 2, 503: 8}),
        "Of 10 requests 3 (not 2) were 200, 7 (not 8) were 503.",
    ),
    "same_pod": (
        lambda: check.same_pod({"ann": rows(pod=[A] * 5), "bob": rows(pod=[A] * 4 + [B])}),
        "1 of 2 keys did not stay with one pod; the requests of bob went to "
        "4 × v1-aaaaa, 1 × v2-bbbbb.",
    ),
    "every_pod_answers": (
        lambda: check.every_pod_answers(rows(pod=[A] * 30), [A, B]),
        "v2-bbbbb never answered.",
    ),
    "rewritten": (
        lambda: check.rewritten(["/", "//a"], path="/"),
        "In 1 of 2 requests it saw another path: 1 × //a.",
    ),
    "reached": (lambda: check.reached({"a": 2, "b": 1}, 2), "3 requests reached the pods."),
    "breaker_identity": (
        lambda: check.breaker_identity(client_503=0, flagged_UO=0, overflow_delta=0),
        "Nothing was refused, so all three counts are 0 and prove nothing.",
    ),
    "ejected": (
        lambda: check.ejected(pool(), pod=B),
        "None of 2 pods is ejected. The failing pod is v2-bbbbb, which is still in the pool.",
    ),
    "ejected, too many": (
        lambda: check.ejected(pool(A, B), count=1),
        "2 of 2 pods are ejected: v1-aaaaa, v2-bbbbb.",
    ),
    "same": (
        lambda: check.same(
            rows(version=["v1"] * 500 + ["v2"] * 500), rows(version=["v1"] * 700 + ["v2"] * 300)
        ),
        "The widest gap is that of v2: 50 % of the first run, then 30 %.",
    ),
    "faster": (
        lambda: check.faster(rows(latency_ms=[2.0] * 500), rows(latency_ms=[1.0] * 500)),
        "The first run was faster in 0 % of all pairs of requests, one of each run.",
    ),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_a_near_miss_is_told_in_a_sentence(name: str) -> None:
    act, sentence = NEAR_MISSES[name]
    with pytest.raises(CheckFailed) as caught:
        act()
    verdict = caught.value.verdict
    assert begun(verdict.why.said) == sentence
    assert verdict.explain().splitlines()[1].strip() == sentence
    assert "75f85dfdc6" not in verdict.explain().split("\n  evidence")[0]  # no hash of a ReplicaSet


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"2/2"}, "2/2"),
        ([], "nothing"),
        ("", "nothing"),
        (True, "yes"),
        ([7, "300s"], "7, 300s"),
        ({200: 3}, "200: 3"),
        ({A: "2/2", B: "1/1"}, "v1-aaaaa: 2/2, v2-bbbbb: 1/1"),
        ([A, B], "v1-aaaaa, v2-bbbbb"),
        ([A] * 30, ", ".join(["v1-aaaaa"] * 7) + ", … (30 in total)"),
    ],
)
def test_values_are_said_without_brackets(value: Any, words: str) -> None:
    assert in_words(value) == words


def test_a_sentence_that_begins_with_a_name_keeps_it() -> None:
    assert and_so(["the pods", "all of them"]) == "The pods; all of them."
    assert and_so(["v2-bbbbb is out"]) == "v2-bbbbb is out."
    assert and_so(["", ""]) == ""


@pytest.mark.parametrize(
    ("bar", "told"),
    [
        (Bar("v1", 700, 1000, 736, 859), "700 (70 %), right: 736 to 859"),
        (Bar("v3", 4, 1000, high=0), "4 (0.4 %), right: none"),
        (Bar("a", 2, 1), "2"),
        (Bar("a", 2, 1, 3, 3), "2, right: 3"),
        (Bar("a", 2, 1, high=9), "2, right: at most 9"),
        (Bar("a", 2, 1, low=1), "2, right: 1 or more"),
    ],
)
def test_a_bar_says_the_same_in_words(bar: Bar, told: str) -> None:
    assert bar.told == told
    shown = picture([bar])
    assert told in shown
    assert ("✘" in shown) == (not bar.passes)


def test_a_bar_is_as_long_as_its_count() -> None:
    shown = picture([Bar("a", 50, 1, 20, 100), Bar("b", 0, 1)])
    assert "width:50.0%" in shown
    assert "left:20.0%;width:80.0%" in shown
    assert "width:0.0%" in shown

"""The rule of a canary keeps its promises, exactly computed; and a roll-out does what the rule
says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labkit.errors import LessonError
from labkit.lessons.content.canary import (
    GO_ON,
    ROLL_BACK,
    UNDECIDED,
    DecisionRule,
    Rollout,
    roll_out,
    weighted,
)
from labkit.resources import load
from labkit.traffic.result import COLUMNS, Result

RULES = [
    DecisionRule(),
    DecisionRule(allowed=0.001, harmful=0.05),
    DecisionRule(allowed=0.05, harmful=0.1, wrong_rollback=0.05, wrong_promotion=0.05, steps=1),
    DecisionRule(wrong_rollback=1e-6, wrong_promotion=1e-6, steps=7),
]


@pytest.mark.parametrize("rule", RULES, ids=["default", "strict", "close", "sure"])
@pytest.mark.parametrize("look_after", [1, 5, 40])
class TestPromises:
    def test_a_good_version_is_rarely_rolled_back(
        self, rule: DecisionRule, look_after: int
    ) -> None:
        for rate in (rule.allowed, rule.allowed / 3, 0.0):
            assert (
                rule.steps * rule.chance_of_rollback(rate, look_after=look_after)
                <= rule.wrong_rollback
            )

    def test_a_harmful_version_rarely_passes(self, rule: DecisionRule, look_after: int) -> None:
        for rate in (rule.harmful, min(1.0, 2 * rule.harmful), 1.0):
            assert (
                1 - rule.chance_of_rollback(rate, look_after=look_after)
                <= rule.wrong_promotion + 1e-12
            )


def test_the_promises_are_not_empty() -> None:
    """A near miss: with half the evidence the rule would break its word."""
    rule = DecisionRule()
    hasty = replace(rule, wrong_promotion=rule.wrong_promotion**0.5)
    assert 1 - hasty.chance_of_rollback(rule.harmful) > rule.wrong_promotion


def test_decisions() -> None:
    rule = DecisionRule()
    assert rule.least == 22
    assert rule.decide(0, 0) == UNDECIDED
    assert rule.decide(0, rule.least - 1) == UNDECIDED
    assert rule.decide(0, rule.least) == GO_ON
    assert rule.decide(1, rule.least) == UNDECIDED
    assert rule.decide(2, 2) == UNDECIDED
    assert rule.decide(3, 3) == ROLL_BACK
    stay = rule.errors_to_stay(rule.most)
    assert rule.decide(stay, rule.most - 1) == UNDECIDED
    assert rule.decide(stay, rule.most) == ROLL_BACK, "not proven good by then"
    assert rule.decide(stay - 1, rule.most) == GO_ON


@pytest.mark.parametrize(
    "wrong",
    [{"allowed": 0.2}, {"allowed": 0.0}, {"harmful": 1.0}, {"wrong_rollback": 0.0}, {"steps": 0}],
)
def test_rules_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(LessonError):
        DecisionRule(**wrong)


class Traffic:
    """Requests that are dealt out exactly by the weight: every hundredth, say,
    goes to the canary.
    """

    def __init__(
        self,
        fail_every: int = 0,
        *,
        gone: bool = False,
        stuck: bool = False,
        stable_fails: bool = False,
    ):
        self.weights: list[int] = []
        self.fail_every, self.gone, self.stuck, self.stable_fails = (
            fail_every,
            gone,
            stuck,
            stable_fails,
        )
        self.sent = self.to_canary = 0

    def set_weight(self, weight: int) -> None:
        self.weights.append(weight)

    def send(self, n: int) -> Result:
        rows = [self.one() for _ in range(n)]
        columns: dict[str, list[Any]] = {name: [""] * n for name in COLUMNS}
        columns["version"], columns["status"] = [v for v, _ in rows], [s for _, s in rows]
        return Result(columns)

    def one(self) -> tuple[str, int]:
        self.sent += 1
        every = 100 // self.weights[-1]
        if self.stuck or self.sent % every:
            return "v1", 500 if self.stable_fails else 200
        self.to_canary += 1
        if self.gone:
            return "", 503
        return "v2", 500 if self.fail_every and self.to_canary % self.fail_every == 0 else 200


def run(traffic: Traffic, **options: Any) -> Rollout:
    return roll_out(DecisionRule(), traffic.set_weight, traffic.send, **options)


def test_a_good_version_is_promoted() -> None:
    traffic = Traffic()
    found = run(traffic)
    assert found.promoted
    assert traffic.weights == [1, 5, 25, 100]
    assert list(found.frame["decision"]) == [GO_ON] * 4
    assert found.error_rate == 0
    assert "promoted" in repr(found)
    assert "<table" in found._repr_html_()


def test_a_bad_version_is_rolled_back_at_once_and_does_little_harm() -> None:
    traffic = Traffic(fail_every=2)
    found = run(traffic)
    assert not found.promoted
    assert traffic.weights == [1, 0]
    assert 0 < found.error_rate <= 0.01
    assert found.steps[0].errors <= 8
    assert "rolled back at 1 %" in found.summary


def test_errors_of_the_stable_version_tell_nothing() -> None:
    assert run(Traffic(stable_fails=True), weights=(1, 5)).promoted


def test_a_canary_without_pods_is_rolled_back() -> None:
    """The gateway answers for it, without a version."""
    assert not run(Traffic(gone=True)).promoted


def test_a_weight_that_is_not_in_force_is_named_and_the_weight_taken_back() -> None:
    traffic = Traffic(stuck=True)
    with pytest.raises(LessonError, match="No request has reached the canary"):
        run(traffic)
    assert traffic.weights == [1, 0]


def test_an_interrupt_takes_the_weight_back() -> None:
    traffic = Traffic()

    def interrupted(n: int) -> Result:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roll_out(DecisionRule(), traffic.set_weight, interrupted)
    assert traffic.weights == [1, 0]


@pytest.mark.parametrize("weights", [(), (0, 5), (50, 101)])
def test_weights_that_make_no_sense(weights: tuple[int, ...]) -> None:
    with pytest.raises(LessonError):
        run(Traffic(), weights=weights)


def test_weights_in_the_manifest() -> None:
    (found,) = load(weighted("09_canary_rollout/canary.yaml", 25))
    route = found.spec["http"][0]["route"]
    assert [(one["destination"]["subset"], one["weight"]) for one in route] == [
        ("v1", 75),
        ("v2", 25),
    ]

"""The picture of a canary release shows what its rule decides."""

from __future__ import annotations

import re

from labkit.lessons.content.canary import (
    GO_ON,
    ROLL_BACK,
    UNDECIDED,
    DecisionRule,
    Rollout,
    RolloutStep,
)
from labkit.ui.plots.rollout import bounds, evidence
from tests.ui.plots.test_plots import assert_whole

PASSED = RolloutStep(1, 2200, 0, ((0, 0), (9, 0), (22, 0)), GO_ON)
STOPPED = RolloutStep(5, 300, 4, ((0, 0), (5, 1), (12, 4)), ROLL_BACK)


def test_the_picture() -> None:
    axes = evidence(Rollout(DecisionRule(), (PASSED, STOPPED)))
    assert axes.get_title(loc="left") == "The canary was rolled back"
    assert_whole(axes)
    # the fields of both steps, from the left edge to the middle and from there to the right one
    fields = re.findall(r'd="M([^"]*)Z"[^>]*fill:var\(--plot-field-bad', axes.picture())
    ends = [[float(point.split()[0]) for point in field.split("L")] for field in fields]
    assert [(min(xs), max(xs)) for xs in ends] == [(0, 500), (500, 1000)]
    assert axes.as_table.to_numpy().tolist() == [
        [1, 0, 0],
        [1, 9, 0],
        [1, 22, 0],
        [5, 0, 0],
        [5, 5, 1],
        [5, 12, 4],
    ]
    assert (
        evidence(Rollout(DecisionRule(), (PASSED,))).get_title(loc="left")
        == "The canary was promoted"
    )


def test_the_bounds_are_those_of_the_rule() -> None:
    # with 0.001 three errors of three lie on the bound, but for rounding
    rule = DecisionRule(wrong_rollback=0.0011)
    for answers in range(1, rule.most):
        upper, lower = bounds(rule, answers)
        for errors in range(answers + 1):
            expected = ROLL_BACK if errors >= upper else GO_ON if errors <= lower else UNDECIDED
            assert rule.decide(errors, answers) == expected

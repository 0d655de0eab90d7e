"""A canary release that decides by itself: go on to the next weight, or roll back.

    rule = DecisionRule(allowed=0.01, harmful=0.2)
    outcome = roll_out(rule, set_weight, send, weights=(1, 5, 25, 100))
    outcome.promoted

At each weight the errors of the canary's own answers are judged while they come in, by Wald's
sequential test (Annals of Mathematical Statistics 16, 1945): each answer adds to the evidence, an
error a lot in one direction, a success a little in the other, until one of two bounds is reached.
So a bad version is found after a few errors, and no number of requests has to be fixed beforehand.

Both error rates are proven bounds, not approximations (Ville's inequality): the likelihood ratio is
a supermartingale while each request fails with a chance of at most `allowed`, whatever came before,
and so is its inverse while that chance is at least `harmful`. They hold however often one looks.
Between the two rates nothing is promised.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labkit.errors import LessonError
from labkit.lessons.checks.bars import percent
from labkit.lessons.checks.power import p_value
from labkit.lessons.files import show
from labkit.resources import edit

if TYPE_CHECKING:
    import pandas as pd

Decision = Literal["go on", "roll back", "undecided"]
GO_ON: Decision = "go on"
ROLL_BACK: Decision = "roll back"
UNDECIDED: Decision = "undecided"

WEIGHTS = (1, 5, 25, 100)
LOOK_AFTER = 5
"""So many of the canary's answers are expected between two looks at the evidence."""
UNSEEN = 1e-6
"""No answer of the canary by now would be this unlikely: then its weight is not in effect."""


@dataclass(frozen=True)
class DecisionRule:
    """What the canary may do, and how often the decision may be wrong.

    A version that fails at most `allowed` of its requests is rolled back in at most
    `wrong_rollback` of all rollouts; a version that fails `harmful` or more gets past a step with a
    probability of at most `wrong_promotion`. All four are shares between 0 and 1.

    >>> DecisionRule(allowed=0.01, harmful=0.2).decide(errors=0, requests=22)
    'go on'
    """

    allowed: float = 0.01
    harmful: float = 0.2
    wrong_rollback: float = 0.001
    wrong_promotion: float = 0.01
    steps: int = len(WEIGHTS)

    def __post_init__(self) -> None:
        if not 0 < self.allowed < self.harmful < 1:
            raise LessonError(
                "The harmful error rate must be above the allowed one, both between 0 and 1",
                seen=f"allowed={self.allowed:g}, harmful={self.harmful:g}",
                try_next="DecisionRule(allowed=0.01, harmful=0.2)",
            )
        if not (0 < self.wrong_rollback < 1 and 0 < self.wrong_promotion < 1 and self.steps >= 1):
            raise LessonError(
                "The probabilities of a wrong decision must be between 0 and 1, and there must "
                "be at least one step"
            )

    @property
    def per_error(self) -> float:
        """What an error adds to the evidence."""
        return math.log(self.harmful / self.allowed)

    @property
    def per_success(self) -> float:
        """What a success adds to it: a little, and less than 0."""
        return math.log((1 - self.harmful) / (1 - self.allowed))

    @property
    def share(self) -> float:
        """The wrong rollbacks that each step may use: half of them for the bound, half for giving
        up.
        """
        return self.wrong_rollback / self.steps / 2

    @property
    def upper(self) -> float:
        """Evidence from which a step is rolled back."""
        return math.log(1 / self.share)

    @property
    def lower(self) -> float:
        """Evidence from which a step is passed."""
        return math.log(self.wrong_promotion)

    @property
    def least(self) -> int:
        """So many requests without any error are enough to go on."""
        return math.ceil(self.lower / self.per_success)

    @cached_property
    def most(self) -> int:
        """After so many requests without a decision a step is rolled back: a good version almost
        never gets there.
        """
        last = n = self.least
        # the chance to be still undecided does not fall steadily, as counts are whole numbers: look
        # twice as far
        while n <= 2 * last:
            if p_value(self.errors_to_stay(n), n, self.allowed, side="high") > self.share:
                last = n
            n += 1
        return last + 1

    def errors_to_stay(self, requests: int) -> int:
        """The least number of errors with which so many requests do not pass."""
        return (
            math.floor(
                (self.lower - requests * self.per_success) / (self.per_error - self.per_success)
            )
            + 1
        )

    def evidence(self, errors: int, requests: int) -> float:
        """The logarithm of how much likelier these answers are from a harmful version than from a
        good one.
        """
        return errors * self.per_error + (requests - errors) * self.per_success

    def decide(self, errors: int, requests: int) -> Decision:
        """What the answers so far say."""
        found = self.evidence(errors, requests)
        if found >= self.upper or (found > self.lower and requests >= self.most):
            return ROLL_BACK
        return GO_ON if found <= self.lower else UNDECIDED

    def chance_of_rollback(self, rate: float, *, look_after: int = 1) -> float:
        """The exact chance that one step rolls back a version that fails this share of its
        requests, independently.

        >>> DecisionRule().chance_of_rollback(0.5) > 0.999999
        True
        """
        under_way, rolled_back = {0: 1.0}, 0.0
        for n in range(1, self.most + look_after):
            ahead: dict[int, float] = {}
            for errors, chance in under_way.items():
                ahead[errors] = ahead.get(errors, 0.0) + chance * (1 - rate)
                ahead[errors + 1] = ahead.get(errors + 1, 0.0) + chance * rate
            under_way = ahead
            if n % look_after == 0:
                decided = {errors: self.decide(errors, n) for errors in under_way}
                rolled_back += sum(
                    chance for errors, chance in under_way.items() if decided[errors] == ROLL_BACK
                )
                under_way = {
                    e: chance for e, chance in under_way.items() if decided[e] == UNDECIDED
                }
        return rolled_back

    def __str__(self) -> str:
        return (
            f"fails {percent(self.allowed)} or less: rolled back in at most "
            f"{percent(self.wrong_rollback)} of all rollouts\nfails {percent(self.harmful)} or "
            "more: passes a step with a probability of at most "
            f"{percent(self.wrong_promotion)}\na step takes {self.least} of the canary's answers "
            f"if none is an error, and at most {self.most}"
        )


@dataclass(frozen=True)
class RolloutStep:
    """One weight: how many requests were sent, how many the canary got and failed, and what was
    decided.

    `path` has (answers of the canary, errors among them) after each look; `failed` counts the
    errors of all requests.
    """

    weight: int
    sent: int
    failed: int
    path: tuple[tuple[int, int], ...]
    decision: Decision

    @property
    def answers(self) -> int:
        """How many answers the canary gave."""
        return self.path[-1][0]

    @property
    def errors(self) -> int:
        """How many of them were errors."""
        return self.path[-1][1]


@dataclass(frozen=True)
class Rollout:
    """What came of it, a step a weight."""

    rule: DecisionRule
    steps: tuple[RolloutStep, ...] = field(repr=False)

    @property
    def promoted(self) -> bool:
        """Whether the canary has all the traffic now; if not, it has none."""
        return self.steps[-1].decision == GO_ON

    @property
    def error_rate(self) -> float:
        """The share of all requests of the rollout that failed: what its users saw."""
        return sum(step.failed for step in self.steps) / sum(step.sent for step in self.steps)

    @property
    def frame(self) -> pd.DataFrame:
        """A row a step: weight %, requests, to the canary, errors, decision."""
        import pandas as pd

        rows = [(s.weight, s.sent, s.answers, s.errors, s.decision) for s in self.steps]
        return pd.DataFrame(
            rows, columns=["weight %", "requests", "to the canary", "errors", "decision"]
        )

    @property
    def summary(self) -> str:
        """How it ended, and what its users saw, in a line."""
        end = "promoted" if self.promoted else f"rolled back at {self.steps[-1].weight} %"
        return f"{end}; {percent(self.error_rate)} of all requests failed meanwhile"

    def __repr__(self) -> str:
        return f"{self.frame.to_string(index=False)}\n{self.summary}"

    def _repr_html_(self) -> str:
        return f"{self.frame.to_html(index=False, border=0)}<p>{html.escape(self.summary)}</p>"


def roll_out(
    rule: DecisionRule,
    set_weight: Callable[[int], Any],
    send: Callable[[int], Any],
    *,
    weights: Sequence[int] = WEIGHTS,
    stable: str = "v1",
) -> Rollout:
    """Raises the canary's weight step by step while its answers are good; sets it to 0 when they
    are not.

    `set_weight` applies a weight (in per cent), `send` sends that many requests and returns their
    result. Answers of the version `stable` tell nothing about the canary. All others count for it,
    also those without a version: a request that the gateway had to answer itself, since the
    canary's pods were gone, is a failure of the canary.

    >>> def set_weight(percent):
    ...     mesh.apply(weighted(name, percent))
    >>> roll_out(DecisionRule(), set_weight, lambda n: mesh.fortio(url, requests=n))
    """
    if not weights or any(not 0 < weight <= 100 for weight in weights):
        raise LessonError(
            "Weights must be between 1 and 100",
            seen=f"{list(weights)}",
            try_next=f"weights={WEIGHTS}",
        )
    rule = replace(rule, steps=len(weights))
    steps: list[RolloutStep] = []
    done = False
    try:
        for weight in weights:
            set_weight(weight)
            steps.append(step(rule, weight, send, stable))
            if steps[-1].decision == ROLL_BACK:
                break
        done = steps[-1].decision == GO_ON
    finally:
        # also when somebody interrupts: a canary that nobody watches gets nothing
        if not done:
            set_weight(0)
    return Rollout(rule, tuple(steps))


def step(rule: DecisionRule, weight: int, send: Callable[[int], Any], stable: str) -> RolloutStep:
    """Sends requests until the canary's answers decide."""
    batch = math.ceil(LOOK_AFTER * 100 / weight)
    sent = failed = 0
    path = [(0, 0)]
    while True:
        result = send(batch)
        answers = list(judged(result, stable))
        sent += len(result)
        failed += sum(is_error(status) for status in result.column("status"))
        path.append((path[-1][0] + len(answers), path[-1][1] + sum(answers)))
        requests, errors = path[-1]
        if requests == 0 and (1 - weight / 100) ** sent < UNSEEN:
            raise LessonError(
                "No request has reached the canary",
                seen=f"weight {weight} %, {sent} requests, all of them answered by {stable}",
                try_next="is the weight in effect, and is it the canary's? "
                "mesh.resource('VirtualService', …)",
            )
        decision = rule.decide(errors, requests)
        if decision != UNDECIDED:
            return RolloutStep(weight, sent, failed, tuple(path), decision)


def judged(result: Any, stable: str) -> Iterator[bool]:
    """For each request that was not answered by the stable version: was it an error?"""
    for version, status in zip(result.column("version"), result.column("status"), strict=True):
        if version != stable:
            yield is_error(status)


def is_error(status: int) -> bool:
    """A 5xx, or no answer at all (-1)."""
    return status >= 500 or status < 0


def weighted(name: str | Path, weight: int) -> str:
    """A manifest of the course, a VirtualService with one route to two versions, with this weight
    for the second one.

    >>> mesh.apply(weighted("09_canary_rollout/canary.yaml", 5))
    """
    text = edit(show(name), "spec.http[0].route[0].weight", 100 - weight)
    return edit(text, "spec.http[0].route[1].weight", weight)

"""The picture of a canary release: errors against responses, step by step, between the bounds of
its rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from labkit.ui.plots.axes import new_axes
from labkit.ui.plots.style import FIELD_BAD, FIELD_GOOD, INK, RUNS

if TYPE_CHECKING:
    from labkit.lessons.content.canary import DecisionRule, Rollout


def bounds(rule: DecisionRule, answers: float) -> tuple[float, float]:
    """After so many responses: the number of errors from which it is rolled back, and up to which
    it continues.

    >>> bounds(DecisionRule(), 22)[1] > 0
    True
    """
    per_error, shift = rule.per_error - rule.per_success, answers * rule.per_success
    return (rule.upper - shift) / per_error, (rule.lower - shift) / per_error


def evidence(rollout: Rollout) -> Any:
    """Step by step, how many of the canary's responses were errors, as axes: one line a step over
    the responses so far, between the rule's two bounds. Beyond the upper one it is rolled back.

    `rollout` is what `labkit.lessons.content.canary.roll_out` returns.

    >>> evidence(roll_out(DecisionRule(), set_weight, send))
    """
    rows = pd.DataFrame(
        [(step.weight, *point) for step in rollout.steps for point in step.path],
        columns=["weight %", "canary responses", "errors"],
    )
    axes = new_axes(rows, height=300)
    longest = max(rollout.rule.least, *(step.answers for step in rollout.steps))
    top = 1.3 * max(bounds(rollout.rule, longest)[0], float(rows["errors"].max()))
    start = 0.0
    for number, step in enumerate(rollout.steps):
        look = RUNS[number % len(RUNS)]
        end = start + 1.15 * max(rollout.rule.least, step.answers)
        draw_bounds(axes, rollout.rule, start, end, top)
        places, errors = zip(
            *((start + answers, errors) for answers, errors in step.path), strict=True
        )
        axes.plot(places, errors, f"{look.marker}-", color=look.colour, clip_on=False, zorder=3)
        axes.note(f"{step.weight} %:\n{step.decision}", start, 0.98 * top, va="top")
        start = end
    axes.set_xlim(0, start)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("canary responses, step by step\n(upper area: roll back, lower area: continue)")
    axes.set_ylabel("errors")
    axes.set_title(
        f"The canary was {'promoted' if rollout.promoted else 'rolled back'}", loc="left"
    )
    return axes


def draw_bounds(axes: Any, rule: DecisionRule, start: float, end: float, top: float) -> None:
    """The two fields of one step, where it is decided."""
    places = [start + (end - start) * part / 100 for part in range(101)]
    upper, lower = ([bounds(rule, place - start)[side] for place in places] for side in (0, 1))
    axes.fill_between(places, upper, top, color=FIELD_BAD, linewidth=0)
    axes.fill_between(
        places, 0, [max(0.0, bound) for bound in lower], color=FIELD_GOOD, linewidth=0
    )
    axes.plot(places, upper, "--", color=INK)
    axes.plot(places, lower, "--", color=INK)
    axes.axvline(end, color=INK, linewidth=0.8)

"""The page of all checks is complete, and each check has a test with its near miss."""

from __future__ import annotations

import inspect
from pathlib import Path

from labkit.lessons.checks import check
from labkit.lessons.checks.plan import PLANS
from labkit.lessons.checks.power import ALPHA
from tools.checks_table import NOT_CHECKS, table

CHECKS = [name for name in check.__all__ if name not in NOT_CHECKS]


def test_every_check_is_on_the_page() -> None:
    text = table()
    assert CHECKS
    assert [name for name in CHECKS if f"`{name}" not in text] == []


def test_every_plan_belongs_to_a_check_and_keeps_the_false_alarm_rate() -> None:
    assert set(PLANS) <= set(check.__all__)
    for name, make in PLANS.items():
        plan = make({"v1": 80, "v2": 20}) if name == "split" else make()
        assert plan.check == name
        assert plan.false_alarm <= ALPHA
        assert plan.power >= 0.99


def test_every_check_is_seen_failing_in_some_test() -> None:
    """Within a `pytest.raises(CheckFailed)` block: a check that no test can make fail proves
    nothing.
    """
    failing: set[str] = set()
    for file in (Path(__file__).parents[1] / "lessons" / "checks").glob("test_check_*.py"):
        lines = file.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if "pytest.raises(CheckFailed" in line:
                block = " ".join(lines[number + 1 : number + 3])
                failing |= {name for name in CHECKS if f"check.{name}(" in block}
    assert set(CHECKS) - failing == set()


def test_all_is_complete_and_every_check_has_an_example() -> None:
    public = {name for name, value in vars(check).items() if inspect.isfunction(value)}
    assert public == set(check.__all__)
    assert check.__all__ == sorted(check.__all__)
    for name in CHECKS:
        assert ">>> check." in (getattr(check, name).__doc__ or ""), name

"""Lesson 1's exercise: the number of listeners is that of the mesh at hand."""

from __future__ import annotations

import pandas as pd
import pytest

from labkit.lessons import CheckFailed
from labkit.lessons.content.exercises.lesson_01 import TASKS


class Counted:
    """A mesh whose gateway has so many listeners: one on the embedded mesh, some
    more on a cluster.
    """

    def __init__(self, listeners: int) -> None:
        self.listeners = listeners

    def stats(self, proxy: str, match: str) -> pd.DataFrame:
        assert (proxy, match) == ("gateway", "total_listeners_active")
        return pd.DataFrame(
            {"proxy": ["gateway"], "stat": ["total_listeners_active"], "value": [self.listeners]}
        )


@pytest.mark.parametrize("there", [1, 4])
def test_the_answer_is_what_this_gateway_counts(there: int) -> None:
    judge = TASKS["01-1"].judge
    assert judge(there, Counted(there))
    for wrong in (there + 1, there - 1):
        with pytest.raises(CheckFailed):
            judge(wrong, Counted(there))
    counted = Counted(there)
    with pytest.raises(CheckFailed, match="the whole table; the number is in its column"):
        judge(counted.stats("gateway", "total_listeners_active"), counted)
    with pytest.raises(CheckFailed, match="a text; write the number without quotes"):
        judge(str(there), counted)

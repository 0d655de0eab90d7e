from __future__ import annotations

import pandas as pd

from labkit.traffic import Response, Result
from labkit.traffic.result import COLUMNS, share


def result() -> Result:
    statuses, pods, versions = [200, 503, -1, 200], ["a", "", "", "b"], ["v1", "", "", "v2"]
    columns: dict[str, list[object]] = {name: [""] * 4 for name in COLUMNS}
    columns |= {
        "n": [0, 1, 2, 3],
        "status": statuses,
        "pod": pods,
        "version": versions,
        "id": ["w", "x", "", "z"],
    }
    columns |= {"latency_ms": [1.0, 2.0, 3.0, 4.0], "at": [1.0, 2.0, 3.0, 4.0]}
    return Result(columns, [Response(status) for status in statuses])


def test_counts() -> None:
    assert result().codes == {-1: 1, 200: 2, 503: 1}
    assert result().pods == {"a": 1, "b": 1}
    assert result().versions == {"v1": 1, "v2": 1}
    assert result().flags == {}


def test_the_frame_has_all_columns() -> None:
    assert list(result().frame.columns) == list(COLUMNS) or set(result().frame.columns) == set(
        COLUMNS
    )


def test_flags_are_joined_by_the_requests_id() -> None:
    flagged = result().with_flags({"x": "UO", "z": "-", "other": "UH"})
    assert list(flagged.frame["flags"]) == ["", "UO", "", ""]
    assert flagged.flags == {"UO": 1}
    assert flagged[1].flags == "UO"
    assert result().flags == {}


def test_other_rows() -> None:
    other = result().with_rows(
        pd.DataFrame({"status": [200, 503], "pod": ["c", ""], "upstream": ["1.2.3.4", ""]})
    )
    assert other.codes == {200: 1, 503: 1}
    assert other.pods == {"c": 1}
    assert list(other.frame["upstream"]) == ["1.2.3.4", ""]
    assert set(COLUMNS) <= set(other.frame.columns)


def test_a_person_can_read_it() -> None:
    assert repr(result()) == (
        "<Result 4 requests · no answer: 1 (25 %), 200: 2 (50 %), 503: 1 (25 %) · answered by a: "
        "1, b: 1>"
    )
    html = result()._repr_html_()
    assert "<td>50 %</td>" in html
    assert "from a" in html


def test_shares() -> None:
    assert [share(1, 4), share(1, 300), share(0, 5), share(0, 0)] == ["25 %", "0.3 %", "0 %", "0 %"]

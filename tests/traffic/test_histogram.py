from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.traffic.histogram import EDGES, PERCENTILES, histogram


def test_no_values_have_no_buckets() -> None:
    assert histogram([], 0.001, PERCENTILES) == {
        "Count": 0,
        "Min": 0,
        "Max": 0,
        "Sum": 0,
        "Avg": 0,
        "StdDev": 0,
        "Data": None,
    }


def test_the_buckets_of_a_run_of_fortio() -> None:
    # 19 values in the first millisecond and one above; the numbers are those that Fortio 1.68
    # printed for such a run.
    values = [0.000078326] + [0.0002] * 18 + [0.001493975]
    result = histogram(values, 0.001, PERCENTILES)
    assert result["Data"] == [
        {"Start": 0.000078326, "End": 0.001, "Percent": 95.0, "Count": 19},
        {"Start": 0.001, "End": 0.001493975, "Percent": 100.0, "Count": 1},
    ]
    found = {entry["Percentile"]: entry["Value"] for entry in result["Percentiles"]}
    assert found == pytest.approx(
        {
            50: 0.000539163,
            75: 0.000795183555,
            90: 0.000948795888,
            99: 0.00139518,
            99.9: 0.0014840955,
        }
    )


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        (1.0, 0, 1),
        (1.0001, 1, 2),
        (11, 10, 11),
        (12.5, 12, 14),
        (1000, 900, 1000),
        (1000.5, 1000, 2000),
        (7e4, 5e4, 75e3),
    ],
)
def test_a_value_on_an_edge_belongs_to_the_bucket_that_ends_there(
    value: float, start: float, end: float
) -> None:
    # Between a smaller and a larger value, so that the bucket shows its own edges.
    data = histogram([-1, value, 1e6], 1)["Data"]
    assert data[1] == {"Start": start, "End": end, "Percent": pytest.approx(200 / 3), "Count": 1}


def test_what_is_above_the_last_edge_ends_at_the_largest_value() -> None:
    assert histogram([5, 250_000], 1)["Data"][-1] == {
        "Start": 100_000,
        "End": 250_000,
        "Percent": 100.0,
        "Count": 1,
    }


@given(st.lists(st.floats(0.001, 100_000), min_size=1, max_size=200))
def test_buckets_cover_all_values_in_order(values: list[float]) -> None:
    result = histogram(values, 1, PERCENTILES)
    data = result["Data"]
    assert sum(bucket["Count"] for bucket in data) == len(values)
    assert data[-1]["Percent"] == pytest.approx(100)
    assert data[-1]["End"] == max(values)
    assert [bucket["Percent"] for bucket in data] == sorted(bucket["Percent"] for bucket in data)
    percentiles = [entry["Value"] for entry in result["Percentiles"]]
    assert percentiles == sorted(percentiles)
    assert min(values) <= percentiles[0]
    assert percentiles[-1] <= max(values) + 1e-9


def test_the_edges_only_grow() -> None:
    assert list(EDGES) == sorted(set(EDGES))

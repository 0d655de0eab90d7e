"""Fortio's histogram: the same buckets and the same percentiles, so that its results and ours can
be laid side by side.

The values are scaled by `divider` and put into buckets whose edges grow with the value. A bucket
holds what is above its lower edge and at most its upper edge; the first holds all that is 0 or
less, the last all that is above 100000.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

EDGES = (
    *range(12),
    *range(12, 21, 2),
    *range(25, 51, 5),
    *range(60, 101, 10),
    *range(120, 201, 20),
    *range(250, 501, 50),
    *range(600, 1001, 100),
    *(2000, 3000, 4000, 5000, 7500, 10000),
    *(20000, 30000, 40000, 50000, 75000, 100000),
)
PERCENTILES = (50.0, 75.0, 90.0, 99.0, 99.9)
EPSILON = 1e-12  # a value that much above a whole number counts as on it


def histogram(
    values: Sequence[float], divider: float, percentiles: Sequence[float] = ()
) -> dict[str, Any]:
    """The values as Fortio's JSON shows a histogram.

    >>> histogram([0.0005, 0.0015], 0.001)["Data"][1]
    {'Start': 0.001, 'End': 0.0015, 'Percent': 100.0, 'Count': 1}
    """
    count = len(values)
    result: dict[str, Any] = {
        "Count": count,
        "Min": 0,
        "Max": 0,
        "Sum": 0,
        "Avg": 0,
        "StdDev": 0,
        "Data": None,
    }
    if not count:
        return result
    total = math.fsum(values)
    squares = math.fsum(value * value for value in values)
    result["Min"], result["Max"], result["Sum"], result["Avg"] = (
        min(values),
        max(values),
        total,
        total / count,
    )
    result["StdDev"] = math.sqrt(max(0.0, (squares - total * total / count) / count))
    result["Data"] = _buckets(values, divider, result["Min"], result["Max"])
    if percentiles:
        result["Percentiles"] = [
            {"Percentile": p, "Value": percentile(result, p)} for p in percentiles
        ]
    return result


def _buckets(
    values: Sequence[float], divider: float, lowest: float, highest: float
) -> list[dict[str, Any]]:
    counts = [0] * (len(EDGES) + 1)
    for value in values:
        scaled = value / divider
        # On an edge, or a hair above it, belongs to the bucket that ends there.
        whole = math.floor(scaled)
        counts[bisect_left(EDGES, whole if 0 <= scaled - whole < EPSILON else scaled)] += 1
    data: list[dict[str, Any]] = []
    seen = 0
    for i, count in enumerate(counts):
        if not count:
            continue
        seen += count
        start = lowest if not data and i < len(EDGES) else divider * EDGES[max(0, i - 1)]
        end = divider * EDGES[i] if i < len(EDGES) else highest
        data.append(
            {"Start": start, "End": end, "Percent": 100 * seen / len(values), "Count": count}
        )
    data[-1]["End"] = highest
    return data


def percentile(result: dict[str, Any], wanted: float) -> float:
    """The value below which `wanted` per cent lie, by straight lines inside the buckets, as Fortio
    estimates it.
    """
    if wanted >= 100 or not result["Data"]:
        return float(result["Max"])
    before = 100 / result["Count"]  # the smallest value alone is that much
    if wanted <= before:
        return float(result["Min"])
    for bucket in result["Data"]:
        if wanted <= bucket["Percent"]:
            part = (wanted - before) / (bucket["Percent"] - before)
            return float(bucket["Start"] + part * (bucket["End"] - bucket["Start"]))
        before = bucket["Percent"]
    return float(result["Max"])

"""Plots of what was measured: a frame in, axes out, and the same as a table under it."""

from labkit.ui.plots.charts import (
    codes,
    compare,
    latency,
    over_time,
    percentiles,
    share,
    table,
    timeline,
)

__all__ = ["codes", "compare", "latency", "over_time", "percentiles", "share", "table", "timeline"]

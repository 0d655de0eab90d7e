"""Plots of what was measured: a frame in, axes out, and the same as a table under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lazy import attach

if TYPE_CHECKING:
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

# Imported when first used: matplotlib and pandas take half a second of a lesson that may draw
# nothing, and a panel that needs the colours needs neither.
__getattr__, __dir__ = attach(__name__, dict.fromkeys(__all__, "charts"))

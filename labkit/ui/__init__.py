"""What a learner sees: plots of results, and panels to change a policy and watch the mesh answer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.ui import plots
    from labkit.ui.breaker import BreakerTimeline
    from labkit.ui.compare import Compare
    from labkit.ui.meshview import MeshView
    from labkit.ui.policy import PolicyPanel
    from labkit.ui.traffic import TrafficPanel

__all__ = ["BreakerTimeline", "Compare", "MeshView", "PolicyPanel", "TrafficPanel", "plots"]

# Imported when first used: a lesson that only draws waits for no widget library, and one without plots for no plots.
HOMES = {
    "BreakerTimeline": "labkit.ui.breaker",
    "Compare": "labkit.ui.compare",
    "MeshView": "labkit.ui.meshview",
    "PolicyPanel": "labkit.ui.policy",
    "TrafficPanel": "labkit.ui.traffic",
}


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    if name == "plots":
        return importlib.import_module("labkit.ui.plots")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

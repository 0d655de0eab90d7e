"""What a learner sees: plots of results, and panels to change a policy and
watch the mesh answer.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.ui import plots
    from labkit.ui.panels.breaker import BreakerTimeline
    from labkit.ui.panels.compare import Compare
    from labkit.ui.panels.meshview import MeshView
    from labkit.ui.panels.policy.panel import PolicyPanel
    from labkit.ui.panels.traffic import TrafficPanel
    from labkit.ui.plots import rollout

__all__ = [
    "BreakerTimeline",
    "Compare",
    "MeshView",
    "PolicyPanel",
    "TrafficPanel",
    "plots",
    "rollout",
]

# Imported when first used: a lesson that only draws waits for no widget library, and one without
# plots for no plots.
HOMES = {
    "BreakerTimeline": "labkit.ui.panels.breaker",
    "Compare": "labkit.ui.panels.compare",
    "MeshView": "labkit.ui.panels.meshview",
    "PolicyPanel": "labkit.ui.panels.policy.panel",
    "TrafficPanel": "labkit.ui.panels.traffic",
}


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(HOMES[name]), name)
    if name in ("plots", "rollout"):
        return importlib.import_module(
            "labkit.ui.plots" if name == "plots" else "labkit.ui.plots.rollout"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

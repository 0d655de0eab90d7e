"""What a learner sees: plots of results, and panels to change a policy and
watch the mesh answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lazy import attach

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
_HOMES = {
    "BreakerTimeline": "panels.breaker",
    "Compare": "panels.compare",
    "MeshView": "panels.meshview",
    "PolicyPanel": "panels.policy.panel",
    "TrafficPanel": "panels.traffic",
    "plots": "plots",
    "rollout": "plots.rollout",
}

__getattr__, __dir__ = attach(__name__, _HOMES)

"""What a learner sees: plots of results."""

from labkit.ui import plots

__all__ = ["plots"]

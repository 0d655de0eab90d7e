"""The rows of a run that is still under way: for a plot that grows while requests are sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.traffic.generator import Generator

LIVE_COLUMNS = ("at", "status", "pod", "version", "latency_ms")


class LiveRows:
    """The rows of a loop of curls, as they come. Another thread may take them while the loop goes
    on.

    >>> result = curl(target, "/", n=1000, watch=lambda rows: plotter.follow(rows))
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self.columns = columns
        self.taken = 0

    def take(self) -> dict[str, list[Any]]:
        """The rows that have come since the last call."""
        start, end = self.taken, min(len(self.columns[name]) for name in LIVE_COLUMNS)
        self.taken = end
        return {name: list(self.columns[name][start:end]) for name in LIVE_COLUMNS}


class LiveRun(LiveRows):
    """The rows of the built-in load generator, as they come, in the order of the answers."""

    def __init__(self, run: Generator) -> None:
        self.run = run
        self.taken = 0

    def take(self) -> dict[str, list[Any]]:
        rows, offset = self.run.recorder, self.run.began_at - self.run.began
        start, end = self.taken, len(rows.error)  # the column that is written last
        self.taken = end
        pods = [name.decode("latin-1") for name in list(rows.pods)]
        versions = [version.decode("latin-1") for version in rows.versions[:]]
        numbers = rows.pod[start:end]
        return {
            "at": [at + offset for at in rows.start[start:end]],
            "status": list(rows.status[start:end]),
            "pod": [pods[number] for number in numbers],
            "version": [versions[number] for number in numbers],
            "latency_ms": [latency * 1000 for latency in rows.latency[start:end]],
        }

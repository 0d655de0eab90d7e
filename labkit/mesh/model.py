"""What a mesh gives back: a pod as kubectl shows it, and what an apply did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PodInfo:
    """One pod, as kubectl shows it."""

    name: str
    namespace: str
    workload: str
    version: str
    ready: str  # containers ready, "2/2"
    status: str
    restarts: int
    ip: str
    created: float  # seconds since 1970

    @property
    def is_ready(self) -> bool:
        """Whether it runs with all its containers ready."""
        have, of = self.ready.split("/")
        return have == of and self.status == "Running"


@dataclass(frozen=True)
class Applied:
    """What a change did: a line an object, as kubectl prints, what the API server warned of, and
    how long each changed proxy took to hold it, in ms by the proxy's name.
    """

    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    propagation_ms: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        text = [f"Warning: {w}" for w in self.warnings] + list(self.lines)
        if self.propagation_ms:
            slowest = max(self.propagation_ms.values())
            proxies = (
                "1 proxy holds"
                if len(self.propagation_ms) == 1
                else f"{len(self.propagation_ms)} proxies hold"
            )
            text.append(f"({proxies} it after {slowest:.0f} ms)")
        return "\n".join(text)

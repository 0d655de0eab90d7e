"""The gate: requests are held open at the pods until told, so that "N at the same time" is a fact, not a hope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from labkit.waiting import wait_until


class Applications(Protocol):
    def app(self, pod: str, method: str, path: str) -> dict[str, Any]: ...


class Gate:
    """Closed while its `with` block runs, open after it, even when the block fails."""

    def __init__(self, mesh: Applications, pods: Sequence[str]) -> None:
        self.mesh = mesh
        self.pods = tuple(pods)

    def close(self) -> None:
        for pod in self.pods:
            self.mesh.app(pod, "POST", "/control/gate?closed=true")

    def open(self) -> None:
        """Lets every held request go on."""
        for pod in self.pods:
            self.mesh.app(pod, "POST", "/control/gate?closed=false")

    def held(self) -> int:
        """How many requests are held at the pods now."""
        return sum(int(self.mesh.app(pod, "GET", "/control/state")["held"]) for pod in self.pods)

    def wait_held(self, n: int, timeout_s: float = 10.0) -> int:
        """Waits until at least n requests are held; returns how many. Raises NotReady."""
        wait_until(
            lambda: self.held() >= n,
            timeout_s,
            f"{n} requests to be held at the gate",
            explain=lambda: f"{self.held()} are held",
        )
        return self.held()

    def __enter__(self) -> Gate:
        self.close()
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

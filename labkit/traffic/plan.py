"""What a load run is to do, with Fortio's meaning of -c, -n, -t and -qps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.errors import TrafficError
from labkit.resources.durations import go_text

DEFAULT_DURATION_S = 5.0


@dataclass(frozen=True)
class Load:
    """The options of a run, named as Fortio names them where it has a word."""

    host: str
    port: int
    path: str
    method: str = "GET"
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    connections: int = 4
    requests: int | None = None
    duration_s: float | None = None
    qps: float = 0.0
    timeout_s: float = 3.0
    jitter: bool = False
    uniform: bool = False
    catch_up: bool = True
    request_ids: bool = True


@dataclass(frozen=True)
class Plan:
    """How the calls are shared among the connections. `calls` is empty when only the time ends the
    run.
    """

    connections: int
    calls: tuple[int, ...]
    duration_s: float | None  # None: a number of calls ends the run
    requested_qps: str
    requested_duration: str

    @property
    def total(self) -> int:
        return sum(self.calls)


def plan(load: Load) -> Plan:
    """Shares the calls as Fortio does.

    Without qps each connection gets n // c, and the first the rest too. With qps no connection has
    less than two calls, so that there is a pause to pace by: fewer connections are used when n is
    small. Where Fortio would send more than n requests (n < c without qps: each connection sends at
    least one) we use fewer connections, too.

    >>> plan(Load("127.0.0.1", 80, "/", connections=4, requests=22)).calls
    (7, 5, 5, 5)
    """
    if load.connections < 1:
        raise TrafficError(
            "At least one connection is needed", seen=f"connections={load.connections}"
        )
    if load.requests is not None and load.requests < 1:
        raise TrafficError("At least one request is needed", seen=f"requests={load.requests}")
    if load.requests is None:
        seconds = DEFAULT_DURATION_S if load.duration_s is None else load.duration_s
        if seconds <= 0:
            raise TrafficError(
                "The run needs some time", seen=f"duration_s={seconds}", try_next="duration_s=5"
            )
        duration = go_text(seconds)
        if load.qps <= 0:
            return Plan(load.connections, (), seconds, "max", duration)
        total = max(2, int(load.qps * seconds))
        connections = min(load.connections, total // 2)
        return Plan(
            connections, (total // connections,) * connections, seconds, f"{load.qps:.9g}", duration
        )
    n = load.requests
    words = f"exactly {n} calls"
    if load.qps <= 0:
        connections = min(load.connections, n)
        return Plan(connections, _split(n, connections), None, "max", words)
    connections = max(1, min(load.connections, n // 2))
    return Plan(connections, _split(n, connections), None, f"{load.qps:.9g}", words)


def _split(n: int, connections: int) -> tuple[int, ...]:
    each, left = divmod(n, connections)
    return (each + left, *([each] * (connections - 1)))

"""What a proxy counted itself, laid beside the rows of a run: the two must say the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING

from labkit.errors import EnvoyError
from labkit.traffic import FAILED

if TYPE_CHECKING:
    import pandas as pd

    from labkit.mesh import Mesh

Counts = dict[str, int]
"""By a counter's short name, upstream_rq_503 say: by how much it grew, summed over clusters or
listeners.
"""

CLUSTERS = (
    r"^cluster\.outbound\|[^;]+?;?\.(upstream_rq_(?:[1-5]\d\d|total|retry|pending_overflow))$"
)
LISTENERS = r"^http\.outbound_[^;]+?;?\.(downstream_rq_(?:[1-5]xx|completed))$"
PATTERN = f"{CLUSTERS}|{LISTENERS}"
ON_THE_WAY = 8  # answers that were counted in one place and not yet in the other
SHORT = (re.compile(CLUSTERS), re.compile(LISTENERS))
# parts that Envoy counts a second time
DOUBLE = re.compile(r"\.(internal|external|retry|canary|zone\.[^.]+\.[^.]+)$")


@contextlib.contextmanager
def answering(proxy: str) -> Iterator[None]:
    """Says in our words that a proxy did not answer: it ends, or starts, just now."""
    try:
        yield
    except (OSError, HTTPException) as error:
        raise EnvoyError(
            f"The proxy {proxy!r} does not answer",
            seen=str(error) or type(error).__name__,
            try_next="wait a moment: it restarts by itself; mesh.get('pods', "
            "namespace='istio-system')",
        ) from error


class Counters:
    """A proxy's counters of requests, from a moment on.

    >>> counters = Counters(mesh)
    >>> counters.begin()
    >>> result = mesh.curl(url, n=10)
    >>> counters.look()["upstream_rq_200"]
    10
    """

    def __init__(self, mesh: Mesh, proxy: str = "gateway") -> None:
        self.mesh, self.proxy = mesh, proxy
        self.before: Counts = {}

    def begin(self) -> None:
        self.before = self.now()

    def now(self) -> Counts:
        """Every counter as it stands, summed up under its short name."""
        with answering(self.proxy):
            frame = self.mesh.stats(self.proxy, match=PATTERN)
        return summed(dict(zip(frame["stat"], frame["value"], strict=True)))

    def look(self) -> Counts:
        """By how much each has grown since `begin`."""
        return {name: value - self.before.get(name, 0) for name, value in self.now().items()}


def summed(stats: Mapping[str, int]) -> Counts:
    """Envoy's long names to short ones; what it counts twice, by where the caller is, is left out.

    >>> cluster = "cluster.outbound|80||shop.x"
    >>> summed({f"{cluster}.upstream_rq_200": 3, f"{cluster}.external.upstream_rq_200": 3})
    {'upstream_rq_200': 3}
    """
    counts: Counts = {}
    for name, value in stats.items():
        found = next((match for match in (pattern.match(name) for pattern in SHORT) if match), None)
        if found is None or DOUBLE.search(name[: found.start(1) - 1]):
            continue
        counts[found[1]] = counts.get(found[1], 0) + int(value)
    return counts


@dataclass(frozen=True)
class AnswerCount:
    """One kind of answer: how many the rows have, and how many the proxy counted, in which of its
    counters.
    """

    answer: str
    rows: int
    counted: int | None
    counter: str


@dataclass(frozen=True)
class Agreement:
    """The rows of a run beside the proxy's counters. `extra`: how many answers more the proxy has
    counted.
    """

    lines: tuple[AnswerCount, ...]
    warm_ups: int
    proxy: str

    @property
    def extra(self) -> int:
        return sum(line.counted - line.rows for line in self.lines if line.counted is not None)

    @property
    def equal(self) -> bool:
        """Whether each number is the proxy's own. Fortio's warm-up, which its result leaves out, is
        allowed for.
        """
        if self.warm_ups:
            return self.extra == self.warm_ups
        return all(line.counted in (None, line.rows) for line in self.lines)

    @property
    def verdict(self) -> str:
        """One sentence for a learner."""
        if self.equal:
            also = (
                f" (and {self.warm_ups} of Fortio's warm-up, which its result leaves out)"
                if self.warm_ups
                else ""
            )
            return f"The same as {self.who} counted{also}."
        who = self.who[0].upper() + self.who[1:]
        if self.extra < 0:
            return (
                f"{who} counted {-self.extra} fewer: it restarted in the meantime, or some "
                "got no answer."
            )
        return f"{who} counted {self.extra} more: other requests went through it at the same time."

    @property
    def who(self) -> str:
        return "the gateway" if self.proxy == "gateway" else f"the sidecar of {self.proxy}"

    @property
    def table(self) -> pd.DataFrame:
        """A row a kind of answer: answer, in the plot, counted, and the counter's name."""
        import pandas as pd

        return pd.DataFrame(
            [
                (one.answer, one.rows, "-" if one.counted is None else one.counted, one.counter)
                for one in self.lines
            ],
            columns=["answer", "in the plot", f"counted by {self.who}", "in its counter"],
        )


def agreement(
    statuses: Mapping[int, int],
    counted: Mapping[str, int],
    *,
    warm_ups: int = 0,
    proxy: str = "gateway",
    over: bool = True,
) -> Agreement:
    """Lays {status: how many} beside what a proxy counted.

    Status by status in the counters of its clusters (upstream_rq_503), unless they do not add up: a
    rule that changes a cluster sets its counters back, and an answer without any cluster (a 404
    without a route) is in none of them. The listener has counted all of them, by class
    (downstream_rq_5xx). While a run is not `over`, some answers are counted in one place and not
    yet in the other.

    >>> agreement({200: 40}, {"upstream_rq_200": 40}).equal
    True
    """
    lines: list[AnswerCount] = []
    for first in range(1, 6):
        rows = {status: n for status, n in statuses.items() if status // 100 == first}
        own = {
            int(name[-3:]): n
            for name, n in counted.items()
            if n and name.startswith(f"upstream_rq_{first}") and name[-2:].isdigit()
        }
        of_class = counted.get(f"downstream_rq_{first}xx", sum(own.values()))
        if not rows and not of_class:
            continue
        by_cluster = sum(own.values())
        if (
            of_class == by_cluster
            or sum(rows.values()) <= by_cluster
            or (not over and abs(of_class - by_cluster) <= ON_THE_WAY)
        ):
            for status in sorted({*rows, *own}):
                lines.append(
                    AnswerCount(
                        str(status),
                        rows.get(status, 0),
                        own.get(status, 0),
                        f"upstream_rq_{status}",
                    )
                )
        else:
            names = ", ".join(map(str, sorted(rows))) or f"{first}xx"
            lines.append(
                AnswerCount(names, sum(rows.values()), of_class, f"downstream_rq_{first}xx")
            )
    if statuses.get(FAILED):
        lines.append(AnswerCount("no answer", statuses[FAILED], None, "none: nobody answered"))
    return Agreement(tuple(lines), warm_ups, proxy)

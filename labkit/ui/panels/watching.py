"""What a mesh says of itself, looked at again and again: pods, endpoints, counters, and who was
ejected how long.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from labkit.mesh.history import Change
from labkit.ui.panels.counters import answering

if TYPE_CHECKING:
    import pandas as pd

    from labkit.mesh import Mesh, PodInfo

EJECTED = "failed_outlier_check"
RECENT_S = 4.0
"""Shares of the traffic are those of the last few seconds."""

COUNTERS = {
    "waiting": "upstream_rq_pending_active",
    "under way": "upstream_rq_active",
    "refused": "upstream_rq_pending_overflow",
    "retries": "upstream_rq_retry",
}
EJECTIONS = "outlier_detection.ejections_enforced_total"
PATTERN = (
    r"^cluster\.(outbound\|[^;]+?);?\.("
    + "|".join([*COUNTERS.values(), re.escape(EJECTIONS)])
    + ")$"
)
MEMBER = re.compile(PATTERN)
GROWING = ("refused", "retries")
BASE_S, INTERVAL_S, MOST_S = 30.0, 10.0, 300.0  # Envoy's own, where Istio gives none


@dataclass(frozen=True)
class Endpoint:
    """A pod as one cluster of a proxy knows it, and how many requests it was sent."""

    cluster: str
    pod: str
    version: str
    health: str
    requests: int

    @property
    def ejected(self) -> bool:
        return EJECTED in self.health


@dataclass(frozen=True)
class Facts:
    """What a mesh says at one moment, and nothing that was made of it."""

    at: float
    pods: tuple[PodInfo, ...]
    endpoints: tuple[Endpoint, ...]
    counters: Mapping[str, int]
    """By the words in COUNTERS, summed over all clusters of the proxy."""
    totals: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The same of each cluster, by its name and the word."""
    ejections: Mapping[str, int] = field(default_factory=dict)
    """How often a pod was ejected, by cluster."""


@dataclass(frozen=True)
class Outlier:
    """A cluster's outlierDetection, as the proxy was told it."""

    base_s: float = BASE_S
    interval_s: float = INTERVAL_S
    most_s: float = MOST_S

    @property
    def cap_s(self) -> float:
        """The longest stay outside: max_ejection_time, or the base time where that is longer."""
        return max(self.most_s, self.base_s)


@dataclass(frozen=True)
class Ejection:
    """A pod out of the pool: since when, until when (None: it still is), and the how manieth time
    in a row.
    """

    pod: str
    since: float
    until: float | None
    n: int
    outlier: Outlier
    earlier: bool = False
    """Whether it was out already when somebody first looked: it began earlier,
    nobody knows when.
    """

    @property
    def lasts_s(self) -> float:
        """n times the base time, up to the cap; then Envoy takes it back at its next look."""
        return min(self.n * self.outlier.base_s, self.outlier.cap_s)

    def left_s(self, now: float) -> float:
        """Seconds that are left; 0 when Envoy takes it back at its next look."""
        return max(0.0, self.since + self.lasts_s - now)


def facts(mesh: Mesh, proxy: str = "gateway") -> Facts:
    """Asks a mesh: its pods, one proxy's endpoints, and that proxy's counters.

    >>> facts(mesh).counters["refused"]
    0
    """
    stats = mesh.stats(proxy, match=PATTERN)
    words = {counter: word for word, counter in COUNTERS.items()}
    values = {
        (found[1], found[2]): int(value)
        for name, value in zip(stats["stat"], stats["value"], strict=True)
        if (found := MEMBER.match(name)) is not None
    }
    totals = {(cluster, words[name]): n for (cluster, name), n in values.items() if name in words}
    counters = {word: sum(n for (_, own), n in totals.items() if own == word) for word in COUNTERS}
    frame = mesh.endpoints(proxy)
    columns = [frame[name] for name in ("cluster", "pod", "version", "health", "requests")]
    return Facts(
        time.time(),
        tuple(mesh.pods()),
        tuple(
            Endpoint(str(cluster), str(pod), str(version), str(health), int(requests))
            for cluster, pod, version, health, requests in zip(*columns, strict=True)
            if pod
        ),
        counters,
        totals,
        {cluster: n for (cluster, name), n in values.items() if name == EJECTIONS},
    )


def outliers(config: Mapping[str, Any]) -> dict[str, Outlier]:
    """The outlier detection of each cluster in an Envoy's config_dump.

    >>> outliers(mesh.config())["outbound|80||hello-world.hello-world.svc.cluster.local"].base_s
    30.0
    """
    found = {}
    for entry in clusters(config):
        told = entry["cluster"].get("outlier_detection")
        if told is not None:
            found[str(entry["cluster"].get("name"))] = Outlier(
                seconds(told.get("base_ejection_time"), BASE_S),
                seconds(told.get("interval"), INTERVAL_S),
                seconds(told.get("max_ejection_time"), MOST_S),
            )
    return found


def clusters(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The clusters in a config_dump, each with when it was made."""
    for part in config.get("configs", []):
        yield from part.get("dynamic_active_clusters", [])


def seconds(text: Any, default: float) -> float:
    """A duration as protobuf's JSON has it.

    >>> seconds("2.5s", 10)
    2.5
    """
    return float(text[:-1]) if isinstance(text, str) and text.endswith("s") else default


@dataclass
class Watch:
    """Looks at a mesh again and again, and remembers what one look can't say.

    How many requests each pod got since the first look (a proxy's own count starts anew with a new
    rule), which part of them lately, and each ejection from its start to its end. Times are those
    of the looks: look often.

    >>> watch = Watch(mesh)
    >>> watch.look()
    >>> watch.sent["hello-world-v1-75f85dfdc6-6h9dx"]
    12
    """

    mesh: Mesh
    proxy: str = "gateway"
    began: float = field(default_factory=time.time)
    sent: dict[str, int] = field(default_factory=dict)
    ejections: list[Ejection] = field(default_factory=list)
    counts: list[tuple[float, int, int]] = field(default_factory=list)
    """(at, refused, retries) since the first look, whenever they have grown."""
    last: Facts | None = None

    def __post_init__(self) -> None:
        self.recent: deque[tuple[float, dict[str, int]]] = deque()
        self.workloads: set[str] = set()
        self.backoff: dict[
            str, tuple[int, float]
        ] = {}  # by pod: ejections in a row, and since when they count
        self.told: dict[str, Outlier] = {}
        self.made: dict[str, str] = {}  # by cluster: when the proxy made it
        self.unseen: dict[str, int] = {}  # by cluster: ejections that were counted and not seen yet
        self.anew: set[str] = set()  # the clusters that were made anew since the last look
        self.told_at = -1

    def look(self) -> Facts:
        """Looks once. Raises what the mesh raises, when it is closed say."""
        self.check_open()
        with answering(self.proxy):
            found = facts(self.mesh, self.proxy)
            return self.see(found)

    def check_open(self) -> None:
        """Raises what the mesh says when it is closed."""
        check = getattr(self.mesh, "check_open", None)
        if check is not None:
            check()

    def see(self, now: Facts) -> Facts:
        """Takes in what was looked up."""
        before = self.last
        self.last = now
        self.read_config()
        self.count_requests(before, now)
        self.count_refusals(before, now)
        known = {pod.name: pod.workload for pod in now.pods}
        self.workloads |= {known[e.pod] for e in now.endpoints if e.pod in known}
        self.follow_ejections(before, now)
        return now

    def count_requests(self, before: Facts | None, now: Facts) -> None:
        earlier = (
            {(e.cluster, e.pod): e.requests for e in before.endpoints}
            if before is not None
            else None
        )
        for e in now.endpoints:
            self.sent.setdefault(e.pod, 0)
            if earlier is not None:
                was = 0 if e.cluster in self.anew else earlier.get((e.cluster, e.pod), 0)
                self.sent[e.pod] += e.requests - was if e.requests >= was else e.requests
        self.recent.append((now.at, dict(self.sent)))
        while len(self.recent) > 2 and self.recent[1][0] < now.at - RECENT_S:
            self.recent.popleft()

    def count_refusals(self, before: Facts | None, now: Facts) -> None:
        _, *grown = self.counts[-1] if self.counts else (now.at, 0, 0)
        for (cluster, word), value in now.totals.items() if before is not None else ():
            if before is not None and word in GROWING:
                # a cluster that was made anew, or a proxy that was started again, counts from 0
                was = 0 if cluster in self.anew else before.totals.get((cluster, word), 0)
                grown[GROWING.index(word)] += value - was if value >= was else value
        if not self.counts or list(self.counts[-1][1:]) != grown:
            self.counts.append((now.at, grown[0], grown[1]))

    def follow_ejections(self, before: Facts | None, now: Facts) -> None:
        out = {e.pod: e.cluster for e in now.endpoints if e.ejected}
        for number, one in enumerate(self.ejections):
            if one.until is None and one.pod not in out:
                self.end_ejection(number, now.at, before)
        if before is not None:
            self.part_ejections(before, now, out)
        known = {one.pod for one in self.ejections if one.until is None}
        for pod, cluster in out.items():
            if pod in known:
                continue
            outlier = self.outlier(cluster)
            times, since = self.backoff.get(pod, (0, now.at))
            # each look of Envoy's that finds the pod in the pool takes one ejection off its account
            times = max(0, times - int((now.at - since) / outlier.interval_s))
            self.ejections.append(
                Ejection(pod, now.at, None, times + 1, outlier, earlier=before is None)
            )

    def end_ejection(self, number: int, at: float, before: Facts | None) -> Ejection:
        one = self.ejections[number]
        ended = self.measured(replace(one, until=at), at - before.at if before else 0.0)
        self.ejections[number] = ended
        self.backoff[one.pod] = (ended.n, at)
        return ended

    def part_ejections(self, before: Facts, now: Facts, out: Mapping[str, str]) -> None:
        """A pod that came back and failed at once was out at this look and at the last one. Envoy's
        count tells.
        """
        going_on = {
            one.pod: number for number, one in enumerate(self.ejections) if one.until is None
        }
        for cluster, value in now.ejections.items():
            was = 0 if cluster in self.anew else before.ejections.get(cluster, 0)
            grown = value - was if value >= was else value
            begun = sum(home == cluster and pod not in going_on for pod, home in out.items())
            # counters are read before the endpoints: what is seen here may be counted at the next
            # look only
            unseen = self.unseen.get(cluster, 0) + grown - begun
            for pod, number in going_on.items():
                one = self.ejections[number]
                # it began up to one look before it was seen, so it is over that much earlier
                over = one.left_s(now.at) <= now.at - before.at
                if unseen > 0 and out.get(pod) == cluster and over:
                    ended = self.end_ejection(number, now.at, before)
                    self.ejections.append(Ejection(pod, now.at, None, ended.n + 1, one.outlier))
                    unseen -= 1
            self.unseen[cluster] = min(0, unseen)

    def measured(self, one: Ejection, blur_s: float) -> Ejection:
        """Corrects the number of an ejection that is over by its length, where that tells n × base
        from (n + 1) ×.
        """
        outlier = one.outlier
        if (
            one.until is None
            or outlier.interval_s + 2 * blur_s > outlier.base_s
            or one.lasts_s == outlier.cap_s
        ):
            return one
        # it ends at Envoy's first look after its time, so half of an interval late on the average
        return replace(
            one, n=max(1, round((one.until - one.since - outlier.interval_s / 2) / outlier.base_s))
        )

    def outlier(self, cluster: str) -> Outlier:
        """What the proxy was told of ejections."""
        return self.told.get(cluster, Outlier())

    def read_config(self) -> None:
        """What the proxy was told, if anything was applied since the last look: its configuration
        is long.

        A rule that changes a cluster makes it anew, and its count of each pod's requests starts at
        0.
        """
        self.anew = set()
        changes = len(self.mesh.history)
        if self.told_at != changes:
            self.told_at = changes
            config = self.mesh.config(self.proxy)
            self.told = outliers(config)
            made = {
                str(entry["cluster"]["name"]): str(entry.get("last_updated"))
                for entry in clusters(config)
            }
            self.anew = {name for name, when in made.items() if self.made.get(name, when) != when}
            self.made = made

    # what is known by now

    @property
    def lately(self) -> tuple[float, dict[str, int]]:
        """Over how many seconds, and how many requests each pod got in them."""
        if len(self.recent) < 2:
            return 0.0, dict.fromkeys(self.sent, 0)
        (start, earlier), (end, now) = self.recent[0], self.recent[-1]
        return end - start, {pod: n - earlier.get(pod, 0) for pod, n in now.items()}

    @property
    def frame(self) -> pd.DataFrame:
        """A row an ejection, for plots.timeline: pod, from_s, to_s, n, base_s."""
        import pandas as pd

        rows = [
            (
                e.pod,
                e.since - self.began,
                None if e.until is None else e.until - self.began,
                e.n,
                e.outlier.base_s,
            )
            for e in self.ejections
        ]
        columns = ["pod", "from_s", "to_s", "n", "base_s"]
        return pd.DataFrame(rows, columns=columns).astype({"from_s": float, "to_s": float})

    @property
    def marks(self) -> Sequence[Change]:
        return [change for change in self.mesh.history if change.at >= self.began]

"""`MeshWatch`: a mesh looked at again and again, and what one look can't say: how many requests
each pod got lately, and who was ejected how long.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labkit.envoy import dump
from labkit.errors import LabkitError
from labkit.mesh import Mesh
from labkit.mesh.history import Change
from labkit.ui.panels.counters import answering
from labkit.ui.panels.samples import (
    MeshSample,
    OutlierSettings,
    outlier_settings,
    sample,
)

if TYPE_CHECKING:
    import pandas as pd

RECENT_S = 4.0
"""Shares of the traffic are those of the last few seconds."""
GROWING = ("refused", "retries")


@dataclass(frozen=True)
class SeenEjection:
    """A pod out of the pool: since when, until when (None: it still is), and which
    ejection in a row it is.
    """

    pod: str
    since: float
    until: float | None
    n: int
    outlier: OutlierSettings
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


@dataclass
class MeshWatch:
    """Looks at a mesh again and again, and remembers what one look can't say.

    How many requests each pod got since the first look (a proxy's own count starts anew with a new
    rule), which part of them lately, and each ejection from its start to its end. Times are those
    of the looks: look often.

    >>> watch = MeshWatch(mesh)
    >>> watch.look()
    >>> watch.sent["hello-world-v1-75f85dfdc6-6h9dx"]
    12
    """

    mesh: Mesh
    proxy: str = "gateway"
    began: float = field(default_factory=time.time)
    sent: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    """How many of those came to a 5xx or to no answer."""
    ejections: list[SeenEjection] = field(default_factory=list)
    counts: list[tuple[float, int, int]] = field(default_factory=list)
    """(at, refused, retries) since the first look, whenever they have grown."""
    last: MeshSample | None = None

    def __post_init__(self) -> None:
        self.recent: deque[tuple[float, dict[str, int], dict[str, int]]] = deque()
        self.used: dict[str, set[str]] = {}  # by pod: the clusters by which it was ever called
        self.workloads: set[str] = set()
        # by pod: ejections in a row, and since when they count
        self.backoff: dict[str, tuple[int, float]] = {}
        self.settings: dict[str, OutlierSettings] = {}
        self.made: dict[str, str] = {}  # by cluster: when the proxy made it
        self.unseen: dict[str, int] = {}  # by cluster: ejections that were counted and not seen yet
        self.anew: set[str] = set()  # the clusters that were made anew since the last look
        self.settings_at = -1

    def look(self) -> MeshSample:
        """Looks once. Raises what the mesh raises, when it is closed say."""
        self.check_open()
        with answering(self.proxy):
            found = sample(self.mesh, self.proxy)
            return self.see(found)

    @property
    def closed(self) -> bool:
        """Whether somebody has closed the mesh."""
        try:
            self.check_open()
        except LabkitError:
            return True
        return False

    def check_open(self) -> None:
        """Raises what the mesh says when it is closed."""
        check = getattr(self.mesh, "check_open", None)
        if check is not None:
            check()

    def see(self, now: MeshSample) -> MeshSample:
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

    def count_requests(self, before: MeshSample | None, now: MeshSample) -> None:
        earlier = {(e.cluster, e.pod): e for e in before.endpoints} if before is not None else None
        for e in now.endpoints:
            self.sent.setdefault(e.pod, 0)
            self.failed.setdefault(e.pod, 0)
            if earlier is not None:
                old = None if e.cluster in self.anew else earlier.get((e.cluster, e.pod))
                if old is not None and e.requests < old.requests:
                    old = None  # the proxy was started again
                more = e.requests - (old.requests if old else 0)
                self.sent[e.pod] += more
                self.failed[e.pod] += max(0, e.errors - (old.errors if old else 0))
                if more:
                    self.used[e.pod] = self.used.get(e.pod, set()) | {e.cluster}
        self.recent.append((now.at, dict(self.sent), dict(self.failed)))
        while len(self.recent) > 2 and self.recent[1][0] < now.at - RECENT_S:
            self.recent.popleft()

    def count_refusals(self, before: MeshSample | None, now: MeshSample) -> None:
        _, *grown = self.counts[-1] if self.counts else (now.at, 0, 0)
        for (cluster, word), value in now.totals.items() if before is not None else ():
            if before is not None and word in GROWING:
                # a proxy that was started again counts from 0; a cluster that a rule makes anew has
                # the counters of the one before it, for they go by its name
                was = before.totals.get((cluster, word), 0)
                grown[GROWING.index(word)] += value - was if value >= was else value
        if not self.counts or list(self.counts[-1][1:]) != grown:
            self.counts.append((now.at, grown[0], grown[1]))

    def follow_ejections(self, before: MeshSample | None, now: MeshSample) -> None:
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
                SeenEjection(pod, now.at, None, times + 1, outlier, earlier=before is None)
            )

    def end_ejection(self, number: int, at: float, before: MeshSample | None) -> SeenEjection:
        one = self.ejections[number]
        ended = self.measured(replace(one, until=at), at - before.at if before else 0.0)
        self.ejections[number] = ended
        self.backoff[one.pod] = (ended.n, at)
        return ended

    def part_ejections(self, before: MeshSample, now: MeshSample, out: Mapping[str, str]) -> None:
        """A pod that came back and failed at once was out at this look and at the last one. Envoy's
        count tells.
        """
        going_on = {
            one.pod: number for number, one in enumerate(self.ejections) if one.until is None
        }
        for cluster, value in now.ejections.items():
            was = before.ejections.get(cluster, 0)
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
                    self.ejections.append(SeenEjection(pod, now.at, None, ended.n + 1, one.outlier))
                    unseen -= 1
            self.unseen[cluster] = min(0, unseen)

    def measured(self, one: SeenEjection, blur_s: float) -> SeenEjection:
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

    def outlier(self, cluster: str) -> OutlierSettings:
        """What the proxy was told of ejections."""
        return self.settings.get(cluster, OutlierSettings())

    def read_config(self) -> None:
        """What the proxy was told, if anything was applied since the last look: its configuration
        is long.

        A rule that changes a cluster makes it anew, and its count of each pod's requests starts at
        0.
        """
        self.anew = set()
        changes = len(self.mesh.history)
        if self.settings_at != changes:
            self.settings_at = changes
            config = self.mesh.config(self.proxy)
            self.settings = outlier_settings(config)
            made = {
                str(entry["cluster"]["name"]): str(entry.get("last_updated"))
                for entry in dump.entries(config, dump.CLUSTERS)
            }
            self.anew = {name for name, when in made.items() if self.made.get(name, when) != when}
            self.made = made

    # what is known by now

    @property
    def lately(self) -> tuple[float, dict[str, int]]:
        """Over how many seconds, and how many requests each pod got in them."""
        if len(self.recent) < 2:
            return 0.0, dict.fromkeys(self.sent, 0)
        (start, earlier, _), (end, now, _) = self.recent[0], self.recent[-1]
        return end - start, {pod: n - earlier.get(pod, 0) for pod, n in now.items()}

    @property
    def lately_failed(self) -> dict[str, int]:
        """How many of those came to a 5xx or to no answer."""
        if len(self.recent) < 2:
            return dict.fromkeys(self.failed, 0)
        (_, _, earlier), (_, _, now) = self.recent[0], self.recent[-1]
        return {pod: n - earlier.get(pod, 0) for pod, n in now.items()}

    def p99_ms(self, pods: Iterable[str]) -> float | None:
        """The longest p99 of the last seconds among the clusters by which these pods are called;
        None where nobody calls, or the proxy doesn't measure it.
        """
        told = self.last.p99_ms if self.last is not None else {}
        clusters = set().union(*(self.used.get(pod, set()) for pod in pods))
        return max((told[cluster] for cluster in clusters & told.keys()), default=None)

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

"""Checks of the circuit breaker: identities between counters, who is ejected, and for how long. All
exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from labkit.envoy.admin import EJECTED
from labkit.errors import LessonError
from labkit.lessons.checks.bars import Bar
from labkit.lessons.checks.columns import how_many, name_of, names_of, served, values
from labkit.lessons.checks.shares import with_about
from labkit.lessons.checks.verdict import Verdict, Why, conclude
from labkit.lessons.checks.words import and_so
from labkit.waiting import wait_until

LOOK_S = 0.01
"""How far the time that stands beside a sample may be off, where only one time is given."""

REFUSAL_HINTS = (
    "Requests sent one after the other never overflow: hold them at the gate, all at once.",
    "The limits are per upstream cluster of each Envoy; a subset has its own cluster and its own "
    "counters.",
    "Read the counters of the same proxy before and after, and send nothing else in between.",
)
EJECTION_HINTS = (
    "With two pods, the default maxEjectionPercent of 10 allows no ejection: set it to 50 or 100.",
    "consecutive5xxErrors counts errors in a row: one good answer resets the count.",
    "A pod is ejected by the Envoy that saw the errors, in the cluster that it called.",
)
TIME_HINTS = (
    "An ejection lasts baseEjectionTime times the number of ejections so far, up to Envoy's "
    "max_ejection_time: 300 s, or baseEjectionTime if that is longer.",
    "Envoy lets pods back in once every interval: a pod may stay out that much longer.",
    "A sweep that finds a pod in the pool takes one off its ejection count: make it fail again "
    "within one interval.",
)


def no_request_reached(
    states: Any, *, before: Any = None, about: str = "", hints: Sequence[str] = REFUSAL_HINTS
) -> Verdict:
    """No request reached these pods: what the pods themselves counted.

    `states`: {pod: served}, the pods' /control/state answers, or a frame with a column `served`;
    `before`: the same from an earlier moment, to be subtracted.

    >>> check.no_request_reached(states, before=earlier)
    PASS  no request reached the pods
    """
    return reached(states, 0, before=before, about=about, hints=hints)


def reached(
    states: Any,
    expected: int,
    *,
    before: Any = None,
    about: str = "",
    hints: Sequence[str] = REFUSAL_HINTS,
) -> Verdict:
    """Exactly this many requests reached these pods.

    >>> check.reached(states, 2, before=earlier)
    PASS  2 requests reached the pods
    """
    now = served(states)
    earlier = served(before) if before is not None else {}
    delta = {pod: count - earlier.get(pod, 0) for pod, count in now.items()}
    if any(count < 0 for count in delta.values()):
        raise LessonError(
            "A pod has counted fewer requests than before", seen="was it restarted, or reset?"
        )
    total = sum(delta.values())
    names = names_of(delta)
    why = Why(
        f"{expected} requests at {len(delta)} pods",
        f"{total}",
        near_miss="one request more or less",
        said=f"{total} request{'' if total == 1 else 's'} reached the pods.",
        bars=(
            *(Bar(names[pod], count, 1) for pod, count in delta.items()),
            Bar("in total", total, 1, expected, expected),
        ),
    )
    claim = f"{expected or 'no'} request{'' if expected < 2 else 's'} reached the pods"
    return conclude(Verdict(total == expected, with_about(claim, about), why, tuple(hints)))


def breaker_identity(
    *,
    client_503: Any,
    flagged_UO: Any,
    overflow_delta: int,
    seen_by_pods: Any = 0,
    about: str = "",
    hints: Sequence[str] = REFUSAL_HINTS,
) -> Verdict:
    """Three counts of refused requests agree, from three places, and the pods saw none of them.

    `client_503`: a number, or the client's result; `flagged_UO`: a number, or the access log (or a
    result with flags); `overflow_delta`: by how much upstream_rq_pending_overflow grew;
    `seen_by_pods`: how many of the refused requests the pods counted. A breaker that refused
    nothing fails: three zeros prove nothing.

    >>> check.breaker_identity(client_503=result, flagged_UO=log, overflow_delta=8, seen_by_pods=0)
    PASS  client's 503 = UO in the access log = overflow counter, and none reached a pod
    """
    client = how_many(client_503, status=503)
    flagged = how_many(flagged_UO, flag="UO")
    counter, pods = how_many(overflow_delta), how_many(seen_by_pods)
    seen = (
        f"503 at the client {client}, UO in the access log {flagged}, overflow counter "
        f"{counter}, at the pods {pods}"
    )
    off = []
    if not client == flagged == counter:
        off.append(f"the three counts differ: {seen}")
    elif not counter:
        off.append("nothing was refused, so all three counts are 0 and prove nothing")
    if pods:
        off.append(f"{pods} of the refused requests reached a pod")
    why = Why(
        "the same number three times, more than 0, and 0 at the pods",
        seen,
        near_miss="one of the counts differs by one, or all are 0",
        said=and_so(off) or f"Three times {counter}, and none at the pods.",
        bars=(
            Bar("503 at the client", client, 1),
            Bar("UO in the access log", flagged, 1),
            Bar("overflow counter", counter, 1, low=1),
            Bar("at the pods", pods, 1, high=0),
        ),
    )
    claim = "client's 503 = UO in the access log = overflow counter, and none reached a pod"
    passed = client == flagged == counter > 0 == pods
    return conclude(Verdict(passed, with_about(claim, about), why, tuple(hints)))


def ejected(
    endpoints: Any,
    *,
    pod: Any = None,
    count: int | None = None,
    subset: str | None = None,
    about: str = "",
    hints: Sequence[str] = EJECTION_HINTS,
) -> Verdict:
    """This pod (or this many pods) is ejected, and all others are in the pool.

    `endpoints` is what `mesh.endpoints()` returned. `subset` looks at the cluster of one subset
    only; "" is the cluster of the whole service.

    >>> check.ejected(mesh.endpoints(), pod=failing)
    PASS  the failing pod is ejected, and no other
    >>> check.ejected(mesh.endpoints(), count=2)
    PASS  2 pods are ejected
    """
    if (pod is None) == (count is None):
        raise LessonError(
            "check.ejected takes either a pod or a count",
            try_next="check.ejected(mesh.endpoints(), pod=…)",
        )
    all_pods, out = _ejected(endpoints, subset)
    if pod is not None and name_of(pod) not in all_pods:
        raise LessonError(
            f"{name_of(pod)} is not an endpoint", seen=f"endpoints: {', '.join(sorted(all_pods))}"
        )
    if pod is not None:
        passed, claim = out == {name_of(pod)}, "the failing pod is ejected, and no other"
    else:
        passed = len(out) == count
        claim = f"{count or 'no'} pod{' is' if count == 1 else 's are'} ejected"
    names = names_of(sorted(all_pods))
    gone = ", ".join(names[one] for one in sorted(out))
    said = f"{len(out) or 'None'} of {len(all_pods)} pods {'are' if len(out) > 1 else 'is'} ejected"
    said += f": {gone}." if out else "."
    if pod is not None and name_of(pod) not in out:
        said += f" The failing pod is {names[name_of(pod)]}, which is still in the pool."
    why = Why(
        f"{names[name_of(pod)] if pod is not None else count} ejected, of {len(all_pods)}",
        f"ejected: {gone or 'none'}",
        near_miss="one pod more or less, or another one",
        said=said,
    )
    return conclude(Verdict(passed, with_about(claim, about), why, tuple(hints)))


def none_ejected(
    endpoints: Any,
    *,
    subset: str | None = None,
    about: str = "",
    hints: Sequence[str] = EJECTION_HINTS,
) -> Verdict:
    """All pods are in the pool.

    >>> check.none_ejected(mesh.endpoints())
    PASS  no pods are ejected
    """
    return ejected(endpoints, count=0, subset=subset, about=about, hints=hints)


@dataclass(frozen=True)
class Ejection:
    """One stay outside of the pool, as far as samples tell: it lasted from `shortest_s` to
    `longest_s` seconds.
    """

    shortest_s: float
    longest_s: float


def ejection_times(
    timeline: Any,
    *,
    base_s: float,
    interval_s: float,
    multiples: Sequence[int] = (1, 2),
    max_s: float = 300.0,
    late_s: float = 0.3,
    pod: Any = None,
    about: str = "",
    hints: Sequence[str] = TIME_HINTS,
) -> Verdict:
    """The ejections lasted 1 ×, 2 ×, … baseEjectionTime, and no longer than Envoy's
    max_ejection_time.

    `timeline` is what `watch` returned; or pairs (seconds, ejected?) of one pod; or a frame with
    columns at, health (and pod). The tolerance is not a guess: a sample before and one after bound
    each change, and Envoy lets a pod back in at the first sweep after its time, so up to
    `interval_s` later, plus `late_s` for a busy machine. The near miss is that each ejection lasts
    1 × only; timings too coarse to find it are refused.

    >>> check.ejection_times(timeline, base_s=1, interval_s=0.4)
    PASS  ejections last 1 × and 2 × baseEjectionTime
    """
    found = ejections(_samples(timeline, pod))
    due = [min(multiple * base_s, max(base_s, max_s)) for multiple in multiples]
    if len(found) < len(due):
        raise LessonError(
            f"{len(found)} complete ejections were seen, {len(due)} are needed",
            try_next="watch the pod for longer",
        )
    blur = max(one.longest_s - one.shortest_s for one in found[: len(due)])
    closest = min((b - a for a, b in pairwise(due) if b > a), default=base_s)
    if interval_s + late_s + blur >= closest:
        raise LessonError(
            "These timings are too coarse to tell one ejection from a longer one",
            seen=f"interval {interval_s:g} s + {late_s:g} s for a busy machine + {blur:.2f} s "
            "between samples; "
            f"the steps are {closest:g} s",
            try_next="use a longer baseEjectionTime, a shorter interval, or sample more often",
        )
    rights = [
        one.longest_s >= time_s and one.shortest_s <= time_s + interval_s + late_s
        for one, time_s in zip(found, due, strict=False)
    ]
    off = [
        f"ejection {number} lasted {one.shortest_s:.2f} to {one.longest_s:.2f} s, where "
        f"{time_s:g} to {time_s + interval_s + late_s:g} s were due"
        for number, (one, time_s, right) in enumerate(zip(found, due, rights, strict=False), 1)
        if not right
    ]
    why = Why(
        ", ".join(f"{time_s:g} to {time_s + interval_s + late_s:g} s" for time_s in due),
        ", ".join(f"{one.shortest_s:.2f} to {one.longest_s:.2f} s" for one in found[: len(due)]),
        said=and_so(off) or "Each ejection lasted as long as it was due.",
        test="each measured span overlaps the span that Envoy's sweep allows",
        assumes=f"Envoy sweeps at most {late_s:g} s late",
        near_miss="each ejection lasts 1 × baseEjectionTime",
    )
    steps = " and ".join(f"{multiple} ×" for multiple in multiples)
    capped = ", capped at max_ejection_time" if due[-1] < multiples[-1] * base_s else ""
    claim = f"ejections last {steps} baseEjectionTime{capped}"
    return conclude(Verdict(all(rights), with_about(claim, about), why, tuple(hints)))


@dataclass(frozen=True)
class Sample:
    """One look at a pod: at some moment between `since` and `until` (seconds) it was out of the
    pool, or in it.
    """

    since: float
    until: float
    out: bool


def watch(
    look: Callable[[], bool], *, until: int = 2, timeout_s: float = 30.0, what: str = "ejections"
) -> list[Sample]:
    """Looks until the pod has been out and back `until` times.

    `look` may do more than look: it may send the requests that get the pod ejected again. It has
    one interval for that: a pod that is in the pool at Envoy's next sweep loses one of its
    ejections. But a look that takes long blurs the times, so let all requests go to that pod: then
    the few that outlier detection counts are enough.

    >>> def look():
    ...     out = pod.name in check.ejected_pods(mesh.endpoints())
    ...     if not out:
    ...         mesh.curl(url, n=2)
    ...     return out
    >>> timeline = check.watch(look, until=2)
    """
    samples: list[Sample] = []

    def enough() -> bool:
        since = time.monotonic()
        out = bool(look())
        samples.append(Sample(since, time.monotonic(), out))
        return len(ejections(samples)) >= until

    wait_until(
        enough,
        timeout_s,
        f"{until} {what}",
        longest_s=0.02,
        explain=lambda: f"{len(ejections(samples))} so far, in {len(samples)} samples",
    )
    return samples


def ejections(samples: Sequence[Sample]) -> list[Ejection]:
    """The whole stays outside in a list of samples; one under way at the start or the end is left
    out.
    """
    found: list[Ejection] = []
    last_in: Sample | None = None
    first_out: Sample | None = None
    last_out: Sample | None = None
    for sample in samples:
        if sample.out:
            first_out, last_out = first_out or sample, sample
        else:
            if last_in is not None and first_out is not None and last_out is not None:
                # it was out from within first_out to within last_out at least, and not before
                # last_in
                shortest_s = max(0.0, last_out.since - first_out.until)
                found.append(Ejection(shortest_s, sample.until - last_in.since))
            first_out, last_out, last_in = None, None, sample
    return found


def ejected_pods(endpoints: Any, *, subset: str | None = None) -> set[str]:
    """The names of the pods that are out of the pool, of what `mesh.endpoints()` returned (columns
    pod, health and, with `subset`, subset). Raises LessonError when there is no endpoint.
    """
    return _ejected(endpoints, subset)[1]


def _ejected(endpoints: Any, subset: str | None) -> tuple[set[str], set[str]]:
    pods, health = values(endpoints, "pod"), values(endpoints, "health")
    subsets = values(endpoints, "subset") if subset is not None else [None] * len(pods)
    rows = [
        (name_of(pod), str(state))
        for pod, state, own in zip(pods, health, subsets, strict=True)
        if pod is not None and (own or "") == (subset or "")
    ]
    if not rows:
        raise LessonError(
            f"There are no endpoints{f' in subset {subset!r}' if subset else ''} to look at"
        )
    return {pod for pod, _ in rows}, {pod for pod, state in rows if EJECTED in state}


def _samples(timeline: Any, pod: Any) -> list[Sample]:
    if not hasattr(timeline, "columns"):
        return [one if isinstance(one, Sample) else _at(*one) for one in timeline]
    rows = timeline if pod is None else timeline[timeline["pod"] == name_of(pod)]
    pairs = zip(values(rows, "at"), values(rows, "health"), strict=True)
    return [_at(float(at), EJECTED in str(health)) for at, health in pairs]


def _at(at: float, out: bool) -> Sample:
    return Sample(at - LOOK_S, at + LOOK_S, out)

"""The checks of the course: one call, one line, and a failure that stops the lesson.

    from labkit.lessons.checks import check

    check.split(result, {"v1": 80, "v2": 20})         # the last line of a cell
    PASS  weighted split: v1 80 %, v2 20 %

A check that passes returns its `Verdict`, with the why folded under the line; one that does not
raises `CheckFailed`. A check that is used wrongly (no such column, too few requests) raises
`LessonError`.

`result` is what `mesh.curl` or `mesh.fortio` returned, or a frame with a row for each request and
the columns that the check needs: `pod`, `version`, `status` (-1: no answer), `flags`, `latency_ms`
(milliseconds). `about` is added to the line in brackets, to tell several such checks of a lesson
apart; the first of `hints` is shown on failure.

Exact checks count. Random ones have a plan (docs/checks.md): at most one false alarm in a million
correct runs, a near miss that they catch in 99 % of runs, and the number of requests for both,
which `needed` returns in advance:

    n = check.needed("split", {"v1": 80, "v2": 20})
"""

from labkit.lessons.checks.answers import (
    all_ok,
    counts,
    every_pod_answers,
    few_keys_moved,
    only,
    rewritten,
    same_pod,
    status_counts,
)
from labkit.lessons.checks.breaker import (
    breaker_identity,
    ejected,
    ejected_pods,
    ejection_times,
    no_request_reached,
    none_ejected,
    reached,
    watch,
)
from labkit.lessons.checks.compare import differs, faster, fewer_slow, same
from labkit.lessons.checks.facts import equal, refused, that, took_at_least, took_at_most, within
from labkit.lessons.checks.plan import needed
from labkit.lessons.checks.shares import (
    avoids_slow_pod,
    error_rate,
    error_rate_near,
    random_order,
    share_slow_near,
    split,
    spread_evenly,
)

__all__ = [
    "all_ok",
    "avoids_slow_pod",
    "breaker_identity",
    "counts",
    "differs",
    "ejected",
    "ejected_pods",
    "ejection_times",
    "equal",
    "error_rate",
    "error_rate_near",
    "every_pod_answers",
    "faster",
    "few_keys_moved",
    "fewer_slow",
    "needed",
    "no_request_reached",
    "none_ejected",
    "only",
    "random_order",
    "reached",
    "refused",
    "rewritten",
    "same",
    "same_pod",
    "share_slow_near",
    "split",
    "spread_evenly",
    "status_counts",
    "that",
    "took_at_least",
    "took_at_most",
    "watch",
    "within",
]

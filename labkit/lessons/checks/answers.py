"""Checks of which pod or version answered, and how: they count, so nothing is left to chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.errors import LessonError
from labkit.lessons.checks import plan as plans
from labkit.lessons.checks.bars import percent
from labkit.lessons.checks.columns import (
    called,
    counted,
    has,
    kinds_as_bars,
    name_of,
    names_of,
    pod_names,
    statuses,
    tally,
    values,
)
from labkit.lessons.checks.shares import judge_count, promise, with_about
from labkit.lessons.checks.verdict import Verdict, Why, conclude
from labkit.lessons.checks.words import and_so

ROUTE_HINTS = (
    "Routes are tried from top to bottom, and the first that matches takes the request: check "
    "their order.",
    "Look at mesh.get('VirtualService'): do hosts and gateways name what you called?",
    "A subset needs a DestinationRule that defines it, and pods that carry its labels.",
)
AFFINITY_HINTS = (
    "Is there a second DestinationRule for the host? Istio uses one and silently ignores the "
    "other.",
    "Does each request carry the header (or cookie) that consistentHash names?",
    "Look at mesh.config('gateway'): the cluster's lb_policy is RING_HASH or MAGLEV when "
    "affinity is in effect.",
)
REWRITE_HINTS = (
    "rewrite.uri replaces only the prefix that matched: when /v2 becomes /, /v2/a becomes //a.",
    "Match the exact path, and the prefix with a trailing slash, as two entries.",
    "Print result.text: the application shows the path that it saw.",
)

SEEN_PATH = re.compile(r"\bpath (/\S*)")


def only(
    result: Any,
    *,
    leak: float = 0.2,
    about: str = "",
    hints: Sequence[str] = ROUTE_HINTS,
    **expected: Any,
) -> Verdict:
    """Every request went to this version (pod, …): give one column and its value.

    The near miss, caught in 99 % of runs, is that the share `leak` goes elsewhere; the number of
    requests needed follows from it (`check.needed("only", leak)`). There is no false alarm.

    >>> check.only(result, version="v2")
    PASS  only version v2 answered
    """
    if len(expected) != 1:
        raise LessonError(
            "check.only takes one column and its value",
            seen=f"{len(expected)} were given",
            try_next='check.only(result, version="v2")',
        )
    [(column, value)] = expected.items()
    plan = plans.only(leak)
    found = values(result, column)
    plan.refuse_short(len(found))
    wanted = name_of(value) if column == "pod" else value
    others = [seen for seen in found if seen != wanted]
    # the name of a pod is new in every run, so the line does not show it
    claim = f"only {'one pod' if column == 'pod' else f'{column} {value}'} answered"
    names = names_of([wanted, *found])
    said = f"All {len(found)} requests went to {names[wanted]}."
    if others:
        said = f"{len(others)} of {len(found)} requests did not go to {names[wanted]}"
        if len(others) == len(found):
            said = f"None of {len(found)} requests went to {names[wanted]}"
        said += f": {tally(Counter(others))}."
    why = Why(
        f"{column} {names[wanted]} each time",
        counted(found),
        said=said,
        bars=kinds_as_bars(found, {wanted: (1, None)}),
        **promise(plan, len(found)),
    )
    return conclude(Verdict(not others, with_about(claim, about), why, tuple(hints)))


def all_ok(result: Any, *, about: str = "", hints: Sequence[str] = ROUTE_HINTS) -> Verdict:
    """Every request was answered 200.

    >>> check.all_ok(result)
    PASS  every request answered 200
    """
    found = statuses(result)
    others = [status for status in found if status != 200]
    said = f"All {len(found)} requests were answered 200."
    if others:
        what = tally(Counter(others))
        said = f"{len(others)} of {len(found)} requests were not answered 200: {what}."
        if len(others) == len(found):
            said = f"None of {len(found)} requests was answered 200: {what}."
    why = Why(
        "200 each time",
        counted(found),
        n=len(found),
        near_miss="one request with another status",
        said=said,
        bars=kinds_as_bars(found, {200: (1, None)}),
    )
    passed = not others
    return conclude(
        Verdict(passed, with_about("every request answered 200", about), why, tuple(hints))
    )


def counts(
    result: Any,
    column: str,
    expected: Mapping[Any, int | range],
    *,
    about: str = "",
    hints: Sequence[str] = ROUTE_HINTS,
) -> Verdict:
    """Exactly this many requests of each kind, and none of any other kind.

    A `range` allows several counts: range(6, 9) is 6, 7 or 8.

    >>> check.counts(result, "version", {"v1": 3, "v2": 1})
    PASS  version: 3 × v1, 1 × v2
    """
    found = statuses(result) if column == "status" else values(result, column)
    seen = Counter(found)
    wrong = [
        kind for kind in {*seen, *expected} if not _as_expected(seen[kind], expected.get(kind, 0))
    ]
    text = ", ".join(f"{_times(count)} × {called(kind)}" for kind, count in expected.items())
    names = names_of([*expected, *seen])
    off = [
        f"{seen[kind]} (not {_times(expected.get(kind, 0))}) were {names[kind]}"
        for kind in sorted(wrong, key=str)
    ]
    said = f"Of {len(found)} requests {', '.join(off)}." if off else ""
    if off and len(found) == len(expected) == 1:
        said = f"It was {tally(seen)}, and not {text}."
    bounds = {kind: _bounds(count) for kind, count in expected.items()}
    why = Why(
        text,
        tally(seen),
        n=len(found),
        near_miss="one request more or less of a kind",
        said=said,
        bars=kinds_as_bars(found, bounds),
    )
    return conclude(Verdict(not wrong, with_about(f"{column}: {text}", about), why, tuple(hints)))


def status_counts(
    result: Any,
    expected: Mapping[int, int | range],
    *,
    about: str = "",
    hints: Sequence[str] = (
        "Look at result.flags: UO means refused by the circuit breaker, UH no healthy pod, NR no "
        "route, NC no cluster.",
        "Are the limits in the DestinationRule the ones that you expected?",
        "Was anything else sending requests at the same time?",
    ),
) -> Verdict:
    """Exactly this many answers of each status; -1 is a request without an answer.

    >>> check.status_counts(result, {200: 2, 503: 8})
    PASS  status: 2 × 200, 8 × 503
    """
    return counts(result, "status", expected, about=about, hints=hints)


def same_pod(
    result: Any,
    *,
    per: str = "",
    pods: int = 2,
    about: str = "",
    hints: Sequence[str] = AFFINITY_HINTS,
) -> Verdict:
    """All requests of one key go to one pod: session affinity.

    `result` is one run with one key, or {key: result}, or a frame whose column `per` is the key.
    `pods` is how many pods there are to choose from: the number of requests needed follows from it,
    so that RANDOM would pass in at most 1 % of runs. There is no false alarm.

    >>> check.same_pod(mesh.curl(url, n=10, headers={"x-forwarded-for": "10.0.0.1"}))
    PASS  all requests went to the same pod
    >>> check.same_pod({user: mesh.curl(url, n=5, headers={"user": user}) for user in users})
    PASS  all requests of a key went to the same pod
    """
    by_key = _by_key(result, per)
    plan = plans.same_pod(pods)
    # the first request of a key may go anywhere; only those after it can show a difference
    telling = sum(len(found) - 1 for found in by_key.values())
    plan.refuse_short(telling + 1)
    strays = {key: found for key, found in by_key.items() if len(set(found)) != 1 or None in found}
    claim = f"all requests {'of a key ' if len(by_key) > 1 else ''}went to the same pod"
    several = len(by_key) > 1
    seen = f"{len(strays)} of {len(by_key)} keys with more than one pod" if several else ""
    first = next(iter(strays or by_key))
    said = (
        f"{len(by_key)} keys, and one pod for each." if several else "One pod answered each time."
    )
    if strays:
        whose = f"the requests of {first}" if several else "the requests"
        said = f"{whose} went to {tally(Counter(by_key[first]))}"
        rest = f"{len(strays)} of {len(by_key)} keys did not stay with one pod" if several else ""
        said = and_so([rest, said])
    why = Why(
        "one pod for each key",
        seen or counted(by_key[first]),
        said=said,
        bars=kinds_as_bars(by_key[first], {}) if strays else (),
        **promise(plan, sum(map(len, by_key.values()))),
    )
    return conclude(Verdict(not strays, with_about(claim, about), why, tuple(hints)))


def few_keys_moved(
    before: Any,
    after: Any,
    *,
    pods_before: int,
    pods_after: int,
    per: str = "",
    about: str = "",
    hints: Sequence[str] = AFFINITY_HINTS,
) -> Verdict:
    """After scaling, most keys keep their pod: what consistent hashing is for. Some must move, or
    nothing was scaled.

    `before` and `after`: {key: result} or {key: pod}, or frames with a column `per`. Each key needs
    one request. False alarm at most 10^-6; catches keys that are all reassigned in 99 % of runs.
    Raises LessonError with fewer keys than `check.needed("few_keys_moved", before, after)`.

    >>> check.few_keys_moved(before, after, pods_before=2, pods_after=3, per="user")
    PASS  most keys kept their pod when 2 pods became 3
    """
    old, new = _by_key(before, per), _by_key(after, per)
    shared = [key for key in old if key in new]
    plan = plans.few_keys_moved(pods_before, pods_after)
    plan.refuse_short(len(shared))
    moved = sum(old[key][0] != new[key][0] for key in shared)
    limit = plans.keys_moved_at_most(pods_before, pods_after)
    also = "" if moved else "No key moved at all: were the pods scaled between the two runs?"
    if any(None in found for found in [*old.values(), *new.values()]):
        also = "Some requests were not answered by any pod."
    return judge_count(
        plan,
        moved,
        len(shared),
        limit,
        "high",
        f"most keys kept their pod when {pods_before} pods became {pods_after}",
        f"{moved} of {len(shared)} keys moved ({percent(moved / len(shared))})",
        about,
        hints,
        what="keys that moved",
        also=also,
    )


def every_pod_answers(
    result: Any,
    pods: Iterable[Any],
    *,
    about: str = "",
    hints: Sequence[str] = (
        "Look at mesh.get('pods'): are all of them running, 2/2?",
        "Look at mesh.endpoints(): is each of them in the pool, and healthy?",
        "Compare the Service's selector with the labels of the pods.",
    ),
) -> Verdict:
    """Each of these pods answered at least once, and no other pod did.

    `pods`: names, what `mesh.pods()` returned, or a frame of pods. False alarm at most 10^-6, for
    requests drawn evenly. Raises LessonError with fewer than
    `check.needed("every_pod_answers", len(pods))` requests.

    >>> check.every_pod_answers(result, mesh.pods())
    PASS  every pod answers
    """
    names = pod_names(pods)
    if not names:
        raise LessonError("There are no pods to answer", try_next="list them with mesh.pods()")
    plan = plans.every_pod_answers(len(names))
    found = values(result, "pod")
    plan.refuse_short(len(found))
    missing, strange = set(names) - set(found), set(found) - set(names)
    short = names_of([*names, *found])
    off = [f"{short[name]} never answered" for name in sorted(missing)]
    off += [
        f"{short[name]} answered {found.count(name)} of the requests"
        + ("" if name is None else ", and is not one of the pods")
        for name in sorted(strange, key=str)
    ]
    why = Why(
        f"{len(names)} pods, each at least once",
        counted(found),
        said=and_so(off) or f"Of {len(found)} requests each of {len(names)} pods answered some.",
        bars=kinds_as_bars(found, dict.fromkeys(names, (1, None))),
        **promise(plan, len(found)),
    )
    return conclude(
        Verdict(
            not missing and not strange, with_about("every pod answers", about), why, tuple(hints)
        )
    )


def rewritten(
    result: Any, *, path: str, about: str = "", hints: Sequence[str] = REWRITE_HINTS
) -> Verdict:
    """The application saw this path, whatever the client asked for.

    Read from the body, where the hello-world app says it; or from a column `seen_path`, or a list
    of paths.

    >>> check.rewritten(mesh.curl("http://test.example.com/v2"), path="/")
    PASS  the application saw the path /
    """
    found = seen_paths(result)
    others = [seen for seen in found if seen != path]
    said = f"It saw {path} each time."
    if others:
        what = tally(Counter(others))
        said = f"In {len(others)} of {len(found)} requests it saw another path: {what}."
    why = Why(
        f"{path} each time",
        counted(found),
        n=len(found),
        near_miss="one request with another path",
        said=said,
    )
    passed = not others
    return conclude(
        Verdict(
            passed, with_about(f"the application saw the path {path}", about), why, tuple(hints)
        )
    )


def seen_paths(result: Any) -> list[str | None]:
    """The path that the application saw, for each request; None where no application answered."""
    if has(result, "seen_path"):
        return values(result, "seen_path")
    found: list[str | None]
    if responses := getattr(result, "responses", None):
        matches = [SEEN_PATH.search(response.text) for response in responses]
        found = [match.group(1) if match else None for match in matches]
    elif isinstance(result, Sequence) and not isinstance(result, str):
        found = [str(path) for path in result]
    else:
        found = []
    if not found:
        raise LessonError(
            "Nothing shows which path the application saw",
            try_next="pass the result of mesh.curl(…): its answers have bodies, those of a load "
            "run don't",
        )
    return found


def _by_key(result: Any, per: str) -> dict[Any, list[Any]]:
    """The pods that answered, in order, for each key."""
    if isinstance(result, Mapping):
        if not result:
            raise LessonError("There are no keys to check")
        return {
            key: [part] if isinstance(part, str) else values(part, "pod")
            for key, part in result.items()
        }
    if not per:
        return {"": values(result, "pod")}
    found: dict[Any, list[Any]] = {}
    for key, pod in zip(values(result, per), values(result, "pod"), strict=True):
        found.setdefault(key, []).append(pod)
    return found


def _bounds(expected: int | range) -> tuple[int, int]:
    return (expected[0], expected[-1]) if isinstance(expected, range) else (expected, expected)


def _as_expected(count: int, expected: int | range) -> bool:
    return count in expected if isinstance(expected, range) else count == expected


def _times(count: int | range) -> str:
    return f"{count[0]} to {count[-1]}" if isinstance(count, range) else str(count)

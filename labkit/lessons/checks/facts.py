"""Checks of simple facts: a condition, a value, a refusal, how long something took. Exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from labkit.errors import LabkitError, LessonError, shorten
from labkit.lessons.checks.bars import Bar
from labkit.lessons.checks.columns import numbers
from labkit.lessons.checks.shares import with_about
from labkit.lessons.checks.verdict import Verdict, Why, conclude
from labkit.lessons.checks.words import in_words


def that(condition: Any, what: str, *, seen: Any = None, hints: Sequence[str] = ()) -> Verdict:
    """A condition holds. Pass `seen` as well, so that a failure can show it: a sentence, or what
    was looked at.

    >>> check.that(len(mesh.pods()) == 3, "three pods run", seen=mesh.get("pods"))
    PASS  three pods run
    """
    holds = _truth(condition)
    shown = "" if seen is None else in_words(seen)
    # a text is a sentence about what was seen, anything else the thing itself
    said = f"{shown.rstrip('.')}." if isinstance(seen, str) else f"Seen: {shown}."
    if not shown:
        said = "" if holds else f"This is not so: {what}."
    why = Why("", "", said=said)
    return conclude(Verdict(holds, what, why, tuple(hints)))


def equal(seen: Any, expected: Any, what: str, *, hints: Sequence[str] = ()) -> Verdict:
    """A value is the expected one. Neither is in the line, so `what` says it in words.

    >>> check.equal(mesh.pods()[0].ready, "2/2", "the pod has its sidecar: 2/2")
    PASS  the pod has its sidecar: 2/2
    """
    right = _truth(seen == expected)
    said = "" if right else f"Seen was {in_words(seen)}, where {in_words(expected)} is right."
    if not right and isinstance(seen, Mapping) and isinstance(expected, Mapping):
        other = [key for key in {**expected, **seen} if seen.get(key) != expected.get(key)]
        parts = [
            f"{in_words(key)}: {in_words(seen.get(key))}, not {in_words(expected.get(key))}"
            for key in other
        ]
        said = f"Different: {'; '.join(parts)}."
    why = Why(in_words(expected), in_words(seen), near_miss="any other value", said=said)
    return conclude(Verdict(right, what, why, tuple(hints)))


def within(
    seen: float, low: float, high: float, what: str, *, hints: Sequence[str] = ()
) -> Verdict:
    """A number lies between two limits, inclusive. The lesson should say where the limits come
    from.

    >>> check.within(result.frame.latency_ms.max(), 200, 400, "the timeout cut the request short")
    PASS  the timeout cut the request short
    """
    if low > high:
        raise LessonError(f"Nothing lies between {low:g} and {high:g}")
    side = "inside of" if low <= seen <= high else "below" if seen < low else "above"
    why = Why(
        f"from {low:g} to {high:g}",
        f"{seen:g}",
        near_miss="a value outside of the limits",
        said=f"{seen:g} is {side} the limits, {low:g} and {high:g}.",
        bars=(Bar("seen", float(seen), 1, low, high),),
    )
    return conclude(Verdict(bool(low <= seen <= high), what, why, tuple(hints)))


def refused(
    act: Callable[[], Any],
    *words: str,
    error: type[Exception] = LabkitError,
    about: str = "",
    hints: Sequence[str] = ("It was accepted: has it already been fixed?",),
) -> Verdict:
    """An action is refused, and the message contains these words. If it is not refused, its effect
    stays.

    >>> check.refused(lambda: mesh.apply(manifest("as-published/03.yaml")), "spec.hosts")
    PASS  refused, naming: spec.hosts
    """
    message: str | None = None
    try:
        act()
    except error as refusal:
        message = str(refusal)
    passed = message is not None and all(word in message for word in words)
    claim = "refused" + (f", naming: {', '.join(words)}" if words else "")
    lacking = [word for word in words if message is not None and word not in message]
    said = "It was accepted." if message is None else "It was refused."
    if lacking:
        said = f"It was refused, and not for {', '.join(lacking)}: {shorten(str(message), 200)}"
    why = Why(
        "",
        "" if message is None or lacking else in_words(message),
        near_miss="it is accepted, or refused for another reason",
        said=said,
    )
    shown = tuple(hints) if message is None else ()
    return conclude(Verdict(passed, with_about(claim, about), why, shown))


def took_at_least(
    result: Any,
    ms: float,
    *,
    about: str = "",
    hints: Sequence[str] = ("Is the delay in effect, and on the route that you called?",),
) -> Verdict:
    """Every request took at least this long: an injected delay, or a slow pod. Less is impossible,
    so it is exact.

    >>> check.took_at_least(result, 200)
    PASS  every request took at least 200 ms
    """
    found = numbers(result, "latency_ms")
    fast = sum(each < ms for each in found)
    why = Why(
        "",
        "",
        n=len(found),
        said=f"{fast} of {len(found)} took less than {ms:g} ms.",
        bars=(
            Bar("the fastest, ms", round(min(found), 1), 1, low=ms),
            Bar("the slowest, ms", round(max(found), 1), 1),
        ),
    )
    claim = f"every request took at least {ms:g} ms"
    return conclude(Verdict(min(found) >= ms, with_about(claim, about), why, tuple(hints)))


def took_at_most(
    result: Any,
    ms: float,
    *,
    about: str = "",
    hints: Sequence[str] = ("Is the timeout in effect, and on the route that you called?",),
) -> Verdict:
    """Every request took at most this long: a timeout cut it short. Choose a limit far from the
    timeout.

    >>> check.took_at_most(result, 1000)          # the timeout is 200 ms, the pod needs 2000
    PASS  every request took at most 1000 ms
    """
    found = numbers(result, "latency_ms")
    slow = sum(each > ms for each in found)
    why = Why(
        "",
        "",
        n=len(found),
        said=f"{slow} of {len(found)} took more than {ms:g} ms.",
        bars=(
            Bar("the fastest, ms", round(min(found), 1), 1),
            Bar("the slowest, ms", round(max(found), 1), 1, high=ms),
        ),
    )
    claim = f"every request took at most {ms:g} ms"
    return conclude(Verdict(max(found) <= ms, with_about(claim, about), why, tuple(hints)))


def _truth(condition: Any) -> bool:
    try:
        return bool(condition)
    except ValueError as error:  # a frame or an array has no truth of its own
        if hasattr(condition, "all"):
            raise LessonError(
                "Should it be true of all rows, or of any?",
                seen=type(condition).__name__,
                try_next="add .all() or .any()",
            ) from error
        raise

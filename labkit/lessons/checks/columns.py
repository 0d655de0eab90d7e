"""Reads what a check is given: a result of `mesh.curl` or `mesh.fortio`, its frame, or plain
values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labkit.errors import LessonError
from labkit.lessons.checks.bars import Bar, percent
from labkit.lessons.checks.recording import note_column
from labkit.resources.podnames import short_names

NO_ANSWER = "no answer"

NOBODY = "nobody"
"""How a request is shown that no pod or version answered."""


def values(result: Any, column: str) -> list[Any]:
    """One column, a value a request; None where nothing is known.

    `result` is anything with a `.frame`, or the frame itself. Raises LessonError when it is empty
    or lacks the column.
    """
    if hasattr(result, "column"):
        # a result has plain columns; to ask for its frame, be it by hasattr, makes one with pandas
        try:
            found = list(result.column(column))
        except KeyError:
            frame = result.frame
        else:
            return note_column(column, _filled(found, column))
    else:
        frame = result.frame if hasattr(result, "frame") else result
    if not hasattr(frame, "columns"):
        raise LessonError(
            f"A check takes a result or a frame, not {type(result).__name__}",
            try_next="pass what mesh.curl(…) or mesh.fortio(…) returned",
        )
    if column not in frame.columns:
        raise LessonError(
            f"There is no column {column!r} to check",
            seen=f"columns: {', '.join(map(str, frame.columns))}",
        )
    filled = _filled(frame[column].tolist(), column)
    # a frame of requests has statuses; one of endpoints is looked at again and again, until
    # something comes true
    return note_column(column, filled) if "status" in frame.columns else filled


def _filled(found: list[Any], column: str) -> list[Any]:
    if not found:
        raise LessonError(
            "There are no requests to check",
            seen=f"column {column!r} is empty",
            try_next="send some first, with n=…",
        )
    # `x != x` is true for NaN alone, pandas' mark for a missing value
    return [None if value is None or value == "" or value != value else value for value in found]


def has(result: Any, column: str) -> bool:
    """Is there such a column, with something in it?"""
    if hasattr(result, "column"):
        try:
            result.column(column)
        except KeyError:
            return False
        return True
    frame = result.frame if hasattr(result, "frame") else result
    return column in getattr(frame, "columns", ())


def statuses(result: Any) -> list[int]:
    """The status of each request, -1 for those that got no answer."""
    return [-1 if status is None else int(status) for status in values(result, "status")]


def numbers(result: Any, column: str) -> list[float]:
    """A column of numbers; refuses one with gaps."""
    found = values(result, column)
    if any(value is None for value in found):
        raise LessonError(
            f"Column {column!r} has gaps",
            seen=f"{found.count(None)} of {len(found)} values are missing",
        )
    return [float(value) for value in found]


def how_many(thing: Any, *, status: int | None = None, flag: str = "") -> int:
    """A count given as a number, or counted in a result: rows with this status, or with this
    response flag.
    """
    if isinstance(thing, bool) or (isinstance(thing, float) and thing != int(thing)):
        raise LessonError(f"{thing!r} is not a count")
    if any(hasattr(thing, name) for name in ("column", "columns", "frame")):
        if status is not None:
            return statuses(thing).count(status)
        return sum(flag in str(flags or "").split(",") for flags in values(thing, "flags"))
    try:
        return int(thing)
    except (TypeError, ValueError) as error:
        raise LessonError(f"{thing!r} is not a count") from error


def shares_of(shares: Mapping[Any, float]) -> dict[Any, float]:
    """Weights as shares that sum to 1: {"v1": 80, "v2": 20} is {"v1": 0.8, "v2": 0.2}."""
    total = sum(shares.values())
    if not shares or total <= 0 or any(weight < 0 for weight in shares.values()):
        raise LessonError(
            f"These are not weights: {dict(shares)}", try_next='write them as {"v1": 80, "v2": 20}'
        )
    return {name: weight / total for name, weight in shares.items()}


def counted(found: Iterable[Any]) -> str:
    """`v1: 80 (80 %), v2: 20 (20 %)`; pods by their short names."""
    counts = Counter(found)
    total = sum(counts.values())
    names = names_of(counts)
    return ", ".join(
        f"{names[name]}: {count} ({percent(count / total)})"
        for name, count in sorted(counts.items(), key=lambda item: (item[0] is None, str(item[0])))
    )


def names_of(kinds: Iterable[Any]) -> dict[Any, str]:
    """Kinds of answers as they are called in a sentence, pods by their short names."""
    said = {kind: called(kind) for kind in kinds}
    short = short_names(said.values())
    return {kind: short[name] for kind, name in said.items()}


def tally(counts: Mapping[Any, int]) -> str:
    """`8 × 503, 2 × 200`, the most frequent first.

    >>> tally({200: 2, 503: 8})
    '8 × 503, 2 × 200'
    """
    names = names_of(counts)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    return ", ".join(f"{count} × {names[kind]}" for kind, count in ordered if count) or "nothing"


def called(value: Any) -> str:
    """A value as shown in a list: None is nobody, -1 no answer."""
    return NOBODY if value is None else NO_ANSWER if value == -1 else str(value)


Bounds = tuple[int | None, int | None]


def kinds_as_bars(found: Sequence[Any], bounds: Mapping[Any, Bounds]) -> tuple[Bar, ...]:
    """How many requests of each kind, between which counts each passes, by kind. With any bounds a
    kind without them may not be there.
    """
    seen = Counter(found)
    kinds = [*bounds, *(kind for kind in sorted(seen, key=str) if kind not in bounds)]
    names = names_of(kinds)
    free: Bounds = (None, 0) if bounds else (None, None)
    return tuple(
        Bar(names[kind], seen[kind], len(found), *bounds.get(kind, free)) for kind in kinds
    )


def pod_names(pods: Iterable[Any]) -> list[str]:
    """Names of pods given as names, as what `mesh.pods()` returns, or as a frame with a column of
    names.
    """
    columns = getattr(pods, "columns", None)
    if columns is not None:
        column = next((name for name in ("pod", "name", "NAME") if name in columns), None)
        if column is None:
            raise LessonError(
                "There is no column with names of pods",
                seen=f"columns: {', '.join(map(str, columns))}",
            )
        return [str(name) for name in pods[column]]  # type: ignore[index]
    return [name_of(pod) for pod in pods]


def name_of(pod: Any) -> str:
    """The name of a pod, given as its name or as a PodInfo."""
    return str(getattr(pod, "name", pod))


def served(states: Any) -> dict[str, int]:
    """{pod: how many requests it counted}."""
    if isinstance(states, Mapping):
        items = states.items()
        found = {
            str(pod): int(state["served"] if isinstance(state, Mapping) else state)
            for pod, state in items
        }
    elif hasattr(states, "columns"):
        found = {
            str(pod): int(count)
            for pod, count in zip(values(states, "pod"), values(states, "served"), strict=True)
        }
    elif isinstance(states, Iterable):
        found = {str(state["pod"]): int(state["served"]) for state in states}
    else:
        raise LessonError(
            f"Expected what the pods counted, not {type(states).__name__}",
            try_next="{pod: served}",
        )
    if not found:
        raise LessonError("There are no pods whose requests could be counted")
    return found

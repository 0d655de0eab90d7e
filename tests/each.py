"""Many recorded cases in one test: a thousand tests cost more than what they test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def assert_each(cases: Iterable[tuple[str, Any]], holds: Callable[[Any], None]) -> None:
    """Calls `holds` with each case, and names all that it failed for, each with its reason."""
    wrong, seen = {}, 0
    for name, case in cases:
        seen += 1
        try:
            holds(case)
        except Exception as error:  # also what it raises that is no assertion is the case's failure
            wrong[name] = f"{type(error).__name__}: {error}"
    assert seen, "no case was tried"
    assert not wrong, f"{len(wrong)} of {seen} failed:\n" + "\n".join(
        f"--- {name}\n{why}" for name, why in wrong.items()
    )

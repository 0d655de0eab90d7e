"""What makes notebooks lessons: checks that can fail, exercises with hints, predictions, progress.

    from labkit.lessons import Exercise, predict, reveal
    from labkit.lessons.checks import check

    check.split(result, {"v1": 80, "v2": 20})

Names are imported when first used: a lesson that only counts pays nothing for the statistics.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.lessons.checks import check, power
    from labkit.lessons.checks.verdict import CheckFailed, Verdict, Why
    from labkit.lessons.content import canary
    from labkit.lessons.coursemap import CourseMap, course_map
    from labkit.lessons.exercises import Exercise, Hint
    from labkit.lessons.files import manifest, show
    from labkit.lessons.predictions import Prediction, predict, reveal
    from labkit.lessons.progress import finish_lesson, keep, kept, start_lesson

HOMES = {
    "CheckFailed": "checks.verdict",
    "CourseMap": "coursemap",
    "Exercise": "exercises",
    "Hint": "exercises",
    "Prediction": "predictions",
    "Verdict": "checks.verdict",
    "Why": "checks.verdict",
    "canary": "content",
    "check": "checks",
    "course_map": "coursemap",
    "finish_lesson": "progress",
    "keep": "progress",
    "kept": "progress",
    "manifest": "files",
    "power": "checks",
    "predict": "predictions",
    "reveal": "predictions",
    "show": "files",
    "start_lesson": "progress",
}
"""The module of each name, or the folder of a name that is a module itself."""

MODULES = ("canary", "check", "power")

__all__ = [
    "CheckFailed",
    "CourseMap",
    "Exercise",
    "Hint",
    "Prediction",
    "Verdict",
    "Why",
    "canary",
    "check",
    "course_map",
    "finish_lesson",
    "keep",
    "kept",
    "manifest",
    "power",
    "predict",
    "reveal",
    "show",
    "start_lesson",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = HOMES[name]
    if name in MODULES:
        value: Any = importlib.import_module(f"{__name__}.{home}.{name}")
    else:
        value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

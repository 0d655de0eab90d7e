"""What makes notebooks lessons: checks that can fail, exercises with hints, predictions, progress.

    from labkit.lessons import Exercise, check, predict, reveal

    check.split(result, {"v1": 80, "v2": 20})

Names are imported when first used: a lesson that only counts pays nothing for the statistics.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.lessons import check, power
    from labkit.lessons.coursemap import CourseMap, course_map
    from labkit.lessons.exercises import Exercise, Hint
    from labkit.lessons.files import manifest, show
    from labkit.lessons.predictions import Prediction, predict, reveal
    from labkit.lessons.progress import finish_lesson, keep, kept, start_lesson
    from labkit.lessons.verdict import CheckFailed, Verdict, Why

HOMES = {
    "CheckFailed": "verdict",
    "CourseMap": "coursemap",
    "Exercise": "exercises",
    "Hint": "exercises",
    "Prediction": "predictions",
    "Verdict": "verdict",
    "Why": "verdict",
    "check": "",
    "course_map": "coursemap",
    "finish_lesson": "progress",
    "keep": "progress",
    "kept": "progress",
    "manifest": "files",
    "power": "",
    "predict": "predictions",
    "reveal": "predictions",
    "show": "files",
    "start_lesson": "progress",
}
"""The module of each name; "" where the name is a module itself."""

__all__ = [
    "CheckFailed",
    "CourseMap",
    "Exercise",
    "Hint",
    "Prediction",
    "Verdict",
    "Why",
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
    module = importlib.import_module(f"{__name__}.{home or name}")
    value = getattr(module, name) if home else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""What makes notebooks lessons: checks that can fail, exercises with hints, predictions, progress.

    from labkit.lessons import check, predict, reveal, task

    check.split(result, {"v1": 80, "v2": 20})

Names are imported when first used: a lesson that only counts pays nothing for the statistics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labkit.lazy import attach

if TYPE_CHECKING:
    from labkit.lessons.checks import check, power
    from labkit.lessons.checks.ejections import Caller, watch_callers
    from labkit.lessons.checks.pace import measure_pace
    from labkit.lessons.checks.verdict import CheckFailed, Verdict, Why
    from labkit.lessons.config_dump import configured, configured_weights
    from labkit.lessons.content import canary
    from labkit.lessons.content.capstone import grade
    from labkit.lessons.content.installation import INSTALL_METHODS, install_method
    from labkit.lessons.content.tasks import task
    from labkit.lessons.content.trap import walk
    from labkit.lessons.content.traps import TRAPS, trap
    from labkit.lessons.coursemap import CourseMap, course_map
    from labkit.lessons.exercises import Exercise, Hint
    from labkit.lessons.files import manifest, my_copy, show
    from labkit.lessons.predictions import Prediction, my_predictions, predict, reveal
    from labkit.lessons.progress import finish_lesson, keep, kept
    from labkit.lessons.wayback import catch_up, start_lesson

_HOMES = {
    "Caller": "checks.ejections",
    "CheckFailed": "checks.verdict",
    "CourseMap": "coursemap",
    "Exercise": "exercises",
    "Hint": "exercises",
    "INSTALL_METHODS": "content.installation",
    "Prediction": "predictions",
    "TRAPS": "content.traps",
    "Verdict": "checks.verdict",
    "Why": "checks.verdict",
    "canary": "content.canary",
    "catch_up": "wayback",
    "check": "checks.check",
    "configured": "config_dump",
    "configured_weights": "config_dump",
    "course_map": "coursemap",
    "finish_lesson": "progress",
    "grade": "content.capstone",
    "install_method": "content.installation",
    "keep": "progress",
    "kept": "progress",
    "manifest": "files",
    "measure_pace": "checks.pace",
    "my_copy": "files",
    "my_predictions": "predictions",
    "power": "checks.power",
    "predict": "predictions",
    "reveal": "predictions",
    "show": "files",
    "start_lesson": "wayback",
    "task": "content.tasks",
    "trap": "content.traps",
    "walk": "content.trap",
    "watch_callers": "checks.ejections",
}
"""The module of each name, or of a name that is a module itself, that one."""

__all__ = [
    "INSTALL_METHODS",
    "TRAPS",
    "Caller",
    "CheckFailed",
    "CourseMap",
    "Exercise",
    "Hint",
    "Prediction",
    "Verdict",
    "Why",
    "canary",
    "catch_up",
    "check",
    "configured",
    "configured_weights",
    "course_map",
    "finish_lesson",
    "grade",
    "install_method",
    "keep",
    "kept",
    "manifest",
    "measure_pace",
    "my_copy",
    "my_predictions",
    "power",
    "predict",
    "reveal",
    "show",
    "start_lesson",
    "task",
    "trap",
    "walk",
    "watch_callers",
]

__getattr__, __dir__ = attach(__name__, _HOMES)

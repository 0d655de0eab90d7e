"""Exercises: a task, a check that never shouts at a learner, three hints and then the solution."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from labkit.errors import LabkitError, LessonError
from labkit.lessons import progress
from labkit.lessons.checks.bars import Bar
from labkit.lessons.checks.verdict import NOT_YET, CheckFailed, Verdict, Why, fail, quietly
from labkit.lessons.checks.words import begun

HINTS = 3


@dataclass(frozen=True)
class Hint:
    """One rung of the ladder: "Hint 1 of 3", or the solution."""

    title: str
    text: str
    is_solution: bool = False

    def __repr__(self) -> str:
        return f"{self.title}:{chr(10) if self.is_solution else ' '}{self.text}"

    def _repr_html_(self) -> str:
        text = html.escape(self.text)
        body = f"<pre>{text}</pre>" if self.is_solution else f" {text}"
        return f'<div class="labkit-hint"><b>{html.escape(self.title)}:</b>{body}</div>'


@dataclass(frozen=True, repr=False)
class Exercise:
    """A task with its check. `judge` gets what the learner made (or a mesh) and returns a verdict,
    or True or False.

    `setting` makes the mesh that the exercise begins with, where it is not the lesson's. `does` is
    what a check does to the mesh besides sending requests: each verdict says so.

    What else `check` is given, a mesh to compare an answer with, say, `judge` gets as well.

    >>> task = Exercise(
    ...     "03-1",
    ...     "Send half of the traffic to each version. Put your manifest into `mine`.",
    ...     judge=lambda mine: check.split(try_out(mine), {"v1": 50, "v2": 50}),
    ...     hints=("See the VirtualService.", "One route, two destinations.", "weight: 50, twice."),
    ...     solution=SOLUTION,
    ... )
    >>> task.check(mine)
    NOT YET  exercise 03-1
    >>> task.hint()
    Hint 1 of 3: Weights are in the VirtualService.

    Its id begins with the number of its lesson. While solutions are run in CI (LABKIT_STRICT=1), an
    exercise that is not solved raises instead of saying NOT YET.
    """

    id: str
    prompt: str
    judge: Callable[..., Verdict | bool] = field(repr=False)
    hints: Sequence[str] = field(repr=False)
    solution: str = field(repr=False)
    setting: Callable[..., object] | None = field(default=None, repr=False)
    does: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if len(self.hints) != HINTS:
            raise LessonError(
                f"Exercise {self.id} needs {HINTS} hints", seen=f"{len(self.hints)} were given"
            )
        if not self.solution.strip():
            raise LessonError(f"Exercise {self.id} has no solution")
        if not self.id[:2].isdigit():
            raise LessonError(
                f"The id of an exercise begins with its lesson, not {self.id!r}", try_next='"03-1"'
            )
        # the course map counts the exercises that a learner has met
        progress.update(lambda state: state["exercises"].setdefault(self.id, {"state": "open"}))

    def check(self, answer: Any = ..., *also: Any) -> Verdict:
        """Judges an answer, records the result, and returns PASS or NOT YET. Raises only under
        LABKIT_STRICT=1.
        """
        verdict = self._judged(answer, *also)
        self._note(verdict)
        if progress.strict() and not verdict.passed:
            fail(verdict)
        return verdict

    def prepare(self, mesh: Any) -> Exercise:
        """Makes what the exercise is about: a mesh with a fault in it. Returns the exercise, so
        that a notebook shows it. Raises LessonError for an exercise that needs no such thing.

        >>> task("03-3").prepare(mesh)
        """
        if self.setting is None:
            raise LessonError(
                f"Exercise {self.id} takes the mesh as it is", try_next=f'task("{self.id}").hint()'
            )
        self.setting(mesh)
        return self

    def hint(self) -> Hint:
        """The next hint; after the third the solution. Remembered, so a new kernel goes on where
        the last one was.
        """
        shown = 0

        def climb(state: progress.State) -> None:
            nonlocal shown
            entry = state["exercises"].setdefault(self.id, {"state": "open"})
            shown = min(int(entry.get("hints", 0)) + 1, HINTS + 1)
            entry["hints"] = shown

        progress.update(climb)
        return self.rung(shown)

    def rung(self, number: int) -> Hint:
        """Hint 1, 2 or 3, or (4) the solution, without going on to the next."""
        if number <= HINTS:
            return Hint(f"Hint {number} of {HINTS}", self.hints[number - 1])
        return Hint("Solution", self.solution, is_solution=True)

    @property
    def done(self) -> bool:
        """Has it been solved, in this kernel or an earlier one?"""
        return progress.entry("exercises", self.id).get("state") == "done"

    def _judged(self, answer: Any, *also: Any) -> Verdict:
        if answer is None or answer is ...:
            return self._not_yet("there is no answer yet", ())
        try:
            with quietly():
                found = self.judge(answer, *also)
        except CheckFailed as failure:
            why, claim = failure.verdict.why, failure.verdict.claim
            said = f"Checked: {claim}. {begun(why.said or why.seen)}"
            return self._not_yet(why.seen, why.evidence, said, why.bars)
        except LabkitError as error:
            return self._not_yet(str(error), ())
        except Exception as error:
            # a slip in the learner's answer may break the judge in any way; in CI the cause is
            # wanted in full
            if progress.strict():
                raise
            return self._not_yet(f"the answer can't be judged: {type(error).__name__}: {error}", ())
        if isinstance(found, Verdict):
            why = found.why
            passed = found.passed
        else:
            passed = bool(found)
            why = Why(
                "the answer is right",
                "it is" if passed else "it is not",
                near_miss="any other answer",
            )
        if not passed:
            return self._not_yet(why.seen, why.evidence, why.said, why.bars)
        return Verdict(True, f"exercise {self.id}", replace(why, evidence=self._told(why.evidence)))

    def _told(self, evidence: tuple[str, ...]) -> tuple[str, ...]:
        """What was seen, and what the check did for it."""
        return (*evidence, self.does) if self.does else evidence

    def _not_yet(
        self, seen: str, evidence: tuple[str, ...], said: str = "", bars: tuple[Bar, ...] = ()
    ) -> Verdict:
        asked = self.prompt.split("\n", 1)[0]
        why = Why(asked, "" if said else seen, self._told(evidence), said=said, bars=bars)
        ask = f"{self.id}: ask for a hint with .hint()"
        return Verdict(False, f"exercise {self.id}", why, (ask,), word=NOT_YET)

    def _note(self, verdict: Verdict) -> None:
        def change(state: progress.State) -> None:
            entry = state["exercises"].setdefault(self.id, {"state": "open"})
            entry["attempts"] = int(entry.get("attempts", 0)) + 1
            entry["at"] = progress.now()
            # once solved it stays solved: trying other answers afterwards is how one learns
            if verdict.passed:
                entry["state"] = "done"

        progress.update(change)

    def __repr__(self) -> str:
        return f"Exercise {self.id}: {self.prompt}"

    def _repr_html_(self) -> str:
        mark = "✔ solved" if self.done else "○ open"
        return (
            f'<div class="labkit-exercise"><b>Exercise {html.escape(self.id)}</b> ({mark})'
            f"<br>{html.escape(self.prompt)}</div>"
        )

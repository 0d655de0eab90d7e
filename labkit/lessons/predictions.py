"""Predictions: the learner says what will happen, and compares afterwards. Never graded."""

from __future__ import annotations

import difflib
import html
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

from labkit.errors import LessonError
from labkit.lessons import progress


@dataclass(frozen=True)
class Prediction:
    """A question's options, the guess, and (once revealed) what happened."""

    id: str
    options: tuple[str, ...] = ()
    guess: str | None = None
    answer: str | None = None
    why: str = ""

    @property
    def text(self) -> str:
        """In words."""
        if self.answer is None:
            if self.guess is None:
                return (
                    f"Choose one: {' · '.join(self.options)}"
                    if self.options
                    else "Write down your guess."
                )
            return f"Your guess: {self.guess}. Now see what happens."
        said = f"Your guess: {self.guess}. " if self.guess is not None else "You made no guess. "
        hit = "Correct: " if self.guess == self.answer else "It turned out: "
        why = f" {self.why.rstrip('.')}." if self.why else ""
        return f"{said}{hit}{self.answer.rstrip('.')}.{why}"

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        sign = "✎" if self.answer is None else "✔" if self.guess == self.answer else "➜"
        return (
            f'<div class="labkit-prediction"><span aria-hidden="true">{sign} '
            f"</span>{html.escape(self.text)}</div>"
        )


def predict(
    id: str, guess: str | EllipsisType | None = None, *, options: Sequence[str] = ()
) -> Prediction:
    """Notes a guess, for `reveal` to compare. Without a guess, or with `...` still in its place, it
    shows the options.

    `id` is the lesson and a letter ("09-a"). With `options`, a guess that is none of them raises
    LessonError. A guess is kept with the learner's progress, so a new kernel still knows it.

    >>> predict("09-a", "80/20", options=["80/20", "v2 gets everything", "v1 gets everything"])
    Your guess: 80/20. Now see what happens.
    """
    if guess is None or isinstance(guess, EllipsisType):
        return Prediction(id, tuple(options))
    if options and guess not in options:
        near = difflib.get_close_matches(guess, options, n=1)
        raise LessonError(
            f"{guess!r} is not one of the options",
            seen=f"options: {', '.join(options)}",
            try_next=f"did you mean {near[0]!r}?" if near else "choose one of them",
        )
    progress.record("predictions", id, guess=guess)
    return Prediction(id, tuple(options), guess)


def reveal(id: str, answer: str, why: str = "") -> Prediction:
    """Compares the guess with what happened.

    >>> reveal("09-a", "v2 gets everything", "The first of two routes matches all requests.")
    Your guess: 80/20. It turned out: v2 gets everything. The first of two routes …
    """
    guess = progress.entry("predictions", id).get("guess")
    if guess is not None:
        progress.record("predictions", id, answer=answer, right=guess == answer)
    return Prediction(id, (), guess, answer, why)

"""Predictions: the learner says what will happen, and compares afterwards. Never graded.

In a notebook a prediction is clicked (ipywidgets' radio buttons: native inputs with labels);
everywhere else it is written as an argument. Either way it is kept with the learner's progress.
"""

from __future__ import annotations

import difflib
import html
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """What a notebook shows: buttons where one can click, and text for a page without them."""
        words = {"text/plain": self.text, "text/html": self._repr_html_()}
        if self.answer is not None or not self.options or not clickable():
            return words
        return {**buttons(self)._repr_mimebundle_(), **words}

    def _repr_html_(self) -> str:
        sign = "✎" if self.answer is None else "✔" if self.guess == self.answer else "➜"
        return (
            f'<div class="labkit-prediction"><span aria-hidden="true">{sign} '
            f"</span>{html.escape(self.text)}</div>"
        )


def clickable() -> bool:
    """Whether somebody may click: in a notebook's kernel, and not where solutions are run."""
    running = sys.modules.get("IPython")
    shell = running.get_ipython() if running is not None else None
    return hasattr(shell, "kernel") and not progress.strict()


def buttons(asked: Prediction) -> Any:
    """Its options to click, and a line that says what was clicked."""
    import ipywidgets

    said = ipywidgets.HTML(asked._repr_html_())
    choice = ipywidgets.RadioButtons(
        options=asked.options,
        value=asked.guess if asked.guess in asked.options else None,
        description="Your guess",
        layout=ipywidgets.Layout(width="auto"),
    )

    def clicked(change: Any) -> None:
        said.value = predict(asked.id, change["new"], options=asked.options)._repr_html_()

    choice.observe(clicked, names="value")
    return ipywidgets.VBox([choice, said])


def predict(
    id: str, guess: str | EllipsisType | None = None, *, options: Sequence[str] = ()
) -> Prediction:
    """Notes a guess, for `reveal` to compare. Without a guess, or with `...` still in its place, it
    shows the options, to click where that is possible, and the guess made before.

    `id` is the lesson and a letter ("09-a"). With `options`, a guess that is none of them raises
    LessonError. A guess is kept with the learner's progress, so a new kernel still knows it.

    >>> predict("09-a", "80/20", options=["80/20", "v2 gets everything", "v1 gets everything"])
    Your guess: 80/20. Now see what happens.
    """
    if guess is None or isinstance(guess, EllipsisType):
        before = progress.entry("predictions", id).get("guess")
        return Prediction(id, tuple(options), before if before in options else None)
    if options and guess not in options:
        near = meant(str(guess), options)
        raise LessonError(
            f"{guess!r} is not one of the options",
            seen=f"options: {' · '.join(map(repr, options))}",
            try_next=f"did you mean {' or '.join(map(repr, near))}?"
            if near
            else "choose one of them",
        )
    first = progress.entry("predictions", id).get("first", guess)
    progress.record("predictions", id, guess=guess, first=first)
    return Prediction(id, tuple(options), guess)


def meant(guess: str, options: Sequence[str]) -> list[str]:
    """The options that have these words in them, or else the one that is spelt nearly so.

    >>> meant("Two each", ["two each, always", "two each, sometimes", "never two each"])
    ['two each, always', 'two each, sometimes', 'never two each']
    """
    words = " ".join(guess.casefold().split())
    inside = [option for option in options if words and words in option.casefold()]
    folded = {option.casefold(): option for option in options}
    return inside or [folded[each] for each in difflib.get_close_matches(words, folded, n=1)]


def reveal(id: str, answer: str, why: str = "") -> Prediction:
    """Compares the guess with what happened.

    >>> reveal("09-a", "v2 gets everything", "The first of two routes matches all requests.")
    Your guess: 80/20. It turned out: v2 gets everything. The first of two routes …
    """
    guess = progress.entry("predictions", id).get("guess")
    if guess is not None:
        progress.record("predictions", id, answer=answer, right=guess == answer)
    return Prediction(id, (), guess, answer, why)


@dataclass(frozen=True)
class Believed:
    """What a learner believed at first, beside what came: a row a prediction."""

    rows: tuple[tuple[str, str, str], ...]

    @property
    def right(self) -> int:
        """How many first guesses were right."""
        return sum(guess == answer for _, guess, answer in self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return "You made no predictions that a lesson has answered."
        lines = [
            f"lesson {int(id[:2]):>2}: {answer}" + ("" if guess == answer else f" (you: {guess})")
            for id, guess, answer in self.rows
        ]
        return "\n".join([f"{self.right} of {len(self.rows)} right at first", *lines])

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{html.escape(repr(self))}</p>"
        cells = (
            (f"{int(id[:2])}", guess, answer, "✔" if guess == answer else "➜")
            for id, guess, answer in self.rows
        )
        rows = "".join(
            f"<tr>{''.join(f'<td style=text-align:left>{html.escape(c)}</td>' for c in row)}</tr>"
            for row in cells
        )
        heads = "".join(
            f"<th style='text-align:left'>{h}</th>"
            for h in ("lesson", "you believed at first", "what came", "")
        )
        return (
            f"<table><caption>{self.right} of {len(self.rows)} right at first</caption>"
            f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        )


def my_predictions() -> Believed:
    """What you believed at first, in all lessons, beside what came.

    >>> my_predictions()
    9 of 14 right at first
    lesson  3: two each, sometimes (you: two each, always)
    …
    """
    kept = progress.load()["predictions"]
    return Believed(
        tuple(
            (id, str(entry.get("first", entry.get("guess"))), str(entry["answer"]))
            for id, entry in sorted(kept.items())
            if entry.get("answer") and id[:2].isdigit()
        )
    )

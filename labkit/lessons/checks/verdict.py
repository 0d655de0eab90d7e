"""What a check says: one canonical line, the same on every right run, and the why behind it.

The line holds only what was asked ("PASS  weighted split: v1 80 %, v2 20 %"): no measured number,
no pod's name, no time. So a notebook can store it and CI can compare it. What was measured, and
what that is worth, is in the why, which a notebook folds away under the line.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NoReturn

from labkit.errors import LessonError
from labkit.lessons.checks.bars import Bar, percent, picture
from labkit.lessons.checks.recording import concluded
from labkit.lessons.checks.words import begun

PASS, FAIL, NOT_YET = "PASS", "FAIL", "NOT YET"

# White words on these have a contrast of more than 5 : 1, in a light theme and in a dark one. The
# word and the sign say the same without any colour.
LOOKS = {PASS: ("✔", "#005a91"), FAIL: ("✘", "#a33c00"), NOT_YET: ("○", "#6c5b00")}

NBVAL_SANITIZE = (
    '[why of a verdict]\nregex: (?s)<details class="labkit-why".*?</details>\nreplace: \n'
)
"""For `pytest --nbval --nbval-sanitize-with FILE`: the why has measured numbers, so only the line
is compared.
"""

NOT_TIED_TO_A_RUN = "exact: it counts, so it can't fail by chance"


@dataclass(frozen=True)
class Why:
    """What a verdict rests on: `said` says it in a sentence that is true whether it passed or not,
    `bars` as a small picture, the rest in rows. Of an exact check `false_alarm` is 0 and there is
    no p value.
    """

    expected: str
    seen: str
    evidence: tuple[str, ...] = ()
    test: str = NOT_TIED_TO_A_RUN
    assumes: str = ""
    p_value: float | None = None
    n: int | None = None
    needed: int | None = None
    false_alarm: float = 0.0
    near_miss: str = ""
    power: float | None = None
    said: str = ""
    bars: tuple[Bar, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """(label, text) of everything that is known, in the order in which one wants to read it."""
        rows = [("expected", self.expected), ("seen", self.seen)]
        shown = bool(self.bars)
        rows = [
            (label, text) for label, text in rows if text and text not in self.said and not shown
        ]
        rows += [("evidence", text) for text in self.evidence]
        rows.append(("test", self.test))
        if self.assumes:
            rows.append(("assumes", self.assumes))
        if self.p_value is not None:
            rows.append(
                ("p value", f"{self.p_value:.3g}; it fails at {self.false_alarm:.0e} or less")
            )
        if self.n is not None:
            rows.append(
                (
                    "requests",
                    f"{self.n}" + (f", at least {self.needed} needed" if self.needed else ""),
                )
            )
        if self.false_alarm:
            rows.append(
                (
                    "false alarm",
                    f"at most {self.false_alarm:.0e} of runs on a correct mesh",
                )
            )
        if self.near_miss:
            rows.append(("near miss", self.near_miss))
        if self.power is not None:
            rows.append(
                ("power", f"catches the near miss in at least {percent(self.power)} of runs")
            )
        return rows


@dataclass(frozen=True, repr=False)
class Verdict:
    """The answer of a check. As the last value of a notebook cell it shows its line, with the why
    folded under it.

    >>> verdict = check.all_ok(result)
    >>> verdict
    PASS  every request answered 200
    >>> print(verdict.explain())                    # in a terminal: the line, and why
    """

    passed: bool
    claim: str
    why: Why
    hints: tuple[str, ...] = ()
    word: str = field(default="")

    def __post_init__(self) -> None:
        if not self.word:
            object.__setattr__(self, "word", PASS if self.passed else FAIL)

    @property
    def line(self) -> str:
        """The canonical line."""
        return f"{self.word}  {self.claim}"

    def explain(self) -> str:
        """The line and the why as plain text."""
        why = self.why
        lines = [self.line, f"  {begun(why.said)}"] if why.said else [self.line]
        lines += [f"  {bar.name}: {bar.told}" for bar in why.bars]
        rows = why.rows()
        if not self.passed and self.hints:
            rows.append(("hint", self.hints[0]))
        width = max((len(label) for label, _ in rows), default=0)
        return "\n".join([*lines, *(f"  {label:<{width}}  {text}" for label, text in rows)])

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return self.line

    def _repr_html_(self) -> str:
        sign, colour = LOOKS[self.word]
        why = self.why
        said = f"<p style='margin:.3em 0'>{html.escape(begun(why.said))}</p>" if why.said else ""
        rows = "".join(
            "<tr><th scope='row' "
            f"style='text-align:left;vertical-align:top'>{html.escape(label)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for label, text in why.rows()
        )
        hints = ""
        if not self.passed and self.hints:
            hints = f"<p><b>Hint:</b> {html.escape(self.hints[0])}</p>"
        opened = "" if self.passed else " open"
        return (
            f'<div class="labkit-verdict"><b style="background:{colour};color:#fff;'
            'padding:.05em .5em;border-radius:3px">'
            f"<span aria-hidden='true'>{sign} </span>{self.word}</b> {html.escape(self.claim)}"
            f'<details class="labkit-why"{opened}><summary>why</summary>{said}'
            f"{picture(why.bars)}{hints}<table>{rows}</table></details></div>"
        )

    def _ipython_display_(self) -> None:
        """Once in each run of a cell: a check shows its verdict itself, and as the last value of a
        cell it would come again.
        """
        run = running()
        if self.__dict__.get("_shown") == run:
            return
        object.__setattr__(self, "_shown", run)
        data = {"text/plain": self.line, "text/html": self._repr_html_()}
        sys.modules["IPython"].display.display(data, raw=True)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_shown"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)


class CheckFailed(LessonError):
    """A check did not pass: papermill and nbval stop here, and a learner reads the verdict, not a
    traceback.
    """

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        why = verdict.why
        super().__init__(
            verdict.line,
            seen=why.said or f"{why.seen} (expected: {why.expected})",
            try_next=verdict.hints[0] if verdict.hints else "",
        )

    def __reduce__(self) -> tuple[type[CheckFailed], tuple[Verdict]]:
        return (CheckFailed, (self.verdict,))

    def _render_traceback_(self) -> list[str]:
        if "_shown" in self.verdict.__dict__:  # it stands above, in full
            return [f"{self.verdict.line}: see above why. The cell ends here."]
        return self.verdict.explain().split("\n")


_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Within this, checks do not show themselves: an exercise shows its own verdict instead."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def conclude(verdict: Verdict) -> Verdict:
    """Shows a verdict where there is a notebook, and returns it; raises it if it did not pass."""
    concluded(verdict.line, verdict.why.seen)
    if not verdict.passed:
        fail(verdict)
    if not _quiet.get():
        show(verdict)
    return verdict


def fail(verdict: Verdict) -> NoReturn:
    """Shows the verdict where there is a notebook, and raises it."""
    if not _quiet.get():
        show(verdict)
    raise CheckFailed(verdict)


def show(value: object) -> None:
    """Displays a value in a notebook. Does nothing elsewhere: an error raised next says the same in
    words.
    """
    if running() is not None:
        sys.modules["IPython"].display.display(value)


def running() -> object:
    """Which run of a cell this is; None where there is no IPython."""
    ipython = sys.modules.get("IPython")  # where there is a notebook it is loaded
    shell = ipython.get_ipython() if ipython is not None else None
    return None if shell is None else getattr(shell, "execution_count", 0)

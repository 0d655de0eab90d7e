"""An explanation, as values and as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from labkit.explain.answers import Outcome
from labkit.explain.page import page
from labkit.explain.steps import Step


@dataclass(frozen=True)
class Explanation:
    """Why a request goes where it goes. Prints as text; a notebook shows it as a page.

    `outcome` has the result in values, `steps` the way there.

    >>> mesh.explain("http://test.example.com/").outcome.status
    404
    """

    request: str
    proxy: str
    outcome: Outcome
    result: str
    steps: tuple[Step, ...] = field(default=())

    def __repr__(self) -> str:
        return "\n".join([self.title, self.result, *self._lines()])

    @property
    def title(self) -> str:
        return f"{self.request}, at {self.proxy}"

    def _lines(self) -> Iterator[str]:
        for step in self.steps:
            yield from step.lines()

    def find(self, name: str) -> list[Step]:
        """All steps of a name, such as `near miss` or `endpoint`."""
        return [found for step in self.steps for found in step.find(name)]

    def as_dict(self) -> dict[str, Any]:
        """The explanation as plain values, for JSON."""
        outcome = {
            name: dict(value) if isinstance(value, Mapping) else value
            for name in self.outcome.__dataclass_fields__
            for value in [getattr(self.outcome, name)]
        }
        return {
            "request": self.request,
            "proxy": self.proxy,
            "result": self.result,
            "outcome": outcome,
            "steps": [asdict(step) for step in self.steps],
        }

    def _repr_html_(self) -> str:
        return page(self.request, self.proxy, self.result, self.steps)

"""What the linter says: a diagnosis for each mistake, and all of them together."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass, field
from typing import Any

from labkit.resources.finding import written
from labkit.resources.lint.codes import CODES, Level
from labkit.resources.model import Key, Path, Resource


@dataclass(frozen=True)
class Diagnosis:
    """One mistake: where it is, what it is, why it matters and how to put it right.

    >>> print(lint("manifests/hello-world.yaml", "rule.yaml")[0])
    rule.yaml:8: warning IST0174 UnknownDestinationRuleHost (KIA0202)
      …
    """

    code: str
    object: str
    path: str
    line: int
    file: str
    what: str
    fix: str
    also: tuple[str, ...] = ()
    """Codes of other tools for the same mistake."""
    key: Key | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        return CODES[self.code].name

    @property
    def level(self) -> Level:
        return CODES[self.code].level

    @property
    def why(self) -> str:
        return CODES[self.code].why

    @property
    def where(self) -> str:
        """ "rule.yaml:8", or the object where it was not read from a file."""
        if not self.file:
            return self.object
        return f"{_near(self.file)}:{self.line}"

    def __str__(self) -> str:
        also = f" ({', '.join(self.also)})" if self.also else ""
        about = f"{self.object}: {self.path}" if self.path else self.object
        return "\n".join(
            [
                f"{self.where}: {self.level} {self.code} {self.name}{also}",
                *([f"  {about}"] if about else []),
                f"  what  {self.what}",
                f"  why   {self.why}",
                f"  fix   {self.fix}",
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON-able values."""
        return {
            "code": self.code,
            "also": list(self.also),
            "name": self.name,
            "level": self.level,
            "file": self.file,
            "line": self.line,
            "object": self.object,
            "path": self.path,
            "what": self.what,
            "why": self.why,
            "fix": self.fix,
        }


def _near(file: str) -> str:
    """A path as one would type it from here, where that is shorter."""
    if not os.path.isabs(file):
        return file
    try:
        return min(os.path.relpath(file), file, key=len)
    except ValueError:  # another drive of Windows: there is no way from here
        return file


class Diagnoses(tuple[Diagnosis, ...]):
    """All that the linter found, in the order of the files. Empty means that nothing was found."""

    __slots__ = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Each code once, in order.

        >>> lint("manifests/as-published/").codes
        ('IST0106', 'IST0130', 'KIA1104', 'LAB01', …)
        """
        return tuple(sorted({each.code for each in self}))

    @property
    def serious(self) -> bool:
        """Whether there is an error or a warning among them."""
        return any(each.level != "info" for each in self)

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "No findings."

    __str__ = __repr__

    def _repr_html_(self) -> str:
        if not self:
            return "<p>No findings.</p>"
        style = 'style="text-align:left;vertical-align:top"'
        head = "".join(
            f'<th scope="col" {style}>{name}</th>'
            for name in ("code", "where", "what", "why", "how to fix")
        )
        rows = "".join(
            "<tr>"
            + "".join(f"<td {style}>{html.escape(text)}</td>" for text in _columns(each))
            # whoever learns wants to find it first, so it is there for a click
            + f"<td {style}><details><summary>show</summary>{html.escape(each.fix)}</details></td>"
            + "</tr>"
            for each in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _columns(each: Diagnosis) -> tuple[str, ...]:
    code = " ".join((each.code, *(f"({other})" for other in each.also)))
    return code, " ".join(filter(None, (each.object, each.path))), each.what, each.why


def diagnosis(
    code: str, resource: Resource, path: Path, what: str, fix: str, *, also: str = ""
) -> Diagnosis:
    """A diagnosis of one field of an object; `also` where only one of the other
    tools' codes fits.
    """
    source = resource.source
    return Diagnosis(
        code=code,
        object=title(resource),
        path=written(path),
        line=source.line_of(path) if source else 0,
        file=source.name if source else "",
        what=what,
        fix=fix,
        also=(also,) if also else CODES[code].also,
        key=resource.key,
    )


def title(resource: Resource) -> str:
    """ "VirtualService hello-world/hello-world-vs" """
    where = f"{resource.namespace}/" if resource.namespace else ""
    return f"{resource.kind} {where}{resource.name or '(no name)'}"

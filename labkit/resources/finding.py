"""What validation has to say: findings about fields, and whether an object is admitted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from labkit.errors import LabkitError, UnsupportedError, ValidationError
from labkit.resources.model import Path, Resource

_PLAIN_STEP = re.compile(r"[\w-]{1,63}")

Level = Literal["error", "warning"]
Verdict = Literal["accepted", "refused", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One thing about one field. An error means that the API server would refuse the object.

    >>> print(validate(rule)[0])
    rule.yaml:7: spec.trafficPolicy.loadBalancer.simple: not a known value; found "RANDON"; allowed:
    "RANDOM", …
    """

    level: Level
    path: str
    line: int
    file: str
    message: str
    found: str = ""
    allowed: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: " if self.file else ""
        if self.level == "warning":
            where += "warning: "
        about = f"{self.path}: " if self.path else ""
        parts = [self.message]
        if self.found:
            parts.append(f"found {self.found}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.hint:
            parts.append(self.hint)
        return where + about + "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-able values."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Admission:
    """What Kubernetes and Istio would say of one object, or of a text that is none (then `resource`
    is None).
    """

    resource: Resource | None
    findings: tuple[Finding, ...]
    error: LabkitError | None = None
    """The text can't be read, or labkit does not check this kind."""
    file: str = ""

    @property
    def accepted(self) -> bool:
        return self.error is None and not self.errors

    @property
    def verdict(self) -> Verdict:
        """ "not checked" says nothing against the object: it is of a kind that labkit does not
        know, and a cluster that has the kind may well take it.
        """
        if isinstance(self.error, UnsupportedError):
            return "not checked"
        return "accepted" if self.accepted else "refused"

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.level == "warning")


class ManifestRefused(ValidationError):
    """Kubernetes or Istio would refuse an object; `findings` says why, field by field."""

    def __init__(self, resource: Resource, findings: Sequence[Finding]) -> None:
        self.resource = resource
        self.findings = tuple(findings)
        errors = [finding for finding in findings if finding.level == "error"]
        name = resource.name or "without a name"
        lines = [
            f"{resource.kind or 'object'} {name} would be refused:",
            *(f"  {error}" for error in errors),
        ]
        super().__init__("\n".join(lines))


@dataclass
class Report:
    """Collects the findings on one object; the checks write into it."""

    resource: Resource
    findings: list[Finding] = field(default_factory=list)
    mute: bool = False
    known: set[Finding] = field(default_factory=set)

    def errors_only(self) -> Report:
        """The same report without ears for warnings: Istio's webhook itself drops those of some
        nested parts.
        """
        return Report(self.resource, self.findings, mute=True, known=self.known)

    def error(
        self, path: Path, message: str, *, found: Any = None, allowed: str = "", hint: str = ""
    ) -> None:
        """The API server would refuse the object because of the field at `path`."""
        self._add("error", path, message, found, allowed, hint)

    def warning(
        self, path: Path, message: str, *, found: Any = None, allowed: str = "", hint: str = ""
    ) -> None:
        """The object is accepted, but the field at `path` does not do what its author may think."""
        if not self.mute:
            self._add("warning", path, message, found, allowed, hint)

    @property
    def refused(self) -> bool:
        return any(finding.level == "error" for finding in self.findings)

    def text_of(self, path: Path, value: Any) -> str:
        """The value at `path` as its author wrote it, where YAML changed it on the way.

        >>> report.text_of(("spec", "subsets", 0, "labels", "version"), 1.1)
        '1.10'
        """
        source = self.resource.source
        text = source.scalars.get(path) if source else None
        if text is not None and not isinstance(value, (str, dict, list)):
            return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"
        return shown(value)

    def _add(
        self, level: Level, path: Path, message: str, found: Any, allowed: str, hint: str
    ) -> None:
        source = self.resource.source
        finding = Finding(
            level=level,
            path=written(path),
            line=source.line_of(path) if source else 0,
            file=source.name if source else "",
            message=message,
            found=self.text_of(path, found) if found is not None else "",
            allowed=allowed,
            hint=hint,
        )
        if finding not in self.known:
            self.known.add(finding)
            self.findings.append(finding)


def written(path: Path) -> str:
    """("spec", "http", 0, "match") -> "spec.http[0].match", as Kubernetes writes it."""
    text = ""
    for step in path:
        if isinstance(step, int) or not _PLAIN_STEP.fullmatch(step):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def _visible(character: str) -> str:
    """A character, or how it is written where it can't be seen: a line break, a control character,
    one that turns the direction of writing.
    """
    if character == "\n":
        return "\\n"
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


LONGEST_SHOWN = 60  # characters


def shown(value: Any, limit: int = LONGEST_SHOWN) -> str:
    """A value as YAML's flow style has it, cut where it is long."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = '"' + "".join(map(_visible, value[: limit + 1])) + '"'
    elif isinstance(value, dict):
        text = (
            "{"
            + ", ".join(f"{key}: {shown(item, 20)}" for key, item in list(value.items())[:4])
            + "}"
        )
    elif isinstance(value, list):
        text = "[" + ", ".join(shown(item, 20) for item in value[:4]) + "]"
    else:
        text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"

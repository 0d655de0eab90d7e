"""One object of Kubernetes or Istio, as the learner wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labkit.resources import kinds

Key = tuple[str, str, str]
"""(kind, namespace, name); the namespace is "" for an object that has none."""

Path = tuple[str | int, ...]
"""Where a field is: ("spec", "http", 0, "timeout")."""


@dataclass(frozen=True)
class Source:
    """Where an object was written: a file's name (or "<text>"), its first line there (1-based), and
    its text.
    """

    name: str
    line: int
    text: str = field(repr=False)
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False, compare=False)
    """The line of the file on which each field begins."""
    repeated: tuple[Path, ...] = field(default=(), repr=False, compare=False)
    """Fields written twice in the same place; the last one counts, as for kubectl."""
    scalars: Mapping[Path, str] = field(default_factory=dict, repr=False, compare=False)
    """What the author wrote where YAML reads it as something else than its letters: 1.10, 0100,
    yes.
    """

    def line_of(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it when the field itself is not
        there.
        """
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return self.lines.get((), self.line)


@dataclass(frozen=True, eq=False)
class Resource:
    """One object. `body` is the whole object as plain Python values; treat it as read-only.

    >>> rule = load("manifests/random.yaml")[0]
    >>> rule.kind, rule.name, rule.spec["host"]
    ('DestinationRule', 'hello-world-dr', 'hello-world')
    """

    body: dict[str, Any] = field(repr=False)
    source: Source | None = field(default=None, repr=False)

    @property
    def api_version(self) -> str:
        return str(self.body.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def metadata(self) -> dict[str, Any]:
        return _mapping(self.body.get("metadata"))

    @property
    def name(self) -> str:
        return str(self.metadata.get("name") or "")

    @property
    def namespace(self) -> str:
        """ "" for a kind that is in none, as a Namespace; "default" where none is written, as
        kubectl does.
        """
        if self.kind in kinds.CLUSTER_WIDE:
            return ""
        return str(self.metadata.get("namespace") or "default")

    @property
    def labels(self) -> dict[str, str]:
        return _mapping(self.metadata.get("labels"))

    @property
    def spec(self) -> dict[str, Any]:
        return _mapping(self.body.get("spec"))

    @property
    def key(self) -> Key:
        return (self.kind, self.namespace, self.name)

    def __repr__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"<{self.kind} {where}{self.name}>"


def _mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a mapping: an object that was not validated may hold anything at all."""
    return value if isinstance(value, dict) else {}

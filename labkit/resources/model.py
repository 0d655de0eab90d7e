"""One object of Kubernetes or Istio, as the learner wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ISTIO_GROUP = "networking.istio.io"

Key = tuple[str, str, str]
"""(kind, namespace, name); the namespace is "" for an object that has none."""


@dataclass(frozen=True)
class Source:
    """Where an object was written: a file's name (or "<text>"), its first line there (1-based), and its text."""

    name: str
    line: int
    text: str = field(repr=False)


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
        return self.body.get("metadata") or {}

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))

    @property
    def namespace(self) -> str:
        """ "" for a Namespace; "default" where none is written, as kubectl does."""
        if self.kind == "Namespace":
            return ""
        return str(self.metadata.get("namespace") or "default")

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def spec(self) -> dict[str, Any]:
        return self.body.get("spec") or {}

    @property
    def key(self) -> Key:
        return (self.kind, self.namespace, self.name)

    def __repr__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"<{self.kind} {where}{self.name}>"

"""`PolicyText`: the YAML in view, parsed once. A change makes a new one and keeps comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from labkit.errors import ManifestError, ParseError
from labkit.resources import Admission, Resource
from labkit.resources.model import Path
from labkit.resources.yaml.document import Document, documents
from labkit.resources.yaml.editing import edit_documents
from labkit.resources.yaml.loading import check_documents, load_documents
from labkit.ui.panels.policy.fields import HASHES
from labkit.ui.panels.policy.paths import at, emptied, partner, rivals

NAME = "your YAML"
"""What messages call the text in view."""


@dataclass(frozen=True)
class PolicyText:
    """A learner's text with what the parser found in it. It may be anything: `error` says why it is
    not YAML, and `documents` has what comes before that place.

    >>> policy = PolicyText.parse("spec:\\n  host: a  # the service\\n")
    >>> policy.with_field(("spec", "host"), "b").text
    'spec:\\n  host: b  # the service\\n'
    """

    text: str
    documents: tuple[Document, ...] = field(default=(), compare=False, repr=False)
    error: ParseError | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str) -> PolicyText:
        """Reads a text. Raises nothing."""
        found: list[Document] = []
        try:
            for document in documents(text, NAME):
                found.append(document)
        except ParseError as error:
            return cls(text, tuple(found), error)
        return cls(text, tuple(found))

    # what is in it

    def read(self) -> Iterator[Document]:
        """The documents. Raises ParseError at the end where the text is not YAML."""
        yield from self.documents
        if self.error is not None:
            raise self.error

    @property
    def bodies(self) -> list[Any]:
        """The values of all documents. Raises ParseError where the text is not YAML."""
        return [document.value for document in self.read()]

    def body(self, document: int = 0) -> Any:
        """The value of one document, {} where there are fewer. Raises ParseError as `bodies`."""
        found = self.bodies
        return found[document] if document < len(found) else {}

    def admissions(self) -> list[Admission]:
        """What Kubernetes and Istio would say of each object. Raises nothing."""
        return check_documents(self.read(), NAME)

    def resources(self) -> list[Resource]:
        """The objects. Raises ParseError where the text is not YAML or has no objects."""
        return load_documents(self.read(), NAME)

    # what becomes of it

    def with_field(self, path: Path, value: Any, *, document: int = 0) -> PolicyText:
        """The text with one field set; None removes it, and what then has nothing in it.

        Of fields that exclude each other the one that is set replaces the others; of two weights
        that are 100 together the other one follows. Raises ManifestError where the field can't be
        changed in place, ParseError where the text is not YAML.

        >>> policy.with_field(("spec", "trafficPolicy", "loadBalancer", "simple"), "RANDOM")
        """
        body = self.body(document)
        if value is None:
            if at(body, path[:-1]) is None or at(body, path) is None:
                return self
            return self._with([(emptied(body, path), None)], document)
        changes: list[tuple[Path, Any]] = [(path, value)]
        changes += [(rival, None) for rival in rivals(path) if at(body, rival) is not None]
        other = partner(body, path)
        if other is not None and isinstance(value, int) and 0 <= value <= 100:
            changes.append((other, 100 - value))
        return self._with(changes, document)

    def with_mode(self, policy: Path, wanted: str, *, document: int = 0) -> PolicyText:
        """The text with another load balancing: one of `fields.MODES`, below the traffic policy at
        a path. Raises ManifestError for a hash that Istio does not have.
        """
        top = (*policy, "loadBalancer")
        if not wanted:
            plain = self.with_field((*top, "consistentHash"), None, document=document)
            return plain.with_field((*top, "simple"), None, document=document)
        if not wanted.startswith("consistentHash."):
            return self.with_field((*top, "simple"), wanted, document=document)
        name = wanted.partition(".")[2]
        if name not in HASHES:
            raise ManifestError(
                f"There is no hash of {name!r}", seen=f"there are: {', '.join(HASHES)}"
            )
        hashed = (*top, "consistentHash", name)
        found = at(self.body(document), hashed)
        return self.with_field(hashed, found or HASHES[name], document=document)

    def _with(self, changes: Sequence[tuple[Path, Any]], document: int) -> PolicyText:
        text, found = edit_documents(self.text, self.documents, changes, document=document)
        return PolicyText(text, tuple(found))

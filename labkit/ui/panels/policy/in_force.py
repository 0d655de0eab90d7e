"""What is in force: the objects of the mesh, and as a text what it has for the text in view."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from labkit.errors import LabkitError, ManifestError
from labkit.mesh import Mesh
from labkit.resources import Key, Path, Resource, dump
from labkit.resources.yaml.document import Document
from labkit.resources.yaml.editing import edit_documents
from labkit.ui.panels.policy.paths import at
from labkit.ui.panels.policy.text import PolicyText

SPARE = 20
"""Objects are read again while typing when that costs at most a twentieth of the time."""


class InForce:
    """What is applied, as a panel sees it: all objects of the mesh, and the text
    that is in force.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.objects: list[Resource] = []
        self.by_key: dict[Key, Resource] = {}
        self.texts: dict[Key, tuple[Any, str]] = {}
        """For what the panel has applied: the spec that the mesh then had, and the text."""
        self.last = ""
        self.read_at = 0.0
        self.took = 0.0

    def look(self) -> None:
        """Reads the objects of the mesh."""
        began = time.monotonic()
        self.objects = self.mesh.objects()
        self.by_key = {resource.key: resource for resource in self.objects}
        self.read_at = time.monotonic()
        self.took = self.read_at - began

    def look_again(self) -> None:
        """The same where it costs little, as it does on this machine."""
        if time.monotonic() - self.read_at > SPARE * self.took:
            self.look()

    def applied(self, policy: PolicyText) -> None:
        """Remembers that this text was applied just now."""
        self.look()
        for part, resource in zip(policy.documents, policy.resources(), strict=False):
            if resource.key in self.by_key:
                self.texts[resource.key] = (self.by_key[resource.key].spec, part.text)

    def text(self, view: PolicyText) -> str:
        """What is in force for the objects of a text, as a text as much like it as can be; "" where
        there is nothing.

        Of a text that this panel has applied, comments are known too; of what somebody else applied
        only the values. While `view` can't be read it is what it was before.
        """
        try:
            keys = [resource.key for resource in view.resources()]
        except LabkitError:
            return self.last
        if len(keys) != len(view.documents):  # a List: its items have no text of their own
            return self.last
        found = view.text
        for part, key in reversed(list(zip(view.documents, keys, strict=True))):
            end = part.offset + len(part.text)
            found = found[: part.offset] + self.in_force(part, key) + found[end:]
        self.last = found if any(key in self.by_key for key in keys) else ""
        return self.last

    def in_force(self, view: Document, key: Key) -> str:
        """The same for one object."""
        resource = self.by_key.get(key)
        if resource is None:
            return ""
        spec, known = self.texts.get(key, (None, ""))
        return known if known and spec == resource.spec else like(view, resource)


def like(view: Document, resource: Resource) -> str:
    """The text of a document with the spec of an object that is applied; the text itself where that
    is what it says.
    """
    changes = differences(at(view.value, ("spec",)), resource.spec, ("spec",))
    try:
        return edit_documents(view.text, [replace(view, offset=0)], changes)[0]
    except ManifestError:
        return dump({name: value for name, value in resource.body.items() if name != "status"})


def differences(old: Any, new: Any, path: Path) -> list[tuple[Path, Any]]:
    """What to set, and where, so that `old` becomes `new`: the smallest parts, so that a text keeps
    its shape.

    >>> differences({"a": 1, "b": [1, 2]}, {"b": [1, 3], "c": 4}, ())
    [(('b', 1), 3), (('c',), 4), (('a',), None)]
    """
    if isinstance(old, dict) and isinstance(new, dict) and new:
        found = [
            each for name in new for each in differences(old.get(name), new[name], (*path, name))
        ]
        return found + [((*path, name), None) for name in old if name not in new]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            each for at, item in enumerate(new) for each in differences(old[at], item, (*path, at))
        ]
    return [] if old == new else [(path, new)]

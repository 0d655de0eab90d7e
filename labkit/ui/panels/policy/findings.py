"""What is said of the text in view: by validation, by the linter, and by a look
at what is applied.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from labkit.errors import LabkitError, ManifestError
from labkit.resources import Key, Path, Resource, dump, load_text
from labkit.resources.finding import Admission, written
from labkit.resources.lint import lint_admissions
from labkit.resources.yaml.document import compose_documents
from labkit.resources.yaml.editing import edit
from labkit.ui.panels.policy import text as policy_text
from labkit.ui.panels.policy.fields import Group
from labkit.ui.panels.policy.text import NAME

if TYPE_CHECKING:
    from labkit.mesh import Mesh

SPARE = 20
"""Objects are read again while typing when that costs at most a twentieth of the time."""


@dataclass(frozen=True)
class Said:
    """One finding, as the panel shows it. `key` is that of its object, None for
    what can't be read.
    """

    level: str
    line: int
    path: str
    code: str
    what: str
    fix: str
    key: Key | None

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "key"}


def of_text(verdicts: Iterable[Admission], objects: Sequence[Resource]) -> list[Said]:
    """All findings on a text among the objects of a mesh, the worst first."""
    found = lint_admissions(verdicts, context=objects, complete=True)
    rank = {"error": 0, "warning": 1}
    # of several lines only the first: the others show the place, which is in view anyway
    said = [
        Said(d.level, d.line, d.path, d.code, d.what.partition("\n")[0], d.fix, d.key)
        for d in found
    ]
    return sorted(said, key=lambda each: (rank.get(each.level, 2), each.line))


def as_notes(
    findings: Iterable[Said], document: int, body: Any, subset: str, shape: Iterable[Group]
) -> dict[str, list[list[str]]]:
    """The findings beside a control: [level, words] under its path, or under "group …" where they
    are about a part.
    """
    groups = list(shape)
    places = {
        written(policy_text.place(body, group.id, subset)): f"group {group.id}" for group in groups
    }
    places |= {policy_text.where(f, body, subset): f.path for group in groups for f in group.fields}
    places = dict(sorted(places.items(), key=lambda place: -len(place[0])))  # the nearest one first
    notes: dict[str, list[list[str]]] = {}
    metadata = policy_text.at(body, ("metadata",)) or {}
    own = (
        str(policy_text.at(metadata, ("namespace",)) or "default"),
        str(policy_text.at(metadata, ("name",)) or ""),
    )
    for each in findings:
        if each.key is not None and each.key[1:] != own:
            continue
        near = (p for p in places if each.path == p or each.path.startswith((f"{p}.", f"{p}[")))
        if place := next(near, None):
            notes.setdefault(places[place], []).append([each.level, f"{each.what}; {each.fix}"])
    return notes


class Context:
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

    def applied(self, text: str) -> None:
        """Remembers that this text was applied just now."""
        self.look()
        chunks = [chunk for _, chunk, _ in compose_documents(text, NAME)]
        for chunk, resource in zip(chunks, load_text(text, NAME, strict=False), strict=False):
            if resource.key in self.by_key:
                self.texts[resource.key] = (self.by_key[resource.key].spec, chunk)

    def text(self, view: str) -> str:
        """What is in force for the objects of a text, as a text as much like it as can be; "" where
        there is nothing.

        Of a text that this panel has applied, comments are known too; of what somebody else applied
        only the values. While `view` can't be read it is what it was before.
        """
        try:
            pieces = [(offset, chunk) for offset, chunk, _ in compose_documents(view, NAME)]
            keys = [resource.key for resource in load_text(view, NAME, strict=False)]
        except LabkitError:
            return self.last
        if len(keys) != len(pieces):  # a List: its items have no text of their own
            return self.last
        found = view
        for (offset, chunk), key in reversed(list(zip(pieces, keys, strict=True))):
            found = found[:offset] + self.in_force(chunk, key) + found[offset + len(chunk) :]
        self.last = found if any(key in self.by_key for key in keys) else ""
        return self.last

    def in_force(self, view: str, key: Key) -> str:
        """The same for one object."""
        resource = self.by_key.get(key)
        if resource is None:
            return ""
        spec, known = self.texts.get(key, (None, ""))
        return known if known and spec == resource.spec else like(view, resource)


def like(text: str, resource: Resource) -> str:
    """A text with the spec of an object that is applied; the text itself where that is what it
    says.
    """
    try:
        body = policy_text.bodies(text)[0]
        for path, value in differences(policy_text.at(body, ("spec",)), resource.spec, ("spec",)):
            text = edit(text, path, value)
        return text
    except (ManifestError, IndexError):
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

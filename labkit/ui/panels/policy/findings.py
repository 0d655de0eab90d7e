"""What validation and the linter say of the text in view, and beside which control it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from labkit.resources import Key, Resource
from labkit.resources.finding import Admission, written
from labkit.resources.lint import lint_admissions
from labkit.ui.panels.policy import controls
from labkit.ui.panels.policy.fields import Group
from labkit.ui.panels.policy.paths import at, place


@dataclass(frozen=True)
class ShownFinding:
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


def of_text(admissions: Iterable[Admission], objects: Sequence[Resource]) -> list[ShownFinding]:
    """All findings on a text among the objects of a mesh, the worst first."""
    found = lint_admissions(admissions, context=objects, complete=True)
    rank = {"error": 0, "warning": 1}
    # of several lines only the first: the others show the place, which is in view anyway
    said = [
        ShownFinding(d.level, d.line, d.path, d.code, d.what.partition("\n")[0], d.fix, d.key)
        for d in found
    ]
    return sorted(said, key=lambda each: (rank.get(each.level, 2), each.line))


def as_notes(
    findings: Iterable[ShownFinding], document: int, body: Any, subset: str, shape: Iterable[Group]
) -> dict[str, list[list[str]]]:
    """The findings beside a control: [level, words] under its path, or under "group …" where they
    are about a part.
    """
    groups = list(shape)
    places = {written(place(body, group.id, subset)): f"group {group.id}" for group in groups}
    places |= {controls.where(f, body, subset): f.path for group in groups for f in group.fields}
    places = dict(sorted(places.items(), key=lambda item: -len(item[0])))  # the nearest one first
    notes: dict[str, list[list[str]]] = {}
    metadata = at(body, ("metadata",)) or {}
    own = (
        str(at(metadata, ("namespace",)) or "default"),
        str(at(metadata, ("name",)) or ""),
    )
    for each in findings:
        if each.key is not None and each.key[1:] != own:
            continue
        near = (p for p in places if each.path == p or each.path.startswith((f"{p}.", f"{p}[")))
        if nearest := next(near, None):
            notes.setdefault(places[nearest], []).append([each.level, f"{each.what}; {each.fix}"])
    return notes
